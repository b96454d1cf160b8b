//! `conformance/vectors/dsse`: what another language can check its own encoding against.

use crate::world::{approval, signer};
use rectify_attest::{Approval, Envelope, PublicKey, Signer, attest, envelope::pae, statement};
use rectify_base::FileDigests;
use serde::Deserialize;
use std::{fs, path::PathBuf};

fn vectors(file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../conformance/vectors/dsse").join(file);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pae {
    payload_type: String,
    payload: String,
    pae: String,
}

#[test]
fn pre_authentication_encoding() {
    let all: Vec<Pae> = serde_json::from_slice(&vectors("pae.json")).unwrap();
    assert!(all.len() >= 4);
    for vector in all {
        let encoded = pae(&vector.payload_type, vector.payload.as_bytes());
        assert_eq!(String::from_utf8(encoded).unwrap(), vector.pae);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    subject: String,
    public_key: String,
    keyid: String,
    payload: String,
    signed_bytes: String,
}

#[test]
fn an_envelope() {
    let vector: Vector = serde_json::from_slice(&vectors("approval/vector.json")).unwrap();
    let bytes = vectors("approval/envelope.json");
    let envelope = Envelope::read(&bytes).unwrap();
    assert_eq!(envelope.payload(), vector.payload.as_bytes());
    assert_eq!(envelope.signed_bytes(), vector.signed_bytes.as_bytes());
    let key = PublicKey::from_openssh(&vector.public_key).unwrap();
    assert_eq!(key.fingerprint(), vector.keyid);
    let [signature] = envelope.signatures() else { panic!("one signature") };
    assert_eq!(signature.keyid, vector.keyid);
    assert!(key.verifies(vector.signed_bytes.as_bytes(), &signature.signature));
    let plan = FileDigests::of_bytes(vector.subject.as_bytes());
    assert_eq!(statement::decode::<Approval>(plan, envelope.payload()).unwrap(), approval("bob"));
    // Ed25519 is deterministic: making it again gives these bytes.
    assert_eq!(attest(plan, &approval("bob"), &[&signer("bob")]).unwrap(), bytes);
    assert_eq!(signer("bob").public_key(), key);
}
