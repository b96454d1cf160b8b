"""Beside a provider of the Rust SDK: the same bytes for the same question, and one ledger, fence and blob directory
for both.

`RECTIFY_PROVIDER_COMMAND` names the executable; without it the one that `cargo build` makes is taken, if it is
there."""

import os
import subprocess
import sys
import unittest

from tests.support import HERE, REPOSITORY, SessionCase, rp

ASKED = os.environ.get("RECTIFY_PROVIDER_COMMAND")
RUST = ASKED or os.path.join(REPOSITORY, "target", "debug", "rectify-provider-command")


@unittest.skipUnless(ASKED or os.path.isfile(RUST), "the provider `command` is not built")
class Beside(SessionCase):
    def setUp(self):
        super().setUp()
        self.manifest = subprocess.run([RUST, "manifest"], stdout=subprocess.PIPE, check=True).stdout
        with open(self.path("manifest.json"), "wb") as file:
            file.write(self.manifest)
        # A command line of two words, as the client adds its own behind it.
        script = self.path("twin")
        with open(script, "w") as file:
            file.write('#!/bin/sh\nTWIN=%s exec %s %s/twin.py "$@" x\n' % (
                self.path("manifest.json"), sys.executable, HERE))
        os.chmod(script, 0o755)
        self.programs = {"rust": RUST, "python": script}

    def open(self, which, mode="apply", greet=True):
        client = rp.Client([self.programs[which]], mode, self.root, self.home, stderr=self.errors, greet=greet)
        self.addCleanup(self._end, client)
        return client

    def run_op(self, name, **desired):
        desired = dict({"environment": {}, "exit_codes": [0], "timeout_s": 300}, **desired)
        return self.operation(name, desired, "command.run")

    def test_manifest_and_version_are_the_same_bytes(self):
        for word in ("manifest", "version"):
            said = [subprocess.run([self.programs[which], word], stdout=subprocess.PIPE, check=True).stdout
                    for which in ("rust", "python")]
            self.assertEqual(said[0], said[1])

    def test_the_schemas_of_all_built_in_types_are_understood(self):
        seen = 0
        for name in ("command", "facts", "file", "probe"):
            program = os.path.join(os.path.dirname(RUST), "rectify-provider-" + name)
            if not os.path.isfile(program):
                continue
            printed = subprocess.run([program, "manifest"], stdout=subprocess.PIPE, check=True).stdout
            manifest = rp.read_json(printed)
            self.assertEqual(rp.file_bytes(manifest), printed)
            for described in manifest["types"]:
                with self.subTest(described["name"]):
                    seen += 1
                    schema = rp._Schema(described["schema"])
                    self.assertIsNotNone(schema.problem({"no such property": 1}))
        self.assertGreater(seen, 0)

    def test_the_same_lines_have_the_same_answers(self):
        dirs = {name: self.path(name) for name in ("work", "state", "blobs")}
        greeting = {"protocol": {"min": "1.0", "max": "1.3"}, "session": "ab", "mode": "apply",
                    "frame_max_bytes": 65536, "dirs": dirs}
        digest = rp.digest_of(b"data")
        op = self.run_op("a", argv=["/bin/sh", "-c", "printf 'a\\002\\303\\251'; echo b >&2"])
        item = {"type": "command.run", "desired": op["desired"]}
        asked = [
            ("resource.read", {"items": []}), ("ping", {}), ("initialize", greeting), ("initialize", greeting),
            ("schema.get", {}), ("resource.plan", {"items": []}), ("op.status", {"op_id": op["op_id"]}),
            ("configure", {"root": self.root, "digest_key": "22" * 32}), ("configure", {}), ("no.such", {}),
            ("resource.validate", {"items": [item]}), ("resource.normalize", {"items": [item]}),
            ("resource.read", {"items": [item]}), ("resource.validate", {"items": [dict(item, type="no.type")]}),
            ("blob.put", {"digest": digest, "offset": 0, "size": 4, "chunk": "ZGF0"}),
            ("blob.put", {"digest": digest, "offset": 3, "size": 4, "chunk": "YQ=="}),
            ("blob.get", {"digest": digest, "offset": 1, "length": 2}),
            ("blob.get", {"digest": rp.digest_of(b"none"), "offset": 0, "length": 2}),
            ("blob.put", {"digest": digest, "offset": 0, "size": 4, "chunk": "?"}),
            ("resource.apply", op), ("resource.apply", op), ("op.status", {"op_id": op["op_id"]}),
            ("op.status", {"op_id": "x"}), ("resource.apply", dict(op, desired=dict(op["desired"], argv=["true"]))),
            ("resource.apply", dict(op, op_id="x")), ("resource.apply", dict(op, fence=0)),
            ("shutdown", {}), ("ping", {}), ("resource.read", {"items": []}),
        ]
        raw = [b"[]\n", b'{"jsonrpc":"1.0","id":1,"method":"ping"}\n', b'{"jsonrpc":"2.0","id":-1,"method":"ping"}\n',
               b'{"jsonrpc":"2.0","id":1}\n', b"a" * 65537 + b"\n"]
        heard = {}
        for which in ("rust", "python"):
            for name in ("state", "blobs"):
                for file in os.listdir(self.path(name)) if os.path.isdir(self.path(name)) else []:
                    os.unlink(self.path(name, file))
            client = self.open(which, greet=False)
            lines = heard[which] = [client.process.stdout.readline()]
            for number, (method, params) in enumerate(asked):
                client.send_raw(rp._frame({"id": number, "method": method, "params": params}))
                line = client.process.stdout.readline()
                while b'"method":"$/' in line:
                    line = client.process.stdout.readline()
                lines.append(line)
            for line in raw:
                client.send_raw(line)
                lines.append(client.process.stdout.readline())
            client.process.stdin.close()
            lines.append(client.process.wait(10))
        for place, (rust, python) in enumerate(zip(heard["rust"], heard["python"])):
            with self.subTest(asked[place - 1] if 0 < place <= len(asked) else place):
                self.assertEqual(python, rust)

    def test_what_one_did_the_other_knows(self):
        for first, second in (("rust", "python"), ("python", "rust")):
            op = self.run_op(first, script="echo %s >> %s" % (first, self.path("out")))
            done = self.open(first).apply(op)
            other = self.open(second)
            self.assertEqual(other.op_status(op["op_id"]), {"done": {"ok": done}})
            self.assertEqual(other.apply(op), done)
            self.assertEqual(self.refused(other.apply, dict(op, desired=dict(op["desired"], script="true"))),
                             ("OP_MISMATCH", "no"))
        with open(self.path("out")) as file:
            self.assertEqual(file.read(), "rust\npython\n")

    def test_what_one_broke_off_the_other_does_not_do_again(self):
        for first, second in (("rust", "python"), ("python", "rust")):
            out = self.path("out-" + first)
            op = self.run_op(first, script="echo once >> %s; exec sleep 5" % out)
            victim, other = self.open(first), self.open(second)
            victim.send("resource.apply", op)
            while not os.path.exists(out):
                pass
            self.assertEqual(self.refused(other.apply, op), ("BUSY", "no"))
            victim.kill()
            self.assertEqual(other.op_status(op["op_id"]), "started")
            self.assertEqual(self.refused(other.apply, op), ("UNKNOWN_OUTCOME", "maybe"))
            with open(out) as file:
                self.assertEqual(file.read(), "once\n")

    def test_a_fence_of_one_holds_for_the_other(self):
        fence = 3
        for first, second in (("rust", "python"), ("python", "rust")):
            old, new = self.open(first), self.open(second)
            old.apply(dict(self.run_op("%d" % fence, argv=["true"]), fence=fence))
            new.apply(dict(self.run_op("%d later" % fence, argv=["true"]), fence=fence + 1))
            late = dict(self.run_op("%d late" % fence, argv=["true"]), fence=fence)
            self.assertEqual(self.refused(old.apply, late), ("CONFLICT", "no"))
            fence += 2
        # Whoever is still at it under a lower fence is waited for, in whatever language.
        for first, second in (("rust", "python"), ("python", "rust")):
            begun = self.path("begun-" + first)
            old, new = self.open(first), self.open(second)
            order = self.path("order")
            script = ": > %s; sleep 1; echo %s >> %s" % (begun, first, order)
            slow = old.send("resource.apply", dict(self.run_op(first, script=script), fence=fence))
            while not os.path.exists(begun):
                pass
            script = "echo after %s >> %s" % (first, order)
            new.apply(dict(self.run_op("after " + first, script=script), fence=fence + 1))
            self.assertIn("ok", old.answer(slow))
            fence += 2
        with open(self.path("order")) as file:
            self.assertEqual(file.read(), "rust\nafter rust\npython\nafter python\n")


if __name__ == "__main__":
    unittest.main()
