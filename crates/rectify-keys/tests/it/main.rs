//! One executable for all integration tests of this crate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod agent;
mod files;
mod openssh;
mod pkcs8;
mod tools;
mod trust_cases;
mod trust_files;
