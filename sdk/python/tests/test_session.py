"""Greeting, hostile bytes, many requests in flight, cancellation, and the end."""

import os
import subprocess
import sys
import time
import unittest

from tests.support import PROVIDER, SessionCase, rp

GREETING = {"protocol": {"min": "1.0", "max": "1.0"}, "session": "00", "mode": "plan", "frame_max_bytes": 8 << 20}


def run(*arguments, **environment):
    return subprocess.run([sys.executable, PROVIDER] + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict({"PATH": os.environ["PATH"]}, **environment))


class CommandLine(unittest.TestCase):
    def test_a_curious_person_gets_help(self):
        for arguments in (["serve", "--stdio"], [], ["--help"]):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout), (64, b""))
            self.assertIn(b"Rectify provider `test`", done.stderr)
            self.assertIn(b"test.file", done.stderr)

    def test_the_manifest_is_the_same_everywhere(self):
        printed = run("manifest")
        self.assertEqual(printed.returncode, 0)
        self.assertEqual(printed.stdout, run("manifest", LANG="tr_TR.UTF-8", PYTHONHASHSEED="3").stdout)
        self.assertEqual(rp.file_bytes(rp.read_json(printed.stdout)), printed.stdout)
        self.assertEqual(run("version").stdout, b"test 0.1.0\n")

    def test_the_selftest_holds(self):
        done = run("--selftest")
        self.assertEqual(done.returncode, 0, done.stdout.decode())
        self.assertNotIn(b"FAIL", done.stdout)


class Greeting(SessionCase):
    def code(self, client, method, params):
        return self.refused(client.call, method, params)[0]

    def greeting(self, client, **others):
        return dict(GREETING, **dict({"dirs": client.dirs}, **others))

    def test_the_first_byte_ends_what_a_shell_printed(self):
        client = self.start()
        client.send("ping", {})
        self.assertEqual(client.process.stdout.read(1), b"\n")

    def test_a_session_begins_works_and_ends_with_zero(self):
        client = self.session("plan")
        self.assertEqual(client.plan("test.file", {"path": "/a", "text": "x"})["changed"]["planned"],
                         {"path": "/a", "text": "x"})
        client.call("shutdown", {})
        self.assertEqual(self.code(client, "resource.read", {"items": []}), -32600)
        client.process.stdin.close()
        self.assertEqual(client.process.wait(30), 0)

    def test_a_stream_that_ends_without_shutdown_is_no_success(self):
        client = self.session()
        client.process.stdin.close()
        self.assertEqual(client.process.wait(30), 1)

    def test_versions_without_overlap_are_refused_with_both(self):
        client = self.start()
        with self.assertRaises(rp.RemoteError) as caught:
            client.call("initialize", self.greeting(client, protocol={"min": "9.0", "max": "9.9"}))
        self.assertEqual(caught.exception.code, -32011)
        self.assertIn("9.0 to 9.9, the provider 1.0 to 1.0", caught.exception.body["message"])
        self.assertEqual(caught.exception.body["data"],
                         {"engine": {"min": "9.0", "max": "9.9"}, "provider": {"min": "1.0", "max": "1.0"}})
        self.assertEqual(client.process.wait(30), 1)

    def test_the_highest_common_version_is_picked(self):
        client = self.start()
        answer = client.call("initialize", self.greeting(client, protocol={"min": "1.0", "max": "1.9"}, session="ab"))
        self.assertEqual((answer["protocol"], answer["session"]), ("1.0", "ab"))
        self.assertEqual(answer["manifest"], rp.digest_of(run("manifest").stdout))

    def test_greetings_of_another_shape_are_refused(self):
        client = self.start()
        for others in ({"frame_max_bytes": 4095}, {"mode": "write"}, {"session": 1}, {"dirs": {}},
                       {"protocol": {"min": "01.0", "max": "1.0"}}, {"dirs": dict(client.dirs, state="here")}):
            self.assertEqual(self.code(client, "initialize", dict(self.greeting(client), **others)), -32602, others)
        client.call("initialize", dict(self.greeting(client), frame_max_bytes=4096))

    def test_work_needs_a_greeting_and_a_configuration(self):
        client = self.start()
        items = {"items": []}
        self.assertEqual(self.code(client, "resource.read", items), -32010)
        client.call("initialize", self.greeting(client))
        self.assertEqual(self.code(client, "initialize", self.greeting(client)), -32600)
        self.assertEqual(self.code(client, "resource.plan", items), -32010)
        for bad in ({"root": "/does/not/exist"}, {"root": "."}, {"digest_key": "xyz"}, {"plan_commands": [1]},
                    {"secrets": {"no name": "x"}}):
            self.assertEqual(self.code(client, "configure", bad), -32602, bad)
        client.call("configure", {"root": self.root, "plan_commands": [["ls"]]})
        self.assertEqual(self.code(client, "configure", {}), -32600)
        self.assertEqual(client.call("resource.read", items), {"items": []})


