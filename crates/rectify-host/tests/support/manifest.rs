//! The manifest of the test provider, for both sides.

use rectify_base::TypeName;
use rectify_protocol::{
    Manifest, TypeDescriptor, VERSION,
    manifest::{FORMAT, ProtocolRange},
};
use serde_json::json;

/// A type that promises everything.
pub const THING: &str = "test.thing";
/// A type that promises nothing.
pub const VAGUE: &str = "test.vague";

pub fn manifest() -> Manifest {
    let descriptor = |name: &str, prediction: &str, undo: &str| TypeDescriptor {
        name: TypeName::new(name).expect("a type name"),
        version: 1,
        kind: "resource".into(),
        summary: "For tests.".into(),
        schema: json!({"type": "object"}),
        volatile: Vec::new(),
        touches: Vec::new(),
        prediction: prediction.into(),
        retry: "converge".into(),
        undo: undo.into(),
        compare_and_swap: true,
        read_timeout_ms: 1500,
        apply_timeout_ms: 1500,
    };
    Manifest {
        format: FORMAT.into(),
        name: "test".into(),
        version: "1.0.0".into(),
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        types: vec![descriptor(THING, "exact", "exact"), descriptor(VAGUE, "opaque", "none")],
    }
}
