//! The journal on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod audit;
mod cases;
mod full;
mod group;
mod kill;
mod leases;
mod power;
mod runs;
mod support;
