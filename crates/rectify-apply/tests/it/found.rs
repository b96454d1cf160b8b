//! Moments that were found to matter, step by step.

use crate::plans::{self, Short};
use rectify_apply::{ActAnswer, Applied, Effect, Event, Looked, Options, RunState, step};
use rectify_base::{Digest, FileDigests, NodeKey};
use rectify_model::{
    Plan,
    grade::Retry,
    journal::{
        Admission, Entry, FORMAT, Failure, How, Intent, Mutated, Record, RunId, RunMark, RunRecord, RunView,
        StepRecord, StepState, TargetRecord, TargetState, UseId, operation_id,
    },
};
use std::collections::BTreeMap;

fn node() -> NodeKey {
    NodeKey { target: "a".parse().unwrap(), address: "web/one".parse().unwrap() }
}

fn use_id() -> UseId {
    UseId::new("0".repeat(32)).unwrap()
}

fn plan(thing: Option<&str>) -> Plan {
    let step = Short {
        target: "a".into(),
        address: "web/one".into(),
        retry: Retry::Converge,
        thing: thing.map(|thing| (thing.to_owned(), 1)),
        edges: Vec::new(),
        locks: Vec::new(),
        inverse: false,
    };
    plans::plan(&[step], &[], &[vec!["a".into()]], 1)
}

/// A run that was broken off after the intent of its only step, and taken up by another engine.
fn broken_off(plan: &Plan) -> RunView {
    let targets = vec![node().target];
    let mut view = RunView::new(RunRecord {
        format: FORMAT.into(),
        run: RunId::derive(&use_id(), &targets),
        use_id: use_id(),
        plan: FileDigests::of_bytes(b"plan"),
        targets,
        admission: Admission {
            seal: Digest::of_bytes(b"seal"),
            approvals: Vec::new(),
            bundle: Digest::of_bytes(b"bundle"),
            overrides: Vec::new(),
        },
        providers: BTreeMap::new(),
        fence: 0,
        started_at_ms: 0,
        expires_at_ms: 1_000_000,
    });
    let intent = Intent {
        attempt: 1,
        op_id: operation_id(&use_id(), &node().target, &node().address),
        retry: Retry::Converge,
        expect: plan.steps[0].expect,
        before_image: None,
        fence: 0,
        deadline_ms: 1,
    };
    let state = TargetState::Verified(plans::identity("a"));
    let records = [
        Record::Target(TargetRecord { target: node().target, state }),
        Record::Step(StepRecord { node: node(), state: StepState::Intent(intent) }),
        Record::Run(RunMark::Resumed { fence: 1 }),
    ];
    for record in records {
        push(&mut view, record);
    }
    view
}

fn push(view: &mut RunView, record: Record) {
    let entry = Entry { seq: view.len() + 1, at_ms: 0, record };
    view.push(&entry).unwrap();
}

/// Feeds events, stores what is to be stored at once, and returns what else is asked for.
fn feed(state: &mut RunState, view: &mut RunView, event: Event) -> Vec<Effect> {
    let (mut asked, mut events) = (Vec::new(), vec![event]);
    while let Some(event) = events.pop() {
        for effect in step(state, event, 0) {
            match effect {
                Effect::CommitIntent { ticket, record } | Effect::CommitResult { ticket, record } => {
                    push(view, record);
                    events.push(Event::Committed(ticket));
                }
                Effect::Log(_) => {}
                other => asked.push(other),
            }
        }
    }
    asked
}

fn looked(ask: u32, fingerprint: Digest) -> Event {
    Event::Looked {
        node: node(),
        ask,
        answer: Ok(Looked { fingerprint, before_image: None, partway: false }),
    }
}

/// Up to where the step is acted on for the second time, after looking showed nothing of the first.
fn second_attempt(plan: &Plan, view: &mut RunView) -> RunState {
    let options = Options { fence: 1, ..Options::default() };
    let mut state = RunState::resume(plan, view, &use_id(), 1_000_000, options).unwrap();
    let asked = feed(&mut state, view, Event::Start);
    assert!(matches!(&asked[..], [Effect::Verify { fence: 1, .. }]), "{asked:?}");
    let identity = plans::identity("a");
    let verified = Event::Verified { target: node().target, answer: Ok(identity) };
    let asked = feed(&mut state, view, verified);
    let [Effect::LookAgain { ask, .. }] = &asked[..] else { panic!("{asked:?}") };
    let ask = *ask;
    // Only the intent is left to be acknowledged by the caller.
    let effects = step(&mut state, looked(ask, plan.steps[0].expect), 0);
    let Some(Effect::CommitIntent { ticket, record }) = effects.into_iter().next() else {
        panic!("no intent")
    };
    push(view, record);
    assert_eq!(view.steps()[&node()].attempts, 2);
    drop(step(&mut state, Event::Tick, 0));
    assert_eq!(ticket.0, 2);
    state
}

#[test]
fn what_a_lost_engine_did_late_is_called_ours() {
    let plan = plan(Some("t"));
    let mut view = broken_off(&plan);
    let mut state = second_attempt(&plan, &mut view);
    let asked = feed(&mut state, &mut view, Event::Committed(rectify_apply::Ticket(2)));
    let [Effect::Act(operation)] = &asked[..] else { panic!("{asked:?}") };
    let (direction, attempt) = (operation.direction, operation.attempt);
    let answer = ActAnswer::Done(Applied::Already);
    let asked = feed(&mut state, &mut view, Event::Acted { node: node(), direction, attempt, answer });
    let [Effect::LookAgain { ask, .. }] = &asked[..] else { panic!("{asked:?}") };
    let result = plan.steps[0].result.unwrap();
    feed(&mut state, &mut view, looked(*ask, result));
    let found = &view.steps()[&node()].state;
    assert!(matches!(found, StepState::Succeeded { how: How::Observed, .. }), "{found:?}");
}

#[test]
fn an_interrupted_second_attempt_does_not_forget_the_first() {
    // Of an action whose state says nothing, looking cannot tell; of a file it can.
    for (thing, open) in [(None, true), (Some("t"), false)] {
        let plan = plan(thing);
        let mut view = broken_off(&plan);
        let mut state = second_attempt(&plan, &mut view);
        feed(&mut state, &mut view, Event::Interrupt);
        feed(&mut state, &mut view, Event::Committed(rectify_apply::Ticket(2)));
        let found = &view.steps()[&node()].state;
        let not_begun = |failure: &Failure| failure.not_begun() && failure.mutated == Mutated::No;
        match found {
            StepState::Unknown(_) => assert!(open, "{found:?}"),
            StepState::Failed(failure) => assert!(!open && not_begun(failure), "{found:?}"),
            other => panic!("{other:?}"),
        }
        assert!(state.is_finished());
    }
}