class Hostile(SessionCase):
    def failure(self, client, code, what):
        message = client.receive()
        self.assertEqual((message.get("id"), message["error"]["code"]), (None, code), what)
        client.read("test.file", {"path": "/a"})

    def test_lines_that_are_no_json_are_refused_and_survived(self):
        client = self.session("read")
        deep = b"[" * 10000 + b"1" + b"]" * 10000
        for line in (b"Last login: Tue", b"\x00\xff\xfe garbage", deep, b"[" * 65 + b"]" * 65,
                     b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
                     b'{"jsonrpc":"2.0","id":7,"method":"resource.read","params":{"items":[{"type":"a.b",'
                     b'"desired":{"a":1,"a":2}}]}}',
                     b'{"jsonrpc":"2.0","id":8,"method":"ping","params":{"a":NaN}}',
                     b'{"jsonrpc":"2.0","id":8,"method":"ping","params":{"a":1.5}}',
                     b'{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":9007199254740992}}',
                     b'{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":' + b"9" * 5000 + b"}}",
                     b'{"jsonrpc":"2.0","id":9,"method":"ping","params":{"a":"\\ud800"}}',
                     b'{"jsonrpc":"2.0","id":9,"method":"p\xc3\x28"}'):
            client.send_raw(line + b"\n")
            self.failure(client, -32700, line[:60])

    def test_json_that_is_no_request_is_refused_and_survived(self):
        client = self.session("read")
        for line in (b"[]", b"17", b'{"id":1,"method":"ping"}', b'{"jsonrpc":"2.0","id":"x","method":"ping"}',
                     b'{"jsonrpc":"2.0","id":-1,"method":"ping"}', b'{"jsonrpc":"2.0","id":1,"result":{}}',
                     b'{"jsonrpc":"2.0","id":true,"method":"ping"}'):
            client.send_raw(line + b"\n")
            self.failure(client, -32600, line)

    def test_unknown_methods_and_wrong_parameters_have_their_codes(self):
        client = self.session("apply")
        operation = self.operation("a", {})
        for method, params, code in [
            ("foo.bar", {}, -32601), ("resource.read", {"items": 3}, -32602), ("resource.read", None, -32602),
            ("resource.read", {"items": [{"type": "Nonsense", "desired": {}}]}, -32602),
            ("resource.read", {"items": [{"type": "test.file", "desired": []}]}, -32602),
            ("resource.apply", dict(operation, expect="blake3:x"), -32602),
            ("resource.apply", dict(operation, fence=-1), -32602),
            ("resource.apply", dict(operation, deadline_ms=True), -32602),
            ("op.status", {"op_id": "../../etc/passwd"}, -32600), ("op.status", {}, -32602),
        ]:
            self.assertEqual(self.refused(client.call, method, params)[0], code, (method, params))
        client.notify("$/later", {})
        client.send_raw(b'{"jsonrpc":"2.0","id":77,"method":"ping","later":true}\n')
        self.assertEqual(client.answer(77), {"in_flight": 0})

    def test_null_stands_for_what_is_absent(self):
        client = self.session("plan")
        item = {"type": "test.file", "desired": {"path": "/a"}, "prior": None, "directories": None}
        self.assertIn("changed", client.item("resource.plan", item))

    def test_a_type_that_the_provider_does_not_have_is_unsupported(self):
        self.assertEqual(self.refused(self.session().read, "other.thing", {}), ("UNSUPPORTED", "no"))

    def test_a_line_beyond_the_limit_is_refused_while_it_is_read(self):
        client = self.session("read")
        for _ in range(9):
            client.send_raw(b"a" * (1 << 20))
        client.send_raw(b"\n")
        self.failure(client, -32012, "9 MiB")
        with open("/proc/%d/status" % client.process.pid) as status:
            peak = [line for line in status if line.startswith("VmHWM:")][0]
        self.assertLess(int(peak.split()[1]), (16 + 32) * 1024)

    def test_a_limit_that_was_agreed_on_holds(self):
        client = self.start()
        client.call("initialize", dict(GREETING, dirs=client.dirs, frame_max_bytes=4096))
        client.send_raw(b"a" * 4097 + b"\n")
        self.assertEqual(client.receive()["error"]["code"], -32012)
        client.call("configure", {"root": self.root})
        wide = {"items": [{"type": "test.file", "desired": {"path": "/a", "size": 5000}}]}
        self.assertEqual(self.refused(client.call, "resource.plan", wide)[0], -32012)

    def test_a_line_without_its_end_is_no_message(self):
        client = self.session()
        client.send_raw(rp._frame({"id": 9, "method": "resource.apply", "params": self.operation(
            "half", {"append": "/out"})})[:-1])
        client.process.stdin.close()
        self.assertEqual((client.process.wait(30), self.written()), (1, ""))
        self.assertEqual(client.process.stdout.read(), b"")

    def test_frames_may_come_in_pieces_or_many_at_once(self):
        client = self.session("read")
        for byte in rp._frame({"id": 500, "method": "ping", "params": {}}):
            client.send_raw(bytes([byte]))
        client.answer(500)
        client.send_raw(b"\n\n" + b"".join(
            rp._frame({"id": n, "method": "ping", "params": {}}) for n in range(1000, 2000)))
        for n in range(1000, 2000):
            client.answer(n)

    def test_an_id_that_is_under_way_cannot_be_used_again(self):
        client = self.session("plan")
        line = rp._frame({"id": 40, "method": "resource.plan", "params": {
            "items": [{"type": "test.file", "desired": {"path": "/a", "ms": 500}}]}})
        client.send_raw(line + line)
        refused = client.receive()
        self.assertEqual((refused.get("id"), refused["error"]["code"]), (None, -32600))
        client.answer(40)
        client.call("ping", {})

    def test_an_exception_is_an_honest_error_and_the_session_goes_on(self):
        client = self.session()
        for how in ("canary-text", "exit"):
            desired = {"path": "/a", "raise": how}
            self.assertEqual(self.refused(client.plan, "test.file", desired), ("INTERNAL", "no"))
            with self.assertRaises(rp.RemoteError) as caught:
                client.apply(self.operation(how, {"raise": how}))
            self.assertEqual((caught.exception.code, caught.exception.mutated), ("INTERNAL", "maybe"))
            self.assertNotIn("canary", caught.exception.body["message"])
        # What the system says is no bug of the provider.
        self.assertEqual(self.refused(client.plan, "test.file", {"path": "/a", "raise": "os"}), ("FAILED", "no"))
        client.read("test.file", {"path": "/a"})

    def test_stray_prints_and_children_cannot_touch_the_stream(self):
        client = self.session("plan")
        for _ in range(3):
            request = client.send("resource.plan", {
                "items": [{"type": "test.file", "desired": {"path": "/a", "print": True}}]})
            message = client.receive()
            self.assertEqual(message["id"], request)
            self.assertIn("items", message["result"])

    def test_what_is_not_json_of_our_kind_never_leaves(self):
        client = self.session("plan")
        self.assertEqual(self.refused(client.plan, "test.file", {"path": "/a", "float": True}), ("INTERNAL", "no"))

    def test_a_stream_that_nobody_reads_ends_the_provider(self):
        client = self.session("plan")
        client.process.stdout.close()
        client.send("ping", {})
        self.assertEqual(client.process.wait(30), 1)


