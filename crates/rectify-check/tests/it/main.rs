//! Tests of the checker. Documents come from the planner's own fixtures, so that a plan that is
//! made is a plan that is checked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod blind_spots;
mod cases;
#[path = "../../../rectify-plan/tests/it/damage.rs"]
mod damage;
#[allow(dead_code)]
#[path = "../../../rectify-plan/tests/it/fixture.rs"]
mod fixture;
#[allow(dead_code)]
#[path = "../../../rectify-plan/tests/it/generate.rs"]
mod generate;
mod laws;
