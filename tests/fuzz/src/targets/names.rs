//! Names, addresses, digests, pointers, ids: one text each.

use crate::{Target, seeds};
use rectify_attest::PrincipalName;
use rectify_base::{
    Address, Digest, GroupName, ModuleName, Pointer, ProjectName, RemediationName, Sha256Digest, StepName,
    TargetName, TypeName,
};
use rectify_model::journal::{RunId, UseId};
use rectify_protocol::message::ProtocolVersion;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt::Debug, path::Path};

pub(super) const TARGET: Target = Target {
    name: "names",
    holds: "a text that is read as a name, digest or version is written as that text",
    check,
    seeds,
    max_bytes: 700,
    replays: 20,
};

fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    same::<ProjectName>(text);
    same::<RemediationName>(text);
    same::<ModuleName>(text);
    same::<GroupName>(text);
    same::<StepName>(text);
    same::<TargetName>(text);
    same::<PrincipalName>(text);
    same::<TypeName>(text);
    same::<Digest>(text);
    same::<Sha256Digest>(text);
    same::<UseId>(text);
    same::<RunId>(text);
    same::<ProtocolVersion>(text);
    if let Some(address) = same::<Address>(text) {
        assert_eq!(format!("{}/{}", address.remediation(), address.step()), text);
        assert!(RemediationName::new(address.remediation()).is_ok());
        assert!(!text.contains(['\n', '`', '\\']), "an address that no message can show");
    }
    let pointer = Pointer::from(text);
    let tokens = pointer.tokens();
    let again = Pointer::from_tokens(tokens.iter().map(String::as_str));
    assert_eq!(again.tokens(), tokens);
    let escapes =
        text.match_indices('~').all(|(at, _)| matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1')));
    if (text.is_empty() || text.starts_with('/')) && escapes {
        assert_eq!(again, pointer);
    }
}

fn same<T: DeserializeOwned + Serialize + Debug>(text: &str) -> Option<T> {
    let name: T = serde_json::from_value(Value::from(text)).ok()?;
    assert_eq!(serde_json::to_value(&name).unwrap(), text, "{name:?}");
    Some(name)
}

fn seeds(conformance: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for directory in ["names", "ids", "digests"] {
        for (_, bytes) in seeds::files(&conformance.join("vectors").join(directory)) {
            texts(&serde_json::from_slice(&bytes).unwrap(), &mut all);
        }
    }
    all.extend(["1.0", "/content/text", "/a~1b/~0", ""].map(|text| text.as_bytes().to_vec()));
    all.sort();
    all.dedup();
    all
}

fn texts(value: &Value, all: &mut Vec<Vec<u8>>) {
    match value {
        Value::String(text) => all.push(text.clone().into_bytes()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(map) => map.values().for_each(|item| texts(item, all)),
        _ => {}
    }
}
