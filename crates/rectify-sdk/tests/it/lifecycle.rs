//! Greeting, many requests in flight, cancellation, and the end.

use crate::fixture::{Home, PROVIDER, operation, plan, read, start};
use rectify_sdk::{
    base::{Digest, limits::FRAME_MAX_BYTES},
    protocol::{
        COOKIE_VARIABLE, ErrorCode, Manifest, Mutated, VERSION,
        error::rpc,
        manifest::ProtocolRange,
        message::{
            Applied, Batch, BatchResult, Cancel, Configure, Initialize, ItemResult, Mode, Pong,
            ProtocolVersion, ReadAnswer, method,
        },
    },
    testing::CallError,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

fn rpc_code<T: std::fmt::Debug>(result: Result<T, CallError>) -> i64 {
    match result {
        Err(CallError::Rpc(error)) => error.code,
        other => panic!("expected a failure of the request, got {other:?}"),
    }
}

#[test]
fn a_session_begins_works_and_ends_with_zero() {
    let home = Home::new();
    let mut client = home.session(Mode::Plan);
    let answer = client.read(read(json!({"size": 3}))).unwrap();
    assert_eq!(answer.state, Some(json!({"text": "xxx", "volatile": ""})));
    let _: Value = client.call(method::SHUTDOWN, &json!({})).unwrap();
    assert_eq!(rpc_code(client.read(read(json!({})))), rpc::INVALID_REQUEST);
    client.close();
    assert!(client.wait_child().unwrap().success());
}

#[test]
fn a_stream_that_ends_without_shutdown_is_no_success() {
    let home = Home::new();
    let mut client = home.session(Mode::Plan);
    client.close();
    assert_eq!(client.wait_child().unwrap().code(), Some(1));
}

#[test]
fn the_manifest_is_the_same_everywhere() {
    let printed = Command::new(PROVIDER).arg("manifest").output().unwrap().stdout;
    let again = Command::new(PROVIDER).arg("manifest").env("LANG", "tr_TR").output().unwrap().stdout;
    assert_eq!(printed, again);
    let home = Home::new();
    let mut client = start();
    let greeting = client.greet(Mode::Read, home.dirs(), &Configure::default()).unwrap();
    assert_eq!(greeting.manifest, Digest::of_bytes(&printed));
    let manifest: Manifest = client.call(method::SCHEMA_GET, &json!({})).unwrap();
    assert_eq!(manifest.to_bytes().unwrap(), printed);
    let version = Command::new(PROVIDER).arg("version").output().unwrap().stdout;
    assert_eq!(String::from_utf8(version).unwrap(), "test 0.1.0\n");
}

#[test]
fn a_curious_person_gets_help() {
    for arguments in [&["serve", "--stdio"][..], &[], &["--help"]] {
        let output = Command::new(PROVIDER).args(arguments).env_remove(COOKIE_VARIABLE).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("Rectify provider `test`") && text.contains("test.thing"), "{text}");
    }
}

