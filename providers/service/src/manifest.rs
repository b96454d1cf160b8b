//! What the provider says of itself.

use crate::{
    RELOAD, RESTART, UNIT, UNIT_FILE,
    unit::{STABLE_DEFAULT_S, STABLE_MAX_S, TIMEOUT_DEFAULT_S, TIMEOUT_MAX_S},
    unit_file::FILE_MAX_BYTES,
};
use rectify_sdk::{
    base::{Pointer, TypeName},
    protocol::{
        Manifest, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
    },
};
use serde_json::{Value, json};

const NAME: &str =
    "^[A-Za-z0-9:_\\\\][A-Za-z0-9:_.\\\\@-]*\\.(service|socket|timer|path|mount|automount|swap|target)$";
const PLACE: &str = "^/(etc|run)/systemd/system/[A-Za-z0-9:_\\\\][A-Za-z0-9:_.\\\\@-]*\\.(service|socket|timer|path|mount|automount|swap|target)(\\.d/[A-Za-z0-9:_\\\\@+-][A-Za-z0-9:_.\\\\@+-]*\\.conf)?$";

pub(crate) fn manifest() -> Manifest {
    let action = |name: &str, summary: &str, schema: Value| {
        descriptor(name, "action", summary, schema, ("/unit", "unit", "read"))
    };
    let types = [
        action(RELOAD, "A unit takes up what was changed, without an interruption.", reload()),
        action(RESTART, "A unit stops and starts again, and stays up.", restart()),
        descriptor(
            UNIT,
            "resource",
            "A unit runs or not, starts by itself or not, can be started or not.",
            unit(),
            ("/unit", "unit", "write"),
        ),
        descriptor(
            UNIT_FILE,
            "resource",
            "A unit file or drop-in has this content, and systemd has read it.",
            unit_file(),
            ("/path", "path", "write"),
        ),
    ];
    Manifest {
        format: FORMAT.into(),
        name: "service".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: types.into_iter().flatten().collect(),
    }
}

fn descriptor(
    name: &str,
    kind: &str,
    summary: &str,
    schema: Value,
    (property, thing, access): (&str, &str, &str),
) -> Option<TypeDescriptor> {
    let action = kind == "action";
    Some(TypeDescriptor {
        name: TypeName::new(name).ok()?,
        version: 1,
        kind: kind.into(),
        summary: summary.into(),
        schema,
        volatile: if name == UNIT { vec![Pointer::from("/detail")] } else { Vec::new() },
        touches: vec![TouchRule { property: property.into(), kind: thing.into(), access: access.into() }],
        prediction: if action { "opaque" } else { "exact" }.into(),
        retry: if action { "query" } else { "converge" }.into(),
        undo: if action { "lossy" } else { "exact" }.into(),
        // systemd asks nobody what was there. A file is compared until the rename.
        compare_and_swap: name == UNIT_FILE,
        read_timeout_ms: 60_000,
        apply_timeout_ms: (TIMEOUT_MAX_S + 120) * 1_000,
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties
    })
}

fn name() -> Value {
    json!({"type": "string", "pattern": NAME, "maxLength": 255, "description": "Name of the unit with its kind, as in `ssh.service`."})
}

fn stable() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": STABLE_MAX_S, "default": STABLE_DEFAULT_S,
        "description": "Seconds that the unit has to stay up after systemd says that it is. `0`: it is looked at once."})
}

fn timeout() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": TIMEOUT_MAX_S, "default": TIMEOUT_DEFAULT_S,
        "description": "Seconds until what systemd does is cancelled. systemd has a limit of its own for each unit."})
}

fn unit() -> Value {
    object(
        &["unit"],
        json!({
            "unit": name(),
            "state": {"enum": ["running", "stopped"], "description": "Whether it runs. Left out: as it is."},
            "enabled": {"type": "boolean", "description": "Whether it starts by itself, at boot or with what its [Install] section names. Left out: as it is."},
            "masked": {"type": "boolean", "description": "Whether it cannot be started at all, not even by what needs it. Left out: as it is."},
            "stable_s": stable(),
            "timeout_s": timeout()
        }),
    )
}

fn unit_file() -> Value {
    object(
        &["path"],
        json!({
            "path": {"type": "string", "pattern": PLACE, "maxLength": 400, "description": "A unit file or drop-in in `/etc/systemd/system` or `/run/systemd/system`."},
            "content": {"type": "string", "maxLength": FILE_MAX_BYTES, "description": "All of its text. Needed unless `state` is `absent`."},
            "state": {"enum": ["present", "absent"], "default": "present", "description": "Whether it should be there."}
        }),
    )
}

fn restart() -> Value {
    object(
        &["unit"],
        json!({
            "unit": name(),
            "when_stopped": {"enum": ["start", "leave"], "default": "start", "description": "What becomes of a unit that does not run."},
            "stable_s": stable(),
            "timeout_s": timeout()
        }),
    )
}

fn reload() -> Value {
    object(
        &["unit"],
        json!({
            "unit": name(),
            "or_restart": {"type": "boolean", "default": false, "description": "Restart a unit that does not know how to reload. Otherwise the step fails."},
            "stable_s": stable(),
            "timeout_s": timeout()
        }),
    )
}
