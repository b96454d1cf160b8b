"""Run with `python3 -m unittest`, in this directory."""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import rectify_provider as rp  # noqa: E402

PROGRAM = os.path.join(HERE, "NAME.py")


class Text(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="NAME-")
        self.addCleanup(directory.cleanup)
        self.home = os.path.join(directory.name, "home")
        self.root = os.path.join(directory.name, "root")
        os.makedirs(os.path.join(self.root, "etc"))

    def session(self, mode="apply"):
        client = rp.Client([PROGRAM], mode, root=self.root, home=self.home)
        self.addCleanup(client.close)
        return client

    def text(self):
        with open(os.path.join(self.root, "etc/text")) as file:
            return file.read()

    def test_a_text_comes_changes_and_comes_back(self):
        client = self.session()
        hello = {"path": "/etc/text", "text": "hello\n"}
        client.converge("NAME.text", hello)
        self.assertEqual(self.text(), "hello\n")
        changed = client.converge("NAME.text", dict(hello, text="bye\n"))
        self.assertEqual(self.text(), "bye\n")
        client.undo("NAME.text", hello, changed)
        self.assertEqual(self.text(), "hello\n")

    def test_what_somebody_else_wrote_meanwhile_stays(self):
        client = self.session()
        desired = {"path": "/etc/text", "text": "hello\n"}
        op = client.operation("NAME.text", desired, client.plan("NAME.text", desired))
        with open(os.path.join(self.root, "etc/text"), "w") as file:
            file.write("mine")
        with self.assertRaises(rp.RemoteError) as caught:
            client.apply(op)
        self.assertEqual(caught.exception.code, "STALE")
        self.assertEqual(self.text(), "mine")


if __name__ == "__main__":
    unittest.main()
