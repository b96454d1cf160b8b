//! Keys that are replaced and revoked, at each second that matters.

use crate::world::{HOUR, NOW, World, name, signer, trust_data};
use rectify_attest::{KeyRecord, Revocation, Signer, TrustFile, attest, codes};

const FROM: u64 = NOW - 100;
const TO: u64 = NOW + 100;

#[test]
fn when_a_key_counts() {
    let key = signer("bob").public_key();
    let limited = KeyRecord { valid_from: Some(FROM), valid_to: Some(TO), ..KeyRecord::unlimited(key) };
    let revoked = |since| KeyRecord { revoked: Some(Revocation { since, reason: None }), ..limited.clone() };
    let table = [
        (&limited, 0, Some(codes::TRUST_KEY_NOT_YET_VALID)),
        (&limited, FROM - 1, Some(codes::TRUST_KEY_NOT_YET_VALID)),
        (&limited, FROM, None),
        (&limited, TO - 1, None),
        (&limited, TO, Some(codes::TRUST_KEY_EXPIRED)),
        (&limited, u64::MAX, Some(codes::TRUST_KEY_EXPIRED)),
        // Whenever it is, and whatever the moment that stands there.
        (&revoked(NOW), NOW - 1, Some(codes::TRUST_KEY_REVOKED)),
        (&revoked(NOW), NOW, Some(codes::TRUST_KEY_REVOKED)),
        (&revoked(NOW), NOW + 1, Some(codes::TRUST_KEY_REVOKED)),
        (&revoked(TO + HOUR), NOW, Some(codes::TRUST_KEY_REVOKED)),
        (&revoked(0), FROM - 1, Some(codes::TRUST_KEY_REVOKED)),
    ];
    for (record, now, expected) in table {
        assert_eq!(record.refused_at(now).map(|(code, _)| code), expected, "{record:?} at {now}");
    }
}

/// Alice, who sealed, gets another key beside the one she sealed with.
fn rotated(world: &mut World, at: u64, overlap_s: u64) {
    let (old, new) = (signer("alice").public_key(), signer("alice-2027").public_key());
    assert_eq!(world.trust.rotate(&old, new, at, overlap_s).unwrap(), name("alice"));
}

#[test]
fn what_is_sealed_stands_until_the_overlap_ends() {
    let mut world = World::sealed();
    assert!(world.admit().is_ok());
    rotated(&mut world, NOW, 60);
    assert_eq!(world.admit().unwrap().expires_at, NOW + 60);
    for (now, stands) in [(NOW, true), (NOW + 59, true), (NOW + 60, false)] {
        world.now = now;
        assert_eq!(world.admit().is_ok(), stands, "at {}", now - NOW);
    }
    // Without an overlap, not a second longer.
    let mut world = World::sealed();
    rotated(&mut world, NOW, 0);
    assert!(world.admit().is_err());
}

#[test]
fn the_new_key_seals_from_that_second_on() {
    for (at, stands) in [(NOW - 1, true), (NOW, true), (NOW + 1, false)] {
        let mut world = World::sealed();
        rotated(&mut world, at, HOUR);
        let body = crate::world::seal(&world.files["decision.json"]);
        let bytes = attest(world.digests(), &body, &[&signer("alice-2027")]).unwrap();
        world.files.insert("seal.json".to_owned(), bytes);
        assert_eq!(world.admit().is_ok(), stands, "rotated at {at}, and it is {NOW}");
    }
}

#[test]
fn a_key_never_lives_longer_for_being_replaced() {
    let mut data = trust_data();
    let (old, new) = (signer("alice").public_key(), signer("alice-2027").public_key());
    data.principals.get_mut(&name("alice")).unwrap().keys[0].valid_to = Some(NOW + 5);
    data.rotate(&old, new, NOW, HOUR).unwrap();
    assert_eq!(data.principals[&name("alice")].keys[0].valid_to, Some(NOW + 5));
    // A key that somebody holds already is no new one.
    let twice = data.rotate(&new, signer("bob").public_key(), NOW, HOUR);
    assert!(twice.is_ok());
    let problems = TrustFile::new(data).unwrap_err();
    assert!(problems.iter().any(|p| p.code == codes::TRUST_KEY_DUPLICATE), "{problems:?}");
}

#[test]
fn a_revoked_key_is_refused_at_once_and_stays_so() {
    let mut world = World::sealed();
    let alice = signer("alice").public_key();
    assert_eq!(world.trust.revoke(&alice, NOW - HOUR, Some("lost".into())).unwrap(), name("alice"));
    let refusals = world.admit().unwrap_err();
    assert!(refusals.iter().any(|r| r.code == codes::TRUST_KEY_REVOKED), "{refusals:?}");
    let again = world.trust.revoke(&alice, NOW, None).unwrap_err();
    assert_eq!((again.code, again.place.as_str()), (codes::TRUST_KEY_REVOKED, "/principals/alice/keys/0"));
    let replaced = world.trust.rotate(&alice, signer("alice-2027").public_key(), NOW, HOUR).unwrap_err();
    assert_eq!(replaced.code, codes::TRUST_KEY_REVOKED);
    let stranger = world.trust.revoke(&signer("zoe").public_key(), NOW, None).unwrap_err();
    assert_eq!(stranger.code, codes::TRUST_KEY_UNKNOWN);
}

#[test]
fn what_cannot_be_done_any_more_is_told() {
    let mut data = trust_data();
    let lacking = |data: &rectify_attest::TrustData, now| TrustFile::new(data.clone()).unwrap().lacking(now);
    assert!(lacking(&data, NOW).is_empty());
    let sealers: Vec<_> = data.sealers.iter().cloned().collect();
    for sealer in &sealers {
        for record in &mut data.principals.get_mut(sealer).unwrap().keys {
            record.valid_to = Some(TO);
        }
    }
    assert!(!lacking(&data, TO - 1).iter().any(|s| s.starts_with("nobody can seal")));
    assert!(lacking(&data, TO)[0].starts_with("nobody can seal"));
    let mut data = trust_data();
    let approvers: Vec<_> = data.approvers.iter().cloned().collect();
    for approver in &approvers[1..] {
        data.principals.get_mut(approver).unwrap().keys.clear();
    }
    data.thresholds.default = 2;
    let told = lacking(&data, NOW);
    assert!(told[0].starts_with("too few can approve: up to 2 must, and of those who may, 1 "), "{told:?}");
}
