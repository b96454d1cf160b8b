//! One executable for all integration tests of this crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cases;
mod damage;
mod describe;
mod dsse;
mod eddsa;
mod expiry;
mod matrix;
mod mutation;
mod overrides;
mod quorum;
mod releases;
mod resolutions;
mod rotation;
mod sign;
mod trust;
mod world;
