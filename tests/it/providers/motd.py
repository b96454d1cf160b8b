#!/usr/bin/env python3
"""A provider of somebody else, without an SDK: a text in a file. For tests only."""
import json
import os
import sys

MANIFEST = r"""@MANIFEST@"""
DIGEST = "@DIGEST@"
NAME, VERSION = "@NAME@", "@VERSION@"


def path(root, desired):
    return root.rstrip("/") + desired["path"]


def look(root, desired):
    try:
        with open(path(root, desired), encoding="utf-8") as file:
            return {"kind": "motd", "text": file.read()}
    except FileNotFoundError:
        return None


def wanted(desired):
    if "$restore" in desired:
        return desired["$restore"].get("state")
    return {"kind": "motd", "text": desired["text"]}


def some(name, value):
    return {} if value is None else {name: value}


def plan(root, desired):
    prior, planned = look(root, desired), wanted(desired)
    if prior == planned:
        return {"unchanged": some("state", prior)}
    answer = {"prediction": "exact", "undo": "exact"}
    return {"changed": {**answer, **some("prior", prior), **some("planned", planned)}}


def apply(root, desired):
    state = wanted(desired)
    if look(root, desired) == state:
        return {"status": "already", **some("state", state)}
    if state is None:
        os.remove(path(root, desired))
    else:
        with open(path(root, desired), "w", encoding="utf-8") as file:
            file.write(state["text"])
    return {"status": "applied", **some("state", state)}


def serve():
    root = ""
    print(flush=True)
    for line in sys.stdin:
        if not line.strip():
            continue
        asked = json.loads(line)
        if "id" not in asked:
            continue
        method, params = asked["method"], asked.get("params", {})
        items = params.get("items", [])
        result = {}
        if method == "initialize":
            result = {"protocol": "1.0", "session": params["session"], "name": NAME, "version": VERSION}
            result["manifest"] = DIGEST
        elif method == "configure":
            root = params.get("root", "")
        elif method == "ping":
            result = {"in_flight": 0}
        elif method == "op.status":
            result = "never_seen"
        elif method == "resource.validate":
            result = {"items": [{"ok": None} for _ in items]}
        elif method == "resource.read":
            result = {"items": [{"ok": some("state", look(root, item["desired"]))} for item in items]}
        elif method == "resource.plan":
            result = {"items": [{"ok": plan(root, item["desired"])} for item in items]}
        elif method == "resource.apply":
            result = {"ok": apply(root, params["desired"])}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
        if method == "shutdown":
            return


if sys.argv[1:] == ["manifest"]:
    sys.stdout.write(MANIFEST)
elif sys.argv[1:] == ["serve", "--stdio"]:
    serve()
elif sys.argv[1:] == ["--selftest"]:
    print("looked at 3 things")
    sys.exit(int("@SELFTEST@"))
else:
    sys.exit(64)
