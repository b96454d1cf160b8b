//! What the provider says of itself.

use rectify_sdk::{
    base::TypeName,
    protocol::{
        Manifest, VERSION,
        manifest::{FORMAT, ProtocolRange, TouchRule, TypeDescriptor},
    },
};
use serde_json::{Value, json};

const SUMMARY: &str =
    "A package is installed, at a version or at least at one, held or not, or is not there.";
/// Installing takes its time.
const APPLY_TIMEOUT_MS: u64 = 30 * 60 * 1_000;

/// Names of packages, with an architecture where it is not the machine's own.
pub(crate) const NAME: &str = "^[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9]+)?$";
const VERSION_OF_PACKAGE: &str = "^([0-9]+:)?[0-9][A-Za-z0-9.+~:-]*$";

pub(crate) fn manifest() -> Manifest {
    let types = TypeName::new(crate::TYPE).into_iter().map(|name| TypeDescriptor {
        name,
        version: 1,
        kind: "resource".into(),
        summary: SUMMARY.into(),
        schema: schema(),
        volatile: Vec::new(),
        touches: vec![TouchRule { property: "/name".into(), kind: "package".into(), access: "write".into() }],
        prediction: "exact".into(),
        retry: "converge".into(),
        undo: "exact".into(),
        // What would be done is worked out again right before; the package manager takes no expectation.
        compare_and_swap: false,
        read_timeout_ms: 60_000,
        apply_timeout_ms: APPLY_TIMEOUT_MS,
    });
    Manifest {
        format: FORMAT.into(),
        name: "package".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: types.collect(),
    }
}

fn schema() -> Value {
    let version = |what: &str| json!({"type": "string", "pattern": VERSION_OF_PACKAGE, "maxLength": 200, "description": what});
    let flag = |what: &str| json!({"type": "boolean", "default": false, "description": what});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": {
                "type": "string",
                "pattern": NAME,
                "maxLength": 200,
                "description": "Name of the package; with `:` and an architecture where that is not the machine's own."
            },
            "state": {
                "enum": ["present", "absent"],
                "default": "present",
                "description": "Whether it should be installed."
            },
            "version": version("Exactly this version."),
            "minimum": version("At least this version. What is there and new enough stays; what is older, or not there, becomes the version that the repositories offer now."),
            "only_if_installed": flag("Where it is not installed, there is nothing to do."),
            "held": {
                "type": "boolean",
                "description": "Whether upgrades leave it alone. Left out: kept; then a step refuses to change a held package."
            },
            "downgrade": flag("`version` may be lower than what is installed."),
            "removes": {
                "type": "array",
                "items": {"type": "string", "pattern": NAME},
                "default": [],
                "description": "Other packages that may be removed for it. Where others would have to go, the step is refused and names them."
            },
            "recommends": {
                "type": "boolean",
                "description": "Whether packages that it recommends come with it. Left out: as the package manager is configured."
            },
            "purge": flag("With state `absent`: remove its configuration, too.")
        }
    })
}