class Flight(SessionCase):
    def test_sixty_four_requests_in_flight_are_each_answered_once(self):
        client = self.session("plan")
        expected, seed = {}, 12345
        for _ in range(64):
            seed = (seed * 6364136223846793005 + 1) % (1 << 64)
            size = (seed >> 33) % 100000
            items = [{"type": "test.file", "desired": {"path": "/a", "size": size, "ms": seed >> 62}},
                     {"type": "test.file", "desired": {"path": "/a", "size": 1}}]
            expected[client.send("resource.plan", {"items": items})] = size
        while expected:
            message = client.receive()
            size = expected.pop(message["id"])
            lengths = [len(item["ok"]["changed"]["planned"]["text"]) for item in message["result"]["items"]]
            self.assertEqual(lengths, [size, 1])

    def test_pings_and_status_are_answered_while_every_worker_is_busy(self):
        client = self.session()
        slow = [client.send("resource.apply", self.operation("slow %d" % i, {"ms": 20000})) for i in range(18)]
        for _ in range(16):
            self.assertEqual(self.progress(client)["method"], "$/progress")
        self.assertEqual(client.call("ping", {}), {"in_flight": 18})
        client.op_status("0" * 64)
        self.assertEqual(client.pending, {})
        # Those that wait are answered as not begun, those that run tell what they did. Those that wait come first, or
        # they would begin in the place of others.
        for request in [999999] + slow[::-1]:
            client.notify("$/cancel", {"id": request})
        ends = []
        for request in slow:
            try:
                ends.append(client.answer(request)["ok"]["status"])
            except rp.RemoteError as error:
                ends.append(error.code)
        self.assertEqual((ends.count("applied"), ends.count(-32014)), (16, 2))
        client.call("ping", {})

    def test_a_batch_that_is_cancelled_still_answers_for_each_item(self):
        client = self.session("plan")
        item = {"type": "test.file", "desired": {"path": "/a", "ms": 20000}}
        request = client.send("resource.plan", {"items": [item] * 3})
        while client.call("ping", {})["in_flight"] == 0:
            pass
        time.sleep(0.2)
        client.notify("$/cancel", {"id": request})
        items = client.answer(request)["items"]
        self.assertIn("ok", items[0])
        self.assertEqual([item["error"]["code"] for item in items[1:]], ["CANCELLED"] * 2)

    def test_too_many_requests_are_refused_and_nothing_of_them_is_done(self):
        client = self.session("plan")
        slow = rp._frame({"id": 0, "method": "resource.plan", "params": {
            "items": [{"type": "test.file", "desired": {"path": "/a", "ms": 60000}}]}})
        client.send_raw(b"".join(slow.replace(b'"id":0', b'"id":%d' % n) for n in range(10, 10 + 16)))
        while client.call("ping", {})["in_flight"] < 16:
            pass
        time.sleep(0.1)
        client.send_raw(b"".join(slow.replace(b'"id":0', b'"id":%d' % n) for n in range(100, 100 + 4097)))
        message = client.receive()
        self.assertEqual((message["id"], message["error"]["code"]), (100 + 4096, -32013))

    def test_the_end_of_input_cancels_what_runs(self):
        client = self.session()
        request = client.send("resource.apply", self.operation("slow", {"ms": 60000, "argv": ["sleep", "60"]}))
        self.progress(client)
        client.process.stdin.close()
        error = client.answer(request)["error"]
        # The command was not started any more.
        self.assertEqual((error["code"], error["mutated"]), ("CANCELLED", "no"))
        self.assertEqual(client.process.wait(30), 1)

    def test_a_flood_of_log_records_is_cut_and_counted(self):
        client = self.session()
        client.apply(self.operation("flood", {"log": "x" * 100, "size": 30000, "ms": 1100}))
        # The next record, a second later, says how many there were.
        client.apply(self.operation("after", {"log": "x", "size": 1}))
        said = [n["params"]["message"] for n in client.notices if n["method"] == "$/log"]
        sent = said.count("x" * 100)
        dropped = [int(text.split()[0]) for text in said if "dropped: too many in a second" in text]
        self.assertGreaterEqual(sent, 1000)
        self.assertGreater(sum(dropped), 0)
        self.assertEqual(sent + sum(dropped), 30000)


