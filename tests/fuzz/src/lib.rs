//! Laws that hold for any bytes: of everything that reads what we did not write.
//!
//! A [`Target`] is a function of bytes that panics where a law is broken. libFuzzer calls it from
//! `libfuzzer/` with whatever it thinks of; `tests/replay.rs` calls it from `cargo test` with the
//! conformance cases, with what fuzzing found (`corpus/`), and with a few mutations of both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is the answer"
)]

pub mod mutate;
pub mod rng;
pub mod sections;
pub mod seeds;
mod targets;

pub use targets::TARGETS;

use std::path::{Path, PathBuf};

/// Something to try bytes on.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name: of the executable for libFuzzer, and of the directory below `corpus/`.
    pub name: &'static str,
    /// The laws, in one sentence.
    pub holds: &'static str,
    /// Panics where a law is broken.
    pub check: fn(&[u8]),
    /// Inputs to begin with, made of what lies below `conformance/`.
    pub seeds: fn(&Path) -> Vec<Vec<u8>>,
    /// Longest input that is worth trying.
    pub max_bytes: usize,
    /// Mutations of each input that the replay tries: fewer where one takes longer.
    pub replays: usize,
}

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The directory `conformance/`.
#[must_use]
pub fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance")
}

/// What fuzzing found for a target, sorted by file name.
#[must_use]
pub fn corpus(target: &Target) -> Vec<Vec<u8>> {
    seeds::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name))
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect()
}
