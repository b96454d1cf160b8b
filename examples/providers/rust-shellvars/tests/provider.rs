//! The provider as an engine sees it: its own process at the other end of two pipes.

use rectify_sdk::{protocol::ErrorCode, testing::Exercise};
use serde_json::{Value, json};
use std::{error::Error, fs, os::unix::fs::PermissionsExt, process::Command};

type Outcome = Result<(), Box<dyn Error>>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rectify-shellvars");
const TYPE: &str = "shellvars.file";

fn grub(set: &Value) -> Value {
    json!({"path": "/grub", "set": set})
}

#[test]
fn variables_are_set_unset_and_come_back() -> Outcome {
    let root = tempfile::tempdir()?;
    let file = root.path().join("grub");
    let before = "# by hand\nGRUB_TIMEOUT=5 # seconds\nGRUB_DEFAULT=0";
    fs::write(&file, before)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664))?;
    let mut engine = Exercise::spawn(PROGRAM, Some(root.path()), &[])?;

    let desired = json!({"path": "/grub", "set": {"GRUB_TIMEOUT": "1"}, "unset": ["GRUB_DEFAULT"]});
    let planned = engine.converge(TYPE, &desired)?;
    assert_eq!(fs::read_to_string(&file)?, "# by hand\nGRUB_TIMEOUT=1 # seconds\n");
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o7777, 0o664);
    engine.undo(TYPE, &desired, &planned)?;
    assert_eq!(fs::read_to_string(&file)?, before);
    assert_eq!(fs::metadata(&file)?.permissions().mode() & 0o7777, 0o664);
    Ok(())
}

#[test]
fn a_file_that_is_made_is_removed_by_undo() -> Outcome {
    let root = tempfile::tempdir()?;
    let mut engine = Exercise::spawn(PROGRAM, Some(root.path()), &[])?;
    let desired = grub(&json!({"GRUB_CMDLINE_LINUX": "quiet splash"}));
    let planned = engine.converge(TYPE, &desired)?;
    assert_eq!(fs::read_to_string(root.path().join("grub"))?, "GRUB_CMDLINE_LINUX=\"quiet splash\"\n");
    engine.undo(TYPE, &desired, &planned)?;
    assert_eq!(fs::read_dir(root.path())?.count(), 0);
    // What is not there need not be unset.
    let unset = json!({"path": "/grub", "unset": ["GRUB_DEFAULT"]});
    assert_eq!(engine.plan(TYPE, &unset)??, None);
    Ok(())
}

#[test]
fn what_somebody_else_wrote_meanwhile_stays() -> Outcome {
    let root = tempfile::tempdir()?;
    let mut engine = Exercise::spawn(PROGRAM, Some(root.path()), &[])?;
    let desired = grub(&json!({"A": "1"}));
    let planned = engine.plan(TYPE, &desired)??.ok_or("nothing to do")?;
    let op = engine.operation(TYPE, &desired, &planned)?;
    fs::write(root.path().join("grub"), "mine\n")?;
    let refused = engine.apply(&op)?.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Stale);
    assert_eq!(fs::read_to_string(root.path().join("grub"))?, "mine\n");
    Ok(())
}

#[test]
fn what_cannot_be_done_is_said_at_its_place() -> Outcome {
    let root = tempfile::tempdir()?;
    let file = root.path().join("grub");
    fs::write(&file, "A=1\n  B=2\n")?;
    let mut engine = Exercise::spawn(PROGRAM, Some(root.path()), &[])?;
    for (desired, code, place) in [
        (json!({"path": "grub", "set": {"A": "1"}}), ErrorCode::Schema, "/path"),
        (json!({"path": "/grub"}), ErrorCode::Schema, "/set"),
        (json!({"path": "/grub", "set": {"A B": "1"}}), ErrorCode::Schema, "/set/A B"),
        (json!({"path": "/grub", "set": {"A/B": "1"}}), ErrorCode::Schema, "/set/A~1B"),
        (json!({"path": "/grub", "set": {"A": "1\n2"}}), ErrorCode::Schema, "/set/A"),
        (json!({"path": "/grub", "set": {"A": 1}}), ErrorCode::Schema, "/set/A"),
        (json!({"path": "/grub", "unset": ["A", "$B"]}), ErrorCode::Schema, "/unset/1"),
        (json!({"path": "/grub", "sets": {"A": "1"}}), ErrorCode::Schema, "/sets"),
        (json!({"path": "/grub", "set": {"B": "1"}}), ErrorCode::Conflict, "/set/B"),
        (json!({"path": "/grub", "unset": ["B"]}), ErrorCode::Conflict, "/unset"),
    ] {
        let refused = engine.plan(TYPE, &desired)?.unwrap_err();
        assert_eq!((refused.code, refused.path.as_deref()), (code, Some(place)), "{desired}");
    }
    // What others may not read is in no plan.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    let refused = engine.plan(TYPE, &grub(&json!({"A": "2"})))?.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unsupported);
    Ok(())
}

#[test]
fn it_keeps_the_rules_that_every_provider_keeps() -> Outcome {
    let output = Command::new(PROGRAM).arg("--selftest").output()?;
    let report = String::from_utf8(output.stdout)?;
    assert!(output.status.success() && report.ends_with("14 checks passed\n"), "{report}");
    Ok(())
}
