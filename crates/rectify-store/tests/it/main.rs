//! The journal on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cases;
mod group;
mod kill;
mod leases;
mod runs;
mod support;
