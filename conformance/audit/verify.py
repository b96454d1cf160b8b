#!/usr/bin/env python3
"""Verifies an exported audit log of Rectify: a second implementation that shares no code with the first.

    verify.py EXPORT [--checkpoint FILE --key FILE [--since FILE]]
    verify.py --case DIRECTORY...

Prints one line of JSON for each log, and ends with 1 if any is bad. A case is a directory with
`export.jsonl` and, where there are some, `checkpoint.txt`, `since.txt` and `key.pub`.
Python 3.8 or later, standard library only. Slow: some milliseconds a record, nearly all of it BLAKE3.
Bodies are read as far as they bear on the run grammar. `docs/formats.md` says what is verified.
"""
import base64, hashlib, json, os, re, sys

# --- BLAKE3, with key derivation --------------------------------------------------------------------
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
MIXES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
CHUNK_START, CHUNK_END, PARENT, ROOT, CONTEXT, MATERIAL = 1, 2, 4, 8, 32, 64
MASK = 0xFFFFFFFF

def compress(value, block, counter, length, flags):
    s = list(value) + list(IV[:4]) + [counter & MASK, counter >> 32, length, flags]
    words = [int.from_bytes(block[i:i + 4], "little") for i in range(0, 64, 4)]
    for _ in range(7):
        for at, (a, b, c, d) in enumerate(MIXES):
            sa, sb, sc, sd = s[a], s[b], s[c], s[d]
            sa = (sa + sb + words[2 * at]) & MASK
            sd ^= sa
            sd = sd >> 16 | sd << 16 & MASK
            sc = (sc + sd) & MASK
            sb ^= sc
            sb = sb >> 12 | sb << 20 & MASK
            sa = (sa + sb + words[2 * at + 1]) & MASK
            sd ^= sa
            sd = sd >> 8 | sd << 24 & MASK
            sc = (sc + sd) & MASK
            sb ^= sc
            sb = sb >> 7 | sb << 25 & MASK
            s[a], s[b], s[c], s[d] = sa, sb, sc, sd
        words = [words[i] for i in PERMUTATION]
    return [s[i] ^ s[i + 8] for i in range(8)]

def chunk(data, key, counter, flags, root):
    value = key
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    for at, block in enumerate(blocks):
        last = at == len(blocks) - 1
        mark = (CHUNK_START if at == 0 else 0) | (CHUNK_END if last else 0) | (ROOT if last and root else 0)
        value = compress(value, block.ljust(64, b"\0"), counter, len(block), flags | mark)
    return value

