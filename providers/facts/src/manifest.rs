//! What the provider says of itself.

use rectify_sdk::{
    base::TypeName,
    protocol::{
        Manifest, VERSION,
        manifest::{FORMAT, ProtocolRange, TypeDescriptor},
    },
};
use serde_json::json;

/// Longest that one group may take.
const READ_TIMEOUT_MS: u64 = 30_000;

pub(crate) fn manifest() -> Manifest {
    let types = [
        group("facts.addresses", "Network interfaces with their addresses."),
        group("facts.kernel", "The running kernel and its architecture."),
        group("facts.mounts", "Mounted file systems."),
        group("facts.os", "The operating system, as its os-release file says."),
        group("facts.packages", "Installed packages with their versions, of dpkg."),
        group("facts.units", "Unit files of systemd and whether they are enabled."),
    ];
    Manifest {
        format: FORMAT.into(),
        name: "facts".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: types.into_iter().flatten().collect(),
    }
}

fn group(name: &str, summary: &str) -> Option<TypeDescriptor> {
    Some(TypeDescriptor {
        name: TypeName::new(name).ok()?,
        version: 1,
        kind: "fact".into(),
        summary: summary.into(),
        schema: json!({"type": "object", "additionalProperties": false, "properties": {}}),
        volatile: Vec::new(),
        touches: Vec::new(),
        prediction: "exact".into(),
        retry: "converge".into(),
        undo: "none".into(),
        compare_and_swap: false,
        read_timeout_ms: READ_TIMEOUT_MS,
        apply_timeout_ms: READ_TIMEOUT_MS,
    })
}
