#!/usr/bin/env python3
"""The provider `command` of this repository, written again in Python: as much of it as the tests beside it need. Its
manifest, by which the SDK judges properties, is the argument."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import rectify_provider as rp  # noqa: E402

with open(os.environ.get("TWIN", sys.argv[-1])) as file:
    MANIFEST = json.load(file)
TYPE = MANIFEST["types"][0]


@rp.action(TYPE["name"], schema=TYPE["schema"], writes={"creates": "path"}, reads={"directory": "path"},
           summary=TYPE["summary"], prediction="conditional", undo="lossy", apply_timeout_s=3600)
class Run:
    def goal(self, cx, properties, prior):
        return None

    def run(self, cx, step):
        argv = step.desired.get("argv") or ["/bin/sh", "-eu", "-c", step.desired["script"]]
        cx.progress("runs")
        return cx.run(argv, stdin=step.desired.get("stdin"), env=step.desired["environment"])

    def undo(self, cx, step):
        return cx.run(step.desired["undo"])


if __name__ == "__main__":
    sys.argv = [sys.argv[0]] + sys.argv[1:-1]
    rp.serve(MANIFEST["name"], Run, version=MANIFEST["version"])
