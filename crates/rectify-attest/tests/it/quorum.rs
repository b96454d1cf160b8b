//! The quorum is met if and only if enough distinct authorised persons, neither the author nor who
//! sealed, approved: 10,000 random sets of signatures against a model of three lines.

use crate::world::{
    APPROVERS, HOUR, NOW, PEOPLE, World, allowing, approval, name, seal, signer, signer_number,
};
use proptest::prelude::*;
use rectify_attest::{Approval, PrincipalKind, Seal, Signer, attest, codes};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, OnceLock},
};

#[derive(Clone, Debug)]
struct Scene {
    author: usize,
    requester: usize,
    sealers: BTreeSet<usize>,
    /// Who, with which of their keys, and whether it has expired.
    approvals: BTreeSet<(usize, u8, bool)>,
    threshold: u32,
    demand: u32,
}

const ALICE: usize = 0;
const CI: usize = 5;

fn scene() -> impl Strategy<Value = Scene> {
    let anybody = || 0..PEOPLE.len();
    let sealers = (prop_oneof![Just(ALICE), Just(CI)], proptest::collection::btree_set(anybody(), 0..2))
        .prop_map(|(sealer, others)| others.into_iter().chain([sealer]).collect());
    let vote = (anybody(), 0..2_u8, prop::bool::weighted(0.15))
        .prop_map(|(who, key, expired)| (who, key % PEOPLE[who].2, expired));
    let approvals = proptest::collection::btree_set(vote, 0..7);
    (anybody(), anybody(), sealers, approvals, 0..=4_u32, 0..=3_u32).prop_map(
        |(author, requester, sealers, approvals, threshold, demand)| Scene {
            author,
            requester,
            sealers,
            approvals,
            threshold,
            demand,
        },
    )
}

fn is_met(scene: &Scene) -> bool {
    let valid: BTreeSet<usize> = scene.approvals.iter().filter(|a| !a.2).map(|a| a.0).collect();
    let counts = |who: &&usize| {
        PEOPLE[**who].1 == PrincipalKind::Person
            && APPROVERS.contains(&PEOPLE[**who].0)
            && **who != scene.author
            && !scene.sealers.contains(who)
    };
    let counted = valid.iter().filter(counts).count();
    let requester_signed = scene.sealers.contains(&scene.requester) || valid.contains(&scene.requester);
    counted >= scene.threshold.max(scene.demand) as usize + usize::from(!requester_signed)
}

/// Signing is slow without optimisation, and there are few different envelopes.
fn remembered(key: String, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    static MEMORY: OnceLock<Mutex<BTreeMap<String, Vec<u8>>>> = OnceLock::new();
    let mut memory = MEMORY.get_or_init(Mutex::default).lock().unwrap();
    memory.entry(key).or_insert_with(make).clone()
}

fn world(base: &World, scene: &Scene) -> World {
    let mut world = base.clone();
    world.files.retain(|name, _| name == "decision.json");
    let key = format!("seal {} {} {:?}", scene.author, scene.requester, scene.sealers);
    let sealed = remembered(key, || {
        let body = Seal {
            author: name(PEOPLE[scene.author].0),
            requester: name(PEOPLE[scene.requester].0),
            ..seal(&base.files["decision.json"])
        };
        let signers: Vec<_> = scene.sealers.iter().map(|who| signer(PEOPLE[*who].0)).collect();
        let signers: Vec<&dyn Signer> = signers.iter().map(|s| s as &dyn Signer).collect();
        attest(base.digests(), &body, &signers).unwrap()
    });
    world.files.insert("seal.json".to_owned(), sealed);
    for (who, key, expired) in &scene.approvals {
        let file = format!("approval-{who}-{key}-{expired}.json");
        let bytes = remembered(file.clone(), || {
            let who = PEOPLE[*who].0;
            let expires_at = if *expired { NOW } else { NOW + HOUR };
            let body = Approval { expires_at, reason: Some(format!("key {key}")), ..approval(who) };
            attest(base.digests(), &body, &[&signer_number(who, *key)]).unwrap()
        });
        world.files.insert(file, bytes);
    }
    world.trust.solo = true;
    world.trust.thresholds.environments.insert("prod".to_owned(), scene.threshold);
    world.decision = allowing(scene.demand);
    world
}

#[test]
fn met_if_and_only_if_enough_people_approved() {
    let base = World::sealed();
    let (mut met, mut missed) = (0_u32, 0_u32);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let trusts: Vec<_> = (0..=4)
        .map(|threshold| {
            let scene = Scene {
                author: 0,
                requester: 0,
                sealers: BTreeSet::from([ALICE]),
                approvals: BTreeSet::new(),
                threshold,
                demand: 0,
            };
            world(&base, &scene).trust_file()
        })
        .collect();
    let counters = std::cell::RefCell::new((&mut met, &mut missed));
    runner
        .run(&scene(), |scene| {
            let verdict = world(&base, &scene).admit_under(&trusts[scene.threshold as usize]);
            prop_assert_eq!(verdict.is_ok(), is_met(&scene), "{:?}", verdict);
            let mut counters = counters.borrow_mut();
            match verdict {
                Ok(_) => *counters.0 += 1,
                Err(refusals) => {
                    prop_assert!(refusals.iter().any(|r| r.code == codes::APPROVAL_MISSING));
                    *counters.1 += 1;
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(met > 500 && missed > 500, "both sides are seen: {met} met, {missed} not");
}
