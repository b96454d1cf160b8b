//! What is said of a command that ran, failed, hung or was broken off.

use crate::fixture::World;
use rectify_sdk::protocol::{
    ErrorCode, Mutated,
    message::{Applied, ApplyStatus, Cancel, ItemResult, Mode, OpStatus, method},
};
use serde_json::json;
use std::{
    fs, thread,
    time::{Duration, Instant},
};

/// Waits until a file has a whole line, and returns it.
fn line(world: &World, name: &str) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        match world.text(name) {
            Some(text) if text.ends_with('\n') => return text.trim().into(),
            _ => assert!(Instant::now() < end, "{name} was never written"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs (a zombie does not).
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']))
}

fn gone(pid: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while runs(pid) {
        assert!(Instant::now() < end, "process {pid} is still there");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_runs_once_and_its_output_is_kept() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let desired = json!({"script": format!("echo out; echo err >&2; echo x >> {}", world.path("log"))});
    let op = session.operation("a", &desired);
    let applied = session.apply(&op).unwrap();
    let output = applied.output.clone().unwrap();
    assert_eq!((applied.status, applied.state.clone()), (ApplyStatus::Applied, Some(json!({}))));
    assert_eq!((output.exit_code, output.truncated), (Some(0), false));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(session.apply(&op).unwrap(), applied);
    assert_eq!(world.session(Mode::Apply).apply(&op).unwrap(), applied);
    assert_eq!(world.text("log").unwrap(), "x\n");
}

#[test]
fn a_result_that_stands_is_given_whoever_holds_the_claim() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let op = session.operation("a", &json!({"script": "echo out"}));
    let applied = session.apply(&op).unwrap();
    // As a process does that is just being made while the claim is open.
    let claim = fs::File::open(world.path(&format!("state/{}.claim", op.op_id))).unwrap();
    claim.lock().unwrap();
    assert_eq!(session.apply(&op).unwrap(), applied);
    let failing = session.operation("b", &json!({"script": "true", "directory": "/nowhere-at-all"}));
    assert_eq!(session.apply(&failing).unwrap_err().mutated, Mutated::No);
    let claim = fs::File::open(world.path(&format!("state/{}.claim", failing.op_id))).unwrap();
    claim.lock().unwrap();
    assert_eq!(session.apply(&failing).unwrap_err().code, ErrorCode::Busy);
}

#[test]
fn exit_codes_are_judged_by_the_list() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let desired = json!({"script": "echo reason >&2; exit 3"});
    let error = session.run("a", &desired).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::Maybe));
    assert_eq!(error.message, "the command exited with 3, not 0; it said: reason");
    let desired = json!({"script": "exit 3", "exit_codes": [0, 3]});
    assert_eq!(session.run("b", &desired).unwrap().output.unwrap().exit_code, Some(3));
    let error = session.run("c", &json!({"script": "true", "exit_codes": [1, 3]})).unwrap_err();
    assert_eq!(error.message, "the command exited with 0, not 1 or 3");
    let error = session.run("d", &json!({"script": "kill -SEGV $$"})).unwrap_err();
    assert_eq!(error.message, "the command was ended by signal 11");
}

#[test]
fn what_could_not_be_started_changed_nothing_and_may_be_tried_again() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let program = world.path("program");
    let desired = json!({"argv": [program]});
    let op = session.operation("a", &desired);
    let error = session.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Dependency, Mutated::No));
    fs::write(&program, "#!/bin/sh\necho now\n").unwrap();
    let error = session.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Permission, Mutated::No));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&program, mode).unwrap();
    assert_eq!(session.apply(&op).unwrap().output.unwrap().stdout, "now\n");
    let error = session.run("b", &json!({"argv": ["no-such-program-anywhere"]})).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Dependency, Mutated::No));
}

