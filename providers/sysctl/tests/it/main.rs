//! Settings of a root directory: the file that keeps them. What the running kernel does is tested on
//! nodes, see `tests/node`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use proptest::prelude::*;
use rectify_sdk::{protocol::ErrorCode, testing::Exercise};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};
use tempfile::TempDir;

const TYPE: &str = "sysctl.value";
const FILE: &str = "etc/sysctl.d/60-rectify-net.ipv4.ip_forward.conf";

struct World {
    root: TempDir,
    exercise: Exercise,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/sysctl.d")).unwrap();
        let exercise = Exercise::new(rectify_provider_sysctl::provider(), Some(root.path()), &[]).unwrap();
        Self { root, exercise }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn refused(&mut self, desired: &Value) -> (ErrorCode, String, Option<String>) {
        let error = self.exercise.plan(TYPE, desired).unwrap().unwrap_err();
        (error.code, error.path.unwrap_or_default(), error.hint)
    }
}

fn forward(value: impl Into<Value>) -> Value {
    json!({"key": "net.ipv4.ip_forward", "value": value.into(), "live": false})
}

#[test]
fn a_file_is_made_changed_removed_and_each_is_taken_back() {
    let mut world = World::new();
    let planned = world.exercise.there_and_back(TYPE, &forward(1)).unwrap();
    assert_eq!((planned.prior, planned.prediction.as_str(), planned.undo.as_str()), (None, "exact", "exact"));
    assert!(!world.at(FILE).exists());
    world.exercise.converge(TYPE, &forward("1")).unwrap();
    let text = fs::read_to_string(world.at(FILE)).unwrap();
    assert_eq!(text, "# Written by Rectify (sysctl.value).\nnet.ipv4.ip_forward = 1\n");
    assert_eq!(fs::metadata(world.at(FILE)).unwrap().permissions().mode() & 0o7777, 0o644);
    // What somebody wrote there comes back to the byte, with its mode.
    world.write(FILE, "net.ipv4.ip_forward=0 # by hand");
    fs::set_permissions(world.at(FILE), fs::Permissions::from_mode(0o600)).unwrap();
    for desired in [forward(1), json!({"key": "net.ipv4.ip_forward", "state": "absent"})] {
        world.exercise.there_and_back(TYPE, &desired).unwrap();
        assert_eq!(fs::read_to_string(world.at(FILE)).unwrap(), "net.ipv4.ip_forward=0 # by hand");
        assert_eq!(fs::metadata(world.at(FILE)).unwrap().permissions().mode() & 0o7777, 0o600);
    }
    assert_eq!(fs::read_dir(world.at("etc/sysctl.d")).unwrap().count(), 1);
}

#[test]
fn what_is_there_already_is_left_alone() {
    let mut world = World::new();
    let absent = json!({"key": "net.ipv4.ip_forward", "state": "absent"});
    assert_eq!(world.exercise.plan(TYPE, &absent).unwrap().unwrap(), None);
    world.exercise.converge(TYPE, &forward(1)).unwrap();
    assert_eq!(world.exercise.plan(TYPE, &forward(" 1 ")).unwrap().unwrap(), None);
}

#[test]
fn a_file_of_ones_own_may_be_named() {
    let mut world = World::new();
    let desired = json!({"key": "net.ipv4.conf.eth0/7.rp_filter", "value": 2, "live": false,
        "file": "/etc/sysctl.d/70-net.conf"});
    world.exercise.there_and_back(TYPE, &desired).unwrap();
    world.exercise.converge(TYPE, &desired).unwrap();
    let text = fs::read_to_string(world.at("etc/sysctl.d/70-net.conf")).unwrap();
    assert!(text.ends_with("\nnet.ipv4.conf.eth0/7.rp_filter = 2\n"), "{text}");
}

