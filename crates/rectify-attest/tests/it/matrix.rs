//! Type confusion: of each kind of statement against each verifier, only the diagonal verifies.

use crate::world::{World, approval, decision_record, receipt, release, resolution, seal, set_aside, signer};
use rectify_attest::{
    Approval, DecisionRecord, Kind, Override, Predicate, Receipt, Release, Resolution, Seal, TrustFile,
    attest, codes, verify,
};
use rectify_base::{Code, FileDigests};

fn read<T: Predicate>(bytes: &[u8], plan: FileDigests, trust: &TrustFile) -> Result<(), Code> {
    verify::<T>("file", bytes, plan, trust).map(drop).map_err(|refusal| refusal.code)
}

#[test]
fn only_the_diagonal_verifies() {
    let world = World::sealed();
    let (plan, trust, alice) = (world.digests(), world.trust_file(), signer("alice"));
    let decision = attest(plan, &decision_record(), &[&alice]).unwrap();
    let envelopes = [
        attest(plan, &seal(&decision), &[&alice]).unwrap(),
        attest(plan, &approval("alice"), &[&alice]).unwrap(),
        attest(plan, &receipt(), &[&alice]).unwrap(),
        decision,
        attest(plan, &set_aside("alice"), &[&alice]).unwrap(),
        attest(plan, &resolution("alice"), &[&alice]).unwrap(),
        attest(plan, &release("alice"), &[&alice]).unwrap(),
    ];
    let verifiers = [
        read::<Seal>,
        read::<Approval>,
        read::<Receipt>,
        read::<DecisionRecord>,
        read::<Override>,
        read::<Resolution>,
        read::<Release>,
    ];
    for (row, envelope) in envelopes.iter().enumerate() {
        for (column, verifier) in verifiers.iter().enumerate() {
            let expected = if row == column { Ok(()) } else { Err(codes::ENVELOPE_PREDICATE_TYPE) };
            assert_eq!(verifier(envelope, plan, &trust), expected, "envelope {row}, verifier {column}");
        }
    }
}

#[test]
fn a_body_under_another_type_does_not_verify() {
    let world = World::sealed();
    let (plan, trust) = (world.digests(), world.trust_file());
    let bodies = [
        serde_json::to_value(decision_record()).unwrap(),
        serde_json::to_value(seal(b"")).unwrap(),
        serde_json::to_value(approval("alice")).unwrap(),
        serde_json::to_value(receipt()).unwrap(),
        serde_json::to_value(set_aside("alice")).unwrap(),
        serde_json::to_value(resolution("alice")).unwrap(),
        serde_json::to_value(release("alice")).unwrap(),
    ];
    let verifiers = [
        read::<DecisionRecord>,
        read::<Seal>,
        read::<Approval>,
        read::<Receipt>,
        read::<Override>,
        read::<Resolution>,
        read::<Release>,
    ];
    for (row, body) in bodies.iter().enumerate() {
        for (column, kind) in rectify_attest::Kind::ALL.iter().enumerate() {
            let payload = rectify_base::canonical::compact(&serde_json::json!({
                "_type": "https://in-toto.io/Statement/v1",
                "predicate": body,
                "predicateType": kind.uri(),
                "subject": [{
                    "digest": {"blake3": plan.blake3.hex(), "sha256": plan.sha256.hex()},
                    "name": if *kind == Kind::Release { "manifest" } else { "plan" },
                }],
            }))
            .unwrap();
            let envelope = crate::mutation::sign(payload, &["alice".to_owned()]);
            let expected = if row == column { Ok(()) } else { Err(codes::ENVELOPE_STATEMENT) };
            assert_eq!(verifiers[column](&envelope, plan, &trust), expected, "body {row} as {kind:?}");
        }
    }
}
