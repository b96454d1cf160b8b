"""An action runs at most once, whatever happens to the process that runs it; the fence decides whose turn it is."""

import os
import signal
import threading
import unittest

from tests.support import SessionCase, rp


class Ledger(SessionCase):
    def runs(self):
        return self.written().count("\n")

    def append(self, name="a", **others):
        return self.operation(name, dict({"append": "/out"}, **others))

    def file(self, op, kind):
        return os.path.join(self.state, "%s.%s" % (op["op_id"], kind))

    def test_a_redelivery_gets_the_stored_result_from_any_process(self):
        op, first = self.append(), self.session()
        self.assertEqual(first.op_status(op["op_id"]), "never_seen")
        applied = first.apply(op)
        self.assertEqual(applied, {"status": "applied", "state": {}, "output": {
            "stdout": "", "stderr": "", "truncated": False}})
        for client in (first, self.session()):
            self.assertEqual(client.apply(op), applied)
        self.assertEqual(self.session("read").op_status(op["op_id"]), {"done": {"ok": applied}})
        self.assertEqual(self.runs(), 1)

    def test_the_layout_is_that_of_the_rust_sdk(self):
        op = self.append()
        self.session().apply(dict(op, fence=7))
        with open(self.file(op, "claim"), "rb") as claim:
            self.assertEqual(
                claim.read(),
                b'{"format":"rectify.ledger-claim/v1","parameters":"%s","fence":7}' % rp._parameters(op).encode())
        with open(self.file(op, "done"), "rb") as done:
            self.assertEqual(done.read(), b'{"ok":{"status":"applied","state":{},"output":{"stdout":"","stderr":"",'
                             b'"truncated":false}}}')
        with open(os.path.join(self.state, "fence"), "rb") as fence:
            self.assertEqual(fence.read(), b"7\n")
        for name in os.listdir(self.state):
            self.assertEqual(os.stat(os.path.join(self.state, name)).st_mode & 0o777, 0o600, name)
        self.assertEqual(sorted(name.split(".")[-1] for name in os.listdir(self.state)),
                         ["acting-7", "claim", "done", "fence", "lock"])

    def test_a_killed_action_is_unknown_and_never_runs_again(self):
        op, victim = self.append(ms=60000), self.session()
        victim.send("resource.apply", op)
        self.progress(victim)
        self.assertEqual(victim.op_status(op["op_id"]), "started")
        self.assertEqual(self.refused(self.session().apply, op), ("BUSY", "no"))
        victim.kill()
        fresh = self.session()
        self.assertEqual(fresh.op_status(op["op_id"]), "started")
        for _ in range(2):
            self.assertEqual(self.refused(fresh.apply, op), ("UNKNOWN_OUTCOME", "maybe"))
        self.assertEqual(self.runs(), 1)

    def test_other_parameters_under_the_same_id_are_refused(self):
        op, client = self.append(), self.session()
        client.apply(op)
        self.assertEqual(self.refused(client.apply, dict(op, desired={"append": "/other"})), ("OP_MISMATCH", "no"))
        # A retry may have another deadline and a later fence.
        client.apply(dict(op, deadline_ms=5, fence=7))
        self.assertEqual(self.runs(), 1)

    def test_a_failure_that_changed_something_stands(self):
        op, client = self.append(fail="half way"), self.session()
        for _ in range(2):
            self.assertEqual(self.refused(client.apply, op), ("FAILED", "yes"))
        self.assertEqual(self.runs(), 1)

    def test_a_failure_that_changed_nothing_may_run_again(self):
        with open(os.path.join(self.root, "obstacle"), "w") as file:
            file.write("x")
        op, client = self.append(refuse_if="/obstacle"), self.session()
        self.assertEqual(self.refused(client.apply, op), ("FAILED", "no"))
        self.assertIn("done", client.op_status(op["op_id"]))
        os.unlink(os.path.join(self.root, "obstacle"))
        client.apply(op)
        client.apply(op)
        self.assertEqual(self.runs(), 1)

    def test_a_command_that_cannot_be_started_after_another_did_is_no_harmless_failure(self):
        op = self.append(argv=["no-such-program"])
        self.assertEqual(self.refused(self.session().apply, op), ("DEPENDENCY", "maybe"))
        op = self.operation("alone", {"argv": ["/does/not/exist"]})
        self.assertEqual(self.refused(self.session().apply, op), ("DEPENDENCY", "no"))

    def test_what_comes_too_late_is_not_begun_and_may_be_tried_again(self):
        op, client = dict(self.append(), deadline_ms=0), self.session()
        self.assertEqual(self.refused(client.apply, op), ("TIMEOUT", "no"))
        client.apply(dict(op, deadline_ms=10000))
        self.assertEqual(self.runs(), 1)
        desired = {"path": "/a", "text": "x"}
        op = client.operation("test.file", desired, client.plan("test.file", desired), deadline_ms=0)
        self.assertEqual(self.refused(client.apply, op), ("TIMEOUT", "no"))
        self.assertEqual(self.written("a"), "")

    def test_a_result_without_a_claim_stands(self):
        op = self.append()
        applied = self.session().apply(op)
        os.unlink(self.file(op, "claim"))
        self.assertEqual(self.session().apply(op), applied)
        self.assertEqual(self.runs(), 1)

    def test_a_damaged_ledger_is_unknown_not_fresh(self):
        client = self.session()
        for kind in ("claim", "done"):
            op = self.append(kind)
            client.apply(op)
            for text in ("{", "[]", '{"format":"rectify.ledger-claim/v2","parameters":"","fence":1}', '{"ok":1}'):
                with open(self.file(op, kind), "w") as file:
                    file.write(text)
                self.assertEqual(self.refused(client.apply, op), ("UNKNOWN_OUTCOME", "maybe"), (kind, text))
        self.assertEqual(self.runs(), 2)

    def test_ids_that_are_no_ids_and_sessions_without_a_ledger_are_refused(self):
        client = self.session()
        self.assertEqual(self.refused(client.apply, dict(self.append(), op_id="../escape")), ("SCHEMA", "no"))
        bare = self.start()
        bare.dirs = {"work": "", "state": "", "blobs": ""}
        bare.greet("apply", self.root)
        self.assertEqual(self.refused(bare.apply, self.append()), ("UNSUPPORTED", "no"))
        self.assertEqual(self.runs(), 0)

    def test_a_redelivery_of_what_converges_looks_again(self):
        client, desired = self.session(), {"path": "/a", "text": "x"}
        op = client.operation("test.file", desired, client.plan("test.file", desired))
        self.assertEqual(client.apply(op)["status"], "applied")
        self.assertEqual(client.apply(op)["status"], "already")
        self.assertEqual(client.op_status(op["op_id"])["done"]["ok"]["status"], "applied")
        os.unlink(os.path.join(self.root, "a"))
        self.assertEqual(client.apply(op)["status"], "applied")
        other = dict(op, desired={"path": "/b", "text": "x"})
        self.assertEqual(self.refused(client.apply, other), ("OP_MISMATCH", "no"))

    def test_a_killed_change_that_converges_is_carried_out_by_the_next_process(self):
        client, desired = self.session(), {"path": "/a", "text": "x", "ms": 60000}
        op = client.operation("test.file", desired, client.plan("test.file", desired))
        client.send("resource.apply", op)
        self.progress(client)
        self.assertEqual(self.refused(self.session().apply, op), ("BUSY", "no"))
        client.kill()
        fresh = self.session()
        self.assertEqual(fresh.op_status(op["op_id"]), "started")
        request = fresh.send("resource.apply", op)
        self.progress(fresh)
        fresh.notify("$/cancel", {"id": request})
        error = fresh.answer(request)["error"]
        self.assertEqual((error["code"], error["mutated"]), ("CANCELLED", "yes"))

    def test_the_way_back_is_an_operation_of_its_own(self):
        client, op = self.session(), self.append()
        client.apply(op)
        back = self.operation("back", {"append": "/out", "$undo": True})
        self.assertEqual(client.apply(back)["status"], "applied")
        client.apply(back)
        self.assertEqual(self.written(), "ran\nundone\n")
        for desired in ({"append": "/out", "$undo": False}, {"append": "/out", "$restore": {}}):
            self.assertEqual(self.refused(client.apply, self.operation(str(desired), desired)), ("SCHEMA", "no"))

    def test_what_is_there_already_is_not_made_again(self):
        client, desired = self.session(), {"creates": "/made"}
        plan = client.plan("test.create", desired)
        self.assertEqual(plan["changed"]["planned"], {"exists": True})
        self.assertEqual(plan["changed"]["prediction"], "conditional")
        op = client.operation("test.create", desired, plan)
        self.assertEqual(client.apply(op)["status"], "applied")
        self.assertEqual(client.plan("test.create", desired), {"unchanged": {"state": {"exists": True}}})
        later = dict(op, op_id="1" * 64)
        self.assertEqual(client.apply(later)["status"], "already")
        self.assertEqual(self.written("made"), "made\n")


