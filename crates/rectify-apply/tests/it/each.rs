//! Each step, action and inverse, alone and in pairs, over random graphs: what is done about one fault
//! does not depend on where it is.

use crate::{
    plans::{self, Size},
    rng::Rng,
    sim::{Disturbance, Sim},
    world::{Fault, thing},
};
use proptest::prelude::*;
use rectify_base::NodeKey;
use rectify_model::{
    Plan,
    grade::Retry,
    journal::{Direction, RunOutcome, UndoState},
};

const GRAPHS: u64 = 20;
const SIZE: Size = Size { targets_max: 2, steps_max: 9, inverses: 100 };

/// A random plan of which everything can be taken back, without gates.
fn plan(seed: u64) -> Plan {
    let mut rng = Rng::new(seed);
    let mut plan = plans::random_of(&mut rng, SIZE);
    plan.gates.clear();
    plans::undo_auto(&mut plan, &["r0", "r1", "r2"]);
    plan
}

fn nodes(plan: &Plan) -> Vec<NodeKey> {
    let node = |step: &rectify_model::plan::Step| NodeKey {
        target: step.target.clone(),
        address: step.address.clone(),
    };
    plan.steps.iter().map(node).collect()
}

fn retry(plan: &Plan, node: &NodeKey) -> Retry {
    let step = plan.steps.iter().find(|s| s.target == node.target && s.address == node.address).unwrap();
    plan.types[&step.type_name].retry
}

/// Plays to the end with these faults, a person helping where one is needed.
fn play<'a>(
    plan: &'a Plan,
    faults: &[(&NodeKey, Fault)],
    back: &[(&NodeKey, Fault)],
    twice: bool,
) -> Sim<'a> {
    let disturbance = || Disturbance { deliver_twice: twice, ..Disturbance::default() };
    let mut sim = Sim::new(plan, 7, disturbance());
    for (node, fault) in faults {
        sim.world.set_fault(node, *fault);
    }
    for (node, fault) in back {
        sim.world.back_faults.insert((*node).clone(), *fault);
    }
    loop {
        sim.run();
        sim.check();
        if sim.is_over() {
            sim.check_that_the_end_stays();
            return sim;
        }
        assert!(sim.engine < 6, "the run does not come to an end");
        sim.ask_person(false);
        sim.resume(disturbance());
    }
}

fn outcome(sim: &Sim<'_>) -> RunOutcome {
    sim.finished.as_ref().unwrap().outcome
}

#[test]
fn each_step_fails_once() {
    for seed in 0..GRAPHS {
        let plan = plan(seed);
        for node in nodes(&plan) {
            for fault in [Fault::Refused, Fault::LookFails, Fault::LostBefore, Fault::LostAfter] {
                let sim = play(&plan, &[(&node, fault)], &[], false);
                let good = match fault {
                    Fault::LostAfter => RunOutcome::Succeeded,
                    _ => outcome(&sim),
                };
                assert_eq!(outcome(&sim), good, "seed {seed}: {node} {fault:?}");
                assert!(outcome(&sim) != RunOutcome::UndoFailed, "seed {seed}: {node} {fault:?}");
            }
        }
    }
}

#[test]
fn each_operation_arrives_twice() {
    for seed in 0..GRAPHS {
        let plan = plan(seed);
        let sim = play(&plan, &[], &[], true);
        assert_eq!(outcome(&sim), RunOutcome::Succeeded, "seed {seed}");
    }
}

#[test]
fn each_inverse_arrives_twice_and_each_fails_once() {
    for seed in 0..GRAPHS {
        let plan = plan(seed);
        let nodes = nodes(&plan);
        for failing in &nodes {
            let sim = play(&plan, &[(failing, Fault::Refused)], &[], true);
            assert!(
                matches!(
                    outcome(&sim),
                    RunOutcome::Undone | RunOutcome::Failed | RunOutcome::PartiallyApplied
                ),
                "seed {seed}: {failing} {:?}",
                outcome(&sim)
            );
            let undone: Vec<NodeKey> = sim.view.undo().keys().cloned().collect();
            for node in &undone {
                let sim = play(&plan, &[(failing, Fault::Refused)], &[(node, Fault::Refused)], false);
                // Another order of events may leave less to take back.
                let tried = sim.view.undo().get(node).map(|progress| &progress.state);
                if matches!(tried, Some(UndoState::Failed(_))) {
                    assert_eq!(outcome(&sim), RunOutcome::UndoFailed, "seed {seed}: {failing}, then {node}");
                }
                let sim = play(&plan, &[(failing, Fault::Refused)], &[(node, Fault::LostAfter)], false);
                assert!(outcome(&sim) != RunOutcome::UndoFailed, "seed {seed}: {failing}, then {node}");
            }
        }
    }
}

