//! Applying a plan, as a step function: `step(state, event, now)` says what to do next, a driver
//! does it and feeds the answers back. Apply makes no choices that are not in the plan.
//!
//! What this crate never knows: a clock, a file, a process, a thread, a database, a provider. So a
//! whole run can be simulated with a seed, and killed between any two effects.
//!
//! ```text
//! Start ─▶ Verify every target ─▶ waves: { Look ─▶ CommitIntent ─▶ Act ─▶ LookAgain ─▶ CommitResult }
//!                                        then { AskGate … CommitResult } ─▶ next wave ─▶ Finish
//! Something failed, and its remediation says `undo: auto`:
//!       CommitResult(Undoing) ─▶ { Look ─▶ CommitIntent ─▶ Act(back) ─▶ LookAgain ─▶ CommitResult } ─▶ Finish
//! Resumed: Start ─▶ Verify ─▶ what was open: { CommitResult(Unknown) ─▶ LookAgain | AskStatus | a person }
//!       ─▶ waves, or taking back, from where the journal ends
//! ```
//!
//! The driver's part of the bargain:
//! - effects are begun in the order given; answers may come in any order;
//! - [`Effect::Verify`] is answered with the identity only when nothing under a lower fence can land on
//!   the target any more, and with the assumptions read again only if it asks for that;
//! - a `Commit…` is answered with [`Event::Committed`] only once it is durable. The records say
//!   themselves what they are about: a step, its inverse, a gate, a target, or the run;
//! - an [`Effect::Act`] whose [`Operation::direction`] is back is given the thing of `desired` together
//!   with the state to bring back, which is [`rectify_model::plan::Step::before`]; `action`, `expect`,
//!   `result` and `op_id` are those of the inverse. Reading is the same in both directions;
//! - an [`Effect::Act`] whose answer did not come (deadline, dead provider, garbage) is answered
//!   with [`ActAnswer::Lost`], never left out and never made up;
//! - an [`Effect::AskStatus`] is asked of a provider process that is not the one that lost the answer;
//! - after [`Effect::WaitUntil`] comes [`Event::Tick`] at that time or later;
//! - when a commit was made with space from the reserve, [`Event::SpaceLow`]; when less than ten seconds
//!   of the lease are left, [`Event::LeaseEnding`];
//! - after [`Effect::Finish`] nothing more is asked.
//!
//! To resume: take the lease, store `RunMark::Resumed` with its fence, fold the journal, and drive
//! [`RunState::resume`] like a new run. [`ending`] says of any journal how its run ended.
#![no_std]
extern crate alloc;

pub mod codes;
mod effect;
mod ending;
mod error;
mod event;
mod gates;
mod outcome;
mod resume;
mod schedule;
mod scope;
mod state;
mod steps;
mod undo;

pub use effect::{Effect, Finished, Notice, Operation, Reason, Ticket};
pub use ending::{ending, triggers_of, undo_scope, verdict_record};
pub use error::PlanError;
pub use event::{ActAnswer, Applied, Event, GateAnswer, Looked, OperationStatus};
pub use outcome::{Facts, outcome};
pub use state::{Options, RunState};
pub use steps::step;

/// Time between two questions to a gate.
pub const GATE_INTERVAL_MS: u64 = 1_000;
/// Most attempts at one step of a type that converges: the first, and one after a lost answer.
pub const ATTEMPTS_MAX: u32 = 2;
