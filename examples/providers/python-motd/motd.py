#!/usr/bin/env python3
"""The message of the day: a file that everybody reads, and an announcement that is made once."""

import rectify_provider as rp

PATH = {"type": "string", "pattern": "^/", "description": "Absolute path on the target."}
TEXT_MAX_BYTES = 4096


@rp.resource("motd.file", writes={"path": "path"}, schema={
    "type": "object",
    "additionalProperties": False,
    "required": ["path"],
    "properties": {
        "path": PATH,
        "text": {"type": "string", "maxLength": 1000, "default": "", "description": "The message."},
        "mode": {"enum": ["0644", "0444", "0664"], "default": "0644", "description": "Permission bits, in quotes."},
        "state": {"enum": ["present", "absent"], "default": "present"},
    },
})
class MotdFile:
    """A small file with a message, for everybody to read."""

    def read(self, cx, identity):
        file = cx.read_file(identity["path"], max_bytes=TEXT_MAX_BYTES)
        if file is None:
            return None
        if file.is_private:
            raise rp.Conflict("others may not read this file, so it is no message of the day", path="/path")
        try:
            text = file.data.decode("utf-8")
        except UnicodeDecodeError:
            raise rp.Conflict("this file is no text", path="/path")
        return {"path": identity["path"], "text": text, "mode": "0%o" % file.mode}

    def apply(self, cx, step):
        def change(want):
            if want is None:
                cx.remove_file(step.identity["path"])
            else:
                cx.write_file(want["path"], want["text"].encode(), int(want["mode"], 8))
        step.write(change)


@rp.action("motd.announce", writes={"log": "path"}, schema={
    "type": "object",
    "additionalProperties": False,
    "required": ["log", "message"],
    "properties": {
        "log": dict(PATH, description="File to which a line is added."),
        "message": {"type": "string", "pattern": "^[^\\r\\n]+$", "description": "The line."},
        "program": {
            "type": "array", "items": {"type": "string"}, "minItems": 1,
            "description": "A command that is told, too: it gets the message as its standard input.",
        },
    },
})
class Announce:
    """Adds a line to a log, at most once for each permission."""

    def run(self, cx, step):
        cx.append_file(step.desired["log"], (step.desired["message"] + "\n").encode())
        if "program" in step.desired:
            return cx.run(step.desired["program"], stdin=step.desired["message"])
        return None


if __name__ == "__main__":
    rp.serve("motd", MotdFile, Announce, version="0.1.0")
