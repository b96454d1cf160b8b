//! Guards at the time of the change.

use crate::fixture::World;
use rectify_sdk::protocol::{
    ErrorCode, Mutated,
    message::{ApplyStatus, Mode, OpStatus},
};
use serde_json::json;
use std::fs;

#[test]
fn what_was_created_meanwhile_is_already_done() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let (made, log) = (world.path("made"), world.path("log"));
    let desired = json!({"script": format!("echo x >> {log}; touch {made}"), "creates": made});
    let op = session.operation("a", &desired);
    let mut rival = session.operation("b", &desired);
    let applied = session.apply(&op).unwrap();
    assert_eq!(applied.status, ApplyStatus::Applied);
    assert_eq!(applied.state, Some(json!({"creates": {"path": made, "exists": true}})));
    assert_eq!(session.apply(&rival).unwrap().status, ApplyStatus::Already);
    assert_eq!(world.text("log").unwrap(), "x\n");
    // Nothing was claimed, for nothing was run.
    assert_eq!(session.0.op_status(&rival.op_id).unwrap(), OpStatus::NeverSeen);
    // The same without a promise: the plan did not foresee it, so it is stale.
    rival.result = None;
    let error = session.apply(&rival).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Stale, Mutated::No));
    // But a redelivery of what did run gets its result, whatever the guard says now.
    assert_eq!(session.apply(&op).unwrap(), applied);
    let unforeseen = rectify_sdk::protocol::message::Apply { result: None, ..op };
    assert_eq!(session.apply(&unforeseen).unwrap_err().code, ErrorCode::OpMismatch);
}

/// What it promised is not there: that is what the error says, and not two fingerprints.
#[test]
fn a_command_that_does_not_create_what_it_should_fails_and_says_so() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let (never, log) = (world.path("never"), world.path("log"));
    let desired = json!({"script": format!("echo x >> {log}; echo no luck >&2"), "creates": never});
    let op = session.operation("a", &desired);
    let error = session.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::Yes));
    assert_eq!(error.path.as_deref(), Some("/creates"));
    let message = format!("the command exited with 0, but {never} does not exist; it said: no luck");
    assert_eq!(error.message, message);
    // It did run, so it is not run again.
    assert_eq!(session.apply(&op).unwrap_err(), error);
    assert_eq!(world.text("log").unwrap(), "x\n");
}

#[test]
fn a_redelivery_of_an_unforeseen_creation_is_not_stale() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let made = world.path("made");
    let desired = json!({"argv": ["touch", made], "creates": made, "only_if": ["true"]});
    let mut op = session.operation("a", &desired);
    op.result = None;
    let applied = session.apply(&op).unwrap();
    assert_eq!(session.apply(&op).unwrap(), applied);
}

#[test]
fn unless_and_only_if_decide_right_before() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let flag = world.path("flag");
    let log = world.path("log");
    let append = format!("echo x >> {log}");
    for (id, guard, there, runs) in [
        ("a", "unless", true, false),
        ("b", "unless", false, true),
        ("c", "only_if", true, true),
        ("d", "only_if", false, false),
    ] {
        let _ = fs::remove_file(&log);
        let _ = fs::remove_file(&flag);
        let desired = json!({"script": append, guard: ["test", "-e", flag]});
        let op = session.operation(id, &desired);
        if there {
            fs::write(&flag, "").unwrap();
        }
        let status = session.apply(&op).unwrap().status;
        let expected = if runs { ApplyStatus::Applied } else { ApplyStatus::Already };
        assert_eq!((status, world.text("log").is_some()), (expected, runs), "{guard} {there}");
    }
}

#[test]
fn a_guard_that_decides_nothing_stops_the_step() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    for (id, guard, code) in [
        ("a", json!(["no-such-program-anywhere"]), ErrorCode::Dependency),
        ("b", json!(["sh", "-c", "kill -KILL $$"]), ErrorCode::Failed),
        ("c", json!(["sleep", "600"]), ErrorCode::Timeout),
    ] {
        let log = world.path("log");
        let desired = json!({"argv": ["touch", log], "unless": guard, "timeout_s": 1});
        let op = session.operation(id, &desired);
        let error = session.apply(&op).unwrap_err();
        assert_eq!((error.code, error.mutated), (code, Mutated::No), "{guard}");
        assert_eq!(error.path.as_deref(), Some("/unless"));
        assert_eq!(session.0.op_status(&op.op_id).unwrap(), OpStatus::NeverSeen);
        assert_eq!(world.text("log"), None);
    }
}