def tree(data, key, first, flags, root):
    if len(data) <= 1024:
        return chunk(data, key, first, flags, root)
    half = 1024
    while half * 2 < len(data):
        half *= 2
    left = tree(data[:half], key, first, flags, False)
    right = tree(data[half:], key, first + half // 1024, flags, False)
    block = b"".join(word.to_bytes(4, "little") for word in left + right)
    return compress(key, block, 0, 64, flags | PARENT | (ROOT if root else 0))

CONTEXTS = {}

def derive(context, part):
    """BLAKE3 in key derivation mode over the length of the part (8 bytes, little-endian) and the part."""
    if context not in CONTEXTS:
        CONTEXTS[context] = tree(context.encode(), list(IV), 0, CONTEXT, True)
    words = tree(len(part).to_bytes(8, "little") + part, CONTEXTS[context], 0, MATERIAL, True)
    return "blake3:" + b"".join(word.to_bytes(4, "little") for word in words).hex()

RECORD, DETAIL = "rectify 2026 v1 audit record", "rectify 2026 v1 audit detail"

# --- Ed25519, strict --------------------------------------------------------------------------------
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
I = pow(2, (P - 1) // 4, P)

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = add(q, p)
        p, n = add(p, p), n >> 1
    return q

def equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0

def point(data):
    """The point with this one encoding, or None."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * I % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P

ZERO = (0, 1, 1, 0)
BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def verifies(key, message, signature):
    a, r = point(key), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or equal(times(8, a), ZERO) or equal(times(8, r), ZERO):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    return equal(times(s, BASE), add(r, times(k, a)))

# --- strict reading ---------------------------------------------------------------------------------
class Bad(Exception):
    """A code, the record, and what is wrong."""

def pairs(items):
    if len(dict(items)) != len(items):
        raise ValueError("a key twice")
    return dict(items)

def refuse(text):
    raise ValueError("not an integer: " + text)

def integer(text):
    if abs(int(text)) >= 2**53:
        raise ValueError("too large")
    return int(text)

DECODER = json.JSONDecoder(object_pairs_hook=pairs, parse_float=refuse, parse_int=integer, parse_constant=refuse)

def canonical(text):
    value = DECODER.decode(text)
    if json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) != text:
        raise ValueError("not in canonical form")
    return value

def word(pattern):
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None

def natural(value):
    return type(value) is int and value >= 0

NAME = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
STEP = NAME + r'(\["[ !#-\[\]-_a-~]{1,255}"\])?'
ADDRESS = NAME + "/(" + STEP + "(/" + STEP + r"){0,4}|verify:(0|[1-9][0-9]*))"
DIGEST, HEX32, HEX64 = "blake3:[0-9a-f]{64}", "[0-9a-f]{32}", "[0-9a-f]{64}"
STEPS = {"intent", "succeeded", "failed", "unknown", "stale", "skipped"}
UNDOS = {"intent", "done", "failed", "unknown", "conflict", "kept"}
ACTIONS = {"log_started", "admission_refused", "run_admitted", "target_verified", "target_refused",
           "gate_passed", "gate_failed", "run_resumed", "run_undoing", "run_stopped", "run_resolved", "run_ended",
           "receipt_kept", "lease_acquired", "lease_released", "lease_broken"} \
    | {"step_" + w for w in STEPS} | {"undo_" + w for w in UNDOS}
STOPPED_BEFORE = "apply-interrupted"  # code of a failure that says that the provider was not asked
FINAL = {"succeeded", "failed", "partially_applied", "stale", "undone", "undo_failed"}
ENDS = FINAL | {"cancelled", "interrupted", "needs_operator"}
CHANGES = {"no": "unchanged", "maybe": "maybe_changed", "yes": "changed"}
OUTCOMES = ENDS | {"applied", "already", "observed", "judged", "dependency", "not_triggered", "no_inverse",
                   "not_begun", "retry"} | set(CHANGES.values())

def actor(value):
    return isinstance(value, dict) and value.get("kind") in ("executor", "person") \
        and set(value) in ({"kind", "id"}, {"kind", "id", "keyid"}) and all(isinstance(v, str) for v in value.values())

REQUIRED = {"v": lambda v: type(v) is int and v == 1, "log_id": word(HEX32), "seq": natural, "time_ms": natural,
            "boot_id": word(HEX32), "mono_ns": lambda v: word("0|[1-9][0-9]{0,19}")(v) and int(v) < 2**64,
            "actor": actor, "action": lambda v: isinstance(v, str) and v in ACTIONS, "prev": word(DIGEST)}
OPTIONAL = {"run_id": word(HEX64), "plan_digest": word(DIGEST), "step_id": word(ADDRESS), "target": word(NAME),
            "decision": lambda v: v in ("allow", "deny"), "detail_digest": word(DIGEST),
            "outcome": lambda v: isinstance(v, str) and v in OUTCOMES}

def read_line(line):
    """Record, its bytes, and the bytes of its body or None."""
    body, rest = None, line
    if line.startswith('{"body":'):
        _, end = DECODER.raw_decode(line, 8)
        body, rest = line[8:end].encode(), "{" + line[end + 1:] if line[end:end + 1] == "," else ""
    if not rest.startswith('{"record":') or not rest.endswith("}"):
        raise ValueError("not a line of an export")
    text = rest[10:-1]
    record = canonical(text)
    if not isinstance(record, dict) or not REQUIRED.keys() <= record.keys() <= REQUIRED.keys() | OPTIONAL.keys():
        raise ValueError("other fields than a record has")
    for name, value in record.items():
        if not (REQUIRED.get(name) or OPTIONAL.get(name))(value):
            raise ValueError("not a " + name)
    return record, text.encode(), body

def read_key(text):
    kind, blob = text.split()[:2]
    blob = base64.b64decode(blob, validate=True)
    if kind != "ssh-ed25519" or len(blob) != 51 or blob[:19] != b"\0\0\0\x0bssh-ed25519\0\0\0\x20":
        raise ValueError("not an Ed25519 key")
    return blob[19:]

def exact64(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("another spelling of base64")
    return data

class Note:
    """A checkpoint."""
    def __init__(self, data):
        try:
            text = data.decode()
            if len(data) > 65536 or any(ord(c) < 32 and c != "\n" for c in text):
                raise ValueError
            text, signatures = text.rsplit("\n\n", 1)
            self.text = text + "\n"
            self.origin, size, root, *more = text.split("\n")
            self.size, self.root = int(size), exact64(root)
            if str(self.size) != size or not 0 <= self.size < 2**53 or len(self.root) != 32 or "" in more or not self.origin:
                raise ValueError
            if not signatures.endswith("\n"):
                raise ValueError
            self.signatures = [self.signature(line) for line in signatures[:-1].split("\n")]
            if len(self.signatures) > 16:
                raise ValueError
        except (ValueError, UnicodeError):
            raise Bad("audit-checkpoint", None, "not a checkpoint")

    @staticmethod
    def signature(line):
        dash, name, data = line.split(" ") if line.count(" ") == 2 else ("", "", "")
        data = exact64(data)
        if dash != "\u2014" or not name or re.search(r"[\s+]", name) or len(data) < 5:
            raise ValueError
        return name, data

    def verify(self, log, key):
        name = "rectify-audit/" + log
        if self.origin != name:
            raise Bad("audit-checkpoint", None, "of another log")
        wanted = hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]
        ours = [data[4:] for found, data in self.signatures if found == name and data[:4] == wanted]
        if not ours or not all(len(s) == 64 and verifies(key, self.text.encode(), s) for s in ours):
            raise Bad("audit-signature", None, "not signed by the key")

# --- run grammar ------------------------------------------------------------------------------------
OPEN, UNKNOWN, CHANGED, UNCHANGED, NOT_BEGUN = "open", "unknown", "changed", "unchanged", "not begun"

class Run:
    def __init__(self, body):
        self.end, self.undoing, self.body = None, False, body
        self.verified, self.gates, self.steps, self.undo = set(), set(), {}, {}
        self.attempts, self.fence = {}, body["fence"] if body else None

class Grammar:
    def __init__(self):
        self.runs, self.fence = {}, 0

    def push(self, record, body):
        """Raises ValueError with why the record cannot stand here."""
        action, seq = record["action"], record["seq"]
        if (action == "log_started") != (seq == 1):
            raise ValueError("a log begins once, with its beginning")
        if action in ("log_started", "admission_refused", "lease_released", "lease_broken"):
            return
        if action == "lease_acquired":
            if body is not None:
                if body["fence"] <= self.fence:
                    raise ValueError("the fence does not grow")
                self.fence = body["fence"]
            return
        name = record.get("run_id")
        if action == "run_admitted":
            if name is None or name in self.runs:
                raise ValueError("admitted before, or no run")
            self.runs[name] = Run(body)
            return
        if name not in self.runs:
            raise ValueError("not admitted before")
        run = self.runs[name]
        if action == "receipt_kept":
            return
        if run.end:
            raise ValueError("the run ended before")
        self.light(run, record)
        if body is not None and run.body is not None:
            self.full(run, record, body)

    def light(self, run, record):
        action, outcome, target = record["action"], record.get("outcome"), record.get("target")
        node = (target, record.get("step_id"))
        kind, _, what = action.partition("_")
        if kind in ("step", "undo", "gate") or action == "run_resolved":
            if None in node:
                raise ValueError("no step is named")
        if kind == "target":
            if target is None:
                raise ValueError("no target is named")
            (run.verified.add if what == "verified" else run.verified.discard)(target)
        elif action == "run_resumed":
            run.verified.clear()
        elif action == "run_undoing":
            if run.undoing:
                raise ValueError("taking back already")
            run.undoing = True
        elif action == "run_resolved":
            if not any(stands.get(node) in (OPEN, UNKNOWN) for stands in (run.steps, run.undo)):
                raise ValueError("nothing is open")
        elif action == "run_ended":
            if outcome not in ENDS:
                raise ValueError("a run cannot end like that")
            if outcome in FINAL:
                if any(s in (OPEN, UNKNOWN) for s in [*run.steps.values(), *run.undo.values()]):
                    raise ValueError("something is open")
                run.end = outcome
        elif kind == "gate":
            if node in run.gates:
                raise ValueError("answered already")
            run.gates.add(node)
        elif kind == "step":
            if what == "intent" and run.undoing:
                raise ValueError("something new while taking back")
            run.steps[node] = self.next(run, run.steps.get(node), what, outcome, target)
        elif kind == "undo":
            if not run.undoing or run.steps.get(node) != CHANGED:
                raise ValueError("nothing to take back")
            run.undo[node] = self.next(run, run.undo.get(node), what, outcome, target)

    @staticmethod
    def next(run, before, what, outcome, target):
        if before in (CHANGED, UNCHANGED):
            raise ValueError("after its end")
        if what == "intent":
            if target not in run.verified or before == OPEN:
                raise ValueError("the intent cannot stand here")
            return OPEN
        intended = before in (OPEN, UNKNOWN)
        if what == "unknown" and intended:
            return UNKNOWN
        if what in ("succeeded", "done") and outcome == "already" or what in ("failed",) and outcome == "unchanged":
            return UNCHANGED
        if what in ("succeeded", "done") and outcome in ("applied", "observed", "judged") and intended:
            return CHANGED
        if what == "failed" and outcome in ("maybe_changed", "changed") and intended:
            return CHANGED
        if what == "failed" and outcome == "not_begun":
            return NOT_BEGUN
        if what in ("stale", "conflict") or what in ("skipped", "kept") and before in (None, NOT_BEGUN):
            return UNCHANGED
        raise ValueError("the result cannot stand here")

    @staticmethod
    def full(run, record, body):
        """What only bodies tell: targets of the run, attempts, fences, which operation was resolved."""
        (kind, value), = body.items()
        target = record.get("target")
        if target is not None and target not in run.body["targets"]:
            raise ValueError("not a target of the run")
        if kind in ("step", "undo") and "intent" in value["state"]:
            intent, node = value["state"]["intent"], (kind, target, record["step_id"])
            if intent["fence"] != run.fence:
                raise ValueError("under another fence")
            run.attempts[node] = run.attempts.get(node, 0) + 1
            if intent["attempt"] != run.attempts[node]:
                raise ValueError("another attempt was due")
        if kind == "run" and "resumed" in value:
            if value["resumed"]["fence"] <= run.fence:
                raise ValueError("the fence does not grow")
            run.fence = value["resumed"]["fence"]
        if kind == "run" and "resolved" in value:
            stands = run.undo if value["resolved"].get("undo") else run.steps
            if stands.get((target, record["step_id"])) not in (OPEN, UNKNOWN):
                raise ValueError("nothing is open")

def told(record, body):
    """Whether the record says the same as its body."""
    action = record["action"]
    if action in ("log_started", "admission_refused"):
        return True
    if action == "run_admitted":
        said = (record.get("run_id"), record.get("plan_digest"), record.get("decision"))
        return said == (body["run"], body["plan"]["blake3"], "allow")
    if action.startswith("lease_"):
        return record.get("run_id") == body["run"]
    (kind, value), = body.items()
    target, step, outcome, by = None, None, None, None
    if kind == "target":
        target, what = value["target"], list(value["state"])[0]
    elif kind == "run":
        what = list(value)[0]
        if what == "resolved":
            value = value[what]
            target, step, outcome = value["node"]["target"], value["node"]["address"], value["verdict"]
            by = {"kind": "person", "id": value["by"]}
    else:
        target, step, state = value["node"]["target"], value["node"]["address"], value["state"]
        what = state if isinstance(state, str) else list(state)[0]
        what = "done" if what == "undone" else what
        inner = state.get(what, state.get("undone")) if isinstance(state, dict) else {}
        if what in ("succeeded", "done"):
            outcome = inner["how"]
        elif what == "failed" and kind != "gate":
            idle = inner["mutated"] == "no" and inner["code"] == STOPPED_BEFORE
            outcome = "not_begun" if idle else CHANGES[inner["mutated"]]
        elif what in ("skipped", "kept"):
            because = inner["because"]
            outcome = because if isinstance(because, str) else "dependency"
    said = (action, record.get("target"), record.get("step_id"), record.get("outcome"))
    return said == (kind + "_" + what, target, step, outcome) and by in (None, record["actor"])

# --- verifying --------------------------------------------------------------------------------------
def root_of(roots):
    if not roots:
        return hashlib.sha256().digest()
    root = roots[-1]
    for left in reversed(roots[:-1]):
        root = hashlib.sha256(b"\1" + left + root).digest()
    return root

class Log:
    def __init__(self, key):
        self.size, self.roots, self.prev, self.header, self.key = 0, [], None, None, key
        self.checkpoint = self.since = None
        self.anchored, self.grammar = 0, Grammar()

    def begin(self, line):
        try:
            header = canonical(line.decode())
            if not {"bodies", "format", "log_id"} <= header.keys() <= {"bodies", "format", "log_id", "key"} \
                    or header["format"] != "rectify.audit-export/v1" or not word(HEX32)(header["log_id"]) \
                    or type(header["bodies"]) is not bool:
                raise ValueError("not a header")
            named = read_key(header["key"]) if "key" in header else None
        except (ValueError, AttributeError, RecursionError, UnicodeError) as error:
            raise Bad("audit-header", None, str(error))
        for note in (self.since, self.checkpoint):
            if note:
                if self.key is None:
                    raise Bad("audit-signature", None, "no key")
                note.verify(header["log_id"], self.key)
        if self.key and named and self.key != named:
            raise Bad("audit-header", None, "it names another key")
        if self.since and self.checkpoint and self.since.size > self.checkpoint.size:
            raise Bad("audit-consistency", None, "the checkpoint is the older one")
        self.header, self.prev = header, derive(RECORD, header["log_id"].encode())
        self.compare(None)

    def push(self, line):
        seq = self.size + 1
        try:
            record, data, body = read_line(line.decode())
        except (ValueError, RecursionError, UnicodeError) as error:
            raise Bad("audit-line", seq, str(error))
        if record["seq"] != seq:
            raise Bad("audit-seq", seq, "record %d" % record["seq"])
        if record["log_id"] != self.header["log_id"] or record["prev"] != self.prev:
            raise Bad("audit-chain", seq, "it does not follow the one before")
        silent = record["action"] in ("receipt_kept", "run_ended")
        if (body is None) != (silent or not self.header["bodies"]):
            raise Bad("audit-detail", seq, "a body that should not be there, or none")
        if body is not None:
            try:
                if derive(DETAIL, body) != record.get("detail_digest"):
                    raise ValueError("another body")
                body = canonical(body.decode())
                if not told(record, body):
                    raise ValueError("the body says something else")
            except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
                raise Bad("audit-detail", seq, str(error))
        try:
            self.grammar.push(record, body)
        except ValueError as error:
            raise Bad("audit-grammar", seq, str(error))
        self.prev = derive(RECORD, data)
        leaf, size = hashlib.sha256(b"\0" + data).digest(), self.size
        while size & 1:
            leaf, size = hashlib.sha256(b"\1" + self.roots.pop() + leaf).digest(), size >> 1
        self.roots.append(leaf)
        self.size += 1
        self.compare(1)

    def compare(self, first):
        for code, note in (("audit-consistency", self.since), ("audit-root", self.checkpoint)):
            if note and note.size == self.size:
                if note.root != root_of(self.roots):
                    if code == "audit-root":
                        first = self.since.size + 1 if self.since else 1
                    raise Bad(code, first, "other records than those of the checkpoint")
                self.anchored = self.size

def verify(export, checkpoint, since, key):
    log, finding = Log(read_key(key.decode()) if key else None), None
    try:
        log.checkpoint = Note(checkpoint) if checkpoint is not None else None
        log.since = Note(since) if since is not None else None
        lines = export.split(b"\n")
        for at, line in enumerate(lines):
            if at == len(lines) - 1:
                if line:
                    raise Bad("audit-line" if log.header else "audit-header", log.size + 1 if log.header else None, "no end")
            elif log.header is None:
                log.begin(line)
            else:
                log.push(line)
        if log.header is None:
            raise Bad("audit-header", None, "there is none")
        for note in (log.since, log.checkpoint):
            if note and note.size > log.size:
                raise Bad("audit-truncated", log.size + 1, "the checkpoint is over %d" % note.size)
    except Bad as bad:
        finding = dict(zip(("code", "seq", "message"), bad.args))
    return {"records": log.size, "anchored": 0 if finding else log.anchored, "root": root_of(log.roots).hex() if log.header else "", "finding": finding}

def read(path):
    with open(path, "rb") as file:
        return file.read()

def main(words):
    reports = []
    if words[:1] == ["--case"]:
        for directory in words[1:]:
            names = [os.path.join(directory, n) for n in ("export.jsonl", "checkpoint.txt", "since.txt", "key.pub")]
            reports.append(verify(*(read(name) if os.path.exists(name) else None for name in names)))
    else:
        options = dict(zip(words[1::2], words[2::2]))
        if len(words) % 2 != 1 or not options.keys() <= {"--checkpoint", "--since", "--key"}:
            sys.exit(__doc__)
        files = [options.get(name) for name in ("--checkpoint", "--since", "--key")]
        reports.append(verify(read(words[0]), *(read(name) if name else None for name in files)))
    for report in reports:
        print(json.dumps(report, sort_keys=True))
    return 1 if any(report["finding"] for report in reports) else 0

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
