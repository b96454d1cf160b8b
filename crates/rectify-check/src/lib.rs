//! The second opinion on a plan. It shares no code with the planner, only the data types, and asks
//! of a finished plan: does every listed invariant hold?
//!
//! [`check`] needs the graph and the observations, and runs before sealing. [`check_alone`] needs
//! the plan only, and runs again before applying. Both are pure, and find everything that is wrong
//! rather than the first thing.
#![no_std]
extern crate alloc;

mod against;
mod alone;
pub mod codes;
mod invariant;
mod notes;
mod reach;
mod value;

pub use invariant::Invariant;
pub use notes::Note;

use alloc::vec::Vec;
use notes::Notes;
use rectify_base::FileDigests;
use rectify_model::{Graph, Observation, Plan};

/// Checks a plan against everything that it was made from. Empty: the plan is sound.
///
/// `graph_digests` and those beside the observations are of the files that were read.
#[must_use]
pub fn check(
    plan: &Plan,
    graph: &Graph,
    observations: &[(Observation, FileDigests)],
    graph_digests: FileDigests,
) -> Vec<Note> {
    let mut notes = Notes::default();
    alone::run(plan, &mut notes);
    against::run(plan, graph, observations, graph_digests, &mut notes);
    notes.sorted()
}

/// Checks what the plan alone can tell. Empty: nothing is wrong with it as far as it says.
#[must_use]
pub fn check_alone(plan: &Plan) -> Vec<Note> {
    let mut notes = Notes::default();
    alone::run(plan, &mut notes);
    notes.sorted()
}
