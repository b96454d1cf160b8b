//! What the provider says of itself.

use rectify_sdk::{
    base::{Pointer, TypeName},
    protocol::{
        Manifest, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
    },
};
use serde_json::{Value, json};

pub(crate) fn manifest() -> Manifest {
    let read_path =
        TouchRule { property: Pointer::from("/path"), kind: "path".into(), access: "read".into() };
    let read_ca_file =
        TouchRule { property: Pointer::from("/ca_file"), kind: "path".into(), access: "read".into() };
    let types = [
        probe("command.succeeds", "Whether a command that only looks exits as expected.", command(), vec![]),
        probe("file.matches", "Whether a file's text matches a pattern.", file(), vec![read_path]),
        probe("http.get", "Whether a server answers as expected.", http(), vec![read_ca_file]),
        probe("tcp.connect", "Whether something accepts TCP connections.", tcp(), vec![]),
    ];
    Manifest {
        format: FORMAT.into(),
        name: "probe".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: types.into_iter().flatten().collect(),
    }
}

fn probe(name: &str, summary: &str, schema: Value, touches: Vec<TouchRule>) -> Option<TypeDescriptor> {
    Some(TypeDescriptor {
        name: TypeName::new(name).ok()?,
        version: 1,
        kind: "probe".into(),
        summary: summary.into(),
        schema,
        volatile: vec![Pointer::from("/detail")],
        touches,
        prediction: "exact".into(),
        retry: "converge".into(),
        undo: "none".into(),
        compare_and_swap: false,
        read_timeout_ms: 70_000,
        apply_timeout_ms: 70_000,
    })
}

fn closed(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
}

fn tcp() -> Value {
    closed(
        &["port"],
        json!({
            "host": {
                "type": "string", "minLength": 1, "default": "127.0.0.1",
                "description": "Name or address, as seen from the target.",
            },
            "port": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "The port."},
            "timeout_ms": {
                "type": "integer", "minimum": 1, "maximum": 60000, "default": 3000,
                "description": "Milliseconds for one attempt, all addresses together.",
            },
        }),
    )
}

fn file() -> Value {
    closed(
        &["path", "pattern"],
        json!({
            "path": {"type": "string", "pattern": "^/", "description": "The file."},
            "pattern": {
                "type": "string", "minLength": 1, "maxLength": 4096,
                "description": "A regular expression without look-around or back-references; `^` and `$` are the ends of lines.",
            },
            "absent": {
                "type": "boolean", "default": false,
                "description": "Asks whether nothing matches. A file that does not exist matches nothing.",
            },
        }),
    )
}

fn http() -> Value {
    closed(
        &["url"],
        json!({
            "url": {
                "type": "string", "pattern": "^https?://[^\\s#@]+$", "maxLength": 2048,
                "description": "What to ask, as seen from the target: `http://` or `https://`, without a user.",
            },
            "status": {
                "type": "array", "minItems": 1, "default": ["200-299"],
                "items": {
                    "type": ["integer", "string"], "minimum": 100, "maximum": 599,
                    "pattern": "^[1-5][0-9]{2}-[1-5][0-9]{2}$",
                },
                "description": "Statuses that mean yes: numbers, and ranges as in `200-299`.",
            },
            "headers": {
                "type": "object", "minProperties": 1,
                "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 4096},
                "description": "Regular expressions by header: each must match a value of it.",
            },
            "body": {
                "type": "string", "minLength": 1, "maxLength": 4096,
                "description": "A regular expression that the body must match; its first MiB is read. `^` and `$` are the ends of lines.",
            },
            "timeout_ms": {
                "type": "integer", "minimum": 1, "maximum": 60000, "default": 5000,
                "description": "Milliseconds for one attempt, all of it together.",
            },
            "redirects": {
                "type": "integer", "minimum": 0, "maximum": 10, "default": 0,
                "description": "How many redirects are followed at most. Without any, a redirect is the answer.",
            },
            "address": {
                "type": "string", "minLength": 1,
                "description": "Where to connect instead, as in `10.0.0.1` or `localhost:8443`. The name in `url` is still asked for, and must still be in the certificate.",
            },
            "ca_file": {
                "type": "string", "pattern": "^/",
                "description": "Certificates to trust, in PEM, instead of those that the system trusts.",
            },
        }),
    )
}

fn command() -> Value {
    closed(
        &["argv"],
        json!({
            "argv": {
                "type": "array", "items": {"type": "string"}, "minItems": 1,
                "description": "Program and arguments, without a shell. It must change nothing. It runs unconfined even where the target is a directory, whose path is in RECTIFY_ROOT.",
            },
            "exit_codes": {
                "type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255},
                "minItems": 1, "default": [0],
                "description": "Exit codes that mean yes.",
            },
            "timeout_s": {
                "type": "integer", "minimum": 1, "maximum": 60, "default": 10,
                "description": "Seconds for one attempt.",
            },
        }),
    )
}
