#!/usr/bin/env python3
"""What a Rectify provider in Python is written with: one file, the standard library only.

    import rectify_provider as rp

    @rp.resource("motd.file", schema=SCHEMA, writes={"path": "path"})
    class MotdFile:
        '''A file with a message.'''
        def read(self, cx, identity): ...           # the state as a dict, or None
        def apply(self, cx, step):
            step.write(lambda want: ...)            # want: the state to bring about, or None

    if __name__ == "__main__":
        rp.serve("motd", MotdFile, version="1.0.0")

The SDK speaks the protocol (docs/protocol/1.0.md), so that a provider never sees a frame: it answers
pings and cancels while work is going on, refuses what the session's mode does not allow, turns an
exception into an honest error, plans by comparing states, compares the state again before a change,
keeps the ledger and the fence, keeps before-images and secrets, and keeps stray prints away from the
protocol's stream. It knows nothing of graphs, plans, approvals or the engine.

An engine starts one file. `python3 rectify_provider.py bundle PROVIDER.py -o FILE` makes one of a provider
and this module. Tutorial: docs/providers/write-one-in-python.md.
"""

import base64
import collections
import errno
import fcntl
import json
import os
import queue
import re
import stat
import struct
import subprocess
import sys
import threading
import time
import traceback
import warnings
import zipfile
from array import array

__all__ = [
    "Absent", "Conflict", "Context", "Denied", "Dependency", "Error", "Failed", "Invalid", "Stale", "Step", "Transient",
    "Unsupported", "Blake3", "Client", "action", "fact", "fingerprint", "bundle", "probe", "read_json",
    "resource", "serve", "stand_in",
]

PROTOCOL = "1.0"
#: Tells a provider that an engine started it.
COOKIE_VARIABLE = "RECTIFY_PROVIDER"
#: Marks every command of an operation with the operation's id.
OPERATION_VARIABLE = "RECTIFY_OPERATION"
#: Where programs without a slash in their name are searched, and the PATH of every command.
SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

FRAME_MAX_BYTES = 8 * 1024 * 1024
FRAME_MIN_BYTES = 4 * 1024
JSON_DEPTH_MAX = 64
JSON_INTEGER_MAX = (1 << 53) - 1
CONTENT_MAX_BYTES = 256 * 1024 * 1024
CHUNK_MAX_BYTES = 512 * 1024
SECRET_MIN_BYTES = 6
OUTPUT_TAIL_BYTES = 64 * 1024
_U64_MAX = (1 << 64) - 1


# Errors ---------------------------------------------------------------------------------------------------------------


