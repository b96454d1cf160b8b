//! A provider that is killed in an operation, and what the next one says.

use crate::{SLOW, TYPE, clean, sh, version};
use rectify_sdk::{
    base::fingerprint::fingerprint,
    protocol::{
        ErrorCode,
        message::{Apply, ApplyStatus, Configure, Directories, Mode, OpStatus, ReadItem},
    },
    testing::{CallError, Client},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const PROVIDER: &str = "/usr/local/bin/rectify-provider-package";
const NAME: &str = "rectify-probe-slow";

/// Waits until something is so.
pub(crate) fn until(so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(Instant::now() < end, "it did not come to be");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the script of the slow package is under way.
pub(crate) fn sleeps() -> bool {
    sh("pgrep -x sleep || true") != ""
}

fn start(dirs: &TempDir) -> Client {
    let at = |name: &str| {
        let path = dirs.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path.display().to_string()
    };
    let directories = Directories { work: at("work"), state: at("state"), blobs: at("blobs") };
    let mut client = Client::spawn(Path::new(PROVIDER)).unwrap();
    client.greet(Mode::Apply, directories, &Configure::default()).unwrap();
    client
}

fn operation() -> Apply {
    let name = TYPE.parse().unwrap();
    let print = |state: Option<&Value>| fingerprint(&name, 1, state, &[]).unwrap();
    let planned = json!({"state": "installed", "name": NAME, "version": "1.0", "held": false});
    Apply {
        op_id: format!("{:064x}", 7),
        desired: json!({"name": NAME}).as_object().unwrap().clone(),
        action: "create".into(),
        expect: print(None),
        result: Some(print(Some(&planned))),
        deadline_ms: 60_000,
        fence: 1,
        type_name: name,
    }
}

fn item(op: &Apply) -> ReadItem {
    ReadItem { type_name: op.type_name.clone(), desired: op.desired.clone(), capture: false }
}

#[test]
fn what_a_killed_provider_left_to_itself_is_found_done() {
    clean();
    let dirs = tempfile::tempdir().unwrap();
    fs::write(SLOW, "3").unwrap();
    let op = operation();
    let mut client = start(&dirs);
    client.send("resource.apply", &op).unwrap();
    until(sleeps);
    client.child().unwrap().kill().unwrap();
    client.wait_child().unwrap();
    let mut client = start(&dirs);
    assert_eq!(client.op_status(&op.op_id).unwrap(), OpStatus::NeverSeen);
    // It waits for what is still going on, and finds the work done.
    assert_eq!(client.apply(&op).unwrap().status, ApplyStatus::Already);
    assert_eq!(version(NAME).as_deref(), Some("1.0"));
    client.finish().unwrap();
}

#[test]
fn what_was_killed_with_its_provider_is_found_half_done() {
    clean();
    let dirs = tempfile::tempdir().unwrap();
    fs::write(SLOW, "60").unwrap();
    let op = operation();
    let mut client = start(&dirs);
    client.send("resource.apply", &op).unwrap();
    until(sleeps);
    client.child().unwrap().kill().unwrap();
    client.wait_child().unwrap();
    // As an engine does: whatever carries the mark of the operation.
    sh(&format!(
        "for p in /proc/[0-9]*; do if tr '\\0' '\\n' <$p/environ 2>/dev/null | grep -qx RECTIFY_OPERATION={}; \
         then kill -KILL ${{p#/proc/}} 2>/dev/null || true; fi; done",
        op.op_id
    ));
    until(|| !sleeps());
    let mut client = start(&dirs);
    assert_eq!(client.op_status(&op.op_id).unwrap(), OpStatus::NeverSeen);
    for error in [
        client.read(item(&op)).map(drop).map_err(CallError::item),
        client.apply(&op).map(drop).map_err(CallError::item),
    ] {
        let error = error.unwrap_err().unwrap();
        assert_eq!(error.code, ErrorCode::Failed, "{error}");
        assert!(error.message.contains("half-configured"), "{error}");
        assert!(error.hint.unwrap().contains("dpkg --configure -a"));
    }
    // What it says to do is what helps.
    fs::write(SLOW, "0").unwrap();
    sh("dpkg --configure -a");
    assert_eq!(client.apply(&op).unwrap().status, ApplyStatus::Already);
    client.finish().unwrap();
}
