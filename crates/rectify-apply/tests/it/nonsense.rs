//! Whatever a driver says, the step function answers: no panic, one end, nothing after it.

use crate::{plans, rng::Rng};
use rectify_apply::{
    ActAnswer, Applied, Effect, Event, GateAnswer, Looked, Operation, OperationStatus, Options, RunState,
    Ticket, step,
};
use rectify_base::NodeKey;
use rectify_model::{
    Plan,
    journal::{Direction, Failure, Mutated, UseId},
};

fn failure(rng: &mut Rng) -> Failure {
    let codes = ["STALE", "TIMEOUT", "UNKNOWN_OUTCOME", "FAILED", "apply-parity", ""];
    let mutated = [Mutated::No, Mutated::Maybe, Mutated::Yes];
    Failure { code: codes[rng.below(6)].into(), message: String::new(), mutated: mutated[rng.below(3)] }
}

fn act_answer(rng: &mut Rng) -> ActAnswer {
    match rng.below(4) {
        0 => ActAnswer::Done(Applied::Applied),
        1 => ActAnswer::Done(Applied::Already),
        2 => ActAnswer::Failed(failure(rng)),
        _ => ActAnswer::Lost { message: String::new() },
    }
}

fn direction(rng: &mut Rng) -> Direction {
    if rng.chance(70) { Direction::Forward } else { Direction::Back }
}

/// Any event about the plan, asked for or not.
fn event(rng: &mut Rng, plan: &Plan, nodes: &[NodeKey]) -> Event {
    let node = nodes[rng.below(nodes.len())].clone();
    let small = u32::try_from(rng.below(4)).unwrap();
    match rng.below(20) {
        0 => Event::Start,
        1 | 2 => {
            let (target, facts) = plan.targets.iter().nth(rng.below(plan.targets.len())).unwrap();
            let answer = if rng.chance(95) { Ok(facts.identity.clone()) } else { Err(failure(rng)) };
            Event::Verified { target: target.clone(), answer }
        }
        3..=6 => {
            let step = &plan.steps[rng.below(plan.steps.len())];
            let fingerprints = [step.expect, step.result.unwrap_or(step.expect), plans::nothing()];
            let looked =
                Looked { fingerprint: fingerprints[rng.below(3)], before_image: None, partway: false };
            let answer = if rng.chance(90) { Ok(looked) } else { Err(failure(rng)) };
            let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
            Event::Looked { node, ask: small, answer }
        }
        7..=11 => Event::Committed(Ticket(rng.next() % 40)),
        12 | 13 => {
            let direction = direction(rng);
            Event::Acted { node, direction, attempt: small, answer: act_answer(rng) }
        }
        14 => {
            let answer = match rng.below(3) {
                0 => OperationStatus::NeverSeen,
                1 => OperationStatus::Started,
                _ => OperationStatus::Done(act_answer(rng)),
            };
            Event::Status { node, direction: direction(rng), attempt: small, answer }
        }
        15 | 16 => {
            let not_yet = GateAnswer::NotYet { message: String::new() };
            let answer = if rng.chance(70) { GateAnswer::Passed } else { not_yet };
            Event::Gate { node, attempt: small, answer }
        }
        17 | 18 => Event::Tick,
        _ => match rng.below(30) {
            0 => Event::Cancel,
            1 => Event::Interrupt,
            2 => Event::CommitFailed { ticket: Ticket(rng.next() % 40), message: String::new() },
            _ => Event::Tick,
        },
    }
}

#[test]
fn any_events_are_survived_and_each_act_has_an_acknowledged_intent() {
    let (mut acts, mut ends) = (0, 0);
    for seed in 0..3_000 {
        let mut rng = Rng::new(seed);
        let plan = plans::random(&mut rng);
        if plan.steps.is_empty() {
            continue;
        }
        let mut nodes: Vec<NodeKey> = plan
            .steps
            .iter()
            .map(|step| NodeKey { target: step.target.clone(), address: step.address.clone() })
            .chain(
                plan.gates.iter().map(|g| NodeKey { target: g.target.clone(), address: g.address.clone() }),
            )
            .collect();
        nodes.push(NodeKey { target: "nowhere".parse().unwrap(), address: "no/where".parse().unwrap() });
        let use_id = UseId::new(format!("{seed:032x}")).unwrap();
        let mut state = RunState::new(&plan, &use_id, 1_000_000, Options::default()).unwrap();
        let mut intents = 0_u64;
        for _ in 0..600 {
            let event = event(&mut rng, &plan, &nodes);
            let acknowledged = matches!(event, Event::Committed(_));
            let was_finished = state.is_finished();
            // The clock jumps, and sometimes back.
            for effect in step(&mut state, event, rng.ms(90_000)) {
                match effect {
                    Effect::Log(_) => {}
                    _ if was_finished => panic!("seed {seed}: {effect:?} after the end"),
                    Effect::CommitIntent { .. } => intents += 1,
                    Effect::Act(Operation { .. }) => {
                        assert!(acknowledged, "seed {seed}: only an acknowledged intent lets a provider act");
                        assert!(intents > 0);
                        acts += 1;
                    }
                    Effect::Finish(_) => ends += 1,
                    _ => {}
                }
            }
        }
    }
    assert!(acts > 400 && ends > 100, "{acts} acts and {ends} ends prove too little");
}
