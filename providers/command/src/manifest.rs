//! What the provider says of itself.

use crate::properties::{STDIN_MAX_CHARS, TIMEOUT_MAX_S};
use rectify_sdk::{
    base::{Pointer, TypeName},
    protocol::{
        Manifest, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
    },
};
use serde_json::{Value, json};

const SUMMARY: &str = "Runs a command, or a script under `/bin/sh -eu`, at most once. It runs \
unconfined even where the target is a directory: there, `creates` and `directory` lie beneath the \
directory, whose path is in RECTIFY_ROOT.";

pub(crate) fn manifest() -> Manifest {
    let touch = |property: &str, access: &str| TouchRule {
        property: Pointer::from(property),
        kind: "path".into(),
        access: access.into(),
    };
    let types = TypeName::new("command.run").into_iter().map(|name| TypeDescriptor {
        name,
        version: 1,
        kind: "action".into(),
        summary: SUMMARY.into(),
        schema: schema(),
        volatile: Vec::new(),
        touches: vec![touch("/creates", "write"), touch("/directory", "read")],
        prediction: "conditional".into(),
        retry: "once".into(),
        undo: "lossy".into(),
        compare_and_swap: false,
        read_timeout_ms: 30_000,
        apply_timeout_ms: 3_600_000,
    });
    Manifest {
        format: FORMAT.into(),
        name: "command".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: types.collect(),
    }
}

fn schema() -> Value {
    let argv = |description: &str| {
        json!({
            "type": "array",
            "items": {"type": "string"},
            "minItems": 1,
            "description": description,
        })
    };
    let path = |description: &str| json!({"type": "string", "pattern": "^/", "description": description});
    json!({
        "type": "object",
        "additionalProperties": false,
        "oneOf": [{"required": ["argv"]}, {"required": ["script"]}],
        "properties": {
            "argv": argv("Program and arguments, without a shell. The program is absolute, or is searched in /usr/sbin, /usr/bin, /sbin and /bin."),
            "script": {
                "type": "string",
                "minLength": 1,
                "description": "Instead of `argv`: a script that `/bin/sh -eu` runs. A shell expands what it is given; prefer `argv`.",
            },
            "creates": path("A path that the command creates. While it exists, there is nothing to do."),
            "unless": argv("A command that says whether there is nothing to do: it exits with 0."),
            "only_if": argv("A command that says whether there is something to do: it exits with 0."),
            "undo": argv("A command that takes this one back: it runs, at most once, if the remediation says `undo: auto` and fails after this step, or if the run is taken back later. It has the user, directory, environment and time of the step, no input, and must exit with 0."),
            "user": {"type": "string", "minLength": 1, "description": "Name of the user who runs it, in the target's passwd file."},
            "directory": path("Working directory; `/` by default."),
            "environment": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "default": {},
                "description": "Environment variables. There are no others but PATH, LANG=C.UTF-8, RECTIFY_OPERATION (the id of the operation, an idempotency key) and, where the target is a directory, RECTIFY_ROOT.",
            },
            "exit_codes": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": 255},
                "minItems": 1,
                "default": [0],
                "description": "Exit codes that mean success.",
            },
            "timeout_s": {
                "type": "integer",
                "minimum": 1,
                "maximum": TIMEOUT_MAX_S,
                "default": 300,
                "description": "Seconds until the command and its process group are ended.",
            },
            "stdin": {
                "type": "string",
                "maxLength": STDIN_MAX_CHARS,
                "x-rectify-secret": true,
                "description": "Text for its standard input. What is written here is in the graph and the plan, for everybody who reads them; a secret is named, as in `${{ secrets.NAME }}`.",
            },
        },
    })
}
