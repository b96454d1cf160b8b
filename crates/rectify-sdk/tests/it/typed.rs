//! Typed resources, actions and probes: what their manifest says, and what an engine sees of them.

use crate::fixture::{Home, map};
use rectify_sdk::{
    protocol::{
        ErrorCode, ItemError, Mutated,
        message::{Apply, ApplyStatus, Mode, PlanAnswer, PlanItem},
    },
    testing::Exercise,
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rectify-sdk-typed-provider");

fn exercise(root: &TempDir) -> Exercise {
    Exercise::spawn(PROGRAM, Some(root.path()), &[("pin", "hunter22")]).unwrap()
}

#[test]
fn the_manifest_follows_from_the_structs() {
    let output = Command::new(PROGRAM).arg("manifest").output().unwrap();
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn what_does_not_fit_is_blamed_at_its_place() {
    let root = tempfile::tempdir().unwrap();
    let mut engine = exercise(&root);
    for (desired, place, told) in [
        (json!({"path": "/a", "texts": "x", "more": 1}), "/texts", "there is no property `texts`"),
        (json!({"text": "x"}), "", "`path` is missing"),
        (json!({"path": "a"}), "/path", "it does not match `^/`"),
        (json!({"path": "/a", "text": null}), "/text", "null is not of type \"string\""),
        (json!({"path": "/a", "mode": "0600"}), "/mode", "\"0600\" is not one of \"0644\" or \"0444\""),
        (
            json!({"path": "/a", "more": [{"line": "x"}, {"lines": "x"}]}),
            "/more/1/lines",
            "there is no property `lines`",
        ),
        (
            json!({"path": "/a", "more": [{"line": "x", "times": 300}]}),
            "/more/0/times",
            "300 is greater than the maximum of 3",
        ),
        (json!({"path": "/a", "more": [{"line": "x\n"}]}), "/more/0/line", "a line has no line end in it"),
    ] {
        let error = engine.validate("typed.text", &desired).unwrap().unwrap_err();
        let found = (error.code, error.path.as_deref().unwrap(), error.message.as_str());
        assert_eq!(found, (ErrorCode::Schema, place, told), "{desired}");
        assert_eq!(engine.plan("typed.text", &desired).unwrap().unwrap_err().path, error.path);
    }
    // What restores is no more than a name and a state.
    let back = json!({"path": "/a", "$restore": {"state": {"text": 3, "mode": "0644"}}});
    let error = engine.validate("typed.text", &back).unwrap().unwrap_err();
    assert!(error.message.starts_with("the given state cannot be read"), "{error}");
    let nameless = json!({"$restore": {}});
    let error = engine.validate("typed.text", &nameless).unwrap().unwrap_err();
    assert_eq!(error.message, "`path` is missing");
}

#[test]
fn a_thing_is_made_changed_removed_and_each_is_taken_back() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a");
    let mut engine = exercise(&root);
    let desired = json!({"path": "/a", "text": "one", "mode": "0444", "more": [{"line": "x", "times": 1}]});
    engine.there_and_back("typed.text", &desired).unwrap();
    assert!(!file.exists());
    engine.converge("typed.text", &desired).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "onex\nx\n");
    engine.there_and_back("typed.text", &json!({"path": "/a", "text": "two", "mode": "0644"})).unwrap();
    engine.there_and_back("typed.text", &json!({"path": "/a", "state": "absent"})).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "onex\nx\n");
    // Only the names of things count for a look.
    let read = engine.read("typed.text", &json!({"path": "/a", "text": 3}), false).unwrap().unwrap();
    assert_eq!(read.state.unwrap()["text"], "onex\nx\n");
}

#[test]
fn an_error_tells_what_can_be_seen() {
    let root = tempfile::tempdir().unwrap();
    let mut engine = exercise(&root);
    let mut fail = |desired: Value| -> ItemError {
        let planned = engine.plan("typed.text", &desired).unwrap().unwrap().unwrap();
        let op = engine.operation("typed.text", &desired, &planned).unwrap();
        engine.apply(&op).unwrap().unwrap_err()
    };
    let half = fail(json!({"path": "/a", "text": "x", "trouble": "half"}));
    assert_eq!((half.code, half.mutated), (ErrorCode::Failed, Mutated::Yes));
    let panicked = fail(json!({"path": "/b", "text": "x", "trouble": "panic"}));
    assert_eq!((panicked.code, panicked.mutated), (ErrorCode::Internal, Mutated::Maybe));
    let nowhere = fail(json!({"path": "/none/b", "text": "x"}));
    assert_eq!((nowhere.code, nowhere.mutated), (ErrorCode::Failed, Mutated::No));
    assert_eq!(nowhere.hint.as_deref(), Some("make it in a step before"));
}

#[test]
fn what_is_not_what_was_signed_is_not_written() {
    let root = tempfile::tempdir().unwrap();
    let mut engine = exercise(&root);
    fs::write(root.path().join("first"), "1").unwrap();
    let desired = json!({"path": "/a", "text": "x", "after": "/first"});
    let planned = engine.plan("typed.text", &desired).unwrap().unwrap().unwrap();
    let op = engine.operation("typed.text", &desired, &planned).unwrap();
    // The goal is another one by now.
    fs::write(root.path().join("first"), "2").unwrap();
    let error = engine.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Stale, Mutated::No));
    assert!(!root.path().join("a").exists());
}

