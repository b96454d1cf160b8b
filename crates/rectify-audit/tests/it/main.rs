//! The audit log: tree, checkpoints, export, verification.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cases;
mod checkpoint;
mod merkle;
mod mutations;
mod second;
mod support;
