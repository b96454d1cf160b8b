"""The tutorial, typed in as a new user would: its files are saved, its commands are run, in its order."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

from tests.support import REPOSITORY

PAGE = os.path.join(REPOSITORY, "docs", "providers", "write-one-in-python.md")


class Tutorial(unittest.TestCase):
    def test_every_file_and_command_of_it_works(self):
        with open(PAGE, encoding="utf-8") as page:
            blocks = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", page.read(), re.M | re.S)
        self.assertEqual([name or kind for kind, name, _ in blocks], [
            "sh", "motd.py", "sh", "test_motd.py", "sh", "sh", "console", "yaml", "python"])
        with tempfile.TemporaryDirectory(prefix="rectify-") as home:
            os.symlink(REPOSITORY, os.path.join(home, "rectify"))
            # The interpreter of these tests, by the name that a user types.
            os.mkdir(os.path.join(home, "bin"))
            os.symlink(sys.executable, os.path.join(home, "bin", "python3"))
            environment = {"HOME": home, "PATH": "%s/bin:/usr/bin:/bin" % home, "PYTHONDONTWRITEBYTECODE": "1"}
            here, said = home, ""
            for kind, name, text in blocks:
                if kind == "sh":
                    done = subprocess.run(["/bin/sh", "-euc", text + "\npwd"], cwd=here, env=environment,
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                    said += done.stdout.decode()
                    self.assertEqual(done.returncode, 0, said)
                    here = done.stdout.decode().splitlines()[-1]
                elif name:
                    with open(os.path.join(here, name), "w", encoding="utf-8") as file:
                        file.write(text)
            self.assertEqual(here, os.path.join(os.path.realpath(home), "motd"))
            self.assertIn("Ran 1 test", said)
            self.assertEqual(said.count("motd 0.1.0\n"), 2)
            self.assertNotIn("FAIL", said)
            self.assertGreater(said.count("\nok "), 10)


if __name__ == "__main__":
    unittest.main()
