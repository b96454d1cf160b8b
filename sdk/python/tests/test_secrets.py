"""Values of secrets, and what commands are given: nothing of it comes out."""

import base64
import json
import os
import signal
import time
import unittest

from tests.support import SessionCase, rp

CANARY = 'Canary "7f3a9c" value'


class Secrets(SessionCase):
    def setUp(self):
        super().setUp()
        self.named = {"path": "/s", "text": {"$secret": ["pw=", {"name": "db"}]}}

    def session(self, mode="apply", **settings):
        return super().session(mode, configure=dict({"secrets": {"db": CANARY}}, **settings))

    def everything(self, client):
        """All that left the provider or that it keeps, but for the file that the secret is for."""
        client.close()
        self.errors.seek(0)
        out = [self.errors.read()]
        out += [json.dumps([client.notices, list(client.pending.values())]).encode()]
        for directory in ("state", "work"):
            for name in os.listdir(self.path(directory)):
                with open(self.path(directory, name), "rb") as file:
                    out.append(file.read())
        return b"\n".join(out)

    def assertHidden(self, data):
        for form in rp._forms(CANARY):
            self.assertNotIn(form.encode(), data)

    def test_a_secret_is_written_and_named_by_its_keyed_digest(self):
        client = self.session()
        plan = client.converge("test.secret", self.named)
        keyed = rp.digest_of(("pw=" + CANARY).encode(), b"\x11" * 32)[7:]
        self.assertEqual(plan["changed"]["planned"], {"path": "/s", "text": {"keyed": keyed}})
        self.assertEqual(self.written("s"), "pw=" + CANARY)
        self.assertHidden(json.dumps(plan).encode())
        self.assertHidden(self.everything(client))

    def test_a_secret_comes_back_from_its_before_image(self):
        client = self.session(secrets={"db": CANARY, "new": "something else"})
        client.converge("test.secret", self.named)
        changed = dict(self.named, text={"$secret": [{"name": "new"}]})
        plan = client.converge("test.secret", changed)
        before = plan["changed"]["prior"]["text"]["keyed"]
        self.assertEqual(os.stat(self.path("blobs", before)).st_mode & 0o777, 0o600)
        captured = client.item("resource.read", {"type": "test.secret", "desired": self.named, "capture": True})
        self.assertEqual(captured["before_image"][7:], plan["changed"]["planned"]["text"]["keyed"])
        client.undo("test.secret", changed, plan)
        self.assertEqual(self.written("s"), "pw=" + CANARY)
        # Without the before-image it is told, and nothing is changed.
        again = client.converge("test.secret", changed)
        os.unlink(self.path("blobs", before))
        self.assertEqual(self.refused(client.undo, "test.secret", changed, again), ("DEPENDENCY", "no"))
        self.assertEqual(self.written("s"), "something else")

    def test_secrets_stand_only_where_they_may_and_have_a_value(self):
        client = self.session()
        client.validate("test.secret", self.named)
        for call, desired, path in [
            (client.validate, dict(self.named, path={"$secret": [{"name": "db"}]}), "/path"),
            (client.validate, dict(self.named, text={"$secret": ["no name"]}), "/text"),
            (client.plan, dict(self.named, text={"$secret": [{"name": "other"}]}), "/text"),
            # As it is meant it is too long; nothing of it is repeated.
            (client.plan, dict(self.named, text={"$secret": ["x" * 90, {"name": "db"}]}), "/text"),
        ]:
            with self.assertRaises(rp.RemoteError) as caught:
                call("test.secret", desired)
            self.assertEqual((caught.exception.code, caught.exception.body["path"]), ("SCHEMA", path))
            self.assertHidden(json.dumps(caught.exception.body).encode())

    def test_without_a_key_a_secret_has_no_name(self):
        client = self.start()
        client.call("initialize", {"protocol": {"min": "1.0", "max": "1.0"}, "session": "00", "mode": "plan",
                                   "frame_max_bytes": 1 << 20, "dirs": client.dirs})
        client.call("configure", {"root": self.root, "secrets": {"db": CANARY}})
        self.assertEqual(self.refused(client.plan, "test.secret", self.named), ("UNSUPPORTED", "no"))

    def test_a_provider_that_lets_one_out_is_stopped(self):
        client = self.session("plan")
        for leak, code in (("state", "INTERNAL"), ("error", "FAILED"), ("raise", "INTERNAL")):
            with self.assertRaises(rp.RemoteError) as caught:
                client.plan("test.secret", dict(self.named, leak=leak))
            self.assertEqual(caught.exception.code, code)
            self.assertHidden(json.dumps(caught.exception.body).encode())
        client.plan("test.secret", dict(self.named, leak="log"))
        self.assertIn("(secret db)", json.dumps(client.notices))
        everything = self.everything(client)
        self.assertIn(b"RuntimeError: pw=(secret db)", everything)
        self.assertHidden(everything)

    def test_a_command_that_prints_its_input_does_not_tell_it(self):
        client = self.session()
        stdin = {"$secret": [{"name": "db"}]}
        for name, script in (("plain", "cat; cat >&2"), ("base64", "base64"), ("hex", "od -An -tx1 | tr -d ' \\n'")):
            op = self.operation(name, {"argv": ["/bin/sh", "-c", "cat > %s; (%s) < %s" % (
                self.path("input"), script, self.path("input"))], "stdin": stdin})
            applied = client.apply(op)
            self.assertHidden(json.dumps(applied).encode())
            self.assertIn("(s", applied["output"]["stdout"])
        op = self.operation("fails", {"argv": ["/bin/sh", "-c", "cat >&2; exit 3"], "stdin": stdin})
        with self.assertRaises(rp.RemoteError) as caught:
            client.apply(op)
        self.assertEqual((caught.exception.code, caught.exception.mutated), ("FAILED", "maybe"))
        self.assertHidden(json.dumps(caught.exception.body).encode())
        self.assertHidden(self.everything(client))

    def test_every_spelling_is_found(self):
        redaction = rp._Redaction({"db": CANARY, "key": "-----BEGIN X-----\nc29tZXRoaW5nc2VjcmV0\n-----END X-----"})
        data = ("<" + CANARY + ">").encode()
        for text in (CANARY, json.dumps(CANARY), json.dumps(json.dumps(CANARY)), repr(CANARY), data.hex(),
                     data.hex().upper(), base64.b64encode(data).decode(),
                     base64.urlsafe_b64encode(b"x" + data).decode()):
            self.assertTrue(redaction.shows("a %s b" % text), text)
            self.assertFalse(redaction.shows(redaction.text("a %s b" % text)), text)
        shown = redaction.text("-----BEGIN X-----\n| c29tZXRoaW5nc2VjcmV0")
        self.assertEqual(shown, "-----BEGIN X-----\n| (secret key)")
        self.assertEqual(redaction.value({CANARY: [1, CANARY]}), {"(secret db)": [1, "(secret db)"]})
        self.assertEqual(rp._Redaction({"short": "abc"}).text("abc"), "abc")

    def test_a_stand_in_keeps_the_shape(self):
        self.assertEqual(rp.stand_in(self.named), {"path": "/s", "text": "pw=secret"})


