//! The one place that knows how a session is started and what an operation looks like.

use rectify_sdk::{
    base::{Digest, TypeName},
    protocol::message::{Apply, Configure, Directories, Mode, PlanItem, ReadItem},
    testing::Client,
};
use serde_json::{Map, Value};
use std::{fs, path::Path};
use tempfile::TempDir;

pub const PROVIDER: &str = env!("CARGO_BIN_EXE_rectify-sdk-test-provider");

/// Private directories for the sessions of one test.
pub struct Home(TempDir);

impl Home {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for name in ["work", "state", "blobs"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        Self(home)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub fn dirs(&self) -> Directories {
        Directories { work: self.path("work"), state: self.path("state"), blobs: self.path("blobs") }
    }

    /// A child process that was greeted.
    pub fn session(&self, mode: Mode) -> Client {
        let mut client = start();
        client.greet(mode, self.dirs(), &Configure::default()).unwrap();
        client
    }
}

pub fn start() -> Client {
    Client::spawn(Path::new(PROVIDER)).unwrap()
}

pub fn type_name() -> TypeName {
    TypeName::new("test.thing").unwrap()
}

pub fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

pub fn read(desired: Value) -> ReadItem {
    ReadItem { type_name: type_name(), desired: map(desired), capture: false }
}

pub fn plan(desired: Value) -> PlanItem {
    PlanItem { type_name: type_name(), desired: map(desired), prior: None, directories: None }
}

/// An operation of its own id, derived from `name`.
pub fn operation(name: &str, action: &str, desired: Value) -> Apply {
    Apply {
        op_id: Digest::of_bytes(name.as_bytes()).hex(),
        type_name: type_name(),
        action: action.into(),
        desired: map(desired),
        expect: Digest::of_bytes(b"prior"),
        result: None,
        deadline_ms: 10_000,
        fence: 1,
    }
}