def _sound(text):
    """Anything as a text that can be written."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


class Error(Exception):
    """The failure of one item: a stable code, and what is known of the effect.

    `mutated` is "no", "maybe" or "yes". Left out, it is what the SDK knows: "no" where nothing may be
    changed; in an apply "maybe", and "yes" once `Step.write` is through. A code that means that nothing was
    changed becomes PARTIAL where that is not so.
    """

    code = "FAILED"

    def __init__(self, message, path=None, hint=None, mutated=None, code=None):
        super().__init__(message)
        self.message, self.path = _sound(message), path
        self.hint, self.mutated = None if hint is None else _sound(hint), mutated
        if code is not None:
            self.code = code

    def to_wire(self):
        out = {"code": self.code, "message": self.message}
        if self.path is not None:
            out["path"] = self.path
        out["mutated"] = self.mutated or "no"
        if self.hint is not None:
            out["hint"] = self.hint
        return out


class Failed(Error):
    """It failed."""


class Invalid(Error):
    """The properties break a rule of the type. Give the place as a JSON Pointer."""

    code = "SCHEMA"


class Unsupported(Error):
    """The provider cannot do this here."""

    code = "UNSUPPORTED"


class Stale(Error):
    """The state is neither the expected one nor the planned one."""

    code = "STALE"


class Conflict(Error):
    """Something else owns the resource."""

    code = "CONFLICT"


class Denied(Error):
    """The provider lacks a permission."""

    code = "PERMISSION"


class Dependency(Error):
    """Something that the provider needs is missing."""

    code = "DEPENDENCY"


class Transient(Error):
    """May work later; nothing was changed."""

    code = "TRANSIENT"


#: These say by themselves that nothing was changed.
_HARMLESS = frozenset("SCHEMA UNSUPPORTED MODE OP_MISMATCH STALE CONFLICT BUSY TRANSIENT".split())


def _of_exception(error, mutated, began=True):
    """Any exception as an `Error`. `mutated`: what is known where the error does not say it; `began`: whether
    the SDK saw that something was begun. Only what the system says is told; a bug's text may hold anything,
    so it stays on standard error."""
    if isinstance(error, Error):
        if error.mutated is None:
            error.mutated = mutated if began or error.code not in _HARMLESS else "no"
        if error.mutated != "no" and error.code in _HARMLESS:
            error.code = "PARTIAL"
        elif error.mutated == "no" and error.code == "PARTIAL":
            error.code = "FAILED"
        return error
    if isinstance(error, OSError) and error.errno is not None:
        code = "PERMISSION" if error.errno in (errno.EPERM, errno.EACCES) else "FAILED"
        place = "" if error.filename is None else "%s: " % os.fsdecode(error.filename)
        return Error("%s%s" % (place, error.strerror), code=code, mutated=mutated)
    _complain("".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip())
    return Error(
        "the provider failed; its standard error says where", code="INTERNAL", mutated=mutated)


class _RpcError(Exception):
    """The failure of a request as a whole."""

    def __init__(self, code, message, data=None):
        super().__init__(message)
        self.code, self.message, self.data = code, _sound(message), data

    def to_wire(self):
        out = {"code": self.code, "message": self.message}
        if self.data is not None:
            out["data"] = self.data
        return out


_PARSE, _INVALID_REQUEST, _METHOD_NOT_FOUND = -32700, -32600, -32601
_INVALID_PARAMS, _INTERNAL = -32602, -32603
_NOT_INITIALIZED, _VERSION, _TOO_LARGE = -32010, -32011, -32012
_OVERLOADED, _CANCELLED = -32013, -32014


# JSON: strict in both directions --------------------------------------------------------------------------------------


class JsonError(ValueError):
    """Bytes or a value that every reader of JSON would not take for the same."""


def _pairs(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError("duplicate key %r" % key[:80])
            seen.add(key)
    return members


def _integer(text):
    # The length first: converting many digits takes long.
    if len(text) > 17 or text == "-0" or abs(int(text)) > JSON_INTEGER_MAX:
        raise JsonError("integer beyond 2^53-1, or -0; write it as a string")
    return int(text)


def _no_float(text):
    raise JsonError("floating-point numbers are not allowed")


def _no_constant(text):
    raise JsonError("%s is not JSON" % text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_no_float, parse_constant=_no_constant)


def read_json(data):
    """Reads JSON strictly: no duplicate keys, no floats, no integer that others would round, no lone
    surrogate, at most 64 lists and objects in each other. Raises `JsonError`."""
    try:
        text = data.decode("utf-8")
        if text.startswith("\ufeff"):
            raise JsonError("a byte order mark is not JSON")
        value = _DECODER.decode(text)
    except JsonError:
        raise
    except UnicodeDecodeError as error:
        raise JsonError("not UTF-8 at byte %d" % error.start) from None
    except RecursionError:
        raise JsonError("nested deeper than %d levels" % JSON_DEPTH_MAX) from None
    except ValueError as error:
        # The decoder's message repeats none of the text.
        raise JsonError(str(error)) from None
    # A look at every value only where something can be wrong with it.
    if data.count(b"[") + data.count(b"{") > JSON_DEPTH_MAX or b"\\u" in data:
        clean(value)
    return value


def clean(value, place="", depth=0):
    """A plain copy of a JSON value, keys sorted. Raises `JsonError` where it has no canonical form."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise JsonError("%s: a lone surrogate is not text" % place) from None
        return value
    if isinstance(value, int):
        if abs(value) > JSON_INTEGER_MAX:
            raise JsonError("%s: integer beyond 2^53-1; write it as a string" % place)
        return int(value)
    if isinstance(value, float):
        raise JsonError("%s: floating-point numbers are not allowed" % place)
    if isinstance(value, (list, tuple, dict)) and depth >= JSON_DEPTH_MAX:
        raise JsonError("nested deeper than %d levels" % JSON_DEPTH_MAX)
    if isinstance(value, (list, tuple)):
        return [clean(item, "%s/%d" % (place, i), depth + 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise JsonError("%s: a key is a text, not %s" % (place, type(key).__name__))
            clean(key, place, depth)
        # Code points sort as their UTF-8 bytes do.
        return {key: clean(value[key], child(place, key), depth + 1) for key in sorted(value)}
    raise JsonError("%s: %s is not JSON" % (place, type(value).__name__))


def _dump(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def compact(value):
    """The compact canonical bytes of a value."""
    return _dump(clean(value))


def file_bytes(value):
    """The canonical bytes of a file."""
    text = json.dumps(clean(value), ensure_ascii=False, allow_nan=False, indent=2, separators=(",", ": "))
    return text.encode("utf-8") + b"\n"


def child(pointer, token):
    """The JSON Pointer of a member below another one."""
    return "%s/%s" % (pointer, str(token).replace("~", "~0").replace("/", "~1"))


def _tokens(pointer):
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _without(value, pointers):
    """A state without the members that pointers name; other values stay as they are."""
    for pointer in pointers:
        tokens = _tokens(pointer)
        if tokens:
            value = _less(value, tokens)
    return value


def _less(value, tokens):
    if not isinstance(value, dict) or tokens[0] not in value:
        return value
    value = dict(value)
    if len(tokens) == 1:
        del value[tokens[0]]
    else:
        value[tokens[0]] = _less(value[tokens[0]], tokens[1:])
    return value


# BLAKE3 ---------------------------------------------------------------------------------------------------------------
#
# Many chunks at once: a word of all of them is one long integer with 64 bits for each, of which the lower
# half is used. So a sum never runs into its neighbour, and a content is hashed at some MiB a second.

_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_START, _END, _PARENT, _ROOT, _KEYED, _CONTEXT, _MATERIAL = 1, 2, 4, 8, 16, 32, 64
_CHUNK, _SEGMENT = 1024, 256 * 1024
_MIX = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
        (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _schedule():
    order, rounds = list(range(16)), []
    for _ in range(7):
        rounds.append(tuple((a, b, c, d, order[2 * i], order[2 * i + 1])
                            for i, (a, b, c, d) in enumerate(_MIX)))
        order = [order[i] for i in (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)]
    return tuple(step for steps in rounds for step in steps)


_STEPS = _schedule()


def _compress(cv, words, low, high, length, flags, ones):
    """The chaining values of one block of each lane. `ones` has a 1 in each."""
    mask = ones * 0xFFFFFFFF
    v = list(cv)
    v += [_IV[0] * ones, _IV[1] * ones, _IV[2] * ones, _IV[3] * ones, low, high, length * ones, flags * ones]
    for a, b, c, d, x, y in _STEPS:
        va = (v[a] + v[b] + words[x]) & mask
        vd = v[d] ^ va
        vd = (vd >> 16 | vd << 16) & mask
        vc = (v[c] + vd) & mask
        vb = v[b] ^ vc
        vb = (vb >> 12 | vb << 20) & mask
        va = (va + vb + words[y]) & mask
        vd ^= va
        vd = (vd >> 8 | vd << 24) & mask
        vc = (vc + vd) & mask
        vb ^= vc
        v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & mask, vc, vd
    return [v[i] ^ v[i + 8] for i in range(8)]


def _lanes(values):
    return int.from_bytes(struct.pack("<%dQ" % len(values), *values), "little")


def _values(lanes, count):
    return struct.unpack("<%dQ" % count, lanes.to_bytes(8 * count, "little"))


def _block(data, at, length):
    return struct.unpack("<16I", bytes(data[at:at + length]).ljust(64, b"\0"))


class Blake3:
    """BLAKE3 of bytes that come piece by piece; with a key of 32 bytes, in its keyed mode."""

    def __init__(self, key=None, context=None):
        self._flags, self._key = 0, _IV
        if key is not None:
            self._flags, self._key = _KEYED, struct.unpack("<8I", key)
        if context is not None:
            self._flags, self._key = _MATERIAL, _context_key(context)
        self._segments, self._buffer = [], bytearray()

    def update(self, data):
        """Takes the next bytes."""
        data = memoryview(data)
        while len(data):
            # A whole segment waits until it is known that it is not the last.
            if len(self._buffer) == _SEGMENT:
                counter = len(self._segments) * _SEGMENT // _CHUNK
                self._segments += self._pair(self._chunks(counter), 1)
                self._buffer = bytearray()
            take = min(len(data), _SEGMENT - len(self._buffer))
            self._buffer += data[:take]
            data = data[take:]
        return self

    def digest(self):
        """The 32 bytes."""
        root = 0 if self._segments or len(self._buffer) > _CHUNK else _ROOT
        nodes = self._chunks(len(self._segments) * _SEGMENT // _CHUNK, root)
        if not root:
            if self._segments:
                nodes = self._segments + self._pair(nodes, 1)
            nodes = self._parents(self._pair(nodes, 2), _ROOT)
        return struct.pack("<8I", *nodes[0])

    def hexdigest(self):
        """The same as 64 digits."""
        return self.digest().hex()

    def _chunks(self, counter, root=0):
        """The chaining values of the chunks in the buffer."""
        full = len(self._buffer) // _CHUNK
        if root and full:
            full = 0
        out = self._full_chunks(full, counter) if full else []
        rest = memoryview(self._buffer)[full * _CHUNK:]
        if len(rest) or not out:
            cv = self._key
            blocks = max(1, (len(rest) + 63) // 64)
            low, high = (counter + full) & 0xFFFFFFFF, (counter + full) >> 32
            for i in range(blocks):
                length = min(64, len(rest) - 64 * i)
                flags = self._flags | (_START if i == 0 else 0) | (_END | root if i == blocks - 1 else 0)
                cv = _compress(cv, _block(rest, 64 * i, length), low, high, length, flags, 1)
            out.append(tuple(cv))
        return out

    def _full_chunks(self, count, counter):
        words = array("I", bytes(self._buffer[:count * _CHUNK]))
        if sys.byteorder == "big":
            words.byteswap()
        ones = _lanes([1] * count)
        low = _lanes([(counter + i) & 0xFFFFFFFF for i in range(count)])
        high = _lanes([(counter + i) >> 32 for i in range(count)])
        cv = [word * ones for word in self._key]
        for i in range(16):
            block = [_lanes(words[16 * i + k::256]) for k in range(16)]
            flags = self._flags | (_START if i == 0 else 0) | (_END if i == 15 else 0)
            cv = _compress(cv, block, low, high, 64, flags, ones)
        return list(zip(*[_values(lane, count) for lane in cv]))

    def _parents(self, nodes, root=0):
        count = len(nodes) // 2
        ones = _lanes([1] * count)
        words = [_lanes([node[i] for node in nodes[side:2 * count:2]]) for side in (0, 1) for i in range(8)]
        cv = _compress([word * ones for word in self._key], words, 0, 0, 64, self._flags | _PARENT | root, ones)
        return list(zip(*[_values(lane, count) for lane in cv])) + nodes[2 * count:]

    def _pair(self, nodes, most):
        # Neighbours are joined, and one that is left over goes up as it is: the tree of BLAKE3.
        while len(nodes) > most:
            nodes = self._parents(nodes)
        return nodes


_CONTEXT_KEYS = {}


def _context_key(context):
    if context not in _CONTEXT_KEYS:
        hasher = Blake3()
        hasher._flags = _CONTEXT
        hasher.update(context.encode("utf-8"))
        _CONTEXT_KEYS[context] = struct.unpack("<8I", hasher.digest())
    return _CONTEXT_KEYS[context]


def digest_of(data, key=None):
    """`blake3:<64 hex>` of bytes."""
    return "blake3:" + Blake3(key).update(data).hexdigest()


def derive(context, parts):
    """The digest of a value in memory: each part is preceded by its length."""
    hasher = Blake3(context=context)
    for part in parts:
        hasher.update(struct.pack("<Q", len(part)))
        hasher.update(part)
    return "blake3:" + hasher.hexdigest()


def fingerprint(type_name, version, state, volatile=()):
    """The fingerprint of a state (`None`: it does not exist) without its volatile members."""
    parts = [type_name.encode(), str(version).encode(), compact(_without(state, volatile))]
    return derive("rectify 2026 v1 state fingerprint", parts)


def _is_digest(text):
    return isinstance(text, str) and re.match(r"blake3:[0-9a-f]{64}\Z", text) is not None


# Schemas --------------------------------------------------------------------------------------------------------------

#: The keywords of JSON Schema 2020-12 that a type's schema may have; `x-…` are ours.
_KEYWORDS = frozenset(
    "$schema $id $comment $ref $defs title description examples default deprecated readOnly writeOnly format"
    " type enum const properties required additionalProperties propertyNames minProperties maxProperties"
    " dependentRequired items prefixItems minItems maxItems uniqueItems contains minLength maxLength pattern"
    " minimum maximum exclusiveMinimum exclusiveMaximum multipleOf anyOf oneOf allOf not if then else".split())
_SCHEMAS_WITHIN = ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else")
_SCHEMA_LISTS_WITHIN = ("anyOf", "oneOf", "allOf", "prefixItems")
_SECRET_KEYWORD = "x-rectify-secret"
_TYPES = {
    "null": lambda v: v is None,
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "string": lambda v: isinstance(v, str),
    "array": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def _pattern(text):
    """A pattern of a schema for Python: `$` and `\\z` mean the very end."""
    out, at, within = [], 0, False
    while at < len(text):
        c = text[at]
        pair = text[at:at + 2]
        if c == "\\":
            out.append("\\Z" if pair == "\\z" else pair)
            at += 2
            continue
        if c == "[" and not within:
            within = True
            # A bracket right behind the opening one is an ordinary character.
            for opening in ("[^]", "[]", "[^"):
                if text.startswith(opening, at):
                    out.append(opening.replace("]", "\\]"))
                    at += len(opening)
                    break
            else:
                out.append(c)
                at += 1
            continue
        if c == "]":
            within = False
        out.append("\\Z" if c == "$" and not within else c)
        at += 1
    with warnings.catch_warnings():
        # What Python warns of would mean something else to the engine, such as `[[:alpha:]]`.
        warnings.simplefilter("error")
        return re.compile("".join(out))


class _Schema:
    """A schema that was looked over once, and judges values."""

    def __init__(self, root):
        self.root = clean(root)
        self.patterns = {}
        self._look_over(self.root, "")
        if self.root.get("type") != "object" or self.root.get("additionalProperties") is not False:
            raise JsonError('a schema is a closed object: "type": "object", "additionalProperties": false')

    def _look_over(self, node, place):
        if isinstance(node, bool):
            return
        if not isinstance(node, dict):
            raise JsonError("%s: a schema is an object or a boolean" % place)
        for key in node:
            if key not in _KEYWORDS and not key.startswith("x-"):
                raise JsonError("%s: the keyword `%s` is not one that schemas of types have" % (place, key))
        for name in ("properties", "$defs"):
            for key, value in node.get(name, {}).items():
                self._look_over(value, child(child(place, name), key))
        for name in _SCHEMAS_WITHIN:
            if name in node:
                self._look_over(node[name], child(place, name))
        for name in _SCHEMA_LISTS_WITHIN:
            for i, value in enumerate(node.get(name, [])):
                self._look_over(value, child(child(place, name), i))
        if "$ref" in node and self._resolve(node["$ref"]) is None:
            raise JsonError("%s: `%s` is not a reference within the schema" % (place, node["$ref"]))
        for name in [node["type"]] if isinstance(node.get("type"), str) else node.get("type", []):
            if name not in _TYPES:
                raise JsonError("%s: there is no type `%s`" % (place, name))
        if "pattern" in node:
            try:
                self.patterns[node["pattern"]] = _pattern(node["pattern"])
            except (re.error, Warning) as error:
                raise JsonError("%s: the pattern cannot be read: %s" % (place, error)) from None

    def _resolve(self, reference):
        if not reference.startswith("#"):
            return None
        node = self.root
        for token in _tokens(reference[1:]):
            if not isinstance(node, dict) or token not in node:
                return None
            node = node[token]
        return node

    def property(self, name):
        node = self.root.get("properties", {}).get(name)
        while isinstance(node, dict) and "$ref" in node:
            node = self._resolve(node["$ref"])
        return node

    def problem(self, value, node=None, place=""):
        """The first place that breaks the schema and how, or `None`. Never repeats a value."""
        node = self.root if node is None else node
        for found in self._problems(value, node, place):
            return found
        return None

    def _fits(self, value, node):
        return self.problem(value, node) is None if node is not False else False

    def _problems(self, value, node, place):
        if node is True:
            return
        if node is False:
            yield place, "nothing may stand here"
            return
        if "$ref" in node:
            yield from self._problems(value, self._resolve(node["$ref"]), place)
        types = node.get("type")
        types = [types] if isinstance(types, str) else types
        if types and not any(_TYPES[name](value) for name in types):
            yield place, "expected %s" % " or ".join(types)
            return
        if "enum" in node and not any(_same(value, other) for other in node["enum"]):
            yield place, "expected one of %s" % ", ".join(_dump(other).decode() for other in node["enum"])
        if "const" in node and not _same(value, node["const"]):
            yield place, "expected %s" % _dump(node["const"]).decode()
        if isinstance(value, str):
            yield from self._text(value, node, place)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield from self._number(value, node, place)
        elif isinstance(value, list):
            yield from self._list(value, node, place)
        elif isinstance(value, dict):
            yield from self._object(value, node, place)
        for part in node.get("allOf", []):
            yield from self._problems(value, part, place)
        if "anyOf" in node and not any(self._fits(value, part) for part in node["anyOf"]):
            yield place, "none of the alternatives fits%s" % _choices(node["anyOf"])
        if "oneOf" in node:
            count = sum(self._fits(value, part) for part in node["oneOf"])
            if count != 1:
                how = "none" if count == 0 else "more than one"
                yield place, "%s of the alternatives fits%s" % (how, _choices(node["oneOf"]))
        if "not" in node and self._fits(value, node["not"]):
            yield place, "this is excluded"
        if "if" in node:
            branch = node.get("then" if self._fits(value, node["if"]) else "else")
            if branch is not None:
                yield from self._problems(value, branch, place)

    def _text(self, value, node, place):
        if len(value) < node.get("minLength", 0):
            yield place, "shorter than %d characters" % node["minLength"]
        if "maxLength" in node and len(value) > node["maxLength"]:
            yield place, "longer than %d characters" % node["maxLength"]
        if "pattern" in node and not self.patterns[node["pattern"]].search(value):
            yield place, "does not match `%s`" % node["pattern"]

    def _number(self, value, node, place):
        if "minimum" in node and value < node["minimum"]:
            yield place, "less than %d" % node["minimum"]
        if "maximum" in node and value > node["maximum"]:
            yield place, "more than %d" % node["maximum"]
        if "exclusiveMinimum" in node and value <= node["exclusiveMinimum"]:
            yield place, "not more than %d" % node["exclusiveMinimum"]
        if "exclusiveMaximum" in node and value >= node["exclusiveMaximum"]:
            yield place, "not less than %d" % node["exclusiveMaximum"]
        if "multipleOf" in node and value % node["multipleOf"]:
            yield place, "not a multiple of %d" % node["multipleOf"]

    def _list(self, value, node, place):
        if len(value) < node.get("minItems", 0):
            yield place, "fewer than %d items" % node["minItems"]
        if "maxItems" in node and len(value) > node["maxItems"]:
            yield place, "more than %d items" % node["maxItems"]
        if node.get("uniqueItems") and len({compact(item) for item in value}) != len(value):
            yield place, "an item stands there twice"
        prefix = node.get("prefixItems", [])
        for i, item in enumerate(value):
            part = prefix[i] if i < len(prefix) else node.get("items", True)
            yield from self._problems(item, part, child(place, i))
        if "contains" in node and not any(self._fits(item, node["contains"]) for item in value):
            yield place, "no item is as one must be"

    def _object(self, value, node, place):
        for name in node.get("required", []):
            if name not in value:
                yield place, "`%s` is missing" % name
        if len(value) < node.get("minProperties", 0):
            yield place, "fewer than %d members" % node["minProperties"]
        if "maxProperties" in node and len(value) > node["maxProperties"]:
            yield place, "more than %d members" % node["maxProperties"]
        for name, needed in node.get("dependentRequired", {}).items():
            for other in needed if name in value else []:
                if other not in value:
                    yield place, "`%s` needs `%s`" % (name, other)
        properties, others = node.get("properties", {}), node.get("additionalProperties", True)
        for name in sorted(value):
            if name not in properties and others is False:
                yield child(place, name), "there is no property of this name"
            else:
                yield from self._problems(value[name], properties.get(name, others), child(place, name))
            if "propertyNames" in node:
                yield from self._problems(name, node["propertyNames"], child(place, name))

    def fill(self, value, node=None):
        """A copy with defaults where nothing is written."""
        node = self.root if node is None else node
        while isinstance(node, dict) and "$ref" in node:
            node = self._resolve(node["$ref"])
        if not isinstance(node, dict):
            return value
        if isinstance(value, list) and isinstance(node.get("items"), dict):
            return [self.fill(item, node["items"]) for item in value]
        if not isinstance(value, dict):
            return value
        out = dict(value)
        for name, part in node.get("properties", {}).items():
            if name in out:
                out[name] = self.fill(out[name], part)
            elif isinstance(part, dict) and part.get("default") is not None:
                out[name] = part["default"]
        return out

    def takes_secret(self, tokens):
        node = self.root
        for token in tokens:
            while isinstance(node, dict) and "$ref" in node:
                node = self._resolve(node["$ref"])
            if not isinstance(node, dict):
                return False
            within = node.get("properties", {}).get(token, node.get("additionalProperties"))
            node = within if isinstance(within, dict) else node.get("items")
            if isinstance(node, dict) and node.get(_SECRET_KEYWORD) is True:
                return True
        return False


def _same(a, b):
    # To Python, True is 1.
    return a == b and _dump(clean(a)) == _dump(clean(b))


def _choices(branches):
    names = [branch.get("required") for branch in branches if isinstance(branch, dict)]
    if any(not name for name in names):
        return ""
    return ": expected %s" % " or ".join(" and ".join("`%s`" % n for n in name) for name in names)


# Secrets --------------------------------------------------------------------------------------------------------------

_MARK = "$secret"
_STAND_IN = "secret"
_SECRET_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}\Z")


def _pieces(value):
    """The pieces of `{"$secret": ["text", {"name": "db"}]}`; `None` if it is not of this one form."""
    if len(value) != 1 or not isinstance(value[_MARK], list):
        return None
    before, secret = None, False
    for piece in value[_MARK]:
        if isinstance(piece, str):
            if not piece or isinstance(before, str):
                return None
        elif isinstance(piece, dict) and set(piece) == {"name"} and isinstance(piece["name"], str):
            if not _SECRET_NAME.match(piece["name"]):
                return None
            secret = True
        else:
            return None
        before = piece
    return value[_MARK] if secret else None


def _replace(value, text, place=""):
    """A copy with `text(pieces, place)` in place of each text with secrets, and whether there was one."""
    if isinstance(value, dict):
        if _MARK in value:
            pieces = _pieces(value)
            if pieces is None:
                raise Invalid("this is no text with secrets", path=place)
            return text(pieces, place), True
        found, out = False, {}
        for key, member in value.items():
            out[key], secret = _replace(member, text, child(place, key))
            found = found or secret
        return out, found
    if isinstance(value, list):
        parts = [_replace(item, text, child(place, i)) for i, item in enumerate(value)]
        return [part for part, _ in parts], any(secret for _, secret in parts)
    return value, False


def stand_in(properties):
    """Properties with something harmless in place of secrets, for checks that do without values."""
    def text(pieces, _):
        return "".join(piece if isinstance(piece, str) else _STAND_IN for piece in pieces)
    return _replace(properties, text)[0]


class _Redaction:
    """Hides values of secrets, as they are and in the forms in which programs print what they were given."""

    def __init__(self, secrets):
        self.names = {}
        for name in sorted(secrets):
            for form in _forms(secrets[name]):
                self.names.setdefault(form, name)
        # Longest first, so that of two that begin at one place the longer one is taken.
        forms = sorted(self.names, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, forms))) if forms else None

    def text(self, text):
        if self.pattern is None:
            return text
        return self.pattern.sub(lambda found: "(secret %s)" % self.names[found.group()], text)

    def shows(self, value):
        """Whether a value of a secret stands in a JSON value."""
        if self.pattern is None:
            return False
        if isinstance(value, str):
            return self.pattern.search(value) is not None
        if isinstance(value, list):
            return any(map(self.shows, value))
        return isinstance(value, dict) and any(self.shows(k) or self.shows(v) for k, v in value.items())

    def value(self, value):
        """A JSON value with every text, keys included, as `text` shows it."""
        if self.pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(member) for key, member in value.items()}
        return value


def _forms(value):
    found = set()
    if len(value.encode("utf-8")) < SECRET_MIN_BYTES:
        return found
    texts = [value]
    if "\n" in value:
        lines = (line.strip() for line in value.split("\n"))
        texts += [line for line in lines if len(line) >= 12 and not line.startswith("-----")]
    for text in texts:
        found.update(form for form in _spellings(text) if len(form.encode("utf-8")) >= SECRET_MIN_BYTES)
    return found


def _spellings(text):
    data = text.encode("utf-8")
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    twice = json.dumps(escaped, ensure_ascii=False)[1:-1]
    all_ = [text, data.hex(), data.hex().upper(), escaped, twice, json.dumps(text)[1:-1], repr(text)[1:-1]]
    all_.append("".join(_debug(c) for c in text))
    for upper, space in ((True, "%20"), (False, "%20"), (True, "+")):
        all_.append("".join(_url(byte, upper, space) for byte in data))
    for alphabet in (None, b"-_"):
        for shift in range(3):
            # What of the base64 of a longer text depends on this text alone.
            encoded = base64.b64encode(b"\0" * shift + data, alphabet).decode().rstrip("=")
            all_.append(encoded[-(-shift * 8 // 6):(shift + len(data)) * 8 // 6])
    return all_


def _debug(c):
    simple = {"\t": "\\t", "\r": "\\r", "\n": "\\n", "\0": "\\0", "'": "\\'", '"': '\\"', "\\": "\\\\"}
    if c in simple:
        return simple[c]
    return c if c.isprintable() else "\\u{%x}" % ord(c)


def _url(byte, upper, space):
    c = chr(byte)
    if byte < 128 and (c.isalnum() or c in "-._~"):
        return c
    if c == " ":
        return space
    return "%%%02X" % byte if upper else "%%%02x" % byte


#: What hides secrets on standard error; set once values are known.
_stderr_redaction = _Redaction({})


def _complain(message):
    try:
        sys.stderr.write(_stderr_redaction.text(message) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # Nobody is left to tell.


# Files that are whole or absent, and still there after a power cut ----------------------------------------------------

_UNFINISHED = ".tmp-"


def _write_all(fd, data):
    data = memoryview(data)
    while len(data):
        data = data[os.write(fd, data):]


def _beside(directory, data=b""):
    """Writes a file beside its final place (mode 0600). Returns its descriptor and path."""
    while True:
        path = os.path.join(directory, _UNFINISHED + os.urandom(8).hex())
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        try:
            _write_all(fd, data)
        except BaseException:
            os.close(fd)
            os.unlink(path)
            raise
        return fd, path


def _sync_directory(directory):
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _unlink_quietly(path):
    try:
        os.unlink(path)
    except OSError:
        pass


def _replace_file(directory, name, data):
    """Puts a whole file in its place, over what is there. Durable on return."""
    fd, path = _beside(directory, data)
    try:
        os.fsync(fd)
        os.rename(path, os.path.join(directory, name))
    except BaseException:
        _unlink_quietly(path)
        raise
    finally:
        os.close(fd)
    _sync_directory(directory)


def _read_if_exists(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _try_lock(fd, how):
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
        return True
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
            return False
        raise


def _failed(what, error):
    return Failed("%s: %s" % (what, error.strerror or error))


# Blobs: `<blake3 hex>` in the session's blob directory, mode 0600 -----------------------------------------------------
#
# The name of what others may not read is its keyed digest, so that nothing that names a blob gives away
# more than a state does.


def _blob_directory(dirs):
    if not dirs["blobs"]:
        raise Unsupported("this session has no directory for blobs")
    return dirs["blobs"]


def _names_it(digest, data, key):
    return digest == digest_of(data) or (key is not None and digest == digest_of(data, key))


def _keep(directory, data, key):
    if len(data) > CONTENT_MAX_BYTES:
        raise Unsupported("a before-image is at most %d bytes long" % CONTENT_MAX_BYTES)
    digest = digest_of(data, key)
    try:
        _place(directory, digest[7:], data, lambda there: _names_it(digest, there, key))
    except OSError as error:
        raise _failed("the before-image cannot be kept", error) from None
    return digest


def _place(directory, name, data, is_whole):
    """Puts a file in its place whose name says what is in it. What is there already is never replaced by
    something that is not on the disk."""
    path = os.path.join(directory, name)
    fd, temporary = _beside(directory, data)
    try:
        try:
            os.link(temporary, path)
            os.fsync(fd)
        except FileExistsError:
            # What is old may be deleted, unless it is made younger first.
            with open(os.open(os.path.join(directory, ".lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600),
                      "wb", buffering=0) as lock:
                fcntl.flock(lock.fileno(), fcntl.LOCK_SH)
                there = _read_if_exists(path)
                if there is not None and is_whole(there):
                    os.utime(path)
                    with open(path, "rb") as file:
                        os.fsync(file.fileno())
                else:
                    os.fsync(fd)
                    os.rename(temporary, path)
    finally:
        os.close(fd)
        _unlink_quietly(temporary)
    _sync_directory(directory)


def _missing(digest):
    return Dependency(
        "the content %s is not kept here (any more)" % digest,
        hint="before-images are deleted when their retention ends (`undo.keep_days` in the trust file)")


def _read_blob(directory, digest, key):
    try:
        data = _read_if_exists(os.path.join(directory, digest[7:]))
    except OSError as error:
        raise _failed("the blob cannot be read", error) from None
    if data is None:
        raise _missing(digest)
    if digest_of(data, key) != digest:
        raise Failed("the blob %s is damaged" % digest)
    return data


def _blob_put(directory, digest, offset, size, chunk):
    """Takes one chunk, in order; the answer says how much is there, so a transfer can go on."""
    if size > CONTENT_MAX_BYTES:
        raise Invalid("a blob is at most %d bytes long" % CONTENT_MAX_BYTES, path="/size")
    try:
        data = base64.b64decode(chunk.encode("ascii"), validate=True)
    except ValueError:
        raise Invalid("the chunk is not base64", path="/chunk") from None
    if len(data) > CHUNK_MAX_BYTES or offset + len(data) > size:
        raise Invalid("a chunk is at most %d bytes long and lies within the blob" % CHUNK_MAX_BYTES, path="/chunk")
    path = os.path.join(directory, digest[7:])
    part = os.path.join(directory, _UNFINISHED + "part-" + digest[7:])
    try:
        there = _read_if_exists(path)
        if there is not None and digest_of(there) == digest:
            return {"received": size, "complete": True}
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _try_lock(fd, fcntl.LOCK_EX):
                raise Error("another chunk of this blob is being stored", code="BUSY")
            # Whoever finished the blob meanwhile renamed the file that was opened above.
            own = os.fstat(fd)
            try:
                named = os.stat(part)
            except FileNotFoundError:
                named = None
            if named is None or (named.st_dev, named.st_ino) != (own.st_dev, own.st_ino):
                raise Error("another chunk of this blob was stored", code="BUSY")
            received = own.st_size
            if received > size:
                os.ftruncate(fd, 0)
                received = 0
            # A chunk that was sent before, or too early, is not written.
            if offset == received:
                os.lseek(fd, received, os.SEEK_SET)
                _write_all(fd, data)
                received = offset + len(data)
            if received < size:
                return {"received": received, "complete": False}
            os.fsync(fd)
            if digest_of(_read_if_exists(part) or b"") != digest:
                os.unlink(part)
                raise Invalid("the blob does not have the digest it was announced with", path="/digest")
            os.rename(part, path)
            _sync_directory(directory)
            return {"received": received, "complete": True}
        finally:
            os.close(fd)
    except OSError as error:
        raise _failed("the blob cannot be stored", error) from None


def _blob_get(directory, digest, offset, length, key):
    """Gives out one chunk. With the first one the whole blob is checked."""
    path = os.path.join(directory, digest[7:])
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if offset == 0 and not _names_it(digest, file.read(), key):
                raise Failed("the blob %s is damaged" % digest)
            file.seek(min(offset, size))
            chunk = file.read(min(length, CHUNK_MAX_BYTES))
    except FileNotFoundError:
        raise _missing(digest) from None
    except OSError as error:
        raise _failed("the blob cannot be read", error) from None
    return {"size": size, "chunk": base64.b64encode(chunk).decode()}


# The ledger: what makes an action run at most once --------------------------------------------------------------------
#
# In the session's state directory, per operation id: `<op_id>.claim`, made exclusively and durable before
# the effect, with the digest of the parameters; `<op_id>.done`, durable after it, with the result. Who runs
# it holds a lock on the claim, so that another process can tell "still running" from "broken off".


def _unknown(message, hint=None):
    return Error(message, code="UNKNOWN_OUTCOME", mutated="maybe", hint=hint)


def _check_id(op_id):
    # An id becomes part of a file's name.
    if not re.match(r"[0-9a-f]{64}\Z", op_id):
        raise Invalid("an operation id is 64 lower-case hexadecimal digits", path="/op_id")


def _may_run_again(result):
    return result.get("error", {}).get("mutated") == "no"


class _Ledger:
    def __init__(self, directory):
        if not directory:
            raise Unsupported("an action needs a directory for its ledger, and this session has none")
        self.directory = directory

    def _path(self, op_id, kind):
        return os.path.join(self.directory, "%s.%s" % (op_id, kind))

    def result(self, op_id):
        try:
            data = _read_if_exists(self._path(op_id, "done"))
        except OSError as error:
            raise _failed("the ledger cannot be read", error) from None
        if data is None:
            return None
        try:
            result = read_json(data)
            (kind, body), = result.items()
            if kind not in ("ok", "error") or not isinstance(body, dict):
                raise ValueError("neither `ok` nor `error`")
            return result
        except (ValueError, AttributeError) as error:
            raise _unknown("the result of operation %s cannot be read: %s" % (op_id, error)) from None

    def status(self, op_id):
        """`never_seen`, `started`, or `{"done": result}`. Any process can ask."""
        _check_id(op_id)
        # The result first: it appears after the claim and is never removed while a claim is free.
        result = self.result(op_id)
        if result is not None:
            return {"done": result}
        try:
            return "started" if os.path.lexists(self._path(op_id, "claim")) else "never_seen"
        except OSError as error:
            raise _failed("the ledger cannot be read", error) from None

    def is_free(self, op):
        """Whether nothing was begun, or what was begun is known to have done nothing. Raises where the claim is
        for other parameters."""
        status = self.status(op["op_id"])
        if status == "never_seen":
            return True
        claim = _read_if_exists(self._path(op["op_id"], "claim"))
        if claim is not None:
            self._compare(op["op_id"], claim, _parameters(op))
        return isinstance(status, dict) and _may_run_again(status["done"])

    def run(self, op, at_most_once, run):
        """Runs an operation under its claim, and keeps its result. `run` answers a result, never raises.

        `at_most_once`: a redelivery gets the stored result, only one that says `mutated: no` is run again,
        and a claim without a result is never run again. Otherwise it is run again, as `run` looks first.
        Returns the result, and what went wrong in recording it."""
        _check_id(op["op_id"])
        lock = self._claim(op, at_most_once)
        if lock is None:
            result = self.result(op["op_id"])
            if result is None:
                raise _unknown("the result of operation %s disappeared from the ledger" % op["op_id"])
            return result, None
        try:
            result, note = run(), None
            try:
                _replace_file(self.directory, op["op_id"] + ".done", _dump(result))
            except (OSError, ValueError, TypeError) as error:
                note = "the result of operation %s could not be recorded: %s" % (op["op_id"], error)
            return result, note
        finally:
            os.close(lock)

    def _claim(self, op, at_most_once):
        op_id, parameters = op["op_id"], _parameters(op)
        claim = {"format": "rectify.ledger-claim/v1", "parameters": parameters, "fence": op["fence"]}
        try:
            fd, temporary = _beside(self.directory, _dump(claim))
            try:
                os.fsync(fd)
                if not _try_lock(fd, fcntl.LOCK_EX):
                    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                # A link to a whole file: exclusive, and no reader ever sees half a claim.
                os.link(temporary, self._path(op_id, "claim"))
                _sync_directory(self.directory)
                # A result without a claim is none of ours, but somebody's word that it ran.
                result = self.result(op_id) if at_most_once else None
                if result is not None and not _may_run_again(result):
                    return None
                fd, kept = None, fd
                return kept
            except FileExistsError:
                pass
            finally:
                _unlink_quietly(temporary)
                if fd is not None:
                    os.close(fd)
        except OSError as error:
            raise _failed("the ledger cannot be written", error) from None
        try:
            return self._reclaim(op_id, parameters, at_most_once)
        except OSError as error:
            raise _failed("the ledger cannot be read", error) from None

    @staticmethod
    def _compare(op_id, data, parameters):
        try:
            claim = read_json(data)
            if set(claim) != {"format", "parameters", "fence"} or claim["format"] != "rectify.ledger-claim/v1":
                raise ValueError("not a claim of this format")
        except (ValueError, TypeError) as error:
            raise _unknown("the claim of operation %s cannot be read: %s" % (op_id, error)) from None
        if claim["parameters"] != parameters:
            raise Error("operation %s was claimed before with other parameters" % op_id, code="OP_MISMATCH")

    def _reclaim(self, op_id, parameters, at_most_once):
        path = self._path(op_id, "claim")
        with open(path, "rb") as file:
            data = file.read()
        self._compare(op_id, data, parameters)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not _try_lock(fd, fcntl.LOCK_EX):
                # A result that stands needs no lock. It may seem to be held a moment longer: by a process
                # that is just being made, until it becomes another program.
                result = self.result(op_id) if at_most_once else None
                if result is not None and not _may_run_again(result):
                    return None
                raise Error("operation %s is being run by another request" % op_id, code="BUSY",
                            hint="ask `op.status` until it ends")
            result = self.result(op_id)
            if result is None and at_most_once:
                raise _unknown(
                    "operation %s was begun before, and nothing says how it ended" % op_id,
                    hint="find out what it did; then resolve the step, or seal a new plan")
            if result is not None and at_most_once and not _may_run_again(result):
                return None
            if result is not None:
                # Without this removal a crash during the new attempt would look like the old result.
                os.unlink(self._path(op_id, "done"))
                _sync_directory(self.directory)
            fd, kept = None, fd
            return kept
        finally:
            if fd is not None:
                os.close(fd)


def _parameters(op):
    """What identifies an operation beside its id: all but the deadline and the fence, which a retry may
    change."""
    parts = [op["type"], op["action"], compact(op["desired"]), op["expect"], op.get("result") or ""]
    return derive("rectify 2026 v1 ledger parameters", [p.encode() if isinstance(p, str) else p for p in parts])


# The fence: a run that lost its lease writes nothing after the run that came after it began to ---------------
#
# In the session's state directory: `fence` holds the highest fence seen. Whoever acts under fence N holds a
# shared lock on `acting-N` from before it reads `fence` until it is done. A higher fence is recorded, durably,
# before anything is done under it; what began under a lower one is waited for, by the exclusive lock on each
# lower `acting-N`, which is then removed.

_FENCE_WAIT_S, _FENCE_POLL_S = 10.0, 0.005


def _highest_fence(directory):
    try:
        data = _read_if_exists(os.path.join(directory, "fence"))
    except OSError as error:
        raise _failed("the fence cannot be read", error) from None
    if data is None:
        return 0
    text = data.strip()
    # A fence that cannot be read could be any, so nothing is done.
    if not re.match(br"\+?[0-9]{1,20}\Z", text) or int(text) > _U64_MAX:
        raise Failed("the recorded fence cannot be read")
    return int(text)


def _open_lock(path):
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _exclusive(fd, deadline, cancelled):
    while not _try_lock(fd, fcntl.LOCK_EX):
        if time.monotonic() >= deadline or cancelled():
            return False
        time.sleep(_FENCE_POLL_S)
    return True


def _busy(message, hint):
    return Error(message, code="BUSY", hint=hint)


def _enter_fence(session, cancelled, fence, limit_s):
    """The right to act under a fence: a descriptor; it ends when this is closed. Nothing was done where this
    raises."""
    directory = session.dirs["state"]
    if not directory:
        raise Unsupported("an operation needs a directory for its fence and its ledger, and this session has none")
    deadline = time.monotonic() + min(limit_s, _FENCE_WAIT_S)
    acting = None
    try:
        acting = _open_lock(os.path.join(directory, "acting-%d" % fence))
        while True:
            # First say that something is being done, then compare: whoever records a higher fence and does
            # not see this lock is seen here.
            locked = _try_lock(acting, fcntl.LOCK_SH)
            highest = _highest_fence(directory)
            if highest > fence:
                raise Conflict(
                    "a run with fence %d came after this one, which has fence %d" % (highest, fence),
                    hint="another run took over; see what it did, and make a new plan if something is left to do")
            if highest < fence:
                _raise_fence(directory, fence, deadline)
            elif locked:
                break
            elif time.monotonic() >= deadline or cancelled():
                raise _busy("another run is taking over from this one", "try again")
            else:
                time.sleep(_FENCE_POLL_S)
        # Beneath a fence under which nothing else was found going on nobody can begin anything.
        if session.alone != fence:
            _wait_for_lower(directory, fence, deadline, cancelled)
            session.alone = fence
        entered, acting = acting, None
        return entered
    except OSError as error:
        raise _failed("the fence cannot be used", error) from None
    finally:
        if acting is not None:
            os.close(acting)


def _raise_fence(directory, fence, deadline):
    lock = _open_lock(os.path.join(directory, "fence.lock"))
    try:
        if not _exclusive(lock, deadline, lambda: False):
            raise _busy("another run is taking over", "try again")
        if _highest_fence(directory) < fence:
            _replace_file(directory, "fence", b"%d\n" % fence)
    finally:
        os.close(lock)


def _wait_for_lower(directory, fence, deadline, cancelled):
    for name in os.listdir(directory):
        found = re.match(r"acting-([0-9]{1,20})\Z", name)
        if not found or int(found.group(1)) >= fence:
            continue
        path = os.path.join(directory, name)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if not _exclusive(fd, deadline, cancelled):
                raise _busy(
                    "an operation of an earlier run, with fence %s, is still being carried out" % found.group(1),
                    "wait until it ends, or end its process")
            # Whoever opens or holds it from now on reads the higher fence.
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        finally:
            os.close(fd)


# Commands: bounded in time and output, in a process group of their own ------------------------------------------------

_TERMINATE_GRACE_S, _OUTPUT_GRACE_S = 5.0, 0.5

#: What came of a command. `ended`: "exited", "signalled", "timed_out" or "cancelled".
Finished = collections.namedtuple("Finished", "ended exit_code signal stdout stderr truncated")


def _output(finished):
    out = {} if finished.exit_code is None else {"exit_code": finished.exit_code}
    out.update(stdout=finished.stdout, stderr=finished.stderr, truncated=finished.truncated)
    return out


class _Tail:
    """The last bytes of a stream, gathered by a thread."""

    def __init__(self, pipe):
        self.pipe, self.data, self.cut, self.lock = pipe, bytearray(), False, threading.Lock()
        self.thread = threading.Thread(target=self._gather, daemon=True)
        self.thread.start()

    def _gather(self):
        try:
            while True:
                piece = os.read(self.pipe.fileno(), 16 * 1024)
                if not piece:
                    break
                with self.lock:
                    self.data += piece
                    if len(self.data) > OUTPUT_TAIL_BYTES:
                        del self.data[:len(self.data) - OUTPUT_TAIL_BYTES]
                        self.cut = True
        except (OSError, ValueError):
            pass
        finally:
            self.pipe.close()

    def ended(self):
        return not self.thread.is_alive()

    def text(self):
        ended = self.ended()
        with self.lock:
            return bytes(self.data).decode("utf-8", "replace"), self.cut or not ended


def _find_program(name):
    if os.path.isabs(name):
        return name
    if not name or "/" in name:
        raise Invalid("the program `%s` is neither absolute nor a bare name" % name, path="/argv/0")
    for directory in SEARCH_PATH.split(":"):
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.stat(path).st_mode & 0o111:
            return path
    raise Dependency("there is no program `%s` in %s" % (name, SEARCH_PATH))


def _has_exited(pid):
    # Without reaping: until then the number of the group cannot be given to another.
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(pid, signal):
    try:
        os.killpg(pid, signal)
    except OSError:
        pass


def _blot_out(text, cut, stdin):
    """Standard input is the way for secrets to get into a command, so no line of it may come out."""
    if stdin is None:
        return text
    if cut:
        # The first line may be the end of a secret whose beginning was cut off.
        text = text.partition("\n")[2]
    for line in stdin.splitlines():
        line = line.strip()
        if len(line.encode("utf-8")) >= SECRET_MIN_BYTES:
            text = text.replace(line, "(standard input)")
    return text


def _run_command(cx, argv, stdin, env, cwd, user, deadline):
    try:
        if not argv:
            raise Invalid("an argv has at least the program", path="/argv")
        program, options = _find_program(argv[0]), _as_user(cx, user)
        cx._still_wanted("`%s` was started" % argv[0])
    except Error as error:
        error.mutated = error.mutated or cx._untouched()
        raise
    environment = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"}
    if cx.root is not None:
        environment["RECTIFY_ROOT"] = cx.root
    environment.update(env or {})
    if cx.operation is not None:
        # Last, so that no step can pass for another operation.
        environment[OPERATION_VARIABLE] = cx.operation
    try:
        child_ = subprocess.Popen(
            list(argv), executable=program, env=environment, cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **options)
    except OSError as error:
        code = {errno.EACCES: "PERMISSION", errno.EPERM: "PERMISSION", errno.ENOENT: "DEPENDENCY"}
        raise Error("`%s` cannot be started: %s" % (program, error.strerror),
                    code=code.get(error.errno, "FAILED"), mutated=cx._untouched()) from None
    except ValueError as error:
        raise Invalid("`%s` cannot be started: %s" % (program, error), path="/argv", mutated=cx._untouched()) from None
    cx._touched = True
    if stdin is not None:
        threading.Thread(target=_feed, args=(child_.stdin, stdin.encode("utf-8")), daemon=True).start()
    tails = [_Tail(child_.stdout), _Tail(child_.stderr)]
    ended = _attend(cx, child_.pid, deadline, tails)
    status = child_.wait()
    patience = time.monotonic() + _OUTPUT_GRACE_S
    while not all(tail.ended() for tail in tails) and time.monotonic() < patience:
        time.sleep(0.002)
    (out, cut_out), (err, cut_err) = tails[0].text(), tails[1].text()
    if ended is None:
        ended = "exited" if status >= 0 else "signalled"
    return Finished(
        ended=ended, exit_code=status if ended == "exited" else None,
        signal=-status if ended == "signalled" else None,
        stdout=_blot_out(out, cut_out, stdin), stderr=_blot_out(err, cut_err, stdin),
        truncated=cut_out or cut_err)


def _feed(pipe, data):
    try:
        _write_all(pipe.fileno(), data)
    except OSError:
        pass  # A command that reads nothing breaks the pipe, as it may.
    finally:
        pipe.close()


def _attend(cx, pid, deadline, tails):
    """Waits for the end, and makes one if it is due: TERM to the group, and KILL five seconds later."""
    pause, reason = 0.001, None
    while not _has_exited(pid):
        if cx.cancelled():
            reason = "cancelled"
        elif time.monotonic() >= deadline:
            reason = "timed_out"
        if reason is not None:
            break
        time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
        pause = min(pause * 2, 0.02)
    if reason is None:
        return None
    _kill_group(pid, 15)
    patience = time.monotonic() + _TERMINATE_GRACE_S
    while time.monotonic() < patience:
        if _has_exited(pid) and all(tail.ended() for tail in tails):
            break
        time.sleep(0.01)
    _kill_group(pid, 9)
    return reason


#: What makes a child the first of its process group, within the session. Before 3.11 only a function that runs
#: in the child can; it is a single system call.
_OWN_GROUP = {"process_group": 0} if sys.version_info >= (3, 11) else {"preexec_fn": os.setpgrp}


def _as_user(cx, name):
    """What makes a child run in a group of its own, and as a user of the target, from its own passwd and group
    files."""
    if name is None:
        return _OWN_GROUP
    passwd = cx.read_file("/etc/passwd", CONTENT_MAX_BYTES)
    group = cx.read_file("/etc/group", CONTENT_MAX_BYTES)
    lines = [line.split(":") for line in _lines(passwd)]
    found = [line for line in lines if line[0] == name and len(line) > 3 and _number(line[2]) and _number(line[3])]
    if not found:
        raise Failed("there is no user `%s`" % name)
    uid, gid = int(found[0][2]), int(found[0][3])
    members = [line.split(":") for line in _lines(group)]
    groups = sorted({int(line[2]) for line in members if len(line) > 3 and _number(line[2])
                     and name in [member.strip() for member in line[3].split(",")]})
    if os.getuid() == uid and os.getgid() == gid and os.geteuid() != 0:
        return _OWN_GROUP
    if sys.version_info >= (3, 9):
        return dict(_OWN_GROUP, user=uid, group=gid, extra_groups=groups)

    def become():
        os.setpgrp()
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    return {"preexec_fn": become}


def _lines(file):
    return [] if file is None else file.data.decode("utf-8", "replace").splitlines()


def _number(text):
    return text.isascii() and text.isdigit() and int(text) < 1 << 32


# What a provider's functions are told ---------------------------------------------------------------------------------

class File(collections.namedtuple("File", "data mode uid gid")):
    """What `Context.read_file` finds."""

    __slots__ = ()

    @property
    def is_private(self):
        """Whether its mode keeps others from reading it. Then its content must not be in a state."""
        return not self.mode & 0o004


class Context:
    """The session and the request that a provider's function works for."""

    def __init__(self, session, request, cancelled, operation=None, deadline=None):
        self._session, self._cancelled = session, cancelled
        #: Number of the request. The items of one batch share it.
        self.request = request
        #: The id of the operation that this request carries out; `None` where it only looks.
        self.operation = operation
        #: When it has to be done, on the clock of `time.monotonic`.
        self.deadline = time.monotonic() + 30 if deadline is None else deadline
        self._touched, self._missing = False, None

    def _untouched(self):
        """What is known where the next thing was not begun: `no`, unless something was before it."""
        return "maybe" if self._touched and self.operation is not None else "no"

    @property
    def mode(self):
        """"read", "plan" or "apply"."""
        return self._session.mode

    @property
    def root(self):
        """The directory that stands for `/`, absolute; `None` where it is `/` itself."""
        return self._session.root

    @property
    def work(self):
        """A private directory for scratch, writable in every mode and emptied afterwards."""
        return self._session.dirs["work"]

    @property
    def digest_key(self):
        return self._session.digest_key

    @property
    def plan_commands(self):
        """Commands (whole argv) that may run while planning. Everything may run in mode apply."""
        return self._session.plan_commands

    def may_execute(self, argv):
        """Whether a command that a project names may run in this session."""
        return self.mode == "apply" or list(argv) in self.plan_commands

    def cancelled(self):
        """Whether the request was cancelled, or the engine is gone. Finish the atomic step at hand, then tell
        the truth."""
        return self._cancelled.is_set()

    def touched(self):
        """Says that something is about to be changed by other means than this context's. From then on no error of
        `run` or `Step.write` is taken for harmless."""
        self._touched = True

    def _still_wanted(self, what):
        """Raises where nobody waits for it any more."""
        if self.cancelled():
            raise Error("cancelled before %s" % what, code="CANCELLED", mutated=self._untouched())
        if not self.time_left():
            raise Error("the time was up before %s" % what, code="TIMEOUT", mutated=self._untouched())

    def time_left(self):
        """Seconds until the request has to be done; not negative."""
        return max(0.0, self.deadline - time.monotonic())

    def progress(self, message):
        """Tells the engine what is going on."""
        self._session.out.notify("$/progress", {"id": self.request, "message": self.redact(str(message))})

    def log(self, level, message):
        """Sends a log record: "error", "warn", "info", "debug" or "trace". A flood is cut."""
        self._session.out.log(level, self.redact(str(message)))

    def redact(self, text):
        """A text without values of secrets."""
        return self._session.redaction.text(text)

    def reveal(self, properties):
        """Properties with the texts that they mean, and whether there is a secret among them. Ask for them only
        where they are used, and keep them out of states, messages, logs, arguments and environments."""
        secrets = self._session.secrets

        def text(pieces, place):
            for piece in pieces:
                if not isinstance(piece, str) and piece["name"] not in secrets:
                    raise Invalid("the secret `%s` has no value in this session" % piece["name"], path=place)
            return "".join(piece if isinstance(piece, str) else secrets[piece["name"]] for piece in pieces)
        return _replace(properties, text)

    def digest(self, content, secret=False):
        """The digest of bytes or a text; under the session's key for what others may not read."""
        data = content.encode("utf-8") if isinstance(content, str) else content
        return digest_of(data, self.digest_key if secret else None)

    def keep_before_image(self, content, secret=False):
        """Keeps bytes or a text in the blob directory, durably, and names it by its digest."""
        data = content.encode("utf-8") if isinstance(content, str) else bytes(content)
        return _keep(_blob_directory(self._session.dirs), data, self.digest_key if secret else None)

    def read_blob(self, digest, secret=False):
        """The bytes of a blob, checked against its digest."""
        if secret and self.digest_key is None:
            raise Dependency("a secret blob cannot be checked without the digest key")
        return _read_blob(_blob_directory(self._session.dirs), digest, self.digest_key if secret else None)

    def run(self, argv, stdin=None, env=None, cwd="/", user=None, timeout_s=None, check=True):
        """Runs a command to its end, to its deadline, or until the request is cancelled; then its process group
        gets TERM, and KILL five seconds later. Returns a `Finished`.

        Its environment is PATH, LANG, RECTIFY_ROOT with a root directory, RECTIFY_OPERATION in an operation, and
        `env`. Secrets go in by `stdin` (a text) and nowhere else. `check`: anything but exit code 0 raises.
        An error with `mutated: no` means that it was not started, and that nothing was changed before through this
        context; see `touched`."""
        deadline = self.deadline if timeout_s is None else min(self.deadline, time.monotonic() + timeout_s)
        finished = _run_command(self, argv, stdin, env, cwd, user, deadline)
        if not check or (finished.ended == "exited" and finished.exit_code == 0):
            return finished
        ends = {
            "exited": ("FAILED", "exited with %s" % finished.exit_code),
            "signalled": ("FAILED", "was ended by signal %s" % finished.signal),
            "timed_out": ("TIMEOUT", "did not end in time and was ended"),
            "cancelled": ("CANCELLED", "was cancelled and ended"),
        }
        code, how = ends[finished.ended]
        said = self.redact(finished.stderr).strip()[-1000:]
        raise Error("`%s` %s%s" % (argv[0], how, said and "; it said: " + said), code=code,
                    mutated="maybe" if self.operation is not None else "no")

    # Files beneath the root.

    def read_file(self, path, max_bytes=1024 * 1024):
        """A regular file beneath the root as a `File`, or `None`. A link, a directory or a longer file is a
        `Conflict`; links on the way are followed only if nobody but root or the owner of the root could have
        made them."""
        here = _walk(self.root, path)
        if here is None:
            self._missing = "/" + "/".join(_split(path)[:-1])
            return None
        directory, name = here
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            try:
                if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                    raise Conflict("%s is not a regular file" % path)
                fd = os.open(name, flags, dir_fd=directory)
            except FileNotFoundError:
                return None
            with open(fd, "rb") as file:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    raise Conflict("%s is not a regular file" % path)
                data = file.read(max_bytes + 1)
                if len(data) > max_bytes:
                    raise Conflict("%s is longer than %d bytes" % (path, max_bytes))
                return File(data, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
        finally:
            os.close(directory)

    def write_file(self, path, data, mode=0o644):
        """Puts a file in its place as a whole, over what is there: a file beside it, brought to the disk, then
        renamed. An owner that is there stays; a new file belongs to whom the root directory belongs to."""
        directory, name = self._place(path)
        temporary = ".rectify-%s" % (self.operation or os.urandom(8).hex())[:16]
        try:
            old = None
            try:
                old = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if not stat.S_ISREG(old.st_mode):
                    raise Conflict("%s is not a regular file" % path)
            except FileNotFoundError:
                pass
            try:
                os.unlink(temporary, dir_fd=directory)
            except FileNotFoundError:
                pass
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._touched = True
            fd = os.open(temporary, flags, 0o600, dir_fd=directory)
            try:
                _write_all(fd, data)
                self._give(fd, old, mode)
                os.fsync(fd)
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                try:
                    os.unlink(temporary, dir_fd=directory)
                except OSError:
                    pass
                raise
            finally:
                os.close(fd)
            _sync_fd(directory)
        finally:
            os.close(directory)

    def remove_file(self, path):
        """Removes a regular file; nothing where there is none."""
        here = _walk(self.root, path)
        if here is None:
            return
        directory, name = here
        try:
            if not stat.S_ISREG(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                raise Conflict("%s is not a regular file" % path)
            self._touched = True
            os.unlink(name, dir_fd=directory)
            _sync_fd(directory)
        except FileNotFoundError:
            pass
        finally:
            os.close(directory)

    def append_file(self, path, data, mode=0o644):
        """Adds to the end of a file, durably; makes it where there is none."""
        directory, name = self._place(path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fresh = True
            try:
                fd = os.open(name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
            except FileExistsError:
                fresh = False
                try:
                    fd = os.open(name, flags, dir_fd=directory)
                except OSError as error:
                    raise Conflict("%s cannot be added to: %s" % (path, error.strerror)) from None
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise Conflict("%s is not a regular file" % path)
                self._touched = True
                if fresh:
                    self._give(fd, None, mode)
                _write_all(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            _sync_fd(directory)
        finally:
            os.close(directory)

    def _give(self, fd, old, mode):
        """Gives a file the owner that the one before had, or that the root has, and its mode."""
        if os.geteuid() == 0:
            owner = old or os.stat(self.root or "/")
            os.fchown(fd, owner.st_uid, owner.st_gid)
        os.fchmod(fd, mode)

    def _place(self, path):
        here = _walk(self.root, path)
        if here is None:
            raise Failed("the directory of %s does not exist" % path)
        return here


def _sync_fd(directory):
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _split(path):
    if not path.startswith("/") or "\0" in path:
        raise Invalid("the path is not absolute: %s" % path)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise Invalid("the path names no file: %s" % path)
    return parts


def _walk(root, path):
    """The directory above an absolute path beneath the root, open, and the name in it; `None` if there is no
    such directory."""
    directory, real = _follow(root, path)
    return None if directory is None else (directory, os.path.basename(real))


def _follow(root, path):
    """The directory above an absolute path beneath the root, open, or `None`; and where the path truly leads or
    would lead. One component at a time, so that nobody who swaps a directory for a link is followed; no link
    leads out of the root."""
    todo = _split(path)
    name = todo.pop()
    above = [os.open(root or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    real = []
    try:
        trusted, links = {0, os.fstat(above[0]).st_uid if root else 0}, 0
        while todo:
            part = todo.pop(0)
            if part == "..":
                if len(above) > 1:
                    os.close(above.pop())
                    real.pop()
                continue
            try:
                fd = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above[-1])
            except FileNotFoundError:
                return None, "/" + "/".join(real + [part] + todo + [name])
            found = os.fstat(fd)
            if stat.S_ISDIR(found.st_mode):
                above.append(fd)
                real.append(part)
                continue
            try:
                if not stat.S_ISLNK(found.st_mode):
                    raise Conflict("`%s` on the way to %s is not a directory" % (part, path))
                holder = os.fstat(above[-1])
                if not (found.st_uid in trusted and holder.st_uid in trusted and not holder.st_mode & 0o022):
                    raise Conflict(
                        "`%s` on the way to %s is a link that somebody else could have made" % (part, path),
                        hint="name the real path")
                target = os.readlink("", dir_fd=fd)
            finally:
                os.close(fd)
            links += 1
            if links > 40:
                raise Failed("too many links on the way to %s" % path)
            if target.startswith("/"):
                while len(above) > 1:
                    os.close(above.pop())
                real = []
            todo[:0] = [part for part in target.split("/") if part not in ("", ".")]
        return above.pop(), "/" + "/".join(real + [name])
    finally:
        for fd in above:
            os.close(fd)


class Step:
    """One operation, as a type's `apply`, `run` or `undo` gets it."""

    def __init__(self, kind, cx, op, desired, identity):
        self._kind, self._cx, self._op = kind, cx, op
        #: The properties, defaults filled in and secrets revealed; of an undo only those that name the thing.
        self.desired = desired
        #: The properties that name the thing.
        self.identity = identity
        #: "create", "update", "replace", "delete" or "run".
        self.action = op["action"]
        #: The id of the operation; a retry has the same.
        self.op_id = op["op_id"]
        #: The state that was found, with texts where the wire has digests; `None` if it does not exist.
        self.prior = None
        #: The state to bring about; `None` if it shall not exist. The same for a change and for its undo.
        self.want = None
        self._mutated, self._began = "maybe", False

    def _failed(self, error):
        return _of_exception(error, self._mutated, self._began or self._cx._touched)

    @property
    def changes(self):
        """The names of the members that differ between `prior` and `want`."""
        prior, want = (self._kind.shown(self._cx, state) or {} for state in (self.prior, self.want))
        return sorted(name for name in set(prior) | set(want)
                      if (name in prior) != (name in want) or not _same(prior.get(name), want.get(name)))

    def write(self, change):
        """Looks once more, compares with what the plan expects, then calls `change(want)`. Where the state moved
        meanwhile it raises STALE and nothing was written."""
        # What this very step wrote already is no news.
        if self._mutated != "yes":
            try:
                prior = self._kind.read_state(self._cx, self.identity)
                found = self._kind.fingerprint(self._kind.shown(self._cx, prior))
            except Exception as error:
                raise _of_exception(error, self._cx._untouched()) from None
            if found != self._op["expect"]:
                raise Stale(_MOVED, hint="make a new plan", mutated=self._cx._untouched())
            self.prior = prior
        self._began = True
        result = change(self.want)
        self._mutated = "yes"
        return result


_MOVED = "the state is neither the one that the plan expects nor the one that it leads to"


def _stale(message):
    return Stale(message, hint="make a new plan", mutated="no")


# Types ----------------------------------------------------------------------------------------------------------------

_RESTORE, _UNDO = "$restore", "$undo"
_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}\Z")


class DefinitionError(Exception):
    """A type contradicts itself. Raised when it is defined, never while it works."""


def _pointer(name):
    return name if name.startswith("/") else child("", name)


class _Kind:
    """What the three decorators have in common: a type's descriptor, and how it is spoken to."""

    def __init__(self, kind, implementation, name, options):
        self.kind, self.name, self.implementation = kind, name, implementation
        self.version = options["version"]
        try:
            self.schema = _Schema(options["schema"])
            self.descriptor = self._describe(options)
            clean(self.descriptor)
        except JsonError as error:
            raise DefinitionError("the type `%s`: %s" % (name, error)) from None
        properties = self.schema.root.get("properties", {})
        writes = [touch["property"] for touch in self.descriptor.get("touches", []) if touch["access"] == "write"]
        #: Properties that name what the type writes.
        self.naming = sorted({_tokens(pointer)[0] for pointer in writes})
        for name_ in self.naming:
            if name_ not in properties:
                raise DefinitionError("the type `%s`: `writes` names `%s`, which is no property" % (name, name_))
            if kind == "resource" and name_ not in self.schema.root.get("required", []):
                raise DefinitionError("the type `%s`: `%s` names the thing, so it is required" % (name, name_))
        self.volatile = self.descriptor.get("volatile", [])
        self.digested = sorted(set(options.get("digested", ())) | {
            name_ for name_ in properties if (self.schema.property(name_) or {}).get(_SECRET_KEYWORD) is True})
        self.undo_note = options.get("undo_note")
        self.disruption = sorted(options.get("disruption", ()), key=["reload", "restart", "reboot"].index)

    def _describe(self, options):
        check = {
            "prediction": ("exact", "conditional", "opaque"), "retry": ("converge", "query", "once"),
            "undo": ("exact", "lossy", "none"),
        }
        for word, known in check.items():
            if options[word] not in known:
                raise DefinitionError("the type `%s`: %s is one of %s" % (self.name, word, ", ".join(known)))
        if not _TYPE_NAME.match(self.name):
            raise DefinitionError("`%s` is not a type name such as `motd.file`" % self.name)
        summary = options.get("summary") or (self.implementation.__doc__ or "").strip().split("\n")[0].strip()
        if not summary:
            raise DefinitionError("the type `%s` needs a summary: give its class a docstring" % self.name)
        touches = [{"property": _pointer(name), "kind": kind, "access": access}
                   for access in ("write", "read")
                   for name, kind in (options.get(access + "s") or {}).items()]
        out = {"name": self.name, "version": self.version, "kind": self.kind, "summary": summary,
               "schema": self.schema.root}
        if options.get("volatile"):
            out["volatile"] = [_pointer(name) for name in options["volatile"]]
        if touches:
            out["touches"] = touches
        out.update(
            prediction=options["prediction"], retry=options["retry"], undo=options["undo"],
            compare_and_swap=bool(options.get("compare_and_swap")),
            read_timeout_ms=int(options["read_timeout_s"] * 1000),
            apply_timeout_ms=int(options["apply_timeout_s"] * 1000))
        return out

    def __getattr__(self, name):
        # Hooks that the implementation may have: `self.hook_plan` and the like.
        if name.startswith("hook_"):
            return getattr(self.implementation, name[5:], None)
        raise AttributeError(name)

    # Properties.

    def judged(self, desired, place=""):
        """Checks properties by the schema, secrets aside, and fills defaults in."""
        def text(pieces, at):
            if not self.schema.takes_secret(_tokens(at)):
                raise Invalid("this does not take a secret", path=at)
            return "".join(piece if isinstance(piece, str) else _STAND_IN for piece in pieces)
        plain, _ = _replace(desired, text)
        problem = self.schema.problem(self.schema.fill(plain))
        if problem is not None:
            raise Invalid(problem[1], path=problem[0])
        return self.schema.fill(plain)

    def revealed(self, cx, desired):
        """The properties as they are meant, and whether there is a secret among them."""
        self.judged(desired)
        properties, secret = cx.reveal(desired)
        properties = self.schema.fill(properties)
        if secret:
            # Not a word of the value in the message.
            problem = self.schema.problem(properties)
            if problem is not None:
                raise Invalid(problem[1], path=problem[0])
        return properties, secret

    def split(self, desired):
        """Takes the member out that asks for the way back: the rest, `$restore` and `$undo`."""
        desired = dict(desired)
        restore, undo = desired.pop(_RESTORE, None), desired.pop(_UNDO, None)
        if restore is not None and self.kind != "resource" or undo is not None and self.kind != "action":
            raise Invalid("there is no property of this name", path="/" + (_UNDO if undo is not None else _RESTORE))
        if undo is not None and undo is not True:
            raise Invalid("`$undo` is true, or is not there", path="/$undo")
        if restore is not None:
            state = restore.get("state") if isinstance(restore, dict) else restore
            if not isinstance(restore, dict) or not (state is None or isinstance(state, dict)):
                raise Invalid("this is nothing to restore", path="/$restore")
        return desired, restore, undo is True

    def named(self, desired):
        """The properties that name the thing, checked; others do not matter."""
        identity = {}
        for name in self.naming:
            if name not in desired:
                raise Invalid("`%s` is missing" % name)
            problem = self.schema.problem(desired[name], self.schema.property(name), child("", name))
            if problem is not None:
                raise Invalid(problem[1], path=problem[0])
            identity[name] = desired[name]
        return identity

    def validate(self, cx, desired):
        desired, restore, _ = self.split(desired)
        if restore is not None:
            self.named(desired)
            return
        properties = self.judged(desired)
        if self.hook_validate:
            self.hook_validate(cx, properties)

    def normalize(self, cx, desired):
        self.validate(cx, desired)
        plain, restore, undo = self.split(desired)
        if not self.hook_normalize or restore is not None:
            return desired
        out = self.hook_normalize(cx, plain)
        if undo:
            out = dict(out)
            out[_UNDO] = True
        return out

    # States.

    def fingerprint(self, state):
        try:
            return fingerprint(self.name, self.version, state, self.volatile)
        except JsonError as error:
            raise Error("the state has no fingerprint: %s" % error, code="INTERNAL") from None

    def alike(self, a, b):
        return compact(_without(a, self.volatile)) == compact(_without(b, self.volatile))

    def shown(self, cx, state):
        """A state as it goes out: texts of secrets and of long contents by their digest, and no secret."""
        if state is None:
            return None
        if not isinstance(state, dict):
            raise Error("a state is a dict, or None", code="INTERNAL")
        state = dict(state)
        for name in self.digested:
            if isinstance(state.get(name), (str, bytes)):
                secret = self._is_secret(name)
                key = cx.digest_key if secret else None
                state[name] = {"blake3" if key is None else "keyed": cx.digest(state[name], secret)[7:]}
        try:
            state = clean(state)
        except JsonError as error:
            raise Error("the state is not JSON of our kind: %s" % error, code="INTERNAL") from None
        if cx._session.redaction.shows(state):
            raise Error("the state holds the value of a secret, so it cannot be told", code="INTERNAL",
                        hint='give the property "x-rectify-secret": true, or keep it out of the state')
        return state

    def _is_secret(self, name):
        return (self.schema.property(name) or {}).get(_SECRET_KEYWORD) is True

    def checked(self, cx, desired):
        """The properties as they are meant, with all that can be said against them."""
        properties, secret = self.revealed(cx, desired)
        if secret and self.kind == "resource" and cx.digest_key is None:
            raise Unsupported("a secret can be named only by its digest under a key, and this session has none")
        if self.hook_validate:
            _looking(self.hook_validate)(cx, properties)
        return properties


class _Resource(_Kind):
    def read_state(self, cx, identity):
        return self.implementation.read(cx, dict(identity))

    def read(self, cx, desired, capture):
        identity = self.named(self.split(desired)[0])
        state = self.read_state(cx, identity)
        out = {}
        shown = self.shown(cx, state)
        if shown is not None:
            out["state"] = shown
        if capture:
            kept = [cx.keep_before_image(state[name], self._is_secret(name)) for name in self.digested
                    if state is not None and isinstance(state.get(name), (str, bytes))]
            if kept:
                out["before_image"] = kept[0]
        return out

    def goal(self, cx, desired, prior):
        """The state that the properties ask for. By default they are the state, over what is there; `state:
        absent`, where the schema knows it, means none."""
        if self.hook_goal:
            return self.hook_goal(cx, desired, prior)
        states = (self.schema.property("state") or {}).get("enum", [])
        if "absent" in states and desired.get("state") == "absent":
            return None
        want = dict(prior or {})
        for name in self.schema.root.get("properties", {}):
            if name in desired and not ("absent" in states and name == "state"):
                want[name] = desired[name]
        return want

    def plan(self, cx, item):
        desired, restore, _ = self.split(item["desired"])
        if restore is None and self.hook_plan:
            return self.hook_plan(cx, item)
        given = item.get("prior")
        identity = self.named(desired)
        prior = given.get("state") if given is not None else self.read_state(cx, identity)
        shown = self.shown(cx, prior)
        if restore is not None:
            planned = restore.get("state")
        else:
            planned = self.shown(cx, self.goal(cx, self.checked(cx, desired), prior))
        resolved = self.resolved(cx, desired)
        if self.alike(shown, planned):
            out = {} if shown is None else {"state": shown}
            out.update({"resolved": resolved} if resolved else {})
            return {"unchanged": out}
        prediction = self.descriptor["prediction"]
        if shown is None and given is None and cx._missing is not None:
            prediction = _into_missing(cx._missing, item.get("directories"), prediction)
        out = self.changed(shown, planned, prediction, self.descriptor["undo"])
        out["changed"].update({"resolved": resolved} if resolved else {})
        return out

    def resolved(self, cx, desired):
        """The keys that are written in truth, where links on the way lead elsewhere than the properties say."""
        found = set()
        for touch in self.descriptor.get("touches", []):
            path = desired.get(_tokens(touch["property"])[0])
            if touch["access"] != "write" or touch["kind"] != "path" or not _is_text(path):
                continue
            try:
                directory, real = _follow(cx.root, path)
            except (OSError, Error):
                continue
            if directory is not None:
                os.close(directory)
            if real != path:
                found.add("path:" + real)
        return sorted(found)

    def changed(self, prior, planned, prediction, undo):
        out = {}
        if prior is not None:
            out["prior"] = prior
        if planned is not None and prediction != "opaque":
            out["planned"] = planned
        out["prediction"] = prediction
        if self.disruption:
            out["disruption"] = list(self.disruption)
        out["undo"] = undo
        if self.undo_note and undo != "exact":
            out["undo_note"] = self.undo_note
        return {"changed": out}

    def apply(self, cx, op, ledger):
        desired, restore, _ = self.split(op["desired"])
        identity = self.named(desired)
        properties = identity if restore is not None else self.checked(cx, desired)
        step = Step(self, cx, op, properties, identity)

        looked = []

        @_looking
        def look():
            looked.append(True)
            step.prior = self.read_state(cx, identity)
            shown = self.shown(cx, step.prior)
            found = self.fingerprint(shown)
            if found != op["expect"]:
                if found == op.get("result"):
                    return _applied("already", shown)
                raise _stale(_MOVED)
            if restore is not None:
                step.want = self.restored(cx, restore.get("state"), step.prior)
            else:
                step.want = self.goal(cx, properties, step.prior)
            want = self.shown(cx, step.want)
            if op.get("result") is not None and self.fingerprint(want) != op["result"]:
                raise _stale("what would be written is not what the plan says")
            if self.alike(shown, want):
                return _applied("already", shown)
            return None

        def run():
            settled = None if looked else look()
            if settled is not None:
                return settled
            cx._still_wanted("it began")
            try:
                self.implementation.apply(cx, step)
                after = self.shown(cx, self.read_state(cx, identity))
            except BaseException as error:
                raise step._failed(error) from None
            return _applied("applied", after)

        # A claim of an operation that may not be repeated decides alone.
        once = self.descriptor["retry"] != "converge"
        if ledger.is_free(op) or not once:
            settled = look()
            if settled is not None:
                return settled
        return _in_ledger(cx, ledger, op, once, run)

    def restored(self, cx, state, prior):
        """The state that an undo brings back, with the contents that it names by digest."""
        if state is None:
            return None
        state = dict(state)
        for name in self.digested:
            named = state.get(name)
            if not isinstance(named, dict) or set(named) not in ({"blake3"}, {"keyed"}):
                continue
            secret, digest = "keyed" in named, "blake3:%s" % list(named.values())[0]
            if not _is_digest(digest):
                raise Invalid("this is nothing to restore", path="/$restore/state/" + name)
            there = (prior or {}).get(name)
            if isinstance(there, (str, bytes)) and cx.digest(there, secret) == digest:
                state[name] = there
                continue
            data = cx.read_blob(digest, secret)
            try:
                state[name] = data.decode("utf-8") if not isinstance(there, bytes) else data
            except UnicodeDecodeError:
                state[name] = data
        return state


def _into_missing(directory, directories, prediction):
    """How sure it is that something can be made in a directory that does not exist yet: an earlier step makes it,
    or what earlier steps make is not known, or nothing does."""
    if directories is None:
        return "conditional" if prediction == "exact" else prediction
    for state in directories:
        if _is_map(state) and state.get("kind") == "directory" and state.get("path") == directory:
            return prediction
    raise Conflict(
        "the directory `%s` does not exist, and no earlier step makes it" % directory, path="/path",
        hint="add a step for it, spelled in the same way, and name that step in `after`")


class _Action(_Kind):
    def state(self, cx, properties):
        """What can be seen of an action: what its guards say. Nothing by default."""
        return self.hook_read(cx, properties) if self.hook_read else {}

    def read(self, cx, desired, capture):
        properties = self.judged(self.split(desired)[0])
        return {"state": self.shown(cx, self.state(cx, properties))}

    def after(self, cx, properties, prior, back):
        """The state afterwards, where the type can tell; `None` where it is not known."""
        hook = self.hook_goal_of_undo if back else self.hook_goal
        return hook(cx, properties, prior) if hook else None

    def plan(self, cx, item):
        desired, _, back = self.split(item["desired"])
        if self.hook_plan and not back:
            return self.hook_plan(cx, item)
        if item.get("prior") is not None:
            raise Unsupported("an action cannot be predicted on the result of another step")
        properties = self.judged(desired)
        self.check_way(back)
        if self.hook_validate:
            self.hook_validate(cx, properties)
        prior = self.shown(cx, self.state(cx, properties))
        planned = self.shown(cx, self.after(cx, properties, prior, back))
        if planned is not None and self.alike(prior, planned):
            return {"unchanged": {"state": prior}}
        out = {"prior": prior}
        if planned is not None:
            out["planned"] = planned
        best = self.descriptor["prediction"]
        out["prediction"] = "opaque" if planned is None else best
        if self.disruption:
            out["disruption"] = list(self.disruption)
        out["undo"] = self.descriptor["undo"] if self.hook_undo and not back else "none"
        if back:
            out["undo_note"] = "it takes an action back, which is not taken back in turn"
        elif out["undo"] == "none":
            out["undo_note"] = self.undo_note or "what an action did is not known, so it cannot be taken back"
        else:
            out["undo_note"] = self.undo_note or "taken back by the action's own way back"
        return {"changed": out}

    def check_way(self, back):
        if back and not self.hook_undo:
            raise Unsupported("the type has no way back")

    def apply(self, cx, op, ledger):
        desired, _, back = self.split(op["desired"])
        properties = self.checked(cx, desired)
        self.check_way(back)
        step = Step(self, cx, op, properties, {name: properties[name] for name in self.naming if name in properties})

        # As while planning: what is seen must not depend on secrets.
        plain = self.judged(desired)

        @_looking
        def look(compare):
            state = self.shown(cx, self.state(cx, plain))
            found = self.fingerprint(state)
            after = self.after(cx, plain, state, back)
            if compare and found != op["expect"]:
                if found == op.get("result"):
                    return _applied("already", state)
                raise _stale(_MOVED)
            if after is not None and self.alike(state, self.shown(cx, after)):
                return _applied("already", state)
            step.prior, step.want = state, after
            return None

        def run():
            # What was compared before may have taken a while.
            settled = look(False)
            if settled is not None:
                return settled
            cx._still_wanted("it began")
            try:
                said = self.hook_undo(cx, step) if back else self.implementation.run(cx, step)
                step._mutated = "yes"
                state = self.shown(cx, self.state(cx, plain))
            except BaseException as error:
                raise step._failed(error) from None
            out = _applied("applied", state)
            if isinstance(said, Finished):
                out["output"] = _output(said)
            elif said is not None:
                text = str(said)
                out["output"] = {"stdout": text[-OUTPUT_TAIL_BYTES // 4:], "stderr": "",
                                 "truncated": len(text) > OUTPUT_TAIL_BYTES // 4}
            return out

        once = self.descriptor["retry"] != "converge"
        # A claim decides alone: what is seen afterwards may be the action's own doing.
        if ledger.is_free(op) or not once:
            settled = look(True)
            if settled is not None:
                return settled
        return _in_ledger(cx, ledger, op, once, run)


class _Probe(_Kind):
    def ask(self, cx, desired):
        properties = self.judged(desired)
        if self.hook_validate:
            self.hook_validate(cx, properties)
        ok, detail = self.implementation.ask(cx, properties)
        return self.shown(cx, {"ok": bool(ok), "detail": cx.redact(str(detail))})

    def read(self, cx, desired, capture):
        return {"state": self.ask(cx, desired)}

    def plan(self, cx, item):
        state = self.ask(cx, item["desired"])
        if not state["ok"]:
            raise Failed(state["detail"])
        return {"unchanged": {"state": state}}

    def apply(self, cx, op, ledger):
        raise Unsupported("`%s` is a question; it changes nothing" % self.name)


class Absent(Exception):
    """What a fact is about is not there; the text says why."""


class _Fact(_Kind):
    def read(self, cx, desired, capture):
        self.judged(desired)
        try:
            return {"state": self.shown(cx, {"value": self.implementation.tell(cx)})}
        except Absent as why:
            return {"state": {"absent": cx.redact(_sound(why))}}

    def plan(self, cx, item):
        raise Unsupported("`%s` tells facts; there is nothing to plan" % self.name)

    def apply(self, cx, op, ledger):
        raise Unsupported("`%s` tells facts; it changes nothing" % self.name)


def _looking(look):
    """What fails while an operation only looks changed nothing."""
    def guarded(*arguments):
        try:
            return look(*arguments)
        except BaseException as error:
            raise _of_exception(error, "no") from None
    return guarded


def _applied(status, state):
    out = {"status": status}
    if state is not None:
        out["state"] = state
    return out


def _in_ledger(cx, ledger, op, once, run):
    def result():
        try:
            out = {"ok": run()}
        except BaseException as error:
            # Nothing was begun where `run` raises by itself; what the provider raised says so already.
            out = {"error": _of_exception(error, "no").to_wire()}
        # The ledger is kept: what a command printed of a secret must not be in it.
        return _hidden(cx, out)
    out, note = ledger.run(op, once, result)
    if note is not None:
        cx.log("error", note)
    if "error" in out:
        error = out["error"]
        raise Error(error["message"], error.get("path"), error.get("hint"), error["mutated"], error["code"])
    return out["ok"]


def _hidden(cx, result):
    """The result of an operation without values of secrets."""
    redaction = cx._session.redaction
    body = dict(result.get("ok") or result.get("error"))
    for name in ("state", "message", "hint"):
        if name in body:
            body[name] = redaction.value(body[name])
    if "output" in body:
        body["output"] = dict(body["output"], stdout=redaction.text(body["output"]["stdout"]),
                              stderr=redaction.text(body["output"]["stderr"]))
    return {"ok" if "ok" in result else "error": body}


def _decorator(make, name, options):
    def decorate(cls):
        needs = {"resource": ("read", "apply"), "action": ("run",), "probe": ("ask",), "fact": ("tell",)}
        for needed in needs[make]:
            if not callable(getattr(cls, needed, None)):
                raise DefinitionError("the type `%s` needs a method `%s`" % (name, needed))
        cls.rectify_type = (make, name, options)
        return cls
    return decorate


def resource(name, schema, writes, version=1, reads=None, summary=None, volatile=(), digested=(),
             prediction="exact", retry="converge", undo="exact", undo_note=None, disruption=(),
             compare_and_swap=False, read_timeout_s=30, apply_timeout_s=60):
    """A type of things that have a state: a class with `read(cx, identity)` and `apply(cx, step)`.

    `writes` names the properties that name the thing, each with its kind: {"path": "path"}. The state is a dict
    of JSON values without floats. Optional methods: `validate(cx, properties)`, `normalize(cx, properties)`,
    `goal(cx, properties, prior)` (the state that is asked for; by default the properties over what is there),
    `plan(cx, item)` (instead of the comparison of states). `digested` properties, and those with
    "x-rectify-secret": true, are shown by digest; the SDK keeps their before-images and gives them back."""
    if not writes:
        raise DefinitionError("the type `%s`: `writes` names at least one property, or nothing could be undone" % name)
    return _decorator("resource", name, dict(
        schema=schema, writes=writes, version=version, reads=reads, summary=summary, volatile=volatile,
        digested=digested, prediction=prediction, retry=retry, undo=undo, undo_note=undo_note,
        disruption=disruption, compare_and_swap=compare_and_swap, read_timeout_s=read_timeout_s,
        apply_timeout_s=apply_timeout_s))


def action(name, schema, writes=None, version=1, reads=None, summary=None, volatile=(), prediction="conditional",
           retry="once", undo=None, undo_note=None, disruption=(), read_timeout_s=30, apply_timeout_s=60):
    """A type of things that are done, at most once for each permission: a class with `run(cx, step)`, whose result
    (`Finished`, a text or None) goes into the record.

    Optional methods: `undo(cx, step)` (the way back), `read(cx, properties)` (what can be seen of it, a dict),
    `goal(cx, properties, prior)` (what will be seen then; where it is seen already there is nothing to do),
    `goal_of_undo`, `validate`, `normalize`, `plan`."""
    def decorate(cls):
        grade = undo or ("lossy" if callable(getattr(cls, "undo", None)) else "none")
        best = prediction if callable(getattr(cls, "goal", None)) or hasattr(cls, "plan") else "opaque"
        return _decorator("action", name, dict(
            schema=schema, writes=writes, version=version, reads=reads, summary=summary, volatile=volatile,
            prediction=best, retry=retry, undo=grade, undo_note=undo_note, disruption=disruption,
            read_timeout_s=read_timeout_s, apply_timeout_s=apply_timeout_s))(cls)
    return decorate


def probe(name, schema, version=1, reads=None, summary=None, timeout_s=30):
    """A question: a class with `ask(cx, properties)`, which answers `(whether, a sentence about it)`."""
    return _decorator("probe", name, dict(
        schema=schema, version=version, reads=reads, summary=summary, volatile=["detail"], prediction="exact",
        retry="converge", undo="none", read_timeout_s=timeout_s, apply_timeout_s=timeout_s))


def fact(name, version=1, summary=None, timeout_s=30):
    """What a target is, for expressions: a class with `tell(cx)`, which answers a JSON value or raises `Absent`.
    Nothing in it may change by itself: no time, no process, no counter."""
    return _decorator("fact", name, dict(
        schema={"type": "object", "additionalProperties": False, "properties": {}}, version=version, summary=summary,
        prediction="exact", retry="converge", undo="none", read_timeout_s=timeout_s, apply_timeout_s=timeout_s))


# One session over two streams: a reader that is always ready, a writer, and a few workers -----------------------------

_WORKERS, _WAITING_MAX, _WAITING_BYTES_MAX = 16, 4096, 64 * 1024 * 1024
_WAITING_FRAMES_MAX = 256
_WORK_GRACE_S, _WRITE_GRACE_S = 9.0, 0.5
_LOG_RECORDS_PER_SECOND, _LOG_BYTES_PER_SECOND = 1000, 1024 * 1024


def _frame(members):
    return _dump(dict({"jsonrpc": "2.0"}, **members)) + b"\n"


def _failure_line(request, error):
    out = {} if request is None else {"id": request}
    out["error"] = error.to_wire()
    return _frame(out)


class _Out:
    """The way out: one thread writes frames, so that they never mix, many at once where many wait."""

    def __init__(self, fd, on_failure):
        self.fd, self.on_failure, self.broken = fd, on_failure, False
        self.lines = queue.Queue(_WAITING_FRAMES_MAX)
        self.lock, self.since, self.records, self.bytes, self.dropped = threading.Lock(), time.monotonic(), 0, 0, 0
        self.thread = threading.Thread(target=self._write, daemon=True)
        self.thread.start()

    def _write(self):
        try:
            # An empty line first: what a login shell printed without a newline ends here.
            _write_all(self.fd, b"\n")
            line = self.lines.get()
            while line is not None:
                lines = [line]
                try:
                    while len(lines) < _WAITING_FRAMES_MAX and lines[-1] is not None:
                        lines.append(self.lines.get_nowait())
                except queue.Empty:
                    pass
                last = lines.pop() if lines[-1] is None else b""
                _write_all(self.fd, b"".join(lines))
                line = None if last is None else self.lines.get()
        except OSError:
            self.broken = True
            self.on_failure()
            # Go on receiving, so that nobody waits for a stream that is gone.
            while self.lines.get() is not None:
                pass

    def line(self, line):
        if not self.broken:
            self.lines.put(line)

    def notify(self, method, params):
        try:
            self.line(_frame({"method": method, "params": params}))
        except ValueError:
            pass  # A text with a lone surrogate is not worth a failure.

    def log(self, level, message):
        """Sends a log record, unless there were too many of them in this second."""
        if level not in ("error", "warn", "info", "debug", "trace"):
            level = "info"
        with self.lock:
            now = time.monotonic()
            if now - self.since >= 1:
                self.since, self.records, self.bytes = now, 0, 0
            size = len(message.encode("utf-8", "replace"))
            if self.records >= _LOG_RECORDS_PER_SECOND or self.bytes + size > _LOG_BYTES_PER_SECOND:
                self.dropped += 1
                return
            self.records, self.bytes = self.records + 1, self.bytes + size
            dropped, self.dropped = self.dropped, 0
        if dropped:
            text = "%d log records were dropped: too many in a second" % dropped
            self.notify("$/log", {"level": "warn", "message": text})
        self.notify("$/log", {"level": level, "message": message})

    def finish(self):
        try:
            self.lines.put(None, timeout=_WRITE_GRACE_S)
        except queue.Full:
            return
        self.thread.join(_WRITE_GRACE_S)


class _Session:
    """Fixed by `initialize` and `configure`."""

    def __init__(self, out):
        self.out = out
        self.mode, self.frame_max, self.dirs = "read", FRAME_MAX_BYTES, {"work": "", "state": "", "blobs": ""}
        self.root, self.plan_commands, self.digest_key = None, [], None
        self.secrets, self.redaction = {}, _Redaction({})
        #: The highest fence under which this session found nothing else going on.
        self.alone = 0


class _Queue:
    """Requests that wait or run: bounded, and each of them cancellable."""

    def __init__(self, work):
        self.work = work
        self.changed = threading.Condition()
        self.waiting, self.bytes, self.running = collections.OrderedDict(), 0, {}
        self.closed, self.threads, self.idle = False, 0, 0

    def push(self, request, size, job):
        """Returns why it is not taken: "duplicate" or "overloaded"; `None` if it is."""
        with self.changed:
            if request in self.running or request in self.waiting:
                return "duplicate"
            full = len(self.waiting) >= _WAITING_MAX or self.waiting and self.bytes + size > _WAITING_BYTES_MAX
            if full or self.closed:
                return "overloaded"
            self.waiting[request] = (size, job)
            self.bytes += size
            # A thread is started where none is free.
            if self.idle < len(self.waiting) and self.threads < _WORKERS:
                self.threads += 1
                threading.Thread(target=self._serve, daemon=True).start()
            self.changed.notify_all()
        return None

    def _serve(self):
        while True:
            with self.changed:
                self.idle += 1
                while not self.waiting and not self.closed:
                    self.changed.wait()
                self.idle -= 1
                if not self.waiting:
                    return
                request, (size, job) = self.waiting.popitem(last=False)
                self.bytes -= size
                cancelled = self.running[request] = threading.Event()
            try:
                self.work(request, job, cancelled)
            finally:
                with self.changed:
                    del self.running[request]
                    self.changed.notify_all()

    def cancel(self, request):
        """Whether the request was taken out before it began, to be answered by the caller."""
        with self.changed:
            if request in self.running:
                self.running[request].set()
                return False
            if request not in self.waiting:
                return False
            self.bytes -= self.waiting.pop(request)[0]
            return True

    def close(self):
        """Cancels everything and takes no more. What has not begun is given back, to be answered."""
        with self.changed:
            self.closed, self.bytes = True, 0
            for cancelled in self.running.values():
                cancelled.set()
            waiting = list(self.waiting)
            self.waiting.clear()
            self.changed.notify_all()
        return waiting

    def in_flight(self):
        with self.changed:
            return len(self.waiting) + len(self.running)

    def wait_idle(self, longest):
        with self.changed:
            return self.changed.wait_for(lambda: not self.waiting and not self.running, longest)


# The parameters of methods, read strictly; unknown members are for later minor versions.


def _wrong(message):
    return _RpcError(_INVALID_PARAMS, message)


def _member(params, name, check, what, optional=False):
    value = params.get(name)
    if value is None and optional:
        return None
    if value is None or not check(value):
        raise _wrong("`%s`: expected %s" % (name, what))
    return value


def _is_text(value):
    return isinstance(value, str)


def _is_map(value):
    return isinstance(value, dict)


def _is_natural(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _version_of(text):
    if not isinstance(text, str) or not re.match(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\Z", text):
        raise _wrong("a version is MAJOR.MINOR")
    version = tuple(map(int, text.split(".")))
    if max(version) >= 1 << 32:
        raise _wrong("a version is MAJOR.MINOR")
    return version


def _type_of(params):
    return _member(params, "type", lambda t: _is_text(t) and _TYPE_NAME.match(t), "the name of a type")


def _read_item(item):
    capture = _member(item, "capture", lambda v: isinstance(v, bool), "true or false", True)
    return {"type": _type_of(item), "desired": _member(item, "desired", _is_map, "an object"),
            "capture": bool(capture)}


def _plan_item(item):
    out = {"type": _type_of(item), "desired": _member(item, "desired", _is_map, "an object")}
    prior = _member(item, "prior", _is_map, "an object", True)
    if prior is not None:
        out["prior"] = {"state": prior.get("state")}
    directories = _member(item, "directories", lambda v: isinstance(v, list), "a list", True)
    if directories is not None:
        out["directories"] = directories
    return out


def _batch(params, read):
    items = _member(params, "items", lambda v: isinstance(v, list), "a list")
    if not all(map(_is_map, items)):
        raise _wrong("`items`: expected a list of objects")
    return [read(item) for item in items]


def _operation(params):
    out = {"op_id": _member(params, "op_id", _is_text, "a text"), "type": _type_of(params),
           "action": _member(params, "action", _is_text, "a text"),
           "desired": _member(params, "desired", _is_map, "an object"),
           "expect": _member(params, "expect", _is_digest, "a digest")}
    result = _member(params, "result", _is_digest, "a digest", True)
    if result is not None:
        out["result"] = result
    for name in ("deadline_ms", "fence"):
        out[name] = _member(params, name, _is_natural, "a number that is not negative")
    return out


def _blob_chunk(params):
    return {"digest": _member(params, "digest", _is_digest, "a digest"),
            "offset": _member(params, "offset", _is_natural, "a number that is not negative"),
            "size": _member(params, "size", _is_natural, "a number that is not negative"),
            "chunk": _member(params, "chunk", _is_text, "a text")}


def _blob_place(params):
    return {"digest": _member(params, "digest", _is_digest, "a digest"),
            "offset": _member(params, "offset", _is_natural, "a number that is not negative"),
            "length": _member(params, "length", _is_natural, "a number that is not negative")}


_WORK = {
    "resource.validate": lambda params: _batch(params, _read_item),
    "resource.normalize": lambda params: _batch(params, _read_item),
    "resource.read": lambda params: _batch(params, _read_item),
    "resource.plan": lambda params: _batch(params, _plan_item),
    "resource.apply": _operation,
    "blob.put": _blob_chunk,
    "blob.get": _blob_place,
}


class Provider:
    """Types under a name and a version, as one session after the other serves them."""

    def __init__(self, name, types, version):
        self.name, self.version, self.types = name, version, {}
        makes = {"resource": _Resource, "action": _Action, "probe": _Probe, "fact": _Fact}
        for cls in types:
            make, type_name, options = getattr(cls, "rectify_type", (None, None, None))
            if make is None:
                raise DefinitionError("%r is no type: it has no decorator of this module" % cls)
            if type_name in self.types:
                raise DefinitionError("there are two types `%s`" % type_name)
            implementation = cls() if isinstance(cls, type) else cls
            self.types[type_name] = makes[make](make, implementation, type_name, options)
        self.manifest = clean({
            "format": "rectify.manifest/v1", "name": name, "version": version,
            "protocol": {"min": PROTOCOL, "max": PROTOCOL},
            "types": [self.types[type_name].descriptor for type_name in sorted(self.types)]})
        self.manifest_bytes = file_bytes(self.manifest)
        self.manifest_digest = digest_of(self.manifest_bytes)

    def serve_streams(self, reader, writer):
        """Serves one session over two descriptors. Returns how it ended, within ten seconds of the end of the
        input even if work is stuck: "shutdown", "eof", "broken" or "version"."""
        return _Input(self, reader, writer).serve()

    # Work: what a worker does. Item by item, each behind a wall that an exception does not pass.

    def work(self, session, request, method, params, cancelled):
        """The line of the answer."""
        if method == "resource.apply":
            return self._answer_apply(session, request, self._item(
                session, lambda: self._apply(session, request, params, cancelled), unexpected="maybe"))
        if method.startswith("blob."):
            result = self._item(session, lambda: self._blob(session, method, params))
            return self._answer(session, request, result)
        cx = Context(session, request, cancelled)
        results = []
        for item in params:
            if cancelled.is_set():
                error = Error("cancelled before it began", code="CANCELLED")
                results.append({"error": error.to_wire()})
                continue
            results.append(self._item(session, lambda: self._look(cx, method, item), looks=True))
        return self._answer(session, request, {"items": results})

    @staticmethod
    def _item(session, call, looks=False, unexpected="no"):
        try:
            return {"ok": call()}
        except Error as error:
            if looks:
                # What only looks changes nothing, whatever it says.
                error.mutated = "no"
            return _hidden_error(session, _of_exception(error, "no"))
        except BaseException as error:
            return _hidden_error(session, _of_exception(error, unexpected))

    def _kind(self, type_name):
        if type_name not in self.types:
            raise Unsupported("the provider `%s` has no type `%s`" % (self.name, type_name))
        return self.types[type_name]

    def _look(self, cx, method, item):
        kind = self._kind(item["type"])
        cx.deadline, cx._missing = time.monotonic() + kind.descriptor["read_timeout_ms"] / 1000, None
        if method == "resource.validate":
            kind.validate(cx, item["desired"])
            return None
        if method == "resource.normalize":
            out = kind.normalize(cx, item["desired"])
        elif method == "resource.read":
            if item["capture"] and cx.mode != "apply":
                raise _mode_error(cx.mode, "keep a before-image")
            out = kind.read(cx, item["desired"], item["capture"])
        else:
            if cx.mode == "read":
                raise _mode_error(cx.mode, "plan")
            out = kind.plan(cx, item)
        try:
            out = clean(out)
        except JsonError as error:
            raise Error("the answer is not JSON of our kind: %s" % error, code="INTERNAL") from None
        if not _is_map(out):
            raise Error("the answer is not a dict", code="INTERNAL")
        if method == "resource.plan":
            if set(out) not in ({"changed"}, {"unchanged"}) or not all(map(_is_map, out.values())):
                raise Error("a plan is {\"changed\": {…}} or {\"unchanged\": {…}}", code="INTERNAL")
            out = {key: _in_order(value) for key, value in out.items()}
        elif method == "resource.read":
            out = _in_order(out)
        if cx._session.redaction.shows(out):
            raise Error("the answer holds the value of a secret, so it cannot be told", code="INTERNAL")
        return out

    def _apply(self, session, request, op, cancelled):
        if session.mode != "apply":
            raise _mode_error(session.mode, "change anything")
        if cancelled.is_set():
            raise Error("cancelled before it began", code="CANCELLED")
        kind = self._kind(op["type"])
        begin, limit = time.monotonic(), op["deadline_ms"] / 1000
        # Half of the time at most, so that the other half is left for the operation.
        entered = _enter_fence(session, cancelled.is_set, op["fence"], limit / 2)
        try:
            cx = Context(session, request, cancelled, op["op_id"], begin + limit)
            return _ordered(kind.apply(cx, op, _Ledger(session.dirs["state"])))
        finally:
            os.close(entered)

    @staticmethod
    def _blob(session, method, params):
        if method == "blob.put":
            if session.mode != "apply":
                raise _mode_error(session.mode, "store a blob")
            return _blob_put(_blob_directory(session.dirs), **params)
        return _blob_get(_blob_directory(session.dirs), key=session.digest_key, **params)

    @staticmethod
    def _answer(session, request, result):
        try:
            line = _frame({"id": request, "result": result})
            if len(line) <= session.frame_max:
                return line
            error = _RpcError(_TOO_LARGE, "the answer is %d bytes long; a frame is at most %d; ask for fewer items"
                              % (len(line), session.frame_max))
        except (ValueError, TypeError) as problem:
            error = _RpcError(_INTERNAL, "the answer cannot be written as JSON: %s" % problem)
        return _failure_line(request, error)

    def _answer_apply(self, session, request, result):
        """An apply is never answered by "nothing was done" when something was: what is too long for a frame is left
        out bit by bit."""
        def fits():
            try:
                line = _frame({"id": request, "result": result})
            except (ValueError, TypeError):
                return None
            return line if len(line) <= session.frame_max else None
        line = fits()
        if line is None and "output" in result.get("ok", {}):
            result = {"ok": dict(result["ok"])}
            result["ok"]["output"] = dict(result["ok"]["output"], stdout="", stderr="", truncated=True)
            line = fits()
        if line is not None:
            return line
        mutated = "maybe" if "ok" in result else result["error"]["mutated"]
        error = Error("the answer is too long for a frame", code="UNKNOWN_OUTCOME", mutated=mutated)
        return self._answer(session, request, {"error": error.to_wire()})


def _ordered(applied):
    out = {name: applied[name] for name in ("status", "state", "output") if name in applied}
    if "output" in out:
        names = ("exit_code", "stdout", "stderr", "truncated")
        out["output"] = {name: out["output"][name] for name in names if name in out["output"]}
    return out


#: Members of answers in their order on the wire.
_MEMBERS = ("prior", "state", "planned", "prediction", "disruption", "undo", "undo_note", "resolved", "before_image")


def _in_order(answer):
    return {name: answer[name] for name in _MEMBERS if name in answer}


def _hidden_error(session, error):
    out = error.to_wire()
    for name in ("message", "hint"):
        if name in out:
            out[name] = session.redaction.text(out[name])
    return {"error": out}


def _mode_error(mode, what):
    return Error("a session in mode `%s` does not %s" % (mode, what), code="MODE")


def _cancelled_error():
    return _RpcError(_CANCELLED, "cancelled before it began; nothing was done")


class _Input:
    """The reader's side of a session."""

    def __init__(self, provider, reader, writer):
        self.provider, self.reader = provider, reader
        self.ended, self.changed = None, threading.Condition()
        self.out = _Out(writer, lambda: self._end("broken"))
        self.queue = _Queue(self._work)
        self.phase, self.is_shut, self.session = "fresh", False, _Session(self.out)

    def serve(self):
        threading.Thread(target=lambda: self._end(self._read()), daemon=True).start()
        with self.changed:
            while self.ended is None:
                self.changed.wait()
        for request in self.queue.close():
            self.out.line(_failure_line(request, _cancelled_error()))
        self.queue.wait_idle(_WORK_GRACE_S)
        self.out.finish()
        return self.ended

    def _end(self, end):
        with self.changed:
            self.ended = self.ended or end
            self.changed.notify_all()

    def _work(self, request, job, cancelled):
        session, method, params = job
        try:
            line = self.provider.work(session, request, method, params, cancelled)
        except BaseException as error:
            # Every request is answered, whatever happens here.
            line = _failure_line(request, _RpcError(_INTERNAL, _of_exception(error, "maybe").message))
        self.out.line(line)

    # Lines.

    def _read(self):
        """Reads lines until the end, never keeping more than a frame. A line without its end is no message."""
        line, too_large = bytearray(), False
        while True:
            try:
                data = os.read(self.reader, 64 * 1024)
            except OSError:
                break
            if not data:
                break
            start = 0
            while start < len(data):
                limit = FRAME_MAX_BYTES if self.phase == "fresh" else self.session.frame_max
                end = data.find(b"\n", start)
                stop = len(data) if end < 0 else end
                if not too_large:
                    if len(line) + stop - start > limit:
                        too_large, line = True, bytearray()
                    else:
                        line += data[start:stop]
                if end < 0:
                    break
                if too_large:
                    self._fail(None, _RpcError(_TOO_LARGE, "a frame is at most %d bytes long" % limit))
                elif line:
                    whole, line = bytes(line), bytearray()
                    if self._line(whole):
                        return "version"
                too_large, start = False, end + 1
        return "shutdown" if self.is_shut else "eof"

    def _line(self, line):
        """Handles one line. Returns whether the session ends here."""
        request = None
        try:
            try:
                message = read_json(line)
            except JsonError as error:
                raise _RpcError(_PARSE, str(error)) from None
            if not _is_map(message):
                raise _RpcError(_INVALID_REQUEST, "a message is an object")
            if message.get("jsonrpc") != "2.0":
                raise _RpcError(_INVALID_REQUEST, "`jsonrpc` is not \"2.0\"")
            number = message.get("id")
            if number is not None and not _is_natural(number):
                raise _RpcError(_INVALID_REQUEST, "an id is a number that is not negative")
            method, params = message.get("method"), message.get("params")
            if not _is_text(method):
                raise _RpcError(_INVALID_REQUEST, "a message of the engine has a method")
            if number is None:
                self._notification(method, params)
                return False
            request = number
            result = self._request(request, method, params, len(line))
            if result is not None:
                self.out.line(_frame({"id": request, "result": clean(result)}))
        except _RpcError as error:
            self._fail(request, error)
            return error.code == _VERSION
        except Exception as error:
            # The reader lives on, whatever happens here.
            self._fail(request, _RpcError(_INTERNAL, _of_exception(error, "no").message))
        return False

    def _fail(self, request, error):
        self.out.line(_failure_line(request, error))

    def _notification(self, method, params):
        """An unknown one is ignored, and so is the cancellation of what was answered already."""
        if method == "$/cancel" and _is_map(params) and _is_natural(params.get("id")):
            if self.queue.cancel(params["id"]):
                self._fail(params["id"], _cancelled_error())

    def _request(self, request, method, params, size):
        """The result, or `None`: a worker answers."""
        if method == "ping":
            return {"in_flight": self.queue.in_flight()}
        params_map = params if _is_map(params) else None
        if method == "initialize":
            return self._initialize(params_map)
        if self.phase == "fresh":
            raise _RpcError(_NOT_INITIALIZED, "`%s` before `initialize`" % method)
        if self.is_shut:
            raise _RpcError(_INVALID_REQUEST, "the session was shut down")
        if method == "configure":
            if self.phase == "ready":
                raise _RpcError(_INVALID_REQUEST, "the session is configured already")
            self._configure(params_map)
            return {}
        if method == "schema.get":
            return self.provider.manifest
        if method == "shutdown":
            self.is_shut = True
            return {}
        if method == "op.status":
            # Answered here, so that it does not wait behind long actions.
            op_id = _member(_map_of(params_map), "op_id", _is_text, "a text")
            try:
                return _Ledger(self.session.dirs["state"]).status(op_id)
            except Error as error:
                raise _RpcError(_INVALID_REQUEST, error.message) from None
        if method not in _WORK:
            raise _RpcError(_METHOD_NOT_FOUND, "there is no method `%s`" % method)
        work = _WORK[method](_map_of(params_map))
        if self.phase != "ready" and not method.startswith("blob."):
            raise _RpcError(_NOT_INITIALIZED, "`%s` before `configure`" % method)
        refused = self.queue.push(request, size, (self.session, method, work))
        if refused == "overloaded":
            raise _RpcError(_OVERLOADED, "too many requests are waiting")
        if refused == "duplicate":
            # The request under way has the right to the one answer with this id.
            self._fail(None, _RpcError(_INVALID_REQUEST, "request %d is under way already" % request))
        return None

    def _initialize(self, params):
        if self.phase != "fresh":
            raise _RpcError(_INVALID_REQUEST, "the session is initialized already")
        params = _map_of(params)
        protocol = _member(params, "protocol", _is_map, "an object")
        low, high = _version_of(protocol.get("min")), _version_of(protocol.get("max"))
        nonce = _member(params, "session", _is_text, "a text")
        mode = _member(params, "mode", lambda v: v in ("read", "plan", "apply"), "read, plan or apply")
        frame_max = _member(params, "frame_max_bytes", _is_natural, "a number that is not negative")
        dirs = _member(params, "dirs", _is_map, "an object")
        dirs = {name: _member(dirs, name, _is_text, "a text") for name in ("work", "state", "blobs")}
        own = _version_of(PROTOCOL)
        if not low <= own <= high:
            message = "no common protocol version: the engine speaks %s to %s, the provider %s to %s" % (
                protocol["min"], protocol["max"], PROTOCOL, PROTOCOL)
            engine = {"min": protocol["min"], "max": protocol["max"]}
            raise _RpcError(_VERSION, message, {"engine": engine, "provider": self.provider.manifest["protocol"]})
        for name, path in dirs.items():
            if path and not os.path.isabs(path):
                raise _wrong("the directory `%s` is not absolute: %s" % (name, path))
        if frame_max < FRAME_MIN_BYTES:
            raise _wrong("frames of %d bytes are too short" % frame_max)
        session = _Session(self.out)
        session.mode, session.dirs, session.frame_max = mode, dirs, min(frame_max, FRAME_MAX_BYTES)
        self.session, self.phase = session, "greeted"
        return {"protocol": PROTOCOL, "session": nonce, "name": self.provider.name,
                "version": self.provider.version, "manifest": self.provider.manifest_digest}

    def _configure(self, params):
        params = _map_of(params)
        root = _member(params, "root", _is_text, "a text", True)
        if root is not None and not (os.path.isabs(root) and os.path.isdir(root)):
            raise _wrong("the root is not an absolute path of a directory: %s" % root)
        commands = _member(
            params, "plan_commands",
            lambda v: isinstance(v, list) and all(isinstance(c, list) and all(map(_is_text, c)) for c in v),
            "a list of argument lists", True)
        key = _member(params, "digest_key", lambda v: _is_text(v) and re.match(r"[0-9a-f]{64}\Z", v),
                      "64 lower-case hexadecimal digits", True)
        secrets = _member(params, "secrets", lambda v: _is_map(v) and all(
            _SECRET_NAME.match(name) and _is_text(value) for name, value in v.items()), "texts by name", True)
        session = self.session
        session.root, session.plan_commands = root, commands or []
        session.digest_key = None if key is None else bytes.fromhex(key)
        session.secrets, session.redaction = secrets or {}, _Redaction(secrets or {})
        global _stderr_redaction
        _stderr_redaction = session.redaction
        self.phase = "ready"


def _map_of(params):
    if params is None:
        raise _wrong("the parameters are an object")
    return params


# The command line of a provider ---------------------------------------------------------------------------------------


def serve(name, *types, version):
    """What a provider calls at its end: `serve --stdio`, `manifest`, `version`, `--selftest`, or help. Does not
    return."""
    try:
        provider = Provider(name, types, version)
    except DefinitionError as error:
        sys.stderr.write("%s\n" % error)
        sys.exit(70)
    arguments = sys.argv[1:]
    if arguments == ["serve", "--stdio"] and os.environ.get(COOKIE_VARIABLE) is not None:
        _serve_stdio(provider)
    if arguments == ["manifest"]:
        sys.stdout.buffer.write(provider.manifest_bytes)
        sys.exit(0)
    if arguments == ["version"]:
        print(name, version)
        sys.exit(0)
    if arguments == ["--selftest"]:
        sys.exit(_selftest(provider))
    # A man at a terminal is no engine. This is politeness, not a safeguard.
    sys.stderr.write(_help(provider))
    sys.exit(64)


def _serve_stdio(provider):
    """Serves one session over standard input and output, which belong to the protocol alone from then on: what the
    provider prints goes to standard error, and it reads an empty input."""
    reader, writer = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    try:
        end = provider.serve_streams(reader, writer)
    except KeyboardInterrupt:
        end = "eof"
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        pass
    # Threads that are stuck end here.
    os._exit(0 if end == "shutdown" else 1)


def _help(provider):
    types = ["  %-20s %s" % (t["name"], t["summary"]) for t in provider.manifest["types"]]
    return (
        "This is the Rectify provider `%s` %s. The engine starts it; there is nothing to do by hand.\n\n"
        "Usage: PROVIDER manifest | version | --selftest | serve --stdio (with %s=1)\n\nTypes:\n%s\n"
        % (provider.name, provider.version, COOKIE_VARIABLE, "\n".join(types)))


def bundle(script, target, modules=(), interpreter="/usr/bin/env python3"):
    """Makes one executable file of a provider, this module and others: what an engine starts. The same sources give
    the same bytes, whenever and wherever."""
    entries = [("__main__.py", script), ("rectify_provider.py", os.path.abspath(__file__))]
    entries += [(os.path.basename(path), path) for path in sorted(modules)]
    temporary = "%s.%d.tmp" % (target, os.getpid())
    with open(temporary, "wb") as file:
        file.write(b"#!" + interpreter.encode() + b"\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, path in entries:
                with open(path, "rb") as source:
                    data = source.read()
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr = 3, 0o100644 << 16
                archive.writestr(info, data)
    os.chmod(temporary, 0o755)
    os.replace(temporary, target)


# For tests of providers: an engine's side that is as small as possible ------------------------------------------------


class RemoteError(Exception):
    """What a provider answered instead of a result: an item's error, or the failure of a request."""

    def __init__(self, body):
        super().__init__("%s: %s" % (body.get("code"), body.get("message")))
        self.body, self.code, self.mutated = body, body.get("code"), body.get("mutated")


class Client:
    """A session with a provider that runs as a child process, for tests:

        with Client(["./motd.py"], mode="apply", root=directory) as client:
            client.converge("motd.file", {"path": "/motd", "text": "hello"})
    """

    def __init__(self, command, mode="apply", root=None, home=None, configure=None, greet=True, stderr=None):
        import tempfile
        self._home = None if home else tempfile.TemporaryDirectory(prefix="rectify-")
        self.home = home or self._home.name
        self.dirs = {}
        for name in ("work", "state", "blobs"):
            self.dirs[name] = os.path.join(self.home, name)
            os.makedirs(self.dirs[name], mode=0o700, exist_ok=True)
        # A program beside the test is found wherever the provider works.
        command = [os.path.abspath(word) if os.path.isfile(word) else word for word in command]
        if command[0].endswith(".py"):
            command.insert(0, sys.executable)
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC", COOKIE_VARIABLE: "1"}
        self.process = subprocess.Popen(
            command + ["serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            cwd=self.dirs["work"], env=environment, start_new_session=True)
        self.next_id, self.pending, self.manifest = 1, {}, None
        #: Notifications, in order.
        self.notices = []
        if greet:
            self.greeting = self.greet(mode, root, configure)

    def greet(self, mode, root=None, configure=None):
        answer = self.call("initialize", {
            "protocol": {"min": PROTOCOL, "max": PROTOCOL}, "session": "00" * 16, "mode": mode,
            "frame_max_bytes": FRAME_MAX_BYTES, "dirs": self.dirs})
        self.manifest = self.call("schema.get", {})
        settings = {"digest_key": "11" * 32}
        settings.update({} if root is None else {"root": root})
        settings.update(configure or {})
        self.call("configure", settings)
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Frames.

    def send_raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method, params):
        request, self.next_id = self.next_id, self.next_id + 1
        self.send_raw(_frame({"id": request, "method": method, "params": params}))
        return request

    def notify(self, method, params):
        self.send_raw(_frame({"method": method, "params": params}))

    def receive(self):
        """The next message that is not a notification."""
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise EOFError("the provider closed its stream")
            if line == b"\n":
                continue
            message = read_json(line)
            if "method" not in message:
                return message
            self.notices.append(message)

    def answer(self, request):
        """The result of a request, which comes in any order."""
        while request not in self.pending:
            message = self.receive()
            self.pending[message.get("id")] = message
        message = self.pending.pop(request)
        if "error" in message:
            raise RemoteError(message["error"])
        return message["result"]

    def call(self, method, params):
        return self.answer(self.send(method, params))

    def item(self, method, params):
        return _unwrap(self.call(method, {"items": [params]})["items"][0])

    # What an engine asks.

    def validate(self, type_name, desired):
        return self.item("resource.validate", {"type": type_name, "desired": desired})

    def normalize(self, type_name, desired):
        return self.item("resource.normalize", {"type": type_name, "desired": desired})

    def read(self, type_name, desired, capture=False):
        """The state, or `None`."""
        return self.item("resource.read", {"type": type_name, "desired": desired, "capture": capture}).get("state")

    def plan(self, type_name, desired):
        return self.item("resource.plan", {"type": type_name, "desired": desired})

    def fingerprint(self, type_name, state):
        descriptor = [t for t in self.manifest["types"] if t["name"] == type_name][0]
        return fingerprint(type_name, descriptor["version"], state, descriptor.get("volatile", []))

    def operation(self, type_name, desired, plan, op_id=None, fence=1, deadline_ms=10000):
        """The operation that carries a plan's answer out."""
        changed = plan["changed"]
        descriptor = [t for t in self.manifest["types"] if t["name"] == type_name][0]
        prior, planned = changed.get("prior"), changed.get("planned")
        word = "create" if prior is None else "delete" if planned is None else "update"
        op = {"op_id": op_id or os.urandom(32).hex(), "type": type_name,
              "action": "run" if descriptor["kind"] == "action" else word, "desired": desired,
              "expect": self.fingerprint(type_name, prior)}
        if changed["prediction"] != "opaque":
            op["result"] = self.fingerprint(type_name, planned)
        op.update(deadline_ms=deadline_ms, fence=fence)
        return op

    def apply(self, op):
        return _unwrap(self.call("resource.apply", op))

    def converge(self, type_name, desired):
        """Plans, captures, applies, and looks whether that held. Returns the plan's answer."""
        plan = self.plan(type_name, desired)
        if "changed" in plan:
            self.read(type_name, desired, capture=True)
            applied = self.apply(self.operation(type_name, desired, plan))
            assert applied["status"] == "applied", applied
            if plan["changed"]["prediction"] == "exact":
                states = applied.get("state"), plan["changed"].get("planned")
                assert self.fingerprint(type_name, states[0]) == self.fingerprint(type_name, states[1]), states
                assert "unchanged" in self.plan(type_name, desired), "a second plan has something to do"
        return plan

    def undo(self, type_name, desired, plan):
        """Takes back what `converge` did with this answer, as an engine would."""
        descriptor = [t for t in self.manifest["types"] if t["name"] == type_name][0]
        if descriptor["kind"] == "action":
            back = dict(desired, **{_UNDO: True})
        else:
            names = {_tokens(t["property"])[0] for t in descriptor.get("touches", []) if t["access"] == "write"}
            back = {name: value for name, value in desired.items() if name in names}
            prior = plan["changed"].get("prior")
            back[_RESTORE] = {} if prior is None else {"state": prior}
        return self.converge(type_name, back)

    def op_status(self, op_id):
        return self.call("op.status", {"op_id": op_id})

    def kill(self):
        """Ends the provider at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def close(self):
        """Ends the session in good order. Returns the exit code."""
        try:
            if self.process.poll() is None:
                try:
                    self.call("shutdown", {})
                except (OSError, EOFError, RemoteError):
                    pass
                self.process.stdin.close()
            code = self.process.wait(15)
        finally:
            for stream in (self.process.stdin, self.process.stdout):
                try:
                    stream.close()
                except OSError:
                    pass
            if self._home is not None:
                self._home.cleanup()
        return code


def _unwrap(result):
    if "error" in result:
        raise RemoteError(result["error"])
    return result["ok"]


def _selftest(provider):
    """Whether this provider keeps the rules that need no fixtures. Prints a line for each; 0 if all hold."""
    command = [sys.executable, os.path.abspath(sys.argv[0])]
    failures = []

    def code_of(client, *request):
        try:
            client.call(*request)
        except RemoteError as error:
            return error.code
        return None

    def handshake():
        with Client(command, "read") as client:
            assert client.greeting["session"] == "00" * 16 and client.greeting["protocol"] == PROTOCOL

    def disjoint():
        client = Client(command, greet=False)
        offer = {"protocol": {"min": "9.0", "max": "9.9"}, "session": "00", "mode": "read",
                 "frame_max_bytes": FRAME_MAX_BYTES, "dirs": client.dirs}
        assert code_of(client, "initialize", offer) == _VERSION
        assert client.process.wait(1) == 1
        client.close()

    def early():
        client = Client(command, greet=False)
        assert code_of(client, "resource.read", {"items": []}) == _NOT_INITIALIZED
        client.close()

    def unknown():
        with Client(command, "read") as client:
            assert code_of(client, "foo.bar", {}) == _METHOD_NOT_FOUND
            client.notify("$/later", {})
            assert client.call("ping", {}) == {"in_flight": 0}

    def manifest():
        printed = [subprocess.run(command + ["manifest"], stdout=subprocess.PIPE, check=True, env=env).stdout
                   for env in (None, {"PATH": os.environ.get("PATH", ""), "LANG": "tr_TR", "PYTHONHASHSEED": "7"})]
        with Client(command, "read") as client:
            assert printed == [file_bytes(client.manifest)] * 2
            assert client.greeting["manifest"] == digest_of(printed[0])

    def pipelining():
        with Client(command, "read") as client:
            requests = [client.send("ping", {}) for _ in range(64)]
            for request in requests:
                client.answer(request)

    def shutdown():
        assert Client(command, "read").close() == 0

    def bad_input():
        with Client(command, "plan") as client:
            for descriptor in client.manifest["types"]:
                try:
                    client.validate(descriptor["name"], {"no such property": 1})
                    raise AssertionError("%s takes any property" % descriptor["name"])
                except RemoteError as error:
                    assert error.code == "SCHEMA", error

    def garbage():
        with Client(command, "read") as client:
            for line in (b"Last login: Tue", b"\x00\xff", b"[" * 10000 + b"]" * 10000,
                         b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
                         b'{"jsonrpc":"2.0","id":8,"method":"ping","params":{"a":NaN}}',
                         b'{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":9007199254740992}}',
                         b'{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":"\\ud800"}}'):
                client.send_raw(line + b"\n")
                message = client.receive()
                assert message.get("id") is None and message["error"]["code"] == _PARSE, message
            client.call("ping", {})

    def oversize():
        with Client(command, "read") as client:
            client.send_raw(b"a" * (FRAME_MAX_BYTES + 1) + b"\n")
            assert client.receive()["error"]["code"] == _TOO_LARGE
            client.call("ping", {})

    def fragments():
        with Client(command, "read") as client:
            for byte in _frame({"id": 500, "method": "ping", "params": {}}):
                client.send_raw(bytes([byte]))
            client.answer(500)

    def modes():
        for mode in ("read", "plan"):
            with Client(command, mode) as client:
                for descriptor in client.manifest["types"]:
                    op = {"op_id": "0" * 64, "type": descriptor["name"], "action": "update", "desired": {},
                          "expect": digest_of(b""), "deadline_ms": 1000, "fence": 1}
                    try:
                        client.apply(op)
                        raise AssertionError("it applied in mode %s" % mode)
                    except RemoteError as error:
                        assert (error.code, error.mutated) == ("MODE", "no"), error

    def status():
        with Client(command, "read") as client:
            assert client.op_status("0" * 64) == "never_seen"

    for check, test in (
            ("P01 handshake", handshake), ("P02 versions", disjoint), ("P03 early call", early),
            ("P04 unknown method", unknown), ("P05 manifest", manifest), ("P06 pipelining", pipelining),
            ("P08 shutdown", shutdown), ("S02 bad input", bad_input), ("R01 R04 hostile lines", garbage),
            ("R02 oversize", oversize), ("R03 fragments", fragments), ("K03 mode", modes), ("R06 status", status)):
        try:
            test()
            print("ok    %s" % check)
        except Exception as error:
            failures.append(check)
            print("FAIL  %s: %s %s" % (check, type(error).__name__, error))
    return 1 if failures else 0


def _main(arguments):
    usage = "Usage: rectify_provider.py bundle PROVIDER.py [MODULE.py...] -o FILE [--python INTERPRETER]\n"
    options = {"-o": None, "--python": "/usr/bin/env python3"}
    words = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in options and rest:
            options[word] = rest.pop(0)
        else:
            words.append(word)
    if len(words) < 2 or words[0] != "bundle" or options["-o"] is None:
        sys.stderr.write(usage)
        return 64
    bundle(words[1], options["-o"], words[2:], options["--python"])
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
