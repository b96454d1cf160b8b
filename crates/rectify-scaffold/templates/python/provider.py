#!/usr/bin/env python3
"""The provider `NAME`: small texts in files. Begin from here: change what a thing is, how it is read, how it
is changed."""

import rectify_provider as rp

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["path"],
    "properties": {
        "path": {"type": "string", "pattern": "^/", "description": "Absolute path on the target."},
        "text": {"type": "string", "maxLength": 1000, "default": "", "description": "What the file says."},
        "state": {"enum": ["present", "absent"], "default": "present"},
    },
}


@rp.resource("NAME.text", writes={"path": "path"}, schema=SCHEMA)
class Text:
    """A small file with a text, for everybody to read."""

    def read(self, cx, identity):
        """The state as a dict, or None where there is nothing. Changes nothing."""
        file = cx.read_file(identity["path"], max_bytes=4096)
        if file is None:
            return None
        if file.is_private:
            raise rp.Conflict("others may not read this file", path="/path")
        try:
            return {"path": identity["path"], "text": file.data.decode("utf-8")}
        except UnicodeDecodeError:
            raise rp.Conflict("this file is no text", path="/path")

    def apply(self, cx, step):
        """Brings the state about. What `change` is given is what was planned; None: it should not exist."""
        def change(want):
            if want is None:
                cx.remove_file(step.identity["path"])
            else:
                cx.write_file(want["path"], want["text"].encode(), 0o644)
        step.write(change)


if __name__ == "__main__":
    rp.serve("NAME", Text, version="0.1.0")
