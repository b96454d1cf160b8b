//! Making envelopes.

use crate::world::{World, approval, name, receipt, seal, signer, signer_number};
use rectify_attest::{
    Approval, Envelope, PublicKey, Seal, SignError, Signer, attest, codes, countersign, verify,
};
use rectify_base::canonical;

#[test]
fn a_countersigned_seal_has_both_signatures() {
    let world = World::sealed();
    let (plan, trust) = (world.digests(), world.trust_file());
    let both = countersign::<Seal>(plan, &world.files["seal.json"], &signer("ci")).unwrap();
    let signed = verify::<Seal>("seal.json", &both, plan, &trust).unwrap();
    let mut people: Vec<_> = signed.signers.iter().map(|s| s.principal.as_str()).collect();
    people.sort_unstable();
    assert_eq!(people, ["alice", "ci"]);
    let ci_first =
        attest(plan, &seal(&world.files["decision.json"]), &[&signer("ci"), &signer("alice")]).unwrap();
    assert_eq!(both, ci_first, "one byte form, whatever the order of signing");
}

#[test]
fn one_key_signs_once() {
    let world = World::sealed();
    let (plan, alice) = (world.digests(), signer("alice"));
    let twice = countersign::<Seal>(plan, &world.files["seal.json"], &alice).unwrap_err();
    assert!(matches!(&twice, SignError::Envelope(e) if e.code() == codes::ENVELOPE_SIGNATURE_LIST));
    assert!(attest(plan, &approval("alice"), &[&alice, &alice]).is_err());
    assert!(attest(plan, &approval("alice"), &[]).is_err());
}

#[test]
fn sixteen_signatures_are_the_most() {
    let plan = World::sealed().digests();
    let keys: Vec<_> = (0..17).map(|index| signer_number("many", index)).collect();
    let keys: Vec<&dyn Signer> = keys.iter().map(|k| k as &dyn Signer).collect();
    assert!(attest(plan, &receipt(), &keys[..16]).is_ok());
    assert!(attest(plan, &receipt(), &keys).is_err());
}

#[test]
fn a_countersigner_looks_at_what_it_signs() {
    let world = World::sealed();
    let other = rectify_base::FileDigests::of_bytes(b"another plan");
    let seal = &world.files["seal.json"];
    assert!(countersign::<Seal>(other, seal, &signer("ci")).is_err());
    assert!(countersign::<Approval>(world.digests(), seal, &signer("ci")).is_err());
}

#[test]
fn a_signer_with_the_wrong_public_half_is_found_out() {
    struct MixedUp;
    impl Signer for MixedUp {
        fn public_key(&self) -> PublicKey {
            signer("bob").public_key()
        }
        fn sign(&self, bytes: &[u8]) -> Result<[u8; 64], SignError> {
            signer("carol").sign(bytes)
        }
    }
    let plan = World::sealed().digests();
    assert_eq!(attest(plan, &approval("bob"), &[&MixedUp]), Err(SignError::Inconsistent));
}

#[test]
fn a_receipt_is_no_obstacle_and_outlives_its_key() {
    let mut world = World::sealed();
    let bytes = attest(world.digests(), &receipt(), &[&signer("ci")]).unwrap();
    world.files.insert("receipt.json".to_owned(), bytes.clone());
    assert!(world.admit().is_ok());
    world.trust.principals.get_mut(&name("ci")).unwrap().keys[0].valid_to = Some(world.now - 1);
    assert!(world.admit().is_ok());
    let damaged = String::from_utf8(bytes).unwrap().replacen("SHA256:", "SHA256;", 1);
    world.files.insert("receipt.json".to_owned(), damaged.into_bytes());
    assert!(world.admit().is_err(), "history is not decoration either");
}

#[test]
fn other_spellings_of_base64_are_refused() {
    let bytes = World::sealed().files["seal.json"].clone();
    let wire: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let sig = wire["signatures"][0]["sig"].as_str().unwrap();
    let stray_bits = {
        // 64 bytes leave four unused bits before the padding.
        let last = sig.as_bytes()[sig.len() - 3];
        let other = if last == b'A' { 'B' } else { char::from(last + 1) };
        format!("{}{other}==", &sig[..sig.len() - 3])
    };
    let spellings = [sig.trim_end_matches('=').to_owned(), format!("{sig}="), format!(" {sig}"), stray_bits];
    for spelling in spellings {
        let mut changed = wire.clone();
        changed["signatures"][0]["sig"] = spelling.clone().into();
        let error = Envelope::read(&canonical::file_bytes(&changed).unwrap()).unwrap_err();
        assert_eq!(error.code(), codes::ENVELOPE_BASE64, "{spelling}");
    }
}

#[test]
fn the_same_name_twice_is_refused() {
    let world = World::sealed();
    let file = |(name, bytes): (&String, &Vec<u8>)| rectify_attest::EnvelopeFile {
        name: name.clone(),
        bytes: bytes.clone(),
    };
    let mut envelopes: Vec<_> = world.files.iter().map(file).collect();
    let receipt = attest(world.digests(), &receipt(), &[&signer("ci")]).unwrap();
    envelopes.push(rectify_attest::EnvelopeFile { name: "seal.json".to_owned(), bytes: receipt });
    let refusals = rectify_attest::admit(&rectify_attest::AdmissionInput {
        plan: &world.plan,
        envelopes: &envelopes,
        trust: &world.trust_file(),
        decision: &world.decision,
        now: world.now,
    })
    .unwrap_err();
    assert_eq!(refusals[0].code, codes::ENVELOPE_DUPLICATE);
}
