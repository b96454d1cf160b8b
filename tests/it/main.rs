//! The chain, end to end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod agent;
mod beside;
#[allow(dead_code, reason = "what a case does is run on hosts")]
#[path = "../shared/case.rs"]
mod case;
mod chain;
mod ci;
mod conform;
mod crash_points;
mod documentation;
mod editor;
mod examples;
mod facts;
mod hosts;
mod init;
mod interrupt;
#[path = "../shared/kit.rs"]
mod kit;
mod laws;
mod manual;
mod odd;
mod overrides;
mod permission;
mod policy;
mod private;
mod providers;
mod recovery;
mod refusals;
mod reproducible;
mod review;
mod rotation;
mod scaffold;
mod secrets;
mod surroundings;
mod tamper;
mod terminal;
mod undo;