#[test]
fn a_file_that_others_may_not_read_is_in_no_state() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let mut engine = exercise(&root);
    let mode = |path: &str, mode| {
        fs::set_permissions(root.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(root.path().join("d")).unwrap();
    fs::write(root.path().join("d/a"), "private").unwrap();
    let desired = json!({"path": "/d/a", "text": "x"});
    for (directory, file, public) in [(0o755, 0o644, true), (0o755, 0o640, false), (0o750, 0o644, false)] {
        mode("d", directory);
        mode("d/a", file);
        let planned = engine.plan("typed.text", &desired).unwrap();
        match planned {
            Ok(_) => assert!(public),
            Err(error) => {
                assert!(!public && error.code == ErrorCode::Unsupported, "{error}");
                assert!(!error.message.contains("private text"));
            }
        }
    }
}

#[test]
fn a_secret_is_written_and_comes_back_and_nobody_reads_it() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("key");
    fs::write(&file, "the old key").unwrap();
    let mut engine = exercise(&root);
    let desired = json!({"path": "/key", "key": {"$secret": ["pin=", {"name": "pin"}]}});
    let planned = engine.converge("typed.key", &desired).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "pin=hunter22");
    let states = format!("{planned:?}");
    assert!(!states.contains("hunter22") && !states.contains("old key"), "{states}");
    engine.undo("typed.key", &desired, &planned).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "the old key");
}

/// An action, as planned, in a session about a directory.
fn run(home: &Home, root: &Path, name: &str, desired: &Value) -> Result<ApplyStatus, ItemError> {
    let mut client = rectify_sdk::testing::Client::spawn(Path::new(PROGRAM)).unwrap();
    let configure = rectify_sdk::protocol::message::Configure {
        root: Some(root.display().to_string()),
        ..Default::default()
    };
    client.greet(Mode::Apply, home.dirs(), &configure).unwrap();
    let type_name: rectify_sdk::base::TypeName = name.parse().unwrap();
    let item = PlanItem {
        type_name: type_name.clone(),
        desired: map(desired.clone()),
        prior: None,
        directories: None,
    };
    let prior = match client.plan(item).map_err(|error| error.item().unwrap())? {
        PlanAnswer::Changed { prior, .. } => prior,
        PlanAnswer::Unchanged { .. } => return Ok(ApplyStatus::Already),
    };
    let expect = rectify_sdk::base::fingerprint::fingerprint(&type_name, 1, prior.as_ref(), &[]).unwrap();
    let op = Apply {
        op_id: rectify_sdk::base::Digest::of_bytes(desired.to_string().as_bytes()).hex(),
        type_name,
        action: "run".into(),
        desired: map(desired.clone()),
        expect,
        result: None,
        deadline_ms: 10_000,
        fence: 1,
    };
    client.apply(&op).map(|applied| applied.status).map_err(|error| error.item().unwrap())
}

#[test]
fn an_action_runs_once_and_its_result_is_kept() {
    let (root, home) = (tempfile::tempdir().unwrap(), Home::new());
    for _ in 0..3 {
        // Each time in another process, as after a crash.
        let status = run(&home, root.path(), "typed.note", &json!({"path": "/log"}));
        assert_eq!(status, Ok(ApplyStatus::Applied));
    }
    assert_eq!(fs::read_to_string(root.path().join("log")).unwrap(), "noted\n");
    let failing = json!({"path": "/log", "argv": ["sh", "-c", "echo no >&2; exit 3"]});
    let error = run(&home, root.path(), "typed.note", &failing).unwrap_err();
    assert_eq!(error.message, "the command ended with the exit code 3: no");
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::Maybe));
}

#[test]
fn a_guard_tells_that_there_is_nothing_to_do() {
    let (root, home) = (tempfile::tempdir().unwrap(), Home::new());
    let made = json!({"path": "/made"});
    assert_eq!(run(&home, root.path(), "typed.made", &made), Ok(ApplyStatus::Applied));
    assert_eq!(run(&home, root.path(), "typed.made", &made), Ok(ApplyStatus::Already));
    let back = json!({"path": "/made", "$undo": true});
    assert_eq!(run(&home, root.path(), "typed.made", &back), Ok(ApplyStatus::Applied));
    assert!(!root.path().join("made").exists());
    let refused = run(&home, root.path(), "typed.note", &json!({"path": "/log", "$undo": true}));
    assert_eq!(refused.unwrap_err().code, ErrorCode::Unsupported);
}

#[test]
fn an_action_that_failed_did_nothing_only_if_its_code_says_so() {
    let (root, home) = (tempfile::tempdir().unwrap(), Home::new());
    for (trouble, mutated) in [
        (json!({"code": "busy"}), Mutated::No),
        (json!({"code": "busy", "touched": true}), Mutated::Maybe),
        (json!({"code": "failed"}), Mutated::Maybe),
    ] {
        let desired = json!({"path": "/log", "trouble": trouble});
        let error = run(&home, root.path(), "typed.note", &desired).unwrap_err();
        assert_eq!(error.mutated, mutated, "{desired}");
    }
}

#[test]
fn a_question_is_answered_with_a_sentence() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "1\n2\n").unwrap();
    let mut engine = exercise(&root);
    assert_eq!(engine.plan("typed.lines", &json!({"files": {"/a": 2}})).unwrap(), Ok(None));
    let no = engine.plan("typed.lines", &json!({"files": {"/a": 3}})).unwrap().unwrap_err();
    assert_eq!((no.code, no.message.as_str()), (ErrorCode::Failed, "/a has 2 lines"));
}
