"""What the SDK does for a resource: the plan, the comparison before and inside the change, the undo, the blobs."""

import base64
import os
import subprocess
import sys
import tempfile
import unittest

from tests.support import PROVIDER, SessionCase, rp


class Changing(SessionCase):
    def put(self, name, text):
        with open(os.path.join(self.root, name), "w") as file:
            file.write(text)

    def test_create_update_unchanged_delete_and_back(self):
        client = self.session()
        wanted = {"path": "/a", "text": "one"}
        created = client.converge("test.file", wanted)
        self.assertEqual(created, {"changed": {
            "planned": {"path": "/a", "text": "one"}, "prediction": "exact", "undo": "exact"}})
        unchanged = client.plan("test.file", wanted)["unchanged"]["state"]
        self.assertEqual({k: unchanged[k] for k in ("path", "text")}, {"path": "/a", "text": "one"})
        updated = client.converge("test.file", {"path": "/a", "text": "two"})
        self.assertEqual(self.written("a"), "two")
        deleted = client.converge("test.file", {"path": "/a", "state": "absent"})
        self.assertNotIn("planned", deleted["changed"])
        self.assertEqual(client.read("test.file", wanted), None)
        for desired, plan, left in (({"path": "/a"}, deleted, "two"), (wanted, updated, "one"), (wanted, created, "")):
            client.undo("test.file", desired, plan)
            self.assertEqual(self.written("a"), left)
        self.assertEqual(os.listdir(self.root), [])

    def test_a_step_on_a_predicted_state_does_not_look(self):
        client = self.session("plan")
        item = {"type": "test.file", "desired": {"path": "/a", "text": "x"}}
        prior = {"path": "/a", "text": "x"}
        answer = client.item("resource.plan", dict(item, prior={"state": prior}))
        self.assertEqual(answer, {"unchanged": {"state": prior}})
        self.assertIn("planned", client.item("resource.plan", dict(item, prior={}))["changed"])

    def test_what_moved_since_the_plan_is_stale_and_stays(self):
        client, wanted = self.session(), {"path": "/a", "text": "x"}
        op = client.operation("test.file", wanted, client.plan("test.file", wanted))
        self.put("a", "moved")
        self.assertEqual(self.refused(client.apply, op), ("STALE", "no"))
        self.assertEqual((self.written("a"), client.op_status(op["op_id"])), ("moved", "never_seen"))

    def test_what_moves_right_before_the_write_is_stale_too(self):
        client, wanted = self.session(), {"path": "/a", "text": "x", "moved": True}
        op = client.operation("test.file", wanted, client.plan("test.file", wanted))
        # Here the provider itself moved it, so something may have been changed.
        self.assertEqual(self.refused(client.apply, op), ("PARTIAL", "maybe"))
        self.assertEqual(self.written("a"), "somebody else")

    def test_another_result_than_the_plan_says_is_not_written(self):
        client, wanted = self.session(), {"path": "/a", "text": "x"}
        op = client.operation("test.file", wanted, client.plan("test.file", wanted))
        op["result"] = client.fingerprint("test.file", {"path": "/a", "text": "y"})
        self.assertEqual(self.refused(client.apply, op), ("STALE", "no"))
        self.assertEqual(self.written("a"), "")

    def test_what_is_as_planned_already_is_not_written(self):
        client, wanted = self.session(), {"path": "/a", "text": "x"}
        op = client.operation("test.file", wanted, client.plan("test.file", wanted))
        self.put("a", "x")
        inode = os.stat(os.path.join(self.root, "a")).st_ino
        applied = client.apply(op)
        self.assertEqual((applied["status"], applied["state"]["text"]), ("already", "x"))
        self.assertEqual(os.stat(os.path.join(self.root, "a")).st_ino, inode)

    def test_a_failure_behind_the_write_says_that_something_was_changed(self):
        client, wanted = self.session(), {"path": "/a", "text": "x", "fail": "half way"}
        op = client.operation("test.file", wanted, client.plan("test.file", wanted))
        self.assertEqual(self.refused(client.apply, op), ("FAILED", "yes"))

    def test_properties_are_judged_wherever_they_come(self):
        client = self.session()
        cases = ({"path": "a"}, "/path"), ({"path": "/a", "x": 1}, "/x"), ({}, None), ({"path": 1}, "/path")
        for desired, path in cases:
            for call in (client.validate, client.plan):
                with self.assertRaises(rp.RemoteError) as caught:
                    call("test.file", desired)
                self.assertEqual((caught.exception.code, caught.exception.mutated), ("SCHEMA", "no"))
                if path:
                    self.assertEqual(caught.exception.body["path"], path)
            op = self.operation(str(desired), desired, "test.file", "create")
            self.assertEqual(self.refused(client.apply, op), ("SCHEMA", "no"))
        # Reading minds only what names the thing.
        self.assertEqual(client.read("test.file", {"path": "/a", "text": 7}), None)
        self.assertEqual(client.normalize("test.file", {"path": "/a"}), {"path": "/a"})

    def test_a_long_content_is_shown_by_digest_and_comes_back_byte_for_byte(self):
        client, odd = self.session(), bytes(range(256)) * 4000
        with open(os.path.join(self.root, "long"), "wb") as file:
            file.write(odd)
        desired = {"path": "/long", "content": "é" * 100000}
        plan = client.converge("test.long", desired)
        self.assertEqual(plan["changed"]["prior"], {"path": "/long", "content": {"blake3": rp.digest_of(odd)[7:]}})
        self.assertEqual(client.notices[0]["params"]["message"], "content")
        planned = rp.digest_of(desired["content"].encode())
        self.assertEqual(plan["changed"]["planned"]["content"], {"blake3": planned[7:]})
        self.assertEqual(client.item("resource.read", {"type": "test.long", "desired": desired, "capture": True}),
                         {"state": plan["changed"]["planned"], "before_image": planned})
        client.undo("test.long", desired, plan)
        with open(os.path.join(self.root, "long"), "rb") as file:
            self.assertEqual(file.read(), odd)
        # A damaged before-image restores nothing.
        plan = client.converge("test.long", desired)
        with open(self.path("blobs", rp.digest_of(odd)[7:]), "ab") as file:
            file.write(b"!")
        self.assertEqual(self.refused(client.undo, "test.long", desired, plan), ("FAILED", "no"))
        # Kept again it is whole again: what is damaged is not relied on.
        with open(os.path.join(self.root, "long"), "wb") as file:
            file.write(odd)
        client.read("test.long", desired, capture=True)
        with open(self.path("blobs", rp.digest_of(odd)[7:]), "rb") as file:
            self.assertEqual(file.read(), odd)

    def test_nothing_is_left_beside_a_file(self):
        client = self.session()
        client.converge("test.file", {"path": "/a", "text": "x"})
        self.assertEqual(os.listdir(self.root), ["a"])
        self.assertFalse([n for d in ("state", "blobs", "work") for n in os.listdir(self.path(d)) if ".tmp" in n])


    def test_an_error_may_be_made_of_anything(self):
        error = rp.Failed(ValueError("why"), hint="\ud800")
        self.assertEqual((error.message, error.hint), ("why", "?"))

    def test_files_have_the_mode_that_is_asked_for_whatever_the_umask_is(self):
        session = rp._Session(None)
        session.root = self.root
        cx = rp.Context(session, 1, rp.threading.Event())
        before = os.umask(0o077)
        try:
            cx.append_file("/appended", b"a")
            cx.append_file("/appended", b"b", 0o600)
            cx.write_file("/written", b"c", 0o640)
        finally:
            os.umask(before)
        for name, mode, text in (("appended", 0o644, "ab"), ("written", 0o640, "c")):
            self.assertEqual(os.stat(os.path.join(self.root, name)).st_mode & 0o777, mode)
            self.assertEqual(self.written(name), text)
        self.assertEqual(cx.read_file("/written"), (b"c", 0o640, os.geteuid(), os.getegid()))
        self.assertTrue(cx.read_file("/written").is_private)