class Modes(SessionCase):
    def test_a_session_that_only_looks_changes_nothing(self):
        for mode in ("read", "plan"):
            client = self.session(mode)
            self.assertEqual(self.refused(client.apply, self.operation("a", {"append": "/out"})), ("MODE", "no"))
            self.assertEqual(self.refused(client.read, "test.file", {"path": "/a"}, True), ("MODE", "no"))
            put = client.call("blob.put", {"digest": rp.digest_of(b""), "offset": 0, "size": 0, "chunk": ""})
            self.assertEqual(put["error"]["code"], "MODE")
            self.assertEqual((self.written(), os.listdir(self.state), os.listdir(self.path("blobs"))), ("", [], []))
            client.close()

    def test_a_session_that_only_reads_does_not_plan(self):
        self.assertEqual(self.refused(self.session("read").plan, "test.file", {"path": "/a"}), ("MODE", "no"))

    def test_a_question_is_asked_and_changes_nothing(self):
        client = self.session()
        state = {"ok": True, "detail": "as asked"}
        self.assertEqual(client.read("test.probe", {"ok": True}), state)
        self.assertEqual(client.plan("test.probe", {"ok": True}), {"unchanged": {"state": state}})
        self.assertEqual(self.refused(client.plan, "test.probe", {}), ("FAILED", "no"))
        op = self.operation("p", {}, "test.probe")
        self.assertEqual(self.refused(client.apply, op), ("UNSUPPORTED", "no"))


    def test_a_fact_is_told_or_absent(self):
        client = self.session()
        self.assertEqual(client.read("facts.test", {}), {"absent": "there is no file /fact"})
        with open(self.root + "/fact", "w") as file:
            file.write("x")
        self.assertEqual(client.read("facts.test", {}), {"value": {"text": "x"}})
        self.assertEqual(self.refused(client.read, "facts.test", {"a": 1}), ("SCHEMA", "no"))
        self.assertEqual(self.refused(client.plan, "facts.test", {}), ("UNSUPPORTED", "no"))
        self.assertEqual(self.refused(client.apply, self.operation("f", {}, "facts.test")), ("UNSUPPORTED", "no"))


