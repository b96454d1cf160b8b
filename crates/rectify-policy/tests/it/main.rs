//! Tests of the pure part: what bundles and inputs lead to which decision.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod bundles;
mod determinism;
mod documentation;
mod fixture;
mod foreign;
mod input;
mod laws;
mod overrides;
mod standard;
mod wire;
