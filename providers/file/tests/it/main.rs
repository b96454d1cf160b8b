//! The provider over its real protocol, on real files below a temporary root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod chain;
mod digests;
mod edits;
mod ini;
mod json;
mod laws;
mod manifest;
mod obstacles;
mod races;
mod removal;
mod resolve;
mod secrets;
mod settings;
mod toml;
mod types;
mod undo;
mod world;
mod writes;
mod yaml;
