//! Tests of the planner, its walk and its renderers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod cases;
mod chains;
mod damage;
mod fixture;
mod generate;
mod laws;
mod order;
mod render;
mod shown;
mod speed;
mod steps;
mod walk;