#[test]
fn two_steps_fail_together() {
    for seed in 0..GRAPHS {
        let plan = plan(seed);
        let nodes = nodes(&plan);
        for (index, first) in nodes.iter().enumerate() {
            for second in &nodes[index + 1..] {
                let faults = [(first, Fault::Refused), (second, Fault::HalfWay)];
                let sim = play(&plan, &faults, &[], false);
                assert!(outcome(&sim) != RunOutcome::Succeeded, "seed {seed}: {first}, {second}");
            }
        }
    }
}

#[test]
fn what_was_broken_off_partway_is_carried_to_its_end_or_taken_back() {
    let mut seen = (0, 0);
    for seed in 0..GRAPHS {
        let plan = plan(seed);
        // Of what can be looked at.
        let things = plan.steps.iter().filter(|step| thing(step).is_some());
        let looked_at = things.map(|s| NodeKey { target: s.target.clone(), address: s.address.clone() });
        for node in looked_at.filter(|node| retry(&plan, node) == Retry::Converge) {
            let sim = play(&plan, &[(&node, Fault::LostPartway)], &[], false);
            assert_eq!(outcome(&sim), RunOutcome::Succeeded, "seed {seed}: {node}");
            let deeds = |sim: &Sim<'_>| sim.world.deeds.iter().filter(|deed| deed.node == node).count();
            seen.0 += usize::from(deeds(&sim) == 2);
            let sim = play(&plan, &[(&node, Fault::Partway)], &[], false);
            let undone = outcome(&sim) == RunOutcome::Undone;
            let back = sim.world.deeds.iter().any(|d| d.node == node && d.direction == Direction::Back);
            seen.1 += usize::from(undone && back);
            // The same while it is taken back.
            let sim = play(&plan, &[(&node, Fault::Partway)], &[(&node, Fault::LostPartway)], false);
            assert!(!undone || outcome(&sim) == RunOutcome::Undone, "seed {seed}: {node}");
        }
    }
    assert!(seen.0 > 0 && seen.1 > 0, "{seen:?}");
}

#[test]
fn commands_that_a_person_lets_be_tried_again_run_once() {
    for seed in 0..GRAPHS {
        let plan = plan(seed);
        for node in nodes(&plan).into_iter().filter(|node| retry(&plan, node) == Retry::Once) {
            let mut sim = Sim::new(&plan, seed, Disturbance::default());
            sim.world.set_fault(&node, Fault::LostOnce);
            sim.run();
            sim.check();
            assert_eq!(outcome(&sim), RunOutcome::NeedsOperator, "seed {seed}: {node}");
            sim.ask_person(true);
            sim.resume(Disturbance::default());
            sim.run();
            sim.check();
            assert_eq!(outcome(&sim), RunOutcome::Succeeded, "seed {seed}: {node}");
            let count = sim.world.deeds.iter().filter(|deed| deed.node == node).count();
            assert_eq!(count, 1, "seed {seed}: {node}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Applying and taking back is nothing at all, wherever the run was broken off in between.
    #[test]
    fn to_apply_and_to_take_back_is_nothing(seed in 0_u64..1_000_000, kills in prop::collection::vec(0_u64..400, 0..4)) {
        let mut plan = plan(seed);
        let targets: Vec<_> = plan.targets.keys().cloned().collect();
        // A gate of each remediation on each target that never holds.
        for target in &targets {
            for name in ["r0", "r1", "r2"] {
                plan.gates.push(rectify_model::plan::PlanGate {
                    target: target.clone(),
                    address: format!("{name}/verify:0").parse().unwrap(),
                    type_name: "tcp.connect".parse().unwrap(),
                    desired: serde_json::Map::new(),
                    within_s: 1,
                });
            }
        }
        let mut sim = Sim::new(&plan, seed, Disturbance::default());
        sim.world.gates.values_mut().for_each(|holds| *holds = None);
        let before = sim.world.states.clone();
        let mut kills = kills.into_iter();
        loop {
            sim.run();
            sim.check();
            if sim.is_over() {
                break;
            }
            prop_assert!(sim.engine < 12);
            sim.ask_person(true);
            sim.resume(Disturbance { kill_at: kills.next(), ..Disturbance::default() });
        }
        let changed = sim.world.deeds.iter().any(|deed| deed.direction == Direction::Forward);
        prop_assert_eq!(outcome(&sim), if changed { RunOutcome::Undone } else { RunOutcome::Failed });
        prop_assert_eq!(&sim.world.states, &before);
    }
}
