//! What works: batches, order, notices, errors of single items, forgiveness before the greeting.

use crate::{
    manifest::{THING, VAGUE},
    support::{Dirs, item, operation, spec, type_name},
};
use rectify_host::{Effect, Fault, Notice, Session, codes, spec::Observer};
use rectify_protocol::{
    ErrorCode, Mutated,
    message::{ApplyStatus, DesiredItem, Mode, OpStatus, PlanAnswer, PlanItem, ReadItem},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

fn numbered(count: usize, padding: usize) -> Vec<PlanItem> {
    let text = "x".repeat(padding);
    (0..count).map(|n| item(if n % 7 == 0 { VAGUE } else { THING }, json!({"n": n, "text": text}))).collect()
}

fn number(answer: &PlanAnswer) -> u64 {
    match answer {
        PlanAnswer::Unchanged { state: Some(state), .. } => state["n"].as_u64().unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn start(mode: Mode, behaviour: &str, confine: bool) -> (Dirs, Session) {
    let dirs = Dirs::new();
    let mut spec = spec(&dirs, mode, behaviour);
    spec.confine = confine;
    let session = Session::start(spec).await.unwrap();
    (dirs, session)
}

#[tokio::test]
async fn many_items_come_back_in_order() {
    let (_dirs, session) = start(Mode::Plan, "none", true).await;
    let answers = session.plan(numbered(1000, 10)).await.unwrap();
    let numbers: Vec<u64> = answers.iter().map(|a| number(a.as_ref().unwrap())).collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    assert!(session.plan(Vec::new()).await.unwrap().is_empty());
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn full_pipes_in_both_directions_do_not_block() {
    // Six requests of 256 KiB are under way, and the provider reads nothing while it writes.
    let (_dirs, session) = start(Mode::Plan, "none", false).await;
    let items = numbered(3000, 2000);
    let answers = tokio::time::timeout(Duration::from_secs(60), session.plan(items)).await.unwrap().unwrap();
    assert_eq!(answers.len(), 3000);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn callers_share_a_session() {
    let (_dirs, session) = start(Mode::Plan, "none", false).await;
    let (a, b) = tokio::join!(session.plan(numbered(400, 10)), session.plan(numbered(300, 10)));
    assert_eq!((a.unwrap().len(), b.unwrap().len()), (400, 300));
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_method_has_its_answer() {
    let (_dirs, session) = start(Mode::Apply, "none", false).await;
    let desired = json!({"n": 1});
    let Value::Object(desired) = desired else { unreachable!() };
    let items = vec![DesiredItem { type_name: type_name(THING), desired: desired.clone() }; 3];
    assert_eq!(session.validate(items.clone()).await.unwrap(), [Ok(()), Ok(()), Ok(())]);
    assert_eq!(session.normalize(items).await.unwrap()[2], Ok(desired.clone()));
    let read = ReadItem { type_name: type_name(THING), desired: desired.clone(), capture: true };
    let answer = session.read(vec![read]).await.unwrap().remove(0).unwrap();
    assert_eq!(answer.state, Some(Value::Object(desired)));
    assert_eq!(session.op_status("00").await.unwrap(), OpStatus::NeverSeen);
    let applied = session.apply(operation(json!({}), 20_000)).await.unwrap().unwrap();
    assert_eq!(applied.status, ApplyStatus::Applied);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn errors_of_single_items_stay_with_them() {
    let (_dirs, session) = start(Mode::Plan, "item-errors", false).await;
    let answers = session.plan(numbered(5, 1)).await.unwrap();
    let failed: Vec<bool> = answers.iter().map(Result::is_err).collect();
    assert_eq!(failed, [true, false, true, false, true]);
    assert_eq!(answers[0].as_ref().unwrap_err().code, ErrorCode::Permission);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stale_operation_is_an_answer_not_a_fault() {
    let (_dirs, session) = start(Mode::Apply, "item-errors", false).await;
    let error = session.apply(operation(json!({}), 20_000)).await.unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Stale, Mutated::No));
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn noise_before_the_greeting_is_forgiven() {
    for behaviour in ["preamble", "parse-error-once"] {
        let (_dirs, session) = start(Mode::Plan, behaviour, false).await;
        assert_eq!(session.plan(numbered(1, 1)).await.unwrap().len(), 1, "{behaviour}");
        session.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn progress_names_its_operation_and_unknown_notices_are_ignored() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let dirs = Dirs::new();
    let mut spec = spec(&dirs, Mode::Apply, "logs");
    let ear = Arc::clone(&heard);
    spec.observer = Some(Observer(Arc::new(move |notice| ear.lock().unwrap().push(notice))));
    let session = Session::start(spec).await.unwrap();
    session.plan(numbered(1, 1)).await.unwrap();
    let op = operation(json!({}), 20_000);
    let op_id = op.op_id.clone();
    session.apply(op).await.unwrap().unwrap();
    session.shutdown().await.unwrap();
    let expected = [
        Notice::Log { level: "info".into(), message: "looking".into() },
        Notice::Progress { op_id: Some(op_id), message: "half way".into() },
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_operation_can_be_cancelled_and_is_answered_all_the_same() {
    let (_dirs, session) = start(Mode::Apply, "cancellable", false).await;
    let op = operation(json!({}), 20_000);
    let op_id = op.op_id.clone();
    assert!(!session.cancel(&op_id));
    let cancel = async {
        while !session.cancel(&op_id) {
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(session.apply(op), cancel);
    let error = answer.unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Cancelled, Mutated::Maybe));
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn at_its_deadline_an_operation_is_cancelled() {
    let (_dirs, session) = start(Mode::Apply, "cancellable", false).await;
    let error = session.apply(operation(json!({}), 100)).await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Cancelled);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_flood_on_standard_error_is_read_and_its_end_kept() {
    let (_dirs, session) = start(Mode::Plan, "floods-stderr", true).await;
    session.plan(numbered(1, 1)).await.unwrap();
    let ended = session.shutdown().await.unwrap();
    assert!(ended.stderr.len() <= 64 * 1024);
    assert!(ended.stderr.ends_with("the very last line\n"));
}

#[tokio::test]
async fn silence_while_nothing_is_asked_is_no_fault_if_pings_are_answered() {
    let dirs = Dirs::new();
    let mut spec = spec(&dirs, Mode::Plan, "none");
    spec.timings.ping = Duration::from_millis(50);
    let session = Session::start(spec).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(session.plan(numbered(1, 1)).await.unwrap().len(), 1);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn batches_that_wait_for_each_other_do_not_run_into_a_deadline() {
    let dirs = Dirs::new();
    let mut spec = spec(&dirs, Mode::Plan, "slow");
    // Each batch takes 100 ms; ten of them take longer than one may.
    spec.timings.batch_max = Duration::from_millis(800);
    let session = Session::start(spec).await.unwrap();
    assert_eq!(session.plan(numbered(1280, 1)).await.unwrap().len(), 1280);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn progress_extends_the_time_of_a_batch() {
    let dirs = Dirs::new();
    // Two seconds for one item, which has one and a half.
    let session = Session::start(spec(&dirs, Mode::Plan, "slow-but-progress")).await.unwrap();
    assert_eq!(session.plan(numbered(1, 1)).await.unwrap().len(), 1);
    session.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_error_shows_what_the_provider_said_last() {
    let (_dirs, session) = start(Mode::Plan, "dies-mid-answer", false).await;
    let error = session.plan(numbered(1, 1)).await.unwrap_err();
    assert_eq!(error.code(), codes::PROVIDER_EXITED);
    assert!(error.stderr.contains("out of memory"), "{error:?}");
    assert!(error.to_string().contains("exit status: 9"), "{error}");
    // Later requests say the same, at once.
    assert_eq!(session.plan(numbered(1, 1)).await.unwrap_err().code(), codes::PROVIDER_EXITED);
}

#[tokio::test]
async fn an_unknown_outcome_names_the_operation_and_the_cause() {
    let (_dirs, session) = start(Mode::Apply, "dies-mid-apply", false).await;
    let op = operation(json!({}), 20_000);
    let op_id = op.op_id.clone();
    let error = session.apply(op.clone()).await.unwrap_err();
    assert!(error.is_unknown_outcome());
    assert!(error.to_string().contains(&op_id) && error.to_string().contains("exit status: 1"), "{error}");
    assert_eq!(error.effect(), Effect::Unknown);
    // The next one was not even sent: its outcome is known.
    let next = session.apply(op).await.unwrap_err();
    assert_eq!((next.code(), next.effect()), (codes::PROVIDER_EXITED, Effect::Nothing));
}

#[tokio::test]
async fn a_refusal_says_that_nothing_was_done_and_the_session_goes_on() {
    let (_dirs, session) = start(Mode::Apply, "refuses", false).await;
    for _ in 0..2 {
        let error = session.apply(operation(json!({}), 20_000)).await.unwrap_err();
        assert_eq!((error.code(), error.effect()), (codes::PROVIDER_REFUSED, Effect::Nothing));
        assert!(matches!(*error.fault, Fault::Refused(_)), "{error}");
    }
    session.shutdown().await.unwrap();
}

/// The bound is for a build without optimization on a busy machine; it catches quadratic work.
#[tokio::test(flavor = "current_thread")]
async fn ten_thousand_items_are_cheap() {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
    };
    let cpu = || {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
        (usage.user_time() + usage.system_time()).num_milliseconds()
    };
    let (_dirs, session) = start(Mode::Plan, "none", true).await;
    let items = numbered(10_000, 340);
    assert!((380..420).contains(&serde_json::to_string(&items[9999]).unwrap().len()));
    let (before, clock) = (cpu(), Instant::now());
    let answers = session.plan(items).await.unwrap();
    let (spent, wall) = (cpu() - before, clock.elapsed().as_millis());
    assert_eq!(answers.len(), 10_000);
    println!("10,000 items: {spent} ms of CPU on the engine's side, {wall} ms in all");
    assert!(spent < 5_000, "{spent} ms");
    session.shutdown().await.unwrap();
}
