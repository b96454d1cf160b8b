//! The whole chain on a host with a systemd of its own: plan, seal, approve, apply, take back. These tests
//! change the machine that they run on, so they run on a node that `cargo xtask fleet test` makes and throws
//! away; anywhere else they fail before they do anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../shared/case.rs"]
mod case;
mod conform;
mod examples;
#[path = "../shared/kit.rs"]
mod kit;
mod matrix;
mod service;

use rectify_tests::Scratch;
use std::{fs, path::Path, process::Command};

/// A project whose target is this machine.
fn here() -> Scratch {
    assert!(Path::new("/etc/rectify-fleet-node").exists(), "this machine is not ours to change");
    let scratch = Scratch::new();
    inventory(&scratch, "scratch", "bastion");
    scratch
}

/// Makes this machine the one target.
fn inventory(scratch: &Scratch, target: &str, role: &str) {
    for entry in fs::read_dir(scratch.path("project/inventory")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let text = format!(
        "apiVersion: rectify/v1\nkind: Inventory\ntargets:\n  {target}:\n    environment: dev\n    labels: {{role: {role}}}\n    connection: local\n"
    );
    scratch.write("project/inventory/local.yaml", &text);
}

fn systemctl(words: &[&str]) -> String {
    let output = Command::new("systemctl").args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn active(unit: &str) -> String {
    systemctl(&["is-active", unit])
}

fn pid(unit: &str) -> String {
    systemctl(&["show", "--value", "--property", "MainPID", unit])
}
