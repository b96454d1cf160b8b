//! The published schemas against real documents, against damaged ones, and against the readers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod agree;
mod chain;
mod damage;
mod published;
mod schema;
mod sources;
mod transcripts;
mod trust;
mod wire;
