//! Envelopes, and the statements in them.

use crate::{Target, seeds, targets::admission};
use rectify_attest::{
    Approval, DecisionRecord, Envelope, Override, Receipt, Resolution, Seal,
    statement::{Predicate, claimed_kind, decode, encode},
};
use rectify_base::{Digest, FileDigests, Sha256Digest, canonical};
use serde_json::{Value, json};
use std::path::Path;

pub(super) const TARGET: Target = Target {
    name: "envelope",
    holds: "an envelope or statement that is read is written as the same bytes; a statement has one kind",
    check,
    seeds,
    max_bytes: 8192,
    replays: 60,
};

fn check(data: &[u8]) {
    match Envelope::read(data) {
        Ok(envelope) => {
            assert_eq!(envelope.to_bytes().as_deref(), Ok(data));
            statement(envelope.payload());
        }
        Err(_) => statement(data),
    }
}

fn statement(payload: &[u8]) {
    // About whatever plan it says.
    let value = canonical::parse_strict(payload).unwrap_or_default();
    let digest =
        |name: &str| Some(format!("{name}:{}", value.pointer("/subject/0/digest")?.get(name)?.as_str()?));
    let blake3 = digest("blake3").and_then(|text| text.parse::<Digest>().ok());
    let sha256 = digest("sha256").and_then(|text| text.parse::<Sha256Digest>().ok());
    let none = FileDigests::of_bytes(b"");
    let plan = FileDigests { blake3: blake3.unwrap_or(none.blake3), sha256: sha256.unwrap_or(none.sha256) };
    let read = [
        same::<DecisionRecord>(plan, payload),
        same::<Seal>(plan, payload),
        same::<Approval>(plan, payload),
        same::<Receipt>(plan, payload),
        same::<Override>(plan, payload),
        same::<Resolution>(plan, payload),
    ];
    let count = read.iter().filter(|read| **read).count();
    assert!(count <= 1, "a statement of two kinds");
    assert!(count == 0 || claimed_kind(payload).is_ok());
}

fn same<T: Predicate>(plan: FileDigests, payload: &[u8]) -> bool {
    let Ok(predicate) = decode::<T>(plan, payload) else { return false };
    assert_eq!(claimed_kind(payload).ok(), Some(T::KIND));
    assert_eq!(encode(plan, &predicate).as_deref(), Ok(payload), "read, and written otherwise");
    assert!(decode::<T>(FileDigests::of_bytes(b"another plan"), payload).is_err());
    true
}

fn seeds(conformance: &Path) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for bytes in admission::envelopes() {
        all.push(Envelope::read(&bytes).unwrap().payload().to_vec());
        all.push(bytes);
    }
    let plan = FileDigests::of_bytes(b"plan");
    let use_id = "00112233445566778899aabbccddeeff";
    let rules = json!(["production/denied"]);
    let envelope = Digest::of_bytes(b"envelope");
    let word = json!({
        "use": use_id, "by": "bob", "rules": rules, "reason": "an incident", "expires_at": 1_800_000_000_u64
    });
    let word: Override = serde_json::from_value(word).unwrap();
    let target =
        json!({"result": "undone", "changed": 1, "already": 2, "failed": 1, "skipped": 0, "undone": 1});
    let receipt = json!({
        "run": admission::resolution().run, "use": use_id, "targets": {"web-1": target},
        "started_at": 1_800_000_000_u64, "ended_at": 1_800_000_001_u64,
        "providers": {"file": "builtin:file@0.1.0"}, "result": "undone",
        "overrides": [{"envelope": envelope, "by": "bob", "rules": rules, "reason": "an incident"}],
    });
    let receipt: Receipt = serde_json::from_value(receipt).unwrap();
    all.push(encode(plan, &admission::resolution()).unwrap());
    all.push(encode(plan, &word).unwrap());
    all.push(encode(plan, &receipt).unwrap());
    let vectors = seeds::files(&conformance.join("vectors/dsse"));
    all.extend(
        vectors
            .into_iter()
            .map(|(_, bytes)| bytes)
            .filter(|bytes| canonical::read_file::<Value>(bytes).is_ok()),
    );
    all
}
