//! Units of a systemd that really runs. These tests change the machine that they run on, so they run on a
//! node that `cargo xtask fleet test` makes and throws away; anywhere else they fail before they do anything.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod actions;
mod cells;
mod files;
mod units;

use rectify_sdk::testing::Exercise;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

fn here() -> Exercise {
    assert!(Path::new("/etc/rectify-fleet-node").exists(), "this machine is not ours to change");
    Exercise::new(rectify_provider_service::provider(), None, &[]).unwrap()
}

fn systemctl(words: &[&str]) -> String {
    let output = Command::new("systemctl").args(words).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn active(unit: &str) -> String {
    systemctl(&["is-active", unit])
}

fn enabled(unit: &str) -> String {
    systemctl(&["is-enabled", unit])
}

fn show(unit: &str, property: &str) -> String {
    systemctl(&["show", "--value", "--property", property, unit])
}

/// A unit of this test, gone with it.
struct Probe(&'static str);

impl Probe {
    /// A service that does nothing and stays up.
    fn new(name: &'static str) -> Self {
        Self::with(name, "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n")
    }

    fn with(name: &'static str, text: &str) -> Self {
        let probe = Self(name);
        fs::write(probe.path(), text).unwrap();
        systemctl(&["daemon-reload"]);
        probe
    }

    /// A probe whose file comes later.
    fn later(name: &'static str) -> Self {
        Self(name)
    }

    fn path(&self) -> String {
        format!("/etc/systemd/system/{}", self.0)
    }

    fn drop_in(&self) -> String {
        format!("{}.d/10-probe.conf", self.path())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        systemctl(&["stop", self.0]);
        systemctl(&["unmask", self.0]);
        systemctl(&["disable", "--quiet", self.0]);
        drop(fs::remove_file(self.path()));
        drop(fs::remove_file(format!("/usr/lib/systemd/system/{}", self.0)));
        drop(fs::remove_dir_all(format!("{}.d", self.path())));
        systemctl(&["daemon-reload"]);
        systemctl(&["reset-failed", self.0]);
    }
}

/// Plans an action and carries it out; `Err` is what the provider answered.
fn act(
    exercise: &mut Exercise,
    name: &str,
    desired: &Value,
) -> Result<rectify_sdk::protocol::message::Applied, rectify_sdk::protocol::ItemError> {
    let planned = exercise.plan(name, desired).unwrap()?.expect("an action is always due");
    assert_eq!((planned.prediction.as_str(), planned.undo.as_str()), ("opaque", "lossy"), "{desired}");
    let op = rectify_sdk::protocol::message::Apply {
        result: None,
        action: "run".into(),
        ..exercise.operation(name, desired, &planned).unwrap()
    };
    exercise.apply(&op).unwrap()
}

/// The way back of an action.
fn back(
    exercise: &mut Exercise,
    name: &str,
    desired: &Value,
) -> Result<rectify_sdk::protocol::message::Applied, rectify_sdk::protocol::ItemError> {
    let planned = exercise.plan(name, desired).unwrap()?.expect("an action is always due");
    let mut desired = desired.clone();
    desired["$undo"] = json!(true);
    let op = rectify_sdk::protocol::message::Apply {
        result: None,
        action: "run".into(),
        ..exercise.operation(name, &desired, &planned).unwrap()
    };
    exercise.apply(&op).unwrap()
}
