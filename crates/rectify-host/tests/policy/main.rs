//! Policies in the child. An executable of its own beside the other tests of this crate: these run
//! one after another, because they are measured against the clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod calendars;
mod cases;
mod confinement;
mod ordinary;

use rectify_policy::Bundle;
use serde_json::Value;
use std::{
    fs::File,
    path::{Path, PathBuf},
};

/// The child.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_rectify-policy-child"))
}

/// Where the cases are.
fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases/policies")
}

/// The input that all cases share.
fn input() -> Value {
    serde_json::from_slice(&std::fs::read(cases().join("input.json")).unwrap()).unwrap()
}

/// A bundle of one file, `p.rego`.
fn rules(text: &str) -> Bundle {
    Bundle { files: [("p.rego".to_owned(), text.to_owned())].into() }
}

/// Lets one test run at a time, whether they are threads of one process or processes.
fn alone() -> File {
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

/// Runs something that waits.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
