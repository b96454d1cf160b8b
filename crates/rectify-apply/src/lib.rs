//! Applying a plan, as a step function: `step(state, event, now)` says what to do next, a driver
//! does it and feeds the answers back. Apply makes no choices that are not in the plan.
//!
//! What this crate never knows: a clock, a file, a process, a thread, a database, a provider. So a
//! whole run can be simulated with a seed, and killed between any two effects.
//!
//! ```text
//! Start ─▶ Verify every target ─▶ waves: { Look ─▶ CommitIntent ─▶ Act ─▶ LookAgain ─▶ CommitResult }
//!                                        then { AskGate … CommitResult } ─▶ next wave ─▶ Finish
//! ```
//!
//! The driver's part of the bargain:
//! - effects are begun in the order given; answers may come in any order;
//! - a `Commit…` is answered with [`Event::Committed`] only once it is durable;
//! - an [`Effect::Act`] whose answer did not come (deadline, dead provider, garbage) is answered
//!   with [`ActAnswer::Lost`], never left out and never made up;
//! - after [`Effect::WaitUntil`] comes [`Event::Tick`] at that time or later;
//! - after [`Effect::Finish`] nothing more is asked.
#![no_std]
extern crate alloc;

pub mod codes;
mod effect;
mod error;
mod event;
mod gates;
mod outcome;
mod schedule;
mod state;
mod steps;

pub use effect::{Effect, Finished, Notice, Operation, Reason, Ticket};
pub use error::PlanError;
pub use event::{ActAnswer, Applied, Event, GateAnswer, Looked, OperationStatus};
pub use state::{OnFailure, Options, RunState};
pub use steps::step;

/// Time between two questions to a gate.
pub const GATE_INTERVAL_MS: u64 = 1_000;
/// Most attempts at one step of a type that converges: the first, and one after a lost answer.
pub const ATTEMPTS_MAX: u32 = 2;
