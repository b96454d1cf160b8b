//! Settings of a running kernel. These tests change the machine that they run on, so they run on a node
//! that `cargo xtask fleet test` makes and throws away; anywhere else they fail before they do anything.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use rectify_sdk::{
    protocol::{ErrorCode, Mutated},
    testing::Exercise,
};
use serde_json::json;
use std::{fs, path::Path};

const TYPE: &str = "sysctl.value";
const LIVE: &str = "/proc/sys/net/ipv4/ip_forward";
const FILE: &str = "/etc/sysctl.d/60-rectify-net.ipv4.ip_forward.conf";

fn here() -> Exercise {
    assert!(Path::new("/etc/rectify-fleet-node").exists(), "this machine is not ours to change");
    Exercise::new(rectify_provider_sysctl::provider(), None, &[]).unwrap()
}

fn live() -> String {
    fs::read_to_string(LIVE).unwrap().trim().to_owned()
}

#[test]
fn a_value_holds_now_and_is_kept_and_both_are_taken_back() {
    let mut exercise = here();
    fs::write(LIVE, "0").unwrap();
    let desired = json!({"key": "net.ipv4.ip_forward", "value": 1});
    let planned = exercise.there_and_back(TYPE, &desired).unwrap();
    assert_eq!(planned.undo, "exact");
    assert_eq!((live().as_str(), Path::new(FILE).exists()), ("0", false));
    exercise.converge(TYPE, &desired).unwrap();
    assert_eq!(live(), "1");
    // The file alone is enough for the next boot.
    fs::write(LIVE, "0").unwrap();
    let status = std::process::Command::new("/lib/systemd/systemd-sysctl").status().unwrap();
    assert!(status.success());
    assert_eq!(live(), "1");
    // Drift of what holds now is seen, and mended without touching the file.
    fs::write(LIVE, "0").unwrap();
    exercise.converge(TYPE, &desired).unwrap();
    let absent = json!({"key": "net.ipv4.ip_forward", "state": "absent"});
    exercise.there_and_back(TYPE, &absent).unwrap();
    exercise.converge(TYPE, &absent).unwrap();
    assert_eq!((live().as_str(), Path::new(FILE).exists()), ("1", false));
    fs::write(LIVE, "0").unwrap();
}

#[test]
fn words_are_compared_however_the_kernel_separates_them() {
    let mut exercise = here();
    let desired = json!({"key": "net.ipv4.tcp_rmem", "value": "4096 131072 7291456"});
    exercise.there_and_back(TYPE, &desired).unwrap();
}

#[test]
fn a_value_that_the_kernel_refuses_is_kept_nowhere() {
    let mut exercise = here();
    for value in ["many", "-7"] {
        let desired = json!({"key": "net.ipv4.ip_default_ttl", "value": value});
        let before = fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap();
        let planned = exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
        let op = exercise.operation(TYPE, &desired, &planned).unwrap();
        let error = exercise.apply(&op).unwrap().unwrap_err();
        assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
        assert_eq!(error.path.as_deref(), Some("/value"));
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap(), before);
        assert!(!Path::new("/etc/sysctl.d/60-rectify-net.ipv4.ip_default_ttl.conf").exists());
    }
}

#[test]
fn a_value_that_the_kernel_shows_otherwise_is_taken_back() {
    let mut exercise = here();
    let before = fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap();
    let desired = json!({"key": "net.ipv4.ip_default_ttl", "value": "0x40"});
    fs::write("/proc/sys/net/ipv4/ip_default_ttl", "63").unwrap();
    let planned = exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    let op = exercise.operation(TYPE, &desired, &planned).unwrap();
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Failed, Mutated::No), "{error}");
    assert!(error.message.contains("shows `64`"), "{error}");
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").unwrap(), "63\n");
    fs::write("/proc/sys/net/ipv4/ip_default_ttl", before).unwrap();
}

#[test]
fn what_this_kernel_does_not_have_or_give_is_said() {
    let mut exercise = here();
    let none = json!({"key": "net.ipv4.no_such_setting", "value": 1});
    let error = exercise.plan(TYPE, &none).unwrap().unwrap_err();
    assert_eq!((error.code, error.path.as_deref()), (ErrorCode::Failed, Some("/key")));
    let group = json!({"key": "net.ipv4", "value": 1});
    assert_eq!(exercise.plan(TYPE, &group).unwrap().unwrap_err().code, ErrorCode::Schema);
    // It belongs to the host, and is mounted read-only here.
    let desired = json!({"key": "vm.swappiness", "value": 11});
    let planned = exercise.plan(TYPE, &desired).unwrap().unwrap().unwrap();
    let op = exercise.operation(TYPE, &desired, &planned).unwrap();
    let error = exercise.apply(&op).unwrap().unwrap_err();
    assert_eq!((error.code, error.mutated), (ErrorCode::Unsupported, Mutated::No), "{error}");
    assert!(!Path::new("/etc/sysctl.d/60-rectify-vm.swappiness.conf").exists());
}
