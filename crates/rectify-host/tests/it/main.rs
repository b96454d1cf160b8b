//! Sessions with real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod blobs;
mod cases;
mod commands;
mod confinement;
mod conversation;
mod foreign;
mod genuine;
mod go;
mod lifecycle;
#[path = "../support/manifest.rs"]
mod manifest;
#[expect(dead_code, reason = "the test needs the names of the attempts; the provider makes them")]
#[path = "../support/mutations.rs"]
mod mutations;
mod python;
mod support;
