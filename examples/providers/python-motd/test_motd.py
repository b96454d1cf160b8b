"""Run with `python3 -m unittest`, in this directory."""

import os
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import rectify_provider as rp  # noqa: E402

MOTD = os.path.join(HERE, "motd.py")


class Motd(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="motd-")
        self.addCleanup(directory.cleanup)
        self.home = os.path.join(directory.name, "home")
        self.root = os.path.join(directory.name, "root")
        os.makedirs(os.path.join(self.root, "etc"))

    def session(self, mode="apply"):
        client = rp.Client([MOTD], mode, root=self.root, home=self.home)
        self.addCleanup(client.close)
        return client

    def text(self, name):
        try:
            with open(os.path.join(self.root, "etc", name)) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def test_a_message_comes_and_goes_and_comes_back(self):
        client = self.session()
        hello = {"path": "/etc/motd", "text": "hello\n"}
        created = client.converge("motd.file", dict(hello, mode="0444"))
        self.assertEqual(self.text("motd"), "hello\n")
        self.assertEqual(os.stat(os.path.join(self.root, "etc/motd")).st_mode & 0o777, 0o444)
        updated = client.converge("motd.file", dict(hello, text="bye\n", mode="0644"))
        self.assertEqual(updated["changed"]["prior"], {"path": "/etc/motd", "text": "hello\n", "mode": "0444"})
        deleted = client.converge("motd.file", {"path": "/etc/motd", "state": "absent"})
        self.assertIsNone(self.text("motd"))
        client.undo("motd.file", hello, deleted)
        self.assertEqual(self.text("motd"), "bye\n")
        client.undo("motd.file", hello, updated)
        self.assertEqual(self.text("motd"), "hello\n")
        client.undo("motd.file", hello, created)
        self.assertEqual(os.listdir(os.path.join(self.root, "etc")), [])

    def test_what_somebody_else_wrote_meanwhile_stays(self):
        client = self.session()
        desired = {"path": "/etc/motd", "text": "hello\n"}
        op = client.operation("motd.file", desired, client.plan("motd.file", desired))
        with open(os.path.join(self.root, "etc/motd"), "w") as file:
            file.write("mine")
        with self.assertRaises(rp.RemoteError) as caught:
            client.apply(op)
        self.assertEqual((caught.exception.code, caught.exception.mutated), ("STALE", "no"))
        self.assertEqual(self.text("motd"), "mine")

    def test_a_private_file_is_left_alone_and_its_content_is_not_told(self):
        path = os.path.join(self.root, "etc/shadow")
        with open(path, "w") as file:
            file.write("secret")
        os.chmod(path, 0o600)
        with self.assertRaises(rp.RemoteError) as caught:
            self.session("plan").plan("motd.file", {"path": "/etc/shadow", "text": "x"})
        self.assertEqual(caught.exception.code, "CONFLICT")
        self.assertNotIn("secret", str(caught.exception.body))

    def test_an_announcement_is_made_once(self):
        client = self.session()
        desired = {"log": "/etc/log", "message": "maintenance at noon", "program": ["cat"]}
        plan = client.plan("motd.announce", desired)
        self.assertEqual((plan["changed"]["prediction"], plan["changed"]["undo"]), ("opaque", "none"))
        op = client.operation("motd.announce", desired, plan)
        first = client.apply(op)
        self.assertEqual(first["output"]["exit_code"], 0)
        self.assertEqual(self.session().apply(op), first)
        self.assertEqual(self.text("log"), "maintenance at noon\n")

    def test_an_announcement_that_broke_off_is_unknown_and_not_made_again(self):
        victim = self.session()
        desired = {"log": "/etc/log", "message": "once", "program": ["sleep", "5"]}
        op = victim.operation("motd.announce", desired, victim.plan("motd.announce", desired))
        victim.send("resource.apply", op)
        while self.text("log") is None:
            time.sleep(0.01)
        victim.kill()
        fresh = self.session()
        self.assertEqual(fresh.op_status(op["op_id"]), "started")
        with self.assertRaises(rp.RemoteError) as caught:
            fresh.apply(op)
        self.assertEqual((caught.exception.code, caught.exception.mutated), ("UNKNOWN_OUTCOME", "maybe"))
        self.assertEqual(self.text("log"), "once\n")


if __name__ == "__main__":
    unittest.main()
