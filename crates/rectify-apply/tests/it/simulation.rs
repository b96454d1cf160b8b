//! Thousands of random runs. A failing seed replays with `RECTIFY_SEED=<seed> cargo test -p
//! rectify-apply simulation`.

use crate::{
    plans,
    rng::Rng,
    sim::{Disturbance, Sim},
    world::{Fault, thing},
};
use rectify_base::{Digest, NodeKey};
use rectify_model::{
    Plan,
    journal::{Failure, Mutated},
    observation::Identity,
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

const SEEDS: u64 = 2_000;
const FAULTS: [Fault; 16] = [
    Fault::LookFails,
    Fault::LookAgainFails,
    Fault::Refused,
    Fault::HalfWay,
    Fault::SaysUnknown,
    Fault::TimesOut,
    Fault::LostBefore,
    Fault::LostAfter,
    Fault::LostHalfWay,
    Fault::LostOnce,
    Fault::LedgerGone,
    Fault::Lies,
    Fault::Edited,
    Fault::EditedLate,
    Fault::AlreadyThere,
    Fault::NothingToDo,
];

/// What a run of one seed came to, in words that are counted.
fn play(seed: u64) -> (Vec<String>, Vec<String>) {
    let mut rng = Rng::new(seed);
    let plan = plans::random(&mut rng);
    let disturbance = disturbance(&mut rng, &plan);
    let mut sim = Sim::new(&plan, seed, disturbance);
    set_faults(&mut rng, &plan, &mut sim);
    if std::env::var("RECTIFY_SEED").is_ok() {
        sim.print = true;
    }
    sim.run();
    sim.check();
    let mut words = vec![match &sim.finished {
        Some(finished) => format!("outcome {}", finished.outcome.as_str()),
        None => String::from("killed"),
    }];
    words.extend(sim.finished.iter().flat_map(|f| &f.reasons).map(|r| r.code.to_string()));
    if sim.killed && sim.view.open().count() > 0 {
        words.push("killed with open intents".into());
    }
    if !sim.view.owed().is_empty() {
        words.push("owed".into());
    }
    words.extend((sim.ignored > 0).then(|| String::from("ignored")));
    for needle in ["how: Observed", "how: Already", "NotTriggered", "AskStatus", "attempt: 2", "GateWaits"] {
        if sim.trace.iter().any(|line| line.contains(needle)) {
            words.push(needle.into());
        }
    }
    (words, sim.trace)
}

fn disturbance(rng: &mut Rng, plan: &Plan) -> Disturbance {
    let mut some = |percent, max| rng.chance(percent).then(|| rng.ms(max));
    let (expires_at_ms, cancel_at_ms, interrupt_at_ms) = (some(8, 2_500), some(12, 2_500), some(8, 2_500));
    let (commit_fails, kill_at) = (some(6, 40), some(30, 120));
    let edit_at = some(15, 2_500);
    // An edit never makes a state that a step expects: of that, looking could not tell the truth.
    let things: Vec<_> = plan.steps.iter().filter_map(thing).collect();
    let edit = edit_at.filter(|_| !things.is_empty()).map(|at| (at, things[rng.below(things.len())].clone()));
    let duplicates = if rng.chance(30) { 20 } else { 0 };
    Disturbance {
        expires_at_ms,
        cancel_at_ms,
        interrupt_at_ms,
        commit_fails,
        kill_at,
        edit,
        duplicates,
        ..Disturbance::default()
    }
}

fn set_faults(rng: &mut Rng, plan: &Plan, sim: &mut Sim<'_>) {
    let percent = [0, 0, 4, 15][rng.below(4)];
    for step in &plan.steps {
        if rng.chance(percent) {
            let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
            sim.world.set_fault(&node, FAULTS[rng.below(FAULTS.len())]);
        }
    }
    for step in plan.steps.iter().filter(|step| step.result.is_none()) {
        if rng.chance(15) {
            let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
            sim.world.set_fault(&node, Fault::NothingToDo);
        }
    }
    let gates: Vec<NodeKey> = sim.world.gates.keys().cloned().collect();
    for gate in gates {
        let holds_at = [Some(1), Some(1), Some(1), Some(2), Some(4), None][rng.below(6)];
        sim.world.gates.insert(gate, holds_at);
    }
    let targets: Vec<String> = sim.world.identities.keys().cloned().collect();
    for target in targets {
        if rng.chance(2) {
            let message = "no marker".into();
            let silent = Failure { code: "FAILED".into(), message, mutated: Mutated::No };
            let other = Identity::Root(Digest::of_bytes(b"another root"));
            let changed = Failure { code: rectify_apply::codes::ASSUMPTION.to_string(), ..silent.clone() };
            let answer = [Ok(other), Err(silent), Err(changed)][rng.below(3)].clone();
            sim.world.identities.insert(target, answer);
        }
    }
}

#[test]
fn invariants_hold_for_all_seeds() {
    let only: Option<u64> = std::env::var("RECTIFY_SEED").ok().map(|seed| seed.parse().unwrap());
    let seeds = only.map_or(0..SEEDS, |seed| seed..seed + 1);
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds {
        match catch_unwind(AssertUnwindSafe(|| play(seed))) {
            Ok((words, _)) => words.into_iter().for_each(|word| *seen.entry(word).or_insert(0) += 1),
            Err(panic) => {
                eprintln!(
                    "replay: RECTIFY_SEED={seed} cargo test -p rectify-apply simulation -- --nocapture"
                );
                resume_unwind(panic);
            }
        }
    }
    if only.is_some() {
        return;
    }
    // A simulation that never gets anywhere near the interesting places proves nothing.
    let must_occur = [
        "outcome succeeded",
        "outcome failed",
        "outcome partially_applied",
        "outcome cancelled",
        "outcome stale",
        "outcome interrupted",
        "outcome needs_operator",
        "killed",
        "killed with open intents",
        "owed",
        "ignored",
        "how: Observed",
        "how: Already",
        "NotTriggered",
        "AskStatus",
        "attempt: 2",
        "GateWaits",
        "apply-identity",
        "apply-identity-unknown",
        "apply-assumption",
        "apply-look",
        "apply-stale",
        "apply-step-failed",
        "apply-parity",
        "apply-look-again",
        "apply-lost-answer",
        "apply-needs-operator",
        "apply-gate",
        "apply-expired",
        "apply-journal",
    ];
    for word in must_occur {
        let count = seen.get(word).copied().unwrap_or(0);
        assert!(count >= 5, "`{word}` occurred {count} times in {SEEDS} seeds: {seen:#?}");
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..50 {
        assert_eq!(play(seed).1, play(seed).1, "seed {seed}");
    }
}
