//! The facts of directories that stand for systems, and of this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use rectify_sdk::{
    Provider,
    base::{TypeName, canonical},
    protocol::{
        ErrorCode, ItemError,
        message::{Configure, Directories, Mode, PlanItem, ReadItem},
    },
    testing::{CallError, Client},
};
use serde_json::{Map, Value, json};
use std::{fs, os::unix::fs::symlink, path::Path, process::Command};
use tempfile::TempDir;

const GROUPS: [&str; 6] = ["addresses", "kernel", "mounts", "os", "packages", "units"];

fn client(mode: Mode, root: Option<&Path>) -> Client {
    let mut client = Client::in_process(rectify_provider_facts::provider()).unwrap();
    let configure =
        Configure { root: root.map(|r| r.to_string_lossy().into_owned()), ..Configure::default() };
    client.greet(mode, Directories::default(), &configure).unwrap();
    client
}

fn read(root: Option<&Path>, group: &str) -> Result<Value, ItemError> {
    let type_name = TypeName::new(format!("facts.{group}")).unwrap();
    let item = ReadItem { type_name, desired: Map::new(), capture: false };
    match client(Mode::Read, root).read(item) {
        Ok(answer) => Ok(answer.state.unwrap()),
        Err(CallError::Item(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

fn value(root: &TempDir, group: &str) -> Value {
    read(Some(root.path()), group).unwrap()["value"].clone()
}

fn absent(root: &TempDir, group: &str) -> String {
    read(Some(root.path()), group).unwrap()["absent"].as_str().unwrap().to_owned()
}

fn write(root: &TempDir, path: &str, text: &str) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn link(root: &TempDir, path: &str, to: &str) {
    let path = root.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(to, path).unwrap();
}

#[test]
fn an_empty_directory_has_no_facts_and_says_why() {
    let root = tempfile::tempdir().unwrap();
    for group in GROUPS {
        let why = absent(&root, group);
        assert!(why.len() > 10 && !why.contains(root.path().to_str().unwrap()), "{group}: {why}");
    }
}

#[test]
fn the_os_release_file_of_the_administrator_comes_first_and_links_stay_in_the_root() {
    let root = tempfile::tempdir().unwrap();
    write(&root, "usr/lib/os-release", "ID=vendor\n");
    assert_eq!(value(&root, "os")["id"], "vendor");
    link(&root, "etc/os-release", "/usr/lib/other-release");
    write(&root, "usr/lib/other-release", "ID=local\n");
    assert_eq!(value(&root, "os")["id"], "local");
}

#[test]
fn packages_are_those_of_dpkg_and_rpm_is_named() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("var/lib/rpm")).unwrap();
    assert!(absent(&root, "packages").contains("rpm"));
    write(&root, "var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n");
    assert_eq!(value(&root, "packages"), json!({"a": "1"}));
    fs::write(root.path().join("var/lib/dpkg/status"), b"Package: \xff\n").unwrap();
    assert_eq!(read(Some(root.path()), "packages").unwrap_err().code, ErrorCode::Failed);
}

#[test]
fn units_are_enabled_masked_static_or_other_names() {
    let root = tempfile::tempdir().unwrap();
    let vendor = "usr/lib/systemd/system";
    for name in ["ssh.service", "cron.service", "getty@.service", "replaced.service"] {
        write(
            &root,
            &format!("{vendor}/{name}"),
            "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n",
        );
    }
    write(&root, &format!("{vendor}/dbus.socket"), "[Socket]\n");
    write(&root, &format!("{vendor}/README"), "no unit\n");
    write(&root, &format!("{vendor}/bare.service"), "[Service]\n");
    link(
        &root,
        "etc/systemd/system/multi-user.target.wants/ssh.service",
        "/usr/lib/systemd/system/ssh.service",
    );
    link(
        &root,
        "etc/systemd/system/getty.target.wants/getty@tty1.service",
        "/usr/lib/systemd/system/getty@.service",
    );
    link(&root, "etc/systemd/system/sshd.service", "/usr/lib/systemd/system/ssh.service");
    link(&root, "etc/systemd/system/bare.service", "/dev/null");
    write(&root, "etc/systemd/system/replaced.service", "");
    let units = value(&root, "units");
    let states: Vec<String> = units
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, unit)| format!("{name} {}", unit["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [
            "bare.service masked",
            "cron.service disabled",
            "dbus.socket static",
            "getty@.service disabled",
            "getty@tty1.service enabled",
            "replaced.service masked",
            "ssh.service enabled",
            "sshd.service alias",
        ]
    );
    assert_eq!(units["sshd.service"]["of"], "ssh.service");
    assert_eq!(units["ssh.service"]["path"], "/usr/lib/systemd/system/ssh.service");
}

#[test]
fn what_cannot_be_read_is_not_absent() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("var/lib/dpkg/status")).unwrap();
    assert_eq!(read(Some(root.path()), "packages").unwrap_err().code, ErrorCode::Unsupported);
    write(&root, "etc/os-release", &"x".repeat(70_000));
    assert_eq!(read(Some(root.path()), "os").unwrap_err().code, ErrorCode::Unsupported);
}

#[test]
fn this_machine_tells_the_same_twice_and_in_canonical_form() {
    for group in GROUPS {
        let told = read(None, group).unwrap();
        assert_eq!(told.as_object().unwrap().len(), 1, "{group}");
        canonical::check(&told).unwrap();
        assert_eq!(read(None, group).unwrap(), told, "{group}");
    }
    let kernel = read(None, "kernel").unwrap();
    let uname = |flag: &str| {
        let output = Command::new("uname").arg(flag).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(kernel["value"]["release"], uname("-r"));
    assert_eq!(kernel["value"]["machine"], uname("-m"));
    assert!(read(None, "mounts").unwrap()["value"]["/"]["type"].is_string());
}

#[test]
fn facts_have_no_properties_and_nothing_to_plan() {
    let mut client = client(Mode::Plan, None);
    let type_name = TypeName::new("facts.os").unwrap();
    let plan = PlanItem { type_name, desired: Map::new(), prior: None, directories: None };
    match client.plan(plan) {
        Err(CallError::Item(error)) => assert_eq!(error.code, ErrorCode::Unsupported),
        other => panic!("{other:?}"),
    }
    let manifest = rectify_provider_facts::provider().manifest();
    assert_eq!(manifest.types.len(), GROUPS.len());
    for ty in &manifest.types {
        assert_eq!(ty.kind, "fact");
        assert_eq!(ty.schema["properties"], json!({}));
    }
    let output = Command::new(env!("CARGO_BIN_EXE_rectify-provider-facts")).arg("manifest").output().unwrap();
    assert_eq!(output.stdout, manifest.to_bytes().unwrap());
}
