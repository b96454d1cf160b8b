//! From a graph and what was observed to a plan: exactly what will be done, and a report that says
//! why. Pure: it knows no clock, file, environment, process, thread, randomness or provider, and it
//! never decides anything at apply time.
//!
//! - [`Walk`] says which nodes of a target can be asked about, and records the answers.
//! - [`plan`] turns a graph and its observations into a [`Planned`] plan and report.

mod alias;
mod answer;
mod chain;
pub mod codes;
mod converge;
mod diff;
mod error;
mod frontier;
mod index;
mod outcome;
mod planner;
mod report;
#[cfg(feature = "schema")]
pub mod schema;
mod step;
mod walk;
mod waves;

pub use error::PlanError;
pub use planner::{Input, ObservedDocument, Planned, plan};
pub use report::{
    Cause, Entry, FORMAT as REPORT_FORMAT, Layer, LeftOutEntry, Reason, Report, SessionEntry, WaveEntry,
    WaveReason,
};
pub use walk::{Walk, WalkItem};
