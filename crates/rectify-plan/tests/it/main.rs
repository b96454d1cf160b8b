//! Tests of the planner and its walk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cases;
mod chains;
mod damage;
mod fixture;
mod generate;
mod laws;
mod order;
mod speed;
mod steps;
mod walk;
