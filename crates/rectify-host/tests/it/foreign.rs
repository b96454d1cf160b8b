//! Providers that are not written in Rust, as the engine starts and asks them.

use crate::support::{Dirs, launcher, type_name};
use rectify_base::{Digest, fingerprint::fingerprint};
use rectify_host::{Executable, Session, SessionSpec, Timings};
use rectify_protocol::{
    Manifest,
    message::{Apply, Mode},
};
use serde_json::{Map, Value};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

/// A directory that a provider works on.
pub struct Target {
    dirs: Dirs,
    pub root: PathBuf,
    provider: &'static (Executable, Manifest),
}

impl Target {
    pub fn new(provider: &'static (Executable, Manifest)) -> Self {
        let dirs = Dirs::new();
        let root = dirs.base().join("root");
        fs::create_dir(&root).unwrap();
        Self { dirs, root, provider }
    }

    /// A process of the provider, with an empty directory for scratch.
    pub async fn session(&self, mode: Mode) -> Session {
        let work = self.dirs.work();
        let _ = fs::remove_dir_all(&work);
        fs::create_dir(&work).unwrap();
        fs::set_permissions(&work, fs::Permissions::from_mode(0o700)).unwrap();
        let (program, manifest) = self.provider.clone();
        let mut spec = SessionSpec::new(program, manifest, mode, self.dirs.directories());
        spec.root = Some(self.root.clone());
        spec.launcher = launcher();
        spec.timings = Timings {
            handshake: Duration::from_secs(30),
            kill: Duration::from_millis(300),
            apply_grace: Duration::from_secs(10),
            ..Timings::default()
        };
        Session::start(spec).await.unwrap()
    }

    pub fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join(name)).ok()
    }
}

pub fn map(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// An operation that expects the first state and ends in the second.
pub fn operation(name: &str, kind: &str, action: &str, desired: Value, states: [Option<&Value>; 2]) -> Apply {
    let type_name = type_name(kind);
    let [expect, result] = states.map(|state| fingerprint(&type_name, 1, state, &[]).unwrap());
    Apply {
        op_id: Digest::of_bytes(format!("{name} {}", std::process::id()).as_bytes()).hex(),
        type_name,
        action: action.into(),
        desired: map(desired),
        expect,
        result: (action != "run").then_some(result),
        deadline_ms: 60_000,
        fence: 1,
    }
}