#[test]
fn versions_without_overlap_are_refused_with_both_lists() {
    let mut client = start();
    let version = |major, minor| ProtocolVersion { major, minor };
    let greeting = Initialize {
        protocol: ProtocolRange { min: version(9, 0), max: version(9, 9) },
        session: "00".into(),
        mode: Mode::Read,
        frame_max_bytes: FRAME_MAX_BYTES,
        dirs: Home::new().dirs(),
    };
    let result: Result<Value, _> = client.call(method::INITIALIZE, &greeting);
    let Err(CallError::Rpc(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.code, rpc::VERSION);
    assert!(error.message.contains("9.0 to 9.9") && error.message.contains("1.0 to 1.0"), "{error}");
    let begin = Instant::now();
    assert_eq!(client.wait_child().unwrap().code(), Some(1));
    assert!(begin.elapsed() < Duration::from_secs(1));
}

#[test]
fn the_highest_common_version_is_picked() {
    let mut client = start();
    let greeting = Initialize {
        protocol: ProtocolRange { min: VERSION, max: ProtocolVersion { major: 1, minor: 9 } },
        session: "ab".into(),
        mode: Mode::Read,
        frame_max_bytes: FRAME_MAX_BYTES,
        dirs: Home::new().dirs(),
    };
    let answer: Value = client.call(method::INITIALIZE, &greeting).unwrap();
    assert_eq!((&answer["protocol"], &answer["session"]), (&json!("1.0"), &json!("ab")));
}

/// With shorter ones, the failure of an operation could not be told from its refusal.
#[test]
fn frames_that_hold_no_failure_are_refused() {
    let mut client = start();
    let mut greeting = Initialize {
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        session: "00".into(),
        mode: Mode::Apply,
        frame_max_bytes: 4095,
        dirs: Home::new().dirs(),
    };
    assert_eq!(rpc_code(client.call::<_, Value>(method::INITIALIZE, &greeting)), rpc::INVALID_PARAMS);
    greeting.frame_max_bytes = 4096;
    let _: Value = client.call(method::INITIALIZE, &greeting).unwrap();
}

#[test]
fn work_needs_a_greeting_and_a_configuration() {
    let home = Home::new();
    let mut client = start();
    assert_eq!(rpc_code(client.read(read(json!({})))), rpc::NOT_INITIALIZED);
    let greeting = Initialize {
        protocol: ProtocolRange { min: VERSION, max: VERSION },
        session: "00".into(),
        mode: Mode::Plan,
        frame_max_bytes: FRAME_MAX_BYTES,
        dirs: home.dirs(),
    };
    let _: Value = client.call(method::INITIALIZE, &greeting).unwrap();
    assert_eq!(rpc_code(client.call::<_, Value>(method::INITIALIZE, &greeting)), rpc::INVALID_REQUEST);
    assert_eq!(rpc_code(client.plan(plan(json!({})))), rpc::NOT_INITIALIZED);
    let missing = Configure { root: Some("/does/not/exist".into()), ..Configure::default() };
    assert_eq!(rpc_code(client.call::<_, Value>(method::CONFIGURE, &missing)), rpc::INVALID_PARAMS);
    let configure = Configure {
        root: Some(home.path("work")),
        plan_commands: vec![vec!["ls".into()]],
        ..Configure::default()
    };
    let _: Value = client.call(method::CONFIGURE, &configure).unwrap();
    assert_eq!(rpc_code(client.call::<_, Value>(method::CONFIGURE, &configure)), rpc::INVALID_REQUEST);
    let answer = serde_json::to_value(client.plan(plan(json!({"a": 1}))).unwrap()).unwrap();
    let state = json!({"root": home.path("work"), "may": true, "desired": {"a": 1}});
    assert_eq!(answer, json!({"unchanged": {"state": state}}));
}

#[test]
fn sixty_four_requests_in_flight_are_each_answered_once() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    // A linear congruential generator: sizes that look random and are the same each time.
    let mut seed = 12_345_u64;
    let mut expected = BTreeMap::new();
    for _ in 0..64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let size = (seed >> 33) % 100_000;
        let items = vec![read(json!({"size": size, "ms": seed >> 62})), read(json!({"size": 1}))];
        expected.insert(client.send(method::READ, &Batch { items }).unwrap(), size);
    }
    while !expected.is_empty() {
        let frame = client.receive().unwrap();
        let size = expected.remove(&frame.id.unwrap()).expect("an answer nobody asked for");
        let result: BatchResult<ReadAnswer> =
            serde_json::from_str(frame.result.expect("a result").get()).unwrap();
        let lengths: Vec<_> = result
            .items
            .into_iter()
            .map(|i| i.into_result().unwrap().state.unwrap()["text"].as_str().unwrap().len() as u64)
            .collect();
        assert_eq!(lengths, [size, 1]);
    }
}

#[test]
fn pings_and_status_are_answered_while_every_worker_is_busy() {
    let home = Home::new();
    let mut client = home.session(Mode::Apply);
    let slow: Vec<u64> = (0..18)
        .map(|i| {
            let op = operation(&format!("slow {i}"), "update", json!({"ms": 20_000}));
            client.send(method::APPLY, &op).unwrap()
        })
        .collect();
    for _ in 0..16 {
        assert_eq!(client.receive().unwrap().method.as_deref(), Some(method::PROGRESS));
    }
    let begin = Instant::now();
    let pong: Pong = client.call(method::PING, &json!({})).unwrap();
    assert_eq!(pong.in_flight, 18);
    client.op_status(&Digest::of_bytes(b"x").hex()).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());

    // Those that wait are answered as not begun, those that run tell what they did. The last come first:
    // a worker that is done takes one that waits.
    for id in slow.iter().rev() {
        client.notify(method::CANCEL, &Cancel { id: *id }).unwrap();
    }
    client.notify(method::CANCEL, &Cancel { id: 999_999 }).unwrap();
    let (mut stopped, mut never_begun) = (0, 0);
    for _ in &slow {
        let frame = client.receive().unwrap();
        match frame.error {
            Some(error) => {
                assert_eq!(error.code, rpc::CANCELLED);
                never_begun += 1;
            }
            None => {
                let result: ItemResult<Applied> = serde_json::from_str(frame.result.unwrap().get()).unwrap();
                let error = result.into_result().unwrap_err();
                assert_eq!((error.code, error.mutated), (ErrorCode::Cancelled, Mutated::Yes));
                stopped += 1;
            }
        }
    }
    assert_eq!((stopped, never_begun), (16, 2));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    client.read(read(json!({}))).unwrap();
}

