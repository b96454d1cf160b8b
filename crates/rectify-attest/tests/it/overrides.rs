//! Overrides: what they let pass, and that they let nothing else pass.

use crate::world::{HOUR, NOW, World, finding, name, set_aside, signer};
use proptest::prelude::*;
use rectify_attest::{attest, codes};
use std::collections::BTreeSet;

#[test]
fn a_denial_that_somebody_else_overrode_passes_and_is_told() {
    let world = World::overridden();
    assert_eq!(world.rules(), BTreeSet::from(["freeze".to_owned()]));
    let admitted = world.admit().unwrap();
    assert_eq!(admitted.overrides.len(), 1);
    assert_eq!(admitted.overrides[0].by, name("dave"));
    assert_eq!(admitted.overrides[0].reason, "the fix cannot wait");
    assert_eq!(admitted.expires_at, NOW + 2 * HOUR, "the admission ends with the override");
    assert_eq!(world.describe().overrides, admitted.overrides);
}

#[test]
fn an_override_that_nothing_needs_is_no_part_of_the_admission() {
    let mut world = World::overridden();
    world.decision.overridden.clear();
    let admitted = world.admit().unwrap();
    assert_eq!(admitted.overrides, []);
    assert!(admitted.expires_at > NOW + 2 * HOUR);
    // Nor does one that does not count stand in the way of a plan that policy allows.
    world.now = NOW + 3 * HOUR;
    let admitted = world.admit().unwrap();
    assert_eq!(admitted.uncounted.iter().map(|r| r.code).collect::<Vec<_>>(), [codes::OVERRIDE_EXPIRED]);
}

#[test]
fn an_override_is_no_approval_and_needs_no_role_of_approver() {
    let mut world = World::overridden();
    world.trust.approvers.remove(&name("dave"));
    world.admit().unwrap();
    world.files.remove("approval-bob.json");
    let refusals = world.admit().unwrap_err();
    assert!(refusals.iter().any(|r| r.code == codes::APPROVAL_MISSING), "{refusals:?}");
}

#[test]
fn nobody_may_override_unless_the_trust_file_says_so() {
    let mut world = World::overridden();
    world.trust.overriders.clear();
    assert_eq!(world.rules(), BTreeSet::new());
    assert!(world.admit().is_err());
}

#[test]
fn of_two_overrides_the_one_that_lasts_longer_counts() {
    let mut world = World::overridden();
    let mut longer = set_aside("dave");
    longer.expires_at = NOW + 3 * HOUR;
    let bytes = attest(world.digests(), &longer, &[&signer("dave")]).unwrap();
    world.files.insert("override-dave-2.json".to_owned(), bytes);
    assert_eq!(world.admit().unwrap().expires_at, NOW + 3 * HOUR);
}

const RULES: [&str; 5] = ["freeze", "freeze2", "too_many_changes", "forbidden_paths", "deny"];

proptest! {
    /// Whatever is signed and whatever policy says: what is admitted was denied by nothing, and all that
    /// was let pass is in the override.
    #[test]
    fn only_what_is_signed_is_let_pass(
        signed in prop::sample::subsequence(&RULES[..], 1..=RULES.len()),
        passed in prop::sample::subsequence(&RULES[..], 0..=RULES.len()),
        denied in prop::sample::subsequence(&RULES[..], 0..=2),
    ) {
        let mut world = World::sealed();
        let mut said = set_aside("dave");
        said.rules = signed.iter().map(|rule| (*rule).to_owned()).collect();
        let bytes = attest(world.digests(), &said, &[&signer("dave")]).unwrap();
        world.files.insert("override-dave.json".to_owned(), bytes);
        world.decision.overridden = passed.iter().map(|rule| finding(rule)).collect();
        world.decision.deny = denied.iter().map(|rule| finding(rule)).collect();
        world.decision.allowed = denied.is_empty();
        let expected = denied.is_empty() && passed.iter().all(|rule| signed.contains(rule));
        prop_assert_eq!(world.admit().is_ok(), expected);
    }
}