class Commands(SessionCase):
    def run_(self, *argv, **others):
        op = self.operation(str(argv), {"argv": list(argv)}, **others)
        return op, self.session().apply(op)["output"]

    def test_the_environment_is_made_and_not_inherited(self):
        op, output = self.run_("env")
        self.assertEqual(sorted(output["stdout"].split("\n")[:-1]), sorted([
            "PATH=" + rp.SEARCH_PATH, "LANG=C.UTF-8", "RECTIFY_ROOT=" + self.root, "RECTIFY_OPERATION=" + op["op_id"]]))

    def test_the_end_of_long_output_is_kept(self):
        _, output = self.run_("/bin/sh", "-c", "yes | head -c 200000; echo end")
        self.assertEqual((len(output["stdout"]), output["truncated"]), (64 * 1024, True))
        self.assertTrue(output["stdout"].endswith("end\n"))

    def test_at_the_deadline_the_whole_group_is_ended(self):
        op = self.operation("late", {"argv": ["/bin/sh", "-c", "sleep 300 & echo $! >&2; sleep 300"]}, deadline_ms=700)
        with self.assertRaises(rp.RemoteError) as caught:
            self.session().apply(op)
        self.assertEqual((caught.exception.code, caught.exception.mutated), ("TIMEOUT", "maybe"))
        child = int(caught.exception.body["message"].split(": ")[-1])
        self.assertFalse(alive(child))

    def test_a_command_that_ignores_the_polite_signal_is_killed_when_cancelled(self):
        client = self.session()
        script = "trap '' TERM; echo $$ > %s; while :; do sleep 1; done" % self.path("pid")
        op = self.operation("stubborn", {"argv": ["/bin/sh", "-c", script]})
        request = client.send("resource.apply", op)
        while not os.path.exists(self.path("pid")) or not os.path.getsize(self.path("pid")):
            time.sleep(0.01)
        client.notify("$/cancel", {"id": request})
        error = client.answer(request)["error"]
        self.assertEqual((error["code"], error["mutated"]), ("CANCELLED", "maybe"))
        with open(self.path("pid")) as file:
            self.assertFalse(alive(int(file.read())))

    def test_a_command_of_a_killed_provider_carries_its_mark(self):
        client = self.session()
        op = self.operation("orphan", {"argv": ["/bin/sh", "-c", "echo $$ > %s; exec sleep 300" % self.path("pid")]})
        client.send("resource.apply", op)
        while not os.path.exists(self.path("pid")) or not os.path.getsize(self.path("pid")):
            time.sleep(0.01)
        client.kill()
        with open(self.path("pid")) as file:
            pid = int(file.read())
        # A group of its own, in the session of the provider.
        self.assertEqual((os.getpgid(pid), os.getsid(pid)), (pid, client.process.pid))
        with open("/proc/%d/environ" % pid, "rb") as file:
            self.assertIn(b"RECTIFY_OPERATION=" + op["op_id"].encode(), file.read().split(b"\0"))
        os.kill(pid, signal.SIGKILL)

    def test_programs_that_are_not_there_are_told(self):
        for argv, code in ((["no-such-program"], "DEPENDENCY"), (["./here"], "SCHEMA"), (["/dev/null"], "PERMISSION")):
            op = self.operation(str(argv), {"argv": argv})
            self.assertEqual(self.refused(self.session().apply, op), (code, "no"))

    @unittest.skipUnless(os.geteuid() == 0, "only root becomes somebody else")
    def test_a_command_may_run_as_a_user_of_the_target(self):
        os.mkdir(os.path.join(self.root, "etc"))
        for name, text in (("passwd", "deploy:x:4321:4322::/:/bin/sh\nodd:x:a:1::/:\n"),
                           ("group", "adm:x:4324:deploy, x\nother:x:7:deployer\n")):
            with open(os.path.join(self.root, "etc", name), "w") as file:
                file.write(text)
        session = rp._Session(None)
        session.root, session.mode = self.root, "apply"
        cx = rp.Context(session, 1, rp.threading.Event())
        done = cx.run(["/bin/sh", "-c", "id -u; id -g; id -G"], user="deploy")
        self.assertEqual(done.stdout, "4321\n4322\n4322 4324\n")
        for name in ("odd", "nobody"):
            with self.assertRaises(rp.Failed):
                cx.run(["id"], user=name)


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    unittest.main()
