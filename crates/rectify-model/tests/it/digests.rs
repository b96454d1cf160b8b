//! `digests`, `fingerprints` and `ids`.

use crate::{bytes_of, vectors};
use rectify_base::{
    Address, Digest, FileDigests, Pointer, Sha256Digest, TargetName, TypeName, digest::context,
    fingerprint::fingerprint,
};
use rectify_model::journal::{RunId, UseId, operation_id};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfBytes {
    name: String,
    text: Option<String>,
    hex: Option<String>,
    pattern: Option<usize>,
    blake3: Digest,
    sha256: Sha256Digest,
}

#[test]
fn of_files() {
    for v in vectors::<OfBytes>("digests/files.json", 12) {
        let bytes = match (v.text, v.hex, v.pattern) {
            (Some(text), None, None) => text.into_bytes(),
            (None, Some(hex), None) => bytes_of(&hex),
            (None, None, Some(length)) => (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect(),
            _ => panic!("{}: one input", v.name),
        };
        let expected = FileDigests { blake3: v.blake3, sha256: v.sha256 };
        assert_eq!(FileDigests::of_bytes(&bytes), expected, "{}", v.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Derived {
    context: String,
    parts: Vec<String>,
    digest: Digest,
}

#[test]
fn derived() {
    let mut seen = BTreeSet::new();
    for v in vectors::<Derived>("digests/derived.json", 14) {
        let parts: Vec<&[u8]> = v.parts.iter().map(String::as_bytes).collect();
        assert_eq!(Digest::derive(&v.context, &parts), v.digest, "{} {:?}", v.context, v.parts);
        seen.insert(v.context);
    }
    for context in [
        context::FINGERPRINT,
        context::OPERATION,
        context::RUN,
        context::TARGET_IDENTITY,
        context::SECRET,
        context::POLICY_BUNDLE,
        context::SOURCES,
        context::AUDIT_RECORD,
        context::AUDIT_DETAIL,
    ] {
        assert!(seen.contains(context), "no vector for `{context}`");
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fingerprint {
    name: String,
    #[serde(rename = "type")]
    type_name: TypeName,
    version: u32,
    state: Option<Value>,
    volatile: Vec<Pointer>,
    fingerprint: Digest,
}

#[test]
fn fingerprints() {
    for v in vectors::<Fingerprint>("fingerprints/fingerprints.json", 17) {
        let found = fingerprint(&v.type_name, v.version, v.state.as_ref(), &v.volatile).unwrap();
        assert_eq!(found, v.fingerprint, "{}", v.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    #[serde(rename = "use")]
    use_id: UseId,
    target: TargetName,
    address: Address,
    op_id: String,
}

#[test]
fn operations() {
    let all = vectors::<Operation>("ids/operations.json", 5);
    for v in &all {
        assert_eq!(operation_id(&v.use_id, &v.target, &v.address), v.op_id);
    }
    assert_eq!(all.iter().map(|v| &v.op_id).collect::<BTreeSet<_>>().len(), all.len());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    #[serde(rename = "use")]
    use_id: UseId,
    targets: Vec<TargetName>,
    run: RunId,
}

#[test]
fn runs() {
    for v in vectors::<Run>("ids/runs.json", 6) {
        assert_eq!(RunId::derive(&v.use_id, &v.targets), v.run, "{:?}", v.targets);
    }
}
