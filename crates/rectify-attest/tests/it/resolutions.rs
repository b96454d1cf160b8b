//! Resolutions: whose answer counts, and that it is no permission.

use crate::world::{World, name, resolution, signer};
use rectify_attest::{attest, codes};

#[test]
fn the_answer_of_one_who_may_seal_or_approve_counts() {
    assert_eq!(World::resolved().resolve().unwrap(), resolution("bob"));
    let mut world = World::resolved();
    world.trust.approvers.remove(&name("bob"));
    world.trust.sealers.insert(name("bob"));
    assert_eq!(world.resolve().unwrap(), resolution("bob"));
}

#[test]
fn an_answer_neither_permits_nor_forbids_anything() {
    let (with, without) = (World::resolved().admit().unwrap(), World::sealed().admit().unwrap());
    assert_eq!(with, without);
    let mut world = World::resolved();
    world.files.remove("approval-carol.json");
    let refusals = world.admit().unwrap_err();
    assert!(refusals.iter().any(|r| r.code == codes::APPROVAL_MISSING), "{refusals:?}");
}

#[test]
fn a_machine_that_may_seal_does_not_answer() {
    let mut world = World::sealed();
    let bytes = attest(world.digests(), &resolution("ci"), &[&signer("ci")]).unwrap();
    world.files.insert("resolution-bob.json".to_owned(), bytes);
    assert_eq!(world.resolve().unwrap_err().code, codes::RESOLUTION_ROLE);
}
