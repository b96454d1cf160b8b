//! What reviewers see of plans.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod compare;
mod drawing;
/// The planner's rich project: plans are made as they are made for people.
#[path = "../../../rectify-plan/tests/it/fixture.rs"]
mod fixture;
/// The planner's random projects.
#[allow(dead_code, reason = "the planner's tests use the rest")]
#[path = "../../../rectify-plan/tests/it/generate.rs"]
mod generate;
mod html;
mod laws;
mod page;
mod render;
mod shown;
