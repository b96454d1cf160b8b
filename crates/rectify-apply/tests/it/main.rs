//! Whole runs in a simulated world.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cases;
mod each;
mod found;
mod honest;
mod nonsense;
mod plans;
mod rng;
mod sim;
mod simulation;
mod world;