#[test]
fn the_deadline_ends_the_whole_group_and_the_outcome_is_open() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let script = format!("sleep 600 & echo $! > {}; wait", world.path("pid"));
    let begin = Instant::now();
    let error = session.run("a", &json!({"script": script, "timeout_s": 1})).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Timeout, Mutated::Maybe));
    assert!(begin.elapsed() >= Duration::from_secs(1));
    gone(&line(&world, "pid"));
    // The engine's deadline counts as well, and the outcome stands.
    let mut op = session.operation("b", &json!({"argv": ["sleep", "600"]}));
    op.deadline_ms = 200;
    assert_eq!(session.apply(&op).unwrap_err().code, ErrorCode::Timeout);
    let begin = Instant::now();
    op.deadline_ms = 60_000;
    assert_eq!(session.apply(&op).unwrap_err().mutated, Mutated::Maybe);
    assert!(begin.elapsed() < Duration::from_secs(5));
    op.op_id = "ab".repeat(32);
    op.deadline_ms = 0;
    assert_eq!(session.apply(&op).unwrap_err().mutated, Mutated::No);
}

#[test]
fn a_group_that_ignores_term_is_killed() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let script = format!("trap '' TERM; echo $$ > {}; while :; do sleep 1; done", world.path("pid"));
    let begin = Instant::now();
    let error = session.run("a", &json!({"script": script, "timeout_s": 1})).unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(begin.elapsed() >= Duration::from_secs(6), "{:?}", begin.elapsed());
    gone(&line(&world, "pid"));
}

#[test]
fn a_cancelled_command_is_ended_and_said_to_be() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let script = format!("echo $$ > {}; exec sleep 600", world.path("pid"));
    let op = session.operation("a", &json!({"script": script}));
    let id = session.0.send(method::APPLY, &op).unwrap();
    let pid = line(&world, "pid");
    assert!(runs(&pid));
    session.0.notify(method::CANCEL, &Cancel { id }).unwrap();
    let result: ItemResult<Applied> = session.0.answer(id).unwrap();
    let error = result.into_result().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Cancelled, Mutated::Maybe));
    gone(&pid);
}

#[test]
fn the_end_of_the_engine_ends_the_command_and_the_ledger_says_so() {
    let world = World::new();
    let mut process = world.process();
    let script = format!("echo $$ > {}; exec sleep 600", world.path("pid"));
    let op = process.operation("a", &json!({"script": script}));
    process.0.send(method::APPLY, &op).unwrap();
    let pid = line(&world, "pid");
    let begin = Instant::now();
    process.0.close();
    process.0.wait_child().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    gone(&pid);
    match world.process().0.op_status(&op.op_id).unwrap() {
        OpStatus::Done(result) => {
            let error = result.into_result().unwrap_err();
            assert_eq!((error.code, error.mutated), (ErrorCode::Cancelled, Mutated::Maybe));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_provider_that_was_killed_leaves_an_unknown_outcome() {
    let world = World::new();
    let mut process = world.process();
    let (log, pid) = (world.path("log"), world.path("pid"));
    let script = format!("echo x >> {log}; echo $$ > {pid}; exec sleep 600");
    let op = process.operation("a", &json!({"script": script}));
    process.0.send(method::APPLY, &op).unwrap();
    let pid = line(&world, "pid");
    process.0.child().unwrap().kill().unwrap();
    process.0.wait_child().unwrap();
    let mut fresh = world.process();
    assert_eq!(fresh.0.op_status(&op.op_id).unwrap(), OpStatus::Started);
    let error = fresh.apply(&op).unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::UnknownOutcome, Mutated::Maybe));
    assert_eq!(world.text("log").unwrap(), "x\n");
    // The command itself outlives a provider that had no time to end it; this test ends it.
    let number = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn only_the_end_of_long_output_is_kept() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let script = "i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done";
    let output = session.run("a", &json!({"script": script})).unwrap().output.unwrap();
    assert!(output.truncated);
    assert_eq!(output.stdout.len(), 64 * 1024);
    assert!(output.stdout.ends_with("line-19998\nline-19999\n"));
}

#[test]
fn a_background_process_that_holds_the_output_does_not_hold_the_step() {
    let world = World::new();
    let mut session = world.session(Mode::Apply);
    let begin = Instant::now();
    let script = format!("sleep 600 & echo $! > {}; echo done", world.path("pid"));
    let output = session.run("a", &json!({"script": script})).unwrap().output.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10));
    assert_eq!((output.stdout.as_str(), output.truncated), ("done\n", true));
    let pid = line(&world, "pid");
    assert!(runs(&pid), "what a command leaves running on purpose is left alone");
    let number = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(number, rustix::process::Signal::KILL).unwrap();
}
