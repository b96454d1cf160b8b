//! What `rectify verify` shows agrees with what the gate decides.

use crate::world::{NOW, World};

#[test]
fn an_admitted_plan() {
    let world = World::sealed();
    let description = world.describe();
    let shown = serde_json::to_value(&description).unwrap();
    assert_eq!(shown["may_be_applied"], true);
    assert_eq!(shown["until"], world.admit().unwrap().expires_at);
    assert_eq!(shown["digests"]["sha256"], world.digests().sha256.to_string());
    assert_eq!(shown["plan"]["project"], "web");
    assert_eq!(shown["plan"]["targets"], serde_json::json!(["web-1"]));
    assert_eq!(shown["plan"]["environments"], serde_json::json!(["prod"]));
    assert_eq!(shown["plan"]["counts"]["update"], 1);
    assert_eq!(shown["seal"]["author"], "alice");
    assert_eq!(shown["seal"]["use"], "00112233445566778899aabbccddeeff");
    assert_eq!(shown["approvals_required"], 2);
    assert_eq!(shown["approvals"][0]["approver"], "bob");
    assert_eq!(shown["refusals"], serde_json::json!([]));
    let kinds: Vec<_> = description.envelopes.iter().map(|e| (e.file.as_str(), e.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("approval-bob.json", "approval"),
            ("approval-carol.json", "approval"),
            ("decision.json", "decision"),
            ("seal.json", "seal"),
        ]
    );
}

#[test]
fn a_refused_plan_says_why_and_still_who_vouches() {
    let mut world = World::sealed();
    world.now = NOW + 100 * 3600;
    let description = world.describe();
    assert_eq!(description.refusals, world.admit().unwrap_err());
    assert!(!description.may_be_applied && description.until.is_none());
    assert_eq!(description.envelopes.len(), 4);
    let codes: Vec<_> = description.refusals.iter().map(|r| r.code.as_str()).collect();
    assert_eq!(codes, ["approval-expired", "approval-expired", "approval-missing", "seal-expired"]);
}

#[test]
fn nothing_at_all() {
    let mut world = World::sealed();
    world.plan = b"not a plan".to_vec();
    world.files.clear();
    let description = world.describe();
    assert!(description.plan.is_none() && description.seal.is_none());
    let found: Vec<_> = description.refusals.iter().map(|r| (r.code.as_str(), r.place.as_str())).collect();
    assert_eq!(found, [("seal-missing", "envelopes"), ("seal-plan", "plan")]);
}