#[test]
fn a_directory_has_no_kernel() {
    let mut world = World::new();
    let (code, place, hint) = world.refused(&json!({"key": "net.ipv4.ip_forward", "value": 1}));
    assert_eq!((code, place.as_str()), (ErrorCode::Unsupported, "/live"));
    assert!(hint.unwrap().contains("live: false"));
}

#[test]
fn a_file_that_is_read_later_and_says_otherwise_is_named() {
    for path in [
        "etc/sysctl.d/99-local.conf",
        "run/sysctl.d/99-run.conf",
        "usr/lib/sysctl.d/99-vendor.conf",
        "etc/sysctl.conf",
    ] {
        let mut world = World::new();
        world.write(path, "# ours\nnet.ipv4.ip_forward = 0\n");
        let error = world.exercise.plan(TYPE, &forward(1)).unwrap().unwrap_err();
        assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Conflict, Some("/file")), "{path}");
        assert!(error.message.starts_with(&format!("`/{path}`, line 2")), "{}", error.message);
        // The same value is no quarrel, and what is read before ours does not count.
        world.exercise.converge(TYPE, &forward(0)).unwrap();
    }
    let mut world = World::new();
    world.write("etc/sysctl.d/10-first.conf", "net.ipv4.ip_forward = 0\n");
    // A file of the same name in /etc hides one of the vendor.
    world.write("etc/sysctl.d/99-x.conf", "");
    world.write("usr/lib/sysctl.d/99-x.conf", "net.ipv4.ip_forward = 0\n");
    world.exercise.converge(TYPE, &forward(1)).unwrap();
    std::os::unix::fs::symlink("../sysctl.conf", world.at("etc/sysctl.d/99-sysctl.conf")).unwrap();
    world.write("etc/sysctl.conf", "net.ipv4.*=0\n");
    assert_eq!(world.refused(&forward(1)).0, ErrorCode::Conflict);
}

#[test]
fn what_is_in_the_way_is_said_and_stays() {
    let mut world = World::new();
    std::os::unix::fs::symlink("/etc/passwd", world.at(FILE)).unwrap();
    assert_eq!(world.refused(&forward(1)).0, ErrorCode::Conflict);
    fs::remove_file(world.at(FILE)).unwrap();
    fs::write(world.at(FILE), b"\xff").unwrap();
    assert_eq!(world.refused(&forward(1)).0, ErrorCode::Unsupported);
    fs::remove_dir_all(world.at("etc/sysctl.d")).unwrap();
    let (code, place, _) = world.refused(&forward(1));
    assert_eq!((code, place.as_str()), (ErrorCode::Failed, "/file"));
}

#[test]
fn somebody_elses_change_is_not_overwritten() {
    let mut world = World::new();
    let planned = world.exercise.plan(TYPE, &forward(1)).unwrap().unwrap().unwrap();
    let op = world.exercise.operation(TYPE, &forward(1), &planned).unwrap();
    world.write(FILE, "theirs");
    let error = world.exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Stale);
    assert_eq!(fs::read_to_string(world.at(FILE)).unwrap(), "theirs");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_value_is_kept_in_words_and_comes_back(
        value in "[ -~]{1,40}", before in proptest::option::of("[ -~\n]{0,60}")
    ) {
        let mut world = World::new();
        if let Some(before) = &before {
            world.write(FILE, before);
        }
        let words = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        let desired = forward(value);
        if words.is_empty() {
            prop_assert_eq!(world.refused(&desired).0, ErrorCode::Schema);
        } else if world.exercise.plan(TYPE, &desired).unwrap().unwrap().is_some() {
            world.exercise.there_and_back(TYPE, &desired).unwrap();
            prop_assert_eq!(fs::read_to_string(world.at(FILE)).ok(), before);
            world.exercise.converge(TYPE, &desired).unwrap();
            let text = fs::read_to_string(world.at(FILE)).unwrap();
            prop_assert!(text.ends_with(&format!(" = {words}\n")), "{}", text);
        }
    }
}
