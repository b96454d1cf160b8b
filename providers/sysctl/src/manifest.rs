//! What the provider says of itself.

use rectify_sdk::{
    base::TypeName,
    protocol::{
        Manifest, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
    },
};
use serde_json::{Value, json};

const SUMMARY: &str = "A setting of the kernel has this value, now and after the next boot.";

pub(crate) fn manifest() -> Manifest {
    let touch = |property: &str, kind: &str| TouchRule {
        property: property.into(),
        kind: kind.into(),
        access: "write".into(),
    };
    let types = TypeName::new("sysctl.value").into_iter().map(|name| TypeDescriptor {
        name,
        version: 1,
        kind: "resource".into(),
        summary: SUMMARY.into(),
        schema: schema(),
        volatile: Vec::new(),
        touches: vec![touch("/key", "sysctl"), touch("/file", "path")],
        prediction: "exact".into(),
        retry: "converge".into(),
        undo: "exact".into(),
        // The kernel takes a value without asking which one was there.
        compare_and_swap: false,
        read_timeout_ms: 30_000,
        apply_timeout_ms: 60_000,
    });
    Manifest {
        format: FORMAT.into(),
        name: "sysctl".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: types.collect(),
    }
}

fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["key"],
        "additionalProperties": false,
        "properties": {
            "key": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_/:@-]+(\\.[A-Za-z0-9_/:@-]+)+$",
                "maxLength": 200,
                "description": "Name of the setting with dots between its parts, as in `net.ipv4.ip_forward`. A dot in a part is written `/`, as in `net.ipv4.conf.eth0/7.forwarding`."
            },
            "value": {
                "type": ["string", "integer"],
                "description": "The value as the kernel shows it. Several words are separated by blanks, however the kernel separates them. Needed unless `state` is `absent`."
            },
            "file": {
                "type": "string",
                "pattern": "^/etc/sysctl\\.d/[A-Za-z0-9_][A-Za-z0-9_.-]*\\.conf$",
                "maxLength": 255,
                "description": "File that keeps the value over boots; it holds nothing else. Left out: `/etc/sysctl.d/60-rectify-` with the key and `.conf`."
            },
            "live": {
                "type": "boolean",
                "default": true,
                "description": "Set it now, too. `false`: only the file is written; a must where the target is a directory."
            },
            "state": {
                "enum": ["present", "absent"],
                "default": "present",
                "description": "`absent`: the file is removed. What holds now stays until the next boot."
            }
        }
    })
}
