//! Sessions of the test provider.

use crate::manifest::manifest;
use rectify_base::{Digest, TypeName};
use rectify_host::{Executable, Launcher, SessionSpec, Timings};
use rectify_protocol::message::{Apply, Directories, Mode, PlanItem};
use serde_json::{Map, Value, json};
use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};
use tempfile::TempDir;

pub const PROVIDER: &str = env!("CARGO_BIN_EXE_rectify-misbehaving-provider");
pub const LAUNCHER: &str = env!("CARGO_BIN_EXE_rectify-host-test-launcher");

pub fn program() -> Executable {
    static PROGRAM: OnceLock<Executable> = OnceLock::new();
    PROGRAM.get_or_init(|| Executable::open(Path::new(PROVIDER), None).unwrap()).clone()
}

/// Private directories of one session, removed with it.
pub struct Dirs {
    base: TempDir,
}

impl Dirs {
    pub fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let dirs = Self { base };
        for path in [dirs.work(), dirs.base.path().join("state"), dirs.base.path().join("blobs")] {
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        dirs
    }

    pub fn work(&self) -> PathBuf {
        self.base.path().join("work")
    }

    pub fn base(&self) -> &Path {
        self.base.path()
    }

    pub fn directories(&self) -> Directories {
        let text = |name: &str| self.base.path().join(name).to_str().unwrap().to_owned();
        Directories { work: text("work"), state: text("state"), blobs: text("blobs") }
    }
}

pub fn launcher() -> Launcher {
    Launcher { program: LAUNCHER.into(), arguments: Vec::new() }
}

/// A session of the test provider. Patient, because the machine may be busy, but quick to kill.
pub fn spec(dirs: &Dirs, mode: Mode, behaviour: &str) -> SessionSpec {
    let mut spec = SessionSpec::new(program(), manifest(), mode, dirs.directories());
    spec.arguments.push(behaviour.into());
    spec.arguments.push(OsString::from(std::process::id().to_string()));
    spec.launcher = launcher();
    spec.timings = Timings {
        handshake: Duration::from_secs(30),
        kill: Duration::from_millis(300),
        ..Timings::default()
    };
    spec
}

pub fn type_name(name: &str) -> TypeName {
    TypeName::new(name).unwrap()
}

pub fn item(type_text: &str, desired: Value) -> PlanItem {
    let Value::Object(desired) = desired else { panic!("properties are an object") };
    PlanItem { type_name: type_name(type_text), desired, prior: None, directories: None }
}

pub fn operation(desired: Value, deadline_ms: u64) -> Apply {
    let desired: Map<String, Value> = serde_json::from_value(desired).unwrap();
    let mut op: Value = json!({
        "op_id": "0".repeat(64), "type": crate::manifest::THING, "action": "update", "desired": desired,
        "expect": Digest::of_bytes(b""), "deadline_ms": deadline_ms, "fence": 1,
    });
    op["op_id"] = Digest::of_bytes(b"operation").hex().into();
    serde_json::from_value(op).unwrap()
}

/// Processes whose command line has this word.
pub fn processes(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|e| fs::read(e.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|b| *b == 0).any(|word| word == mark.as_bytes())).count()
}

/// Waits until a condition holds, for at most ten seconds.
pub async fn eventually(mut condition: impl FnMut() -> bool) -> bool {
    for _ in 0..500 {
        if condition() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