#[test]
fn a_batch_that_is_cancelled_still_answers_for_each_item() {
    let home = Home::new();
    let mut client = home.session(Mode::Read);
    let items: Vec<_> = (0..3).map(|_| read(json!({"ms": 20_000}))).collect();
    let id = client.send(method::READ, &Batch { items }).unwrap();
    while client.call::<_, Pong>(method::PING, &json!({})).unwrap().in_flight == 0 {}
    std::thread::sleep(Duration::from_millis(100));
    client.notify(method::CANCEL, &Cancel { id }).unwrap();
    let result: BatchResult<ReadAnswer> = client.answer(id).unwrap();
    let codes: Vec<_> = result.items.into_iter().map(|i| i.into_result().map_err(|e| e.code)).collect();
    assert!(codes[0].is_ok());
    assert_eq!(codes[1..], [Err(ErrorCode::Cancelled), Err(ErrorCode::Cancelled)]);
}

#[test]
fn the_end_of_input_cancels_what_runs() {
    let home = Home::new();
    let mut client = home.session(Mode::Apply);
    let id = client.send(method::APPLY, &operation("slow", "update", json!({"ms": 60_000}))).unwrap();
    let progress = client.receive().unwrap();
    assert_eq!(progress.method.as_deref(), Some(method::PROGRESS));
    let begin = Instant::now();
    client.close();
    let result: ItemResult<Applied> = client.answer(id).unwrap();
    assert_eq!(result.into_result().unwrap_err().mutated, Mutated::Yes);
    client.wait_child().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// A script that is in the middle when its file says so, goes on for a moment, prints more than a pipe holds, and
/// says that it has ended.
fn script(directory: &Path) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    format!(
        "echo > {}; sleep 1; i=0; while [ $i -lt 20000 ]; do echo a line of output; i=$((i+1)); done; \
         echo \"$RECTIFY_FINISHES\" > {}",
        at("middle"),
        at("end")
    )
}

fn comes(path: &Path) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while !path.exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    path.exists()
}

#[test]
fn what_finishes_outlives_its_engine_and_its_provider() {
    for how in ["end of input", "killed"] {
        let home = Home::new();
        let scratch = tempfile::tempdir().unwrap();
        let mut client = home.session(Mode::Apply);
        let desired = json!({"shell": script(scratch.path()), "finishes": true});
        client.send(method::APPLY, &operation("finishes", "update", desired)).unwrap();
        assert!(comes(&scratch.path().join("middle")), "{how}");
        if how == "killed" {
            client.child().unwrap().kill().unwrap();
        } else {
            client.close();
        }
        client.wait_child().unwrap();
        assert!(comes(&scratch.path().join("end")), "{how}: it was broken off");
        assert_eq!(std::fs::read_to_string(scratch.path().join("end")).unwrap(), "1\n");
    }
}

#[test]
fn who_cancels_ends_also_what_finishes_and_the_end_of_input_what_does_not() {
    let home = Home::new();
    let scratch = tempfile::tempdir().unwrap();
    let mut client = home.session(Mode::Apply);
    let desired = json!({"shell": script(scratch.path()), "finishes": true});
    let id = client.send(method::APPLY, &operation("cancelled", "update", desired)).unwrap();
    assert!(comes(&scratch.path().join("middle")));
    client.notify(method::CANCEL, &Cancel { id }).unwrap();
    let result: ItemResult<Applied> = client.answer(id).unwrap();
    assert_eq!(result.into_result().unwrap_err().code, ErrorCode::Cancelled);
    std::fs::remove_file(scratch.path().join("middle")).unwrap();
    // A step cannot say so by itself.
    let desired = json!({"shell": format!("export RECTIFY_FINISHES=1; {}", script(scratch.path()))});
    client.send(method::APPLY, &operation("ordinary", "update", desired)).unwrap();
    assert!(comes(&scratch.path().join("middle")));
    client.close();
    client.wait_child().unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!scratch.path().join("end").exists(), "it went on");
}
