//! Until when an admission stands.

use crate::world::{HOUR, NOW, World, approval, name, seal, signer};
use rectify_attest::{Approval, Seal, attest};

fn approve(world: &mut World, who: &str, expires_at: u64) {
    let body = Approval { expires_at, ..approval(who) };
    let bytes = attest(world.digests(), &body, &[&signer(who)]).unwrap();
    world.files.insert(format!("approval-{who}.json"), bytes);
}

#[test]
fn the_last_needed_approval_ends_it() {
    let mut world = World::sealed();
    approve(&mut world, "bob", NOW + 2 * HOUR);
    approve(&mut world, "carol", NOW + 5 * HOUR);
    assert_eq!(world.admit().unwrap().expires_at, NOW + 2 * HOUR);
    // With a third, two are left when Bob's has ended.
    approve(&mut world, "dave", NOW + 4 * HOUR);
    assert_eq!(world.admit().unwrap().expires_at, NOW + 4 * HOUR);
}

#[test]
fn the_end_is_the_first_second_that_is_refused() {
    let mut world = World::sealed();
    let end = world.admit().unwrap().expires_at;
    world.now = end - 1;
    assert!(world.admit().is_ok());
    world.now = end;
    assert!(world.admit().is_err());
}

#[test]
fn a_key_that_ends_earlier_ends_it() {
    let mut world = World::sealed();
    world.trust.principals.get_mut(&name("bob")).unwrap().keys[0].valid_to = Some(NOW + 60);
    assert_eq!(world.admit().unwrap().expires_at, NOW + 60);
    world.trust.principals.get_mut(&name("alice")).unwrap().keys[0].valid_to = Some(NOW + 30);
    assert_eq!(world.admit().unwrap().expires_at, NOW + 30);
}

#[test]
fn the_seal_ends_it() {
    let mut world = World::sealed();
    let body = Seal { expires_at: NOW + 10, ..seal(&world.files["decision.json"]) };
    let bytes = attest(world.digests(), &body, &[&signer("alice")]).unwrap();
    world.files.insert("seal.json".to_owned(), bytes);
    assert_eq!(world.admit().unwrap().expires_at, NOW + 10);
}

#[test]
fn a_requester_who_only_approved_ends_it_too() {
    let mut world = World::sealed();
    let body = Seal { requester: name("erin"), ..seal(&world.files["decision.json"]) };
    let bytes = attest(world.digests(), &body, &[&signer("alice")]).unwrap();
    world.files.insert("seal.json".to_owned(), bytes);
    assert!(world.admit().is_err(), "Erin asked for it and did not sign");
    approve(&mut world, "erin", NOW + HOUR);
    let admitted = world.admit().unwrap();
    assert_eq!((admitted.required, admitted.expires_at), (2, NOW + HOUR));
    world.now = NOW + HOUR;
    assert!(world.admit().is_err(), "without Erin a third approval is needed");
}
