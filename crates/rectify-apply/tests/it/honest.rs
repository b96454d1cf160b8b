//! Where nothing is wrong but timing, everything succeeds; and the exact edge of a gate's window.

use crate::{
    plans,
    rng::Rng,
    sim::{Disturbance, Sim},
    world::Fault,
};
use rectify_apply::{Effect, Event, GateAnswer, Options, RunState, Ticket, step};
use rectify_base::NodeKey;
use rectify_model::{
    grade::Retry,
    journal::{RunOutcome, UseId},
};

#[test]
fn late_and_doubled_answers_do_no_harm() {
    let mut repeated = 0;
    for seed in 0..600 {
        let mut rng = Rng::new(seed);
        let plan = plans::random(&mut rng);
        let mut sim = Sim::new(&plan, seed, Disturbance { duplicates: 60, ..Disturbance::default() });
        for step in &plan.steps {
            // Lost once, where it may be repeated.
            if plan.types[&step.type_name].retry != Retry::Once && rng.chance(30) {
                let node = NodeKey { target: step.target.clone(), address: step.address.clone() };
                sim.world.set_fault(&node, Fault::LostOnce);
                repeated += 1;
            }
        }
        sim.run();
        sim.check();
        let finished = sim.finished.unwrap();
        assert_eq!(finished.outcome, RunOutcome::Succeeded, "seed {seed}: {:?}", finished.reasons);
    }
    assert!(repeated > 500, "only {repeated} steps were repeated");
}

#[test]
fn a_gate_is_asked_at_the_last_moment_of_its_window_and_not_after() {
    let gate = ("a".to_owned(), "web/verify:0".to_owned(), 2);
    let plan = plans::plan(&[], std::slice::from_ref(&gate), &[vec!["a".into()]], 1);
    let use_id = UseId::new("0".repeat(32)).unwrap();
    let mut state = RunState::new(&plan, &use_id, 1_000_000, Options::default()).unwrap();
    let node = NodeKey { target: "a".parse().unwrap(), address: "web/verify:0".parse().unwrap() };
    let not_yet = |attempt| Event::Gate {
        node: node.clone(),
        attempt,
        answer: GateAnswer::NotYet { message: "no".into() },
    };
    let quiet = |effects: Vec<Effect>| -> Vec<Effect> {
        effects.into_iter().filter(|effect| !matches!(effect, Effect::Log(_))).collect()
    };
    let _ = step(&mut state, Event::Start, 0);
    let identity = plans::identity("a");
    let _ = step(&mut state, Event::Verified { target: "a".parse().unwrap(), answer: Ok(identity) }, 0);
    let asks = |attempt| vec![Effect::AskGate { node: node.clone(), attempt }];
    assert_eq!(quiet(step(&mut state, Event::Committed(Ticket(0)), 0)), asks(1));
    assert_eq!(quiet(step(&mut state, not_yet(1), 0)), [Effect::WaitUntil { at_ms: 1_000 }]);
    // Too early, because the clock went back: wait for the rest.
    assert_eq!(quiet(step(&mut state, Event::Tick, 999)), [Effect::WaitUntil { at_ms: 1_000 }]);
    assert_eq!(quiet(step(&mut state, Event::Tick, 1_000)), asks(2));
    assert_eq!(quiet(step(&mut state, not_yet(2), 1_000)), [Effect::WaitUntil { at_ms: 2_000 }]);
    assert_eq!(quiet(step(&mut state, Event::Tick, 2_000)), asks(3));
    let last = quiet(step(&mut state, not_yet(3), 2_000));
    assert!(matches!(&last[..], [Effect::CommitResult { .. }]), "{last:?}");
}