class Bytes(SessionCase):
    """What leaves, byte for byte as the Rust SDK writes it."""

    def test_members_stand_in_their_order(self):
        client = self.session("plan")
        client.send_raw(b'{"jsonrpc":"2.0","id":9,"method":"resource.plan","params":{"items":[{"type":"test.file",'
                        b'"desired":{"text":"\xc3\xa9\\n\\u001f\\u007f","path":"/b"}}]}}\n')
        self.assertEqual(
            client.process.stdout.readline(),
            b'{"jsonrpc":"2.0","id":9,"result":{"items":[{"ok":{"changed":{"planned":{"path":"/b","text":'
            b'"\xc3\xa9\\n\\u001f\x7f"},"prediction":"exact","undo":"exact"}}}]}}\n')
        client.send_raw(b'{"jsonrpc":"2.0","id":10,"method":"resource.validate","params":{"items":[{"type":"test.file",'
                        b'"desired":{"path":"/b"}},{"type":"test.file","desired":{"path":"b"}}]}}\n')
        self.assertEqual(
            client.process.stdout.readline(),
            b'{"jsonrpc":"2.0","id":10,"result":{"items":[{"ok":null},{"error":{"code":"SCHEMA","message":'
            b'"does not match `^/`","path":"/path","mutated":"no"}}]}}\n')


if __name__ == "__main__":
    unittest.main()
