//! The way back that an author declared for a command.

use crate::fixture::{Session, World};
use rectify_sdk::{
    base::{Digest, TypeName, fingerprint},
    protocol::{
        ErrorCode, Mutated,
        message::{Apply, ApplyStatus, Mode, OpStatus, PlanAnswer, UNDO},
    },
};
use serde_json::{Value, json};
use std::fs;

fn print(state: &Value) -> Digest {
    fingerprint::fingerprint(&TypeName::new("command.run").unwrap(), 1, Some(state), &[]).unwrap()
}

fn back(desired: &Value) -> Value {
    let mut desired = desired.clone();
    desired[UNDO] = true.into();
    desired
}

/// The operation of the inverse of a step that ran: it expects what the step left behind.
fn inverse(id: &str, desired: &Value, left: &Value, result: Option<&Value>) -> Apply {
    Apply {
        op_id: Digest::of_bytes(id.as_bytes()).hex(),
        type_name: TypeName::new("command.run").unwrap(),
        action: "run".into(),
        desired: back(desired).as_object().unwrap().clone(),
        expect: print(left),
        result: result.map(print),
        deadline_ms: 60_000,
        fence: 1,
    }
}

fn undo_of(session: &mut Session, desired: &Value) -> (String, Option<String>) {
    match session.plan(desired).unwrap() {
        PlanAnswer::Changed { undo, undo_note, .. } => (undo, undo_note),
        PlanAnswer::Unchanged { .. } => panic!("nothing to do"),
    }
}

#[test]
fn a_plan_says_what_takes_the_command_back() {
    let world = World::new();
    let mut session = world.session(Mode::Plan);
    let missing = world.path("missing");
    let undo = json!(["userdel", "-r", "it's me"]);
    let note = |text: &str| Some(text.to_owned());
    for desired in [
        json!({"argv": ["true"], "undo": undo}),
        json!({"argv": ["true"], "creates": missing, "undo": undo}),
        json!({"argv": ["true"], "unless": ["true"], "undo": undo}),
    ] {
        let said = note("taken back by its own command: userdel -r \"it's me\"");
        assert_eq!(undo_of(&mut session, &desired), ("lossy".into(), said), "{desired}");
    }
    // The guard may not be asked, so nobody knows what will be found there.
    let desired = json!({"argv": ["true"], "creates": missing, "unless": ["true"], "undo": undo});
    let (grade, said) = undo_of(&mut session, &desired);
    assert_eq!(grade, "none");
    assert!(said.unwrap().contains("guards"));
    assert_eq!(undo_of(&mut session, &json!({"argv": ["true"]})).0, "none");
}

#[test]
fn it_runs_once_and_under_an_id_of_its_own() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let log = world.path("log");
    let write = |word: &str| json!(["sh", "-c", format!("echo {word} $RECTIFY_OPERATION >> {log}")]);
    let desired = json!({"argv": write("forth"), "undo": write("back"), "exit_codes": [0, 7]});
    session.run("forth", &desired).unwrap();
    let op = inverse("back", &desired, &json!({}), None);
    let applied = session.apply(&op).unwrap();
    assert_eq!((applied.status, applied.output.clone().unwrap().exit_code), (ApplyStatus::Applied, Some(0)));
    assert_eq!(session.apply(&op).unwrap(), applied);
    assert_eq!(world.session(Mode::Apply).apply(&op).unwrap(), applied);
    assert!(matches!(session.0.op_status(&op.op_id).unwrap(), OpStatus::Done(_)));
    let lines = world.text("log").unwrap();
    let id = |text: &str| Digest::of_bytes(text.as_bytes()).hex();
    assert_eq!(lines, format!("forth {}\nback {}\n", id("forth"), id("back")));
}

#[test]
fn what_it_creates_tells_whether_it_was_taken_back() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let made = world.path("made");
    let state = |exists: bool| json!({"creates": {"path": made, "exists": exists}});
    let desired = json!({"argv": ["touch", made], "creates": made, "unless": ["test", "-e", made],
        "undo": ["rm", made]});
    session.run("forth", &desired).unwrap();
    let op = |id: &str, desired: &Value| inverse(id, desired, &state(true), Some(&state(false)));
    // A guard that says "there is nothing to do" is about the command, not about the way back.
    let applied = session.apply(&op("back", &desired)).unwrap();
    assert_eq!((applied.status, applied.state), (ApplyStatus::Applied, Some(state(false))));
    assert_eq!(world.text("made"), None);
    // Somebody else took it back.
    let again = session.apply(&op("again", &desired)).unwrap();
    assert_eq!((again.status, again.output), (ApplyStatus::Already, None));

    session.run("forth again", &desired).unwrap();
    let idle = json!({"argv": ["touch", made], "creates": made, "undo": ["true"]});
    let error = session.apply(&op("idle", &idle)).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::Maybe));
    assert!(error.message.contains("exited with 0, but") && error.message.contains("made exists"), "{error}");
}

#[test]
fn another_state_than_the_step_left_is_refused() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let desired = json!({"argv": ["true"], "undo": ["touch", world.path("ran")]});
    let error = session.apply(&inverse("a", &desired, &json!({"creates": 1}), None)).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Stale, Mutated::No));
    assert_eq!(world.text("ran"), None);
}

#[test]
fn only_its_own_exit_code_counts_and_a_failure_is_no_success() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let desired =
        json!({"argv": ["true"], "exit_codes": [0, 3], "undo": ["sh", "-c", "echo why >&2; exit 3"]});
    let op = inverse("a", &desired, &json!({}), None);
    let error = session.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::Maybe));
    assert_eq!(error.message, "the command that takes it back exited with 3, not 0; it said: why");
    // It is not run again.
    assert_eq!(session.apply(&op).unwrap_err(), error);
}

#[test]
fn a_step_without_one_has_no_way_back() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let op = inverse("a", &json!({"argv": ["touch", world.path("ran")]}), &json!({}), None);
    let error = session.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Unsupported, Mutated::No));
    for (desired, place) in [
        (json!({"argv": ["true"], "undo": []}), "/undo"),
        (json!({"argv": ["true"], "undo": ["bin/x"]}), "/undo/0"),
        (json!({"argv": ["true"], "undo": ["true"], UNDO: false}), ""),
    ] {
        let error = session.validate(&desired).unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Schema, Some(place)), "{desired}");
    }
    assert_eq!(world.text("ran"), None);
}

#[test]
fn the_way_back_can_be_planned_as_a_step_of_its_own() {
    let world = World::new();
    let made = world.path("made");
    let desired = json!({"argv": ["touch", made], "creates": made, "undo": ["systemctl", "stop", "x"]});
    let mut session = world.session(Mode::Plan);
    session.validate(&back(&desired)).unwrap();
    assert!(matches!(session.plan(&back(&desired)).unwrap(), PlanAnswer::Unchanged { .. }));
    fs::write(&made, "").unwrap();
    let PlanAnswer::Changed { prior, planned, prediction, disruption, undo, .. } =
        session.plan(&back(&desired)).unwrap()
    else {
        panic!("it is there")
    };
    assert_eq!(prior.unwrap()["creates"]["exists"], true);
    assert_eq!(planned.unwrap()["creates"]["exists"], false);
    assert_eq!((prediction.as_str(), undo.as_str()), ("conditional", "none"));
    assert_eq!(disruption, ["restart"]);
    let blind = back(&json!({"argv": ["x"], "undo": ["y"]}));
    let PlanAnswer::Changed { planned: None, prediction, .. } = session.plan(&blind).unwrap() else {
        panic!("nothing is known")
    };
    assert_eq!(prediction, "opaque");
}
