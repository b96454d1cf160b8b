//! A session with the provider, and a directory of its own.

use rectify_sdk::{
    base::{Digest, TypeName, fingerprint},
    protocol::{
        ItemError,
        message::{
            Applied, Apply, Configure, DesiredItem, Directories, Mode, PlanAnswer, PlanItem, ReadItem, method,
        },
    },
    testing::{CallError, Client},
};
use serde_json::{Map, Value};
use std::{fs, path::Path};
use tempfile::TempDir;

pub struct World(TempDir);

impl World {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        for name in ["work", "state", "blobs", "root"] {
            fs::create_dir(home.path().join(name)).unwrap();
        }
        Self(home)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    pub fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    fn dirs(&self) -> Directories {
        Directories { work: self.path("work"), state: self.path("state"), blobs: self.path("blobs") }
    }

    pub fn session(&self, mode: Mode) -> Session {
        self.configured(mode, &Configure::default())
    }

    pub fn configured(&self, mode: Mode, configure: &Configure) -> Session {
        let mut client = Client::in_process(rectify_provider_command::provider()).unwrap();
        client.greet(mode, self.dirs(), configure).unwrap();
        Session(client)
    }

    /// The provider as a process of its own.
    pub fn process(&self) -> Session {
        let program = Path::new(env!("CARGO_BIN_EXE_rectify-provider-command"));
        let mut client = Client::spawn(program).unwrap();
        client.greet(Mode::Apply, self.dirs(), &Configure::default()).unwrap();
        Session(client)
    }
}

pub struct Session(pub Client);

fn name() -> TypeName {
    TypeName::new("command.run").unwrap()
}

fn map(desired: &Value) -> Map<String, Value> {
    desired.as_object().unwrap().clone()
}

fn item<T: std::fmt::Debug>(result: Result<T, CallError>) -> Result<T, ItemError> {
    result.map_err(|e| match e {
        CallError::Item(error) => error,
        other => panic!("{other:?}"),
    })
}

impl Session {
    pub fn plan(&mut self, desired: &Value) -> Result<PlanAnswer, ItemError> {
        item(self.0.plan(PlanItem {
            type_name: name(),
            desired: map(desired),
            prior: None,
            directories: None,
        }))
    }

    pub fn read(&mut self, desired: &Value) -> Value {
        let read = ReadItem { type_name: name(), desired: map(desired), capture: false };
        item(self.0.read(read)).unwrap().state.unwrap()
    }

    pub fn validate(&mut self, desired: &Value) -> Result<(), ItemError> {
        let desired = DesiredItem { type_name: name(), desired: map(desired) };
        item(self.0.single(method::VALIDATE, desired))
    }

    /// The operation that a plan made now leads to, under the id of `id`.
    pub fn operation(&mut self, id: &str, desired: &Value) -> Apply {
        let print = |state: &Value| fingerprint::fingerprint(&name(), 1, Some(state), &[]).unwrap();
        let prior = self.read(desired);
        let mut after = prior.clone();
        let result = after.pointer_mut("/creates/exists").map(|exists| *exists = Value::Bool(true));
        Apply {
            op_id: Digest::of_bytes(id.as_bytes()).hex(),
            type_name: name(),
            action: "run".into(),
            desired: map(desired),
            expect: print(&prior),
            result: result.map(|()| print(&after)),
            deadline_ms: 60_000,
            fence: 1,
        }
    }

    pub fn apply(&mut self, op: &Apply) -> Result<Applied, ItemError> {
        item(self.0.apply(op))
    }

    /// Plans and runs.
    pub fn run(&mut self, id: &str, desired: &Value) -> Result<Applied, ItemError> {
        let op = self.operation(id, desired);
        self.apply(&op)
    }

    /// Runs and returns what was printed.
    pub fn output(&mut self, id: &str, desired: &Value) -> String {
        self.run(id, desired).unwrap().output.unwrap().stdout
    }
}