class Fence(SessionCase):
    def under(self, fence, name, **desired):
        return self.operation(name, desired, fence=fence)

    def recorded(self):
        with open(os.path.join(self.state, "fence")) as file:
            return file.read()

    def test_a_lower_fence_is_refused_after_a_higher_one_whatever_is_applied(self):
        self.session().apply(self.under(5, "a", append="/out"))
        fresh = self.session()
        self.assertEqual(self.refused(fresh.apply, self.under(4, "b", append="/out")), ("CONFLICT", "no"))
        resource = self.operation("c", {"path": "/a"}, "test.file", "create", fence=1)
        self.assertEqual(self.refused(fresh.apply, resource), ("CONFLICT", "no"))
        fresh.apply(self.under(5, "d", append="/out"))
        self.assertEqual(self.written(), "ran\nran\n")

    def test_a_paused_provider_writes_nothing_after_a_later_run_began(self):
        old, new = self.session(), self.session()
        first = old.send("resource.apply", self.under(3, "first", append="/out", ms=300, word="first"))
        self.progress(old)
        os.kill(old.process.pid, signal.SIGSTOP)
        # The new one waits for it, within bounds, and says that it could not.
        impatient = dict(self.under(4, "second", append="/out"), deadline_ms=400)
        self.assertEqual(self.refused(new.apply, impatient), ("BUSY", "no"))
        self.assertEqual(self.recorded(), "4\n")
        waiting = new.send("resource.apply", self.under(4, "second", append="/out", word="second"))
        os.kill(old.process.pid, signal.SIGCONT)
        self.assertIn("ok", old.answer(first))
        self.assertIn("ok", new.answer(waiting))
        self.assertEqual(self.written(), "first\nsecond\n")
        late = self.under(3, "late", append="/out")
        for client in (old, self.session()):
            self.assertEqual(self.refused(client.apply, late), ("CONFLICT", "no"))
        self.assertEqual(self.written(), "first\nsecond\n")

    def test_a_killed_provider_is_not_waited_for(self):
        old, new = self.session(), self.session()
        old.send("resource.apply", self.under(1, "a", ms=60000))
        self.progress(old)
        old.kill()
        new.apply(self.under(2, "b"))
        self.assertEqual([n for n in os.listdir(self.state) if n.startswith("acting-")], ["acting-2"])

    def test_operations_of_one_run_do_not_wait_for_each_other(self):
        slow = self.session()
        slow.send("resource.apply", self.under(7, "slow", ms=60000))
        self.progress(slow)
        self.session().apply(dict(self.under(7, "quick"), deadline_ms=4000))

    def test_an_unchanged_fence_is_not_written_again(self):
        client = self.session()
        client.apply(self.under(5, "a"))
        first = os.stat(os.path.join(self.state, "fence")).st_ino
        client.apply(self.under(5, "b"))
        self.assertEqual(os.stat(os.path.join(self.state, "fence")).st_ino, first)
        client.apply(self.under(6, "c"))
        self.assertEqual(self.recorded(), "6\n")

    def test_a_fence_that_cannot_be_read_stops_everything(self):
        client = self.session()
        for text in ("", "x", "-1", "18446744073709551616", "1 2"):
            with open(os.path.join(self.state, "fence"), "w") as file:
                file.write(text)
            op = self.under(1 << 32, text, append="/out")
            self.assertEqual(self.refused(client.apply, op), ("FAILED", "no"), text)
        self.assertEqual(self.written(), "")

    def test_what_is_written_follows_the_order_of_fences(self):
        barrier, faults = threading.Barrier(4), []

        def run(fence):
            client = self.session()
            barrier.wait()
            for write in range(8):
                try:
                    client.apply(self.under(fence, "%d %d" % (fence, write), append="/out", word=str(fence), ms=1))
                except rp.RemoteError as error:
                    if (error.code, error.mutated) != ("CONFLICT", "no"):
                        faults.append(error)
                    return
        threads = [threading.Thread(target=run, args=(fence,)) for fence in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        written = [int(line) for line in self.written().split()]
        self.assertEqual((faults, written), ([], sorted(written)))
        self.assertEqual((written.count(4), self.recorded()), (8, "4\n"))


if __name__ == "__main__":
    unittest.main()