class Paths(SessionCase):
    def text(self, path):
        return self.session().converge("test.file", {"path": path, "text": "x"})

    def test_no_link_leads_out_of_the_root(self):
        os.mkdir(self.path("outside"))
        os.mkdir(os.path.join(self.root, "inside"))
        os.symlink(self.path("outside"), os.path.join(self.root, "out"))
        os.symlink("../../../../inside", os.path.join(self.root, "up"))
        os.symlink("/inside", os.path.join(self.root, "in"))
        self.assertEqual(self.refused(self.text, "/out/a")[0], "FAILED")
        self.text("/in/a")
        self.text("/up/b")
        self.assertEqual(sorted(os.listdir(os.path.join(self.root, "inside"))), ["a", "b"])
        self.assertEqual(os.listdir(self.path("outside")), [])

    def test_a_link_that_others_could_have_made_is_not_followed(self):
        os.mkdir(os.path.join(self.root, "inside"))
        os.mkdir(os.path.join(self.root, "open"))
        os.chmod(os.path.join(self.root, "open"), 0o777)
        os.symlink("/inside", os.path.join(self.root, "open", "link"))
        self.assertEqual(self.refused(self.text, "/open/link/a")[0], "CONFLICT")

    def test_a_link_on_the_way_is_told_and_so_is_a_missing_directory(self):
        os.mkdir(os.path.join(self.root, "real"))
        os.symlink("real", os.path.join(self.root, "link"))
        client = self.session("plan")
        item = {"type": "test.file", "desired": {"path": "/link/a", "text": "x"}}
        self.assertEqual(client.item("resource.plan", item)["changed"]["resolved"], ["path:/real/a"])
        item["desired"]["path"] = "/link/none/a"
        answer = client.item("resource.plan", item)["changed"]
        self.assertEqual((answer["prediction"], answer["resolved"]), ("conditional", ["path:/real/none/a"]))
        made = {"kind": "directory", "path": "/link/none"}
        self.assertEqual(client.item("resource.plan", dict(item, directories=[made]))["changed"]["prediction"], "exact")
        self.assertEqual(self.refused(client.item, "resource.plan", dict(item, directories=[])), ("CONFLICT", "no"))
        self.assertEqual(client.read("test.file", item["desired"]), None)

    def test_what_is_no_regular_file_is_refused_at_once(self):
        os.mkfifo(os.path.join(self.root, "fifo"))
        os.symlink("elsewhere", os.path.join(self.root, "link"))
        os.mkdir(os.path.join(self.root, "directory"))
        for name in ("/fifo", "/link", "/directory", "/fifo/a"):
            self.assertEqual(self.refused(self.text, name)[0], "CONFLICT", name)
        for name in ("/..", "/a/../b", "/", "/a\0b"):
            self.assertEqual(self.refused(self.text, name)[0], "SCHEMA", name)


