//! An action runs at most once, whatever happens to the process that runs it.

use crate::fixture::{Home, operation};
use rectify_sdk::{
    protocol::{
        ErrorCode, Mutated,
        message::{Configure, Directories, ItemResult, Mode, OpStatus, method},
    },
    testing::Client,
};
use serde_json::json;
use std::fs;

fn runs(home: &Home) -> usize {
    fs::read_to_string(home.path("out")).map_or(0, |text| text.lines().count())
}

fn error_code(client: &mut Client, op: &rectify_sdk::protocol::message::Apply) -> (ErrorCode, Mutated) {
    let error = client.apply(op).unwrap_err().item().unwrap();
    (error.code, error.mutated)
}

#[test]
fn a_redelivery_gets_the_stored_result_from_any_process() {
    let home = Home::new();
    let op = operation("a", "run", json!({"append": home.path("out")}));
    let mut first = home.session(Mode::Apply);
    assert_eq!(first.op_status(&op.op_id).unwrap(), OpStatus::NeverSeen);
    let applied = first.apply(&op).unwrap();
    assert_eq!(first.apply(&op).unwrap(), applied);
    let mut second = home.session(Mode::Apply);
    assert_eq!(second.apply(&op).unwrap(), applied);
    let mut reader = home.session(Mode::Read);
    assert_eq!(reader.op_status(&op.op_id).unwrap(), OpStatus::Done(Box::new(ItemResult::Ok(applied))));
    assert_eq!(runs(&home), 1);
}

#[test]
fn a_killed_action_is_unknown_and_never_runs_again() {
    let home = Home::new();
    let op = operation("killed", "run", json!({"append": home.path("out"), "ms": 60_000}));
    let mut victim = home.session(Mode::Apply);
    victim.send(method::APPLY, &op).unwrap();
    assert_eq!(victim.receive().unwrap().method.as_deref(), Some(method::PROGRESS));
    assert_eq!(victim.op_status(&op.op_id).unwrap(), OpStatus::Started);
    let mut other = home.session(Mode::Apply);
    assert_eq!(error_code(&mut other, &op), (ErrorCode::Busy, Mutated::No));
    victim.child().unwrap().kill().unwrap();
    victim.wait_child().unwrap();

    let mut fresh = home.session(Mode::Apply);
    assert_eq!(fresh.op_status(&op.op_id).unwrap(), OpStatus::Started);
    for _ in 0..2 {
        assert_eq!(error_code(&mut fresh, &op), (ErrorCode::UnknownOutcome, Mutated::Maybe));
    }
    assert_eq!(runs(&home), 1);
}

#[test]
fn other_parameters_under_the_same_id_are_refused() {
    let home = Home::new();
    let op = operation("a", "run", json!({"append": home.path("out")}));
    let mut client = home.session(Mode::Apply);
    client.apply(&op).unwrap();
    let mut other = op.clone();
    other.desired.insert("fail".into(), json!(true));
    assert_eq!(error_code(&mut client, &other), (ErrorCode::OpMismatch, Mutated::No));
    // A retry may have another deadline and a later fence.
    let retry = rectify_sdk::protocol::message::Apply { deadline_ms: 5, fence: 7, ..op };
    client.apply(&retry).unwrap();
    assert_eq!(runs(&home), 1);
}

#[test]
fn a_failure_that_changed_something_stands() {
    let home = Home::new();
    let op = operation("a", "run", json!({"append": home.path("out"), "fail": true}));
    let mut client = home.session(Mode::Apply);
    for _ in 0..2 {
        assert_eq!(error_code(&mut client, &op), (ErrorCode::Failed, Mutated::Yes));
    }
    assert_eq!(runs(&home), 1);
}

#[test]
fn a_result_without_a_claim_stands() {
    let home = Home::new();
    let op = operation("a", "run", json!({"append": home.path("out")}));
    let applied = home.session(Mode::Apply).apply(&op).unwrap();
    fs::remove_file(home.path(&format!("state/{}.claim", op.op_id))).unwrap();
    let mut client = home.session(Mode::Apply);
    assert_eq!(client.apply(&op).unwrap(), applied);
    assert_eq!(runs(&home), 1);
}

#[test]
fn a_failure_that_changed_nothing_may_run_again() {
    let home = Home::new();
    fs::write(home.path("obstacle"), "").unwrap();
    let desired = json!({"append": home.path("out"), "refuse_if": home.path("obstacle")});
    let op = operation("a", "run", desired);
    let mut client = home.session(Mode::Apply);
    assert_eq!(error_code(&mut client, &op), (ErrorCode::Failed, Mutated::No));
    assert!(matches!(client.op_status(&op.op_id).unwrap(), OpStatus::Done(_)));
    fs::remove_file(home.path("obstacle")).unwrap();
    client.apply(&op).unwrap();
    client.apply(&op).unwrap();
    assert_eq!(runs(&home), 1);
}

#[test]
fn a_lower_fence_is_refused_after_a_higher_one_whatever_is_applied() {
    let home = Home::new();
    let resource = operation("d", "update", json!({}));
    let operation = |name: &str, fence| rectify_sdk::protocol::message::Apply {
        fence,
        ..operation(name, "run", json!({"append": home.path("out")}))
    };
    home.session(Mode::Apply).apply(&operation("a", 5)).unwrap();
    let mut fresh = home.session(Mode::Apply);
    assert_eq!(error_code(&mut fresh, &operation("b", 4)), (ErrorCode::Conflict, Mutated::No));
    assert_eq!(error_code(&mut fresh, &resource), (ErrorCode::Conflict, Mutated::No));
    fresh.apply(&operation("c", 5)).unwrap();
    assert_eq!(runs(&home), 2);
}

#[test]
fn ids_that_are_no_ids_and_sessions_without_a_ledger_are_refused() {
    let home = Home::new();
    let mut client = home.session(Mode::Apply);
    let mut op = operation("a", "run", json!({"append": home.path("out")}));
    op.op_id = "../escape".into();
    assert_eq!(error_code(&mut client, &op), (ErrorCode::Schema, Mutated::No));
    let mut bare = crate::fixture::start();
    bare.greet(Mode::Apply, Directories::default(), &Configure::default()).unwrap();
    let op = operation("a", "run", json!({"append": home.path("out")}));
    assert_eq!(error_code(&mut bare, &op), (ErrorCode::Unsupported, Mutated::No));
    assert_eq!(runs(&home), 0);
}

#[test]
fn a_ledger_file_that_was_damaged_is_unknown_not_fresh() {
    let home = Home::new();
    let op = operation("a", "run", json!({"append": home.path("out")}));
    let mut client = home.session(Mode::Apply);
    client.apply(&op).unwrap();
    fs::write(home.path(&format!("state/{}.claim", op.op_id)), "{").unwrap();
    assert_eq!(error_code(&mut client, &op), (ErrorCode::UnknownOutcome, Mutated::Maybe));
    assert_eq!(runs(&home), 1);
}
