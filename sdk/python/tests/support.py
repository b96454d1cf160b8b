"""The one place that knows how a session of the tests is started and what an operation looks like."""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.dirname(HERE))

import rectify_provider as rp  # noqa: E402

PROVIDER = os.path.join(HERE, "provider.py")


def vectors(name):
    with open(os.path.join(REPOSITORY, "conformance", "vectors", name), "rb") as file:
        return rp.json.load(file)


class SessionCase(unittest.TestCase):
    """A home with private directories and a root, and sessions in them."""

    provider = PROVIDER

    def setUp(self):
        home = tempfile.TemporaryDirectory(prefix="rectify-")
        self.addCleanup(home.cleanup)
        self.home = home.name
        self.root = self.path("root")
        os.mkdir(self.root)
        self.state = self.path("state")
        # What providers write to standard error, of all sessions of the test.
        self.errors = open(self.path("stderr"), "w+b")
        self.addCleanup(self.errors.close)

    def path(self, *names):
        return os.path.join(self.home, *names)

    def session(self, mode="apply", **options):
        client = rp.Client([self.provider], mode, self.root, self.home, stderr=self.errors, **options)
        self.addCleanup(self._end, client)
        return client

    def start(self):
        client = rp.Client([self.provider], home=self.home, greet=False, stderr=self.errors)
        self.addCleanup(self._end, client)
        return client

    @staticmethod
    def _end(client):
        client.process.kill()
        client.process.wait()
        client.close()

    def refused(self, call, *arguments):
        """The code and `mutated` of the error that a call ends with."""
        with self.assertRaises(rp.RemoteError) as caught:
            call(*arguments)
        return caught.exception.code, caught.exception.mutated

    def operation(self, name, desired, type_name="test.action", action="run", fence=1, expect=None, **others):
        state = {} if action == "run" else None
        op = {"op_id": rp.Blake3().update(name.encode()).hexdigest(), "type": type_name, "action": action,
              "desired": desired, "expect": expect or rp.fingerprint(type_name, 1, state)}
        op.update(others)
        op.setdefault("deadline_ms", 10000)
        op["fence"] = fence
        return op

    def progress(self, client):
        """Waits for the first notification; answers that come before are kept."""
        while not client.notices:
            line = client.process.stdout.readline()
            self.assertTrue(line, "the provider is gone")
            if line == b"\n":
                continue
            message = rp.read_json(line)
            if "method" in message:
                client.notices.append(message)
            else:
                client.pending[message.get("id")] = message
        return client.notices.pop(0)

    def written(self, name="out"):
        try:
            with open(os.path.join(self.root, name)) as file:
                return file.read()
        except FileNotFoundError:
            return ""