class Blobs(SessionCase):
    def blob(self, name):
        return os.path.join(self.path("blobs"), name)

    def put(self, client, data, at=0, end=None, **others):
        params = {"digest": rp.digest_of(data), "offset": at, "size": len(data),
                  "chunk": base64.b64encode(data[at:end]).decode()}
        return rp._unwrap(client.call("blob.put", dict(params, **others)))

    def test_a_blob_travels_in_chunks_and_comes_back(self):
        client, data = self.session(), bytes(range(256)) * 3000
        half = len(data) // 2
        self.assertEqual(self.put(client, data, 0, half), {"received": half, "complete": False})
        # Again, and too early: the answer says where to go on.
        self.assertEqual(self.put(client, data, 0, half)["received"], half)
        self.assertEqual(self.put(client, data, half + 5, half + 9)["received"], half)
        fresh = self.session()
        self.assertEqual(self.put(fresh, data, half), {"received": len(data), "complete": True})
        self.assertEqual(self.put(client, data, 0, 3), {"received": len(data), "complete": True})
        self.assertEqual(os.listdir(self.path("blobs")), [rp.digest_of(data)[7:]])
        self.assertEqual(os.stat(self.blob(rp.digest_of(data)[7:])).st_mode & 0o777, 0o600)
        got, reader = b"", self.session("read")
        while len(got) < len(data):
            chunk = rp._unwrap(reader.call("blob.get", {
                "digest": rp.digest_of(data), "offset": len(got), "length": 1 << 30}))
            self.assertEqual(chunk["size"], len(data))
            got += base64.b64decode(chunk["chunk"])
        self.assertEqual(got, data)

    def test_what_is_announced_wrongly_is_refused(self):
        client = self.session()
        for others in ({"chunk": "?"}, {"size": 1}, {"size": 1 << 30}, {"digest": rp.digest_of(b"other")}):
            self.assertEqual(self.refused(lambda o=others: self.put(client, b"data", **o)), ("SCHEMA", "no"), others)
        self.assertEqual(os.listdir(self.path("blobs")), [])

    def test_missing_and_damaged_blobs_are_told(self):
        client, digest = self.session(), rp.digest_of(b"data")
        get = {"digest": digest, "offset": 0, "length": 10}
        self.assertEqual(client.call("blob.get", get)["error"]["code"], "DEPENDENCY")
        with open(self.blob(digest[7:]), "w") as file:
            file.write("date")
        self.assertEqual(client.call("blob.get", get)["error"]["code"], "FAILED")


class Bundling(unittest.TestCase):
    def test_the_same_sources_make_the_same_file_which_is_a_provider(self):
        with tempfile.TemporaryDirectory(prefix="rectify-") as home:
            files = []
            for name in ("one", "two"):
                script = os.path.join(home, name + ".py")
                with open(PROVIDER) as source, open(script, "w") as copy:
                    copy.write(source.read())
                os.utime(script, (len(files) * 10 ** 8, len(files) * 10 ** 8))
                target = os.path.join(home, name)
                done = subprocess.run([sys.executable, rp.__file__, "bundle", script, "-o", target])
                self.assertEqual(done.returncode, 0)
                with open(target, "rb") as file:
                    files.append(file.read())
            self.assertEqual(files[0], files[1])
            self.assertTrue(files[0].startswith(b"#!/usr/bin/env python3\n"))
            # Alone in a directory, as an engine starts it.
            alone = os.path.join(home, "alone")
            os.mkdir(alone)
            os.rename(os.path.join(home, "one"), os.path.join(alone, "provider"))
            self.assertEqual(os.stat(os.path.join(alone, "provider")).st_mode & 0o777, 0o755)
            with rp.Client([sys.executable, os.path.join(alone, "provider")], "read") as client:
                self.assertEqual(client.greeting["name"], "test")
            done = subprocess.run([sys.executable, rp.__file__], stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 64)


if __name__ == "__main__":
    unittest.main()
