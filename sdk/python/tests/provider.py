#!/usr/bin/env python3
"""A provider for the SDK's own tests: it does what its properties ask for, bad things included."""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import rectify_provider as rp  # noqa: E402

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
ASKS = {
    "ms": NUMBER, "size": NUMBER, "print": {"type": "boolean"}, "raise": TEXT, "word": TEXT,
    "float": {"type": "boolean"}, "fail": TEXT, "refuse_if": TEXT, "append": TEXT, "log": TEXT,
    "argv": {"type": "array", "items": TEXT},
    "stdin": {"type": "string", "x-rectify-secret": True}, "nested": {"type": "object"},
}


def wait(cx, milliseconds):
    end = time.monotonic() + milliseconds / 1000
    while time.monotonic() < end and not cx.cancelled():
        time.sleep(0.002)
    return cx.cancelled()


def misbehave(asked):
    if asked.get("print"):
        print('{"jsonrpc":"2.0","id":1,"result":"stray"}', flush=True)
        # A child inherits standard output, and standard input too.
        subprocess.call(["/bin/sh", "-c", "echo stray child; cat"])
        sys.stdin.read()
    if asked.get("raise") == "exit":
        sys.exit(3)
    if asked.get("raise") == "os":
        open("/does/not/exist")
    if asked.get("raise"):
        raise RuntimeError("asked to raise: " + asked["raise"])


@rp.resource(
    "test.file", writes={"path": "path"}, volatile=["seen"],
    schema={
        "type": "object", "additionalProperties": False, "required": ["path"],
        "properties": dict(ASKS, **{
            "path": {"type": "string", "pattern": "^/"}, "text": TEXT,
            "state": {"enum": ["present", "absent"], "default": "present"}, "moved": {"type": "boolean"}})})
class TestFile:
    """A file with a text, changed as asked."""

    def read(self, cx, identity):
        found = cx.read_file(identity["path"])
        if found is None:
            return None
        return {"path": identity["path"], "text": found.data.decode(), "seen": str(time.monotonic())}

    def goal(self, cx, properties, prior):
        misbehave(properties)
        wait(cx, properties.get("ms", 0) if cx.mode != "apply" else 0)
        if properties["state"] == "absent":
            return None
        goal = {"path": properties["path"], "text": properties.get("text", "") + "x" * properties.get("size", 0)}
        if properties.get("float"):
            goal["half"] = 0.5
        return goal

    def apply(self, cx, step):
        asked = step.desired
        if asked.get("moved"):
            cx.write_file(step.identity["path"], b"somebody else")
        cx.progress("began")
        if wait(cx, asked.get("ms", 0)):
            raise rp.Error("stopped half way", code="CANCELLED", mutated="yes")
        if asked.get("fail"):
            step.write(lambda want: cx.append_file(step.identity["path"], b"half"))
            raise rp.Failed(asked["fail"])
        if step.want is None:
            step.write(lambda want: cx.remove_file(step.identity["path"]))
        else:
            step.write(lambda want: cx.write_file(want["path"], want["text"].encode()))
        if asked.get("append"):
            cx.append_file(asked["append"], (asked.get("word", "ran") + "\n").encode())


@rp.resource(
    "test.secret", writes={"path": "path"},
    schema={
        "type": "object", "additionalProperties": False, "required": ["path", "text"],
        "properties": {"path": TEXT, "text": {"type": "string", "maxLength": 100, "x-rectify-secret": True},
                       "leak": TEXT}})
class TestSecret:
    """A file with a secret."""

    def read(self, cx, identity):
        found = cx.read_file(identity["path"])
        return None if found is None else {"path": identity["path"], "text": found.data.decode()}

    def goal(self, cx, properties, prior):
        goal = {"path": properties["path"], "text": properties["text"]}
        if properties.get("leak") == "state":
            goal["copy"] = properties["text"]
        if properties.get("leak") == "error":
            raise rp.Failed("cannot write %r" % properties["text"], hint=properties["text"])
        if properties.get("leak") == "raise":
            raise RuntimeError(properties["text"])
        if properties.get("leak") == "log":
            cx.log("info", properties["text"])
        return goal

    def apply(self, cx, step):
        if step.want is None:
            return step.write(lambda want: cx.remove_file(step.identity["path"]))
        return step.write(lambda want: cx.write_file(want["path"], want["text"].encode(), 0o600))


@rp.resource(
    "test.long", writes={"path": "path"}, digested=["content"],
    schema={
        "type": "object", "additionalProperties": False, "required": ["path", "content"],
        "properties": {"path": TEXT, "content": TEXT}})
class TestLong:
    """A file that is too long to be shown, or no text."""

    def read(self, cx, identity):
        found = cx.read_file(identity["path"], 1 << 24)
        return None if found is None else {"path": identity["path"], "content": found.data}

    def apply(self, cx, step):
        def change(want):
            if want is None:
                return cx.remove_file(step.identity["path"])
            cx.progress(" ".join(step.changes))
            content = want["content"]
            return cx.write_file(want["path"], content.encode() if isinstance(content, str) else content)
        step.write(change)


@rp.action("test.action", schema={"type": "object", "additionalProperties": False, "properties": ASKS})
class TestAction:
    """Does what it is told, at most once."""

    def run(self, cx, step):
        asked = step.desired
        if asked.get("refuse_if") and cx.read_file(asked["refuse_if"]):
            raise rp.Failed("refused before anything was done", mutated="no")
        if asked.get("append"):
            cx.append_file(asked["append"], (asked.get("word", "ran") + "\n").encode())
        cx.progress("ran")
        if asked.get("log"):
            for _ in range(asked["size"]):
                cx.log("info", asked["log"])
        wait(cx, asked.get("ms", 0))
        misbehave(asked)
        if asked.get("fail"):
            raise rp.Failed(asked["fail"], mutated="yes")
        if asked.get("argv"):
            return cx.run(asked["argv"], stdin=asked.get("stdin"), timeout_s=20)
        return "x" * asked.get("size", 0)

    def undo(self, cx, step):
        cx.append_file(step.desired["append"], b"undone\n")


@rp.action(
    "test.create", writes={"creates": "path"},
    schema={"type": "object", "additionalProperties": False, "required": ["creates"], "properties": {"creates": TEXT}})
class TestCreate:
    """Makes something, unless it is there."""

    def read(self, cx, properties):
        return {"exists": cx.read_file(properties["creates"]) is not None}

    def goal(self, cx, properties, prior):
        return {"exists": True}

    def run(self, cx, step):
        cx.append_file(step.desired["creates"], b"made\n")


@rp.probe("test.probe", schema={
    "type": "object", "additionalProperties": False, "properties": {"ok": {"type": "boolean"}}})
class TestProbe:
    """Says what it is told to say."""

    def ask(self, cx, properties):
        return properties.get("ok", False), "as asked"


@rp.fact("facts.test")
class TestFact:
    """Says whether the target has a file."""

    def tell(self, cx):
        found = cx.read_file("/fact")
        if found is None:
            raise rp.Absent("there is no file /fact")
        return {"text": found.data.decode()}


if __name__ == "__main__":
    rp.serve("test", TestFile, TestSecret, TestLong, TestAction, TestCreate, TestProbe, TestFact, version="0.1.0")
