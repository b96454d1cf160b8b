//! The journal: what a run did, as records that are durable before what follows from them.
//!
//! A run begins with a [`RunRecord`] (what was admitted), followed by [`Record`]s in the order of
//! their sequence numbers, and ends with a [`RunOutcome`]. The order of one step is: look and
//! capture the before-image, commit the intent, act, look, commit the result. So after a crash an
//! intent without a later record of the same step is *open*: it may or may not have happened.
//!
//! A run that was broken off goes on with [`RunMark::Resumed`]; one that failed may take back what it
//! did after [`RunMark::Undoing`], each step with an intent of its own.
//!
//! Records are appended and never changed; [`RunView`] folds them and refuses a sequence that no
//! run can have written.

mod id;
mod outcome;
mod record;
mod undo;
mod view;

pub use id::{Direction, IdError, RunId, UseId, operation_id, operation_id_of};
pub use outcome::RunOutcome;
pub use record::{
    Admission, Because, Entry, Failure, GateRecord, GateState, How, Intent, Mutated, ProviderRecord, Record,
    RunRecord, StepRecord, StepState, TargetRecord, TargetState,
};
pub use undo::{Kept, Resolution, RunMark, StopCause, UndoRecord, UndoState, Verdict};
pub use view::{GrammarError, RunView, StepProgress, UndoProgress};

/// Format name of this version.
pub const FORMAT: &str = "rectify.journal/v1";

/// Code of a failure that is none: the engine was stopped before the provider was asked, or before it
/// was asked once more.
pub const NOT_BEGUN: &str = "apply-interrupted";
