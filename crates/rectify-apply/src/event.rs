//! What a driver reports.

use crate::effect::Ticket;
use alloc::string::String;
use rectify_base::{Digest, NodeKey, TargetName};
use rectify_model::{
    journal::{Direction, Failure},
    observation::Identity,
};

/// Something that happened outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin. Anything else before it is unexpected.
    Start,
    /// Answer to [`crate::Effect::Verify`].
    Verified {
        /// The target.
        target: TargetName,
        /// What it proved, or why it could not be asked. The code [`crate::codes::ASSUMPTION`] says that
        /// something is no longer as the plan assumes.
        answer: Result<Identity, Failure>,
    },
    /// Answer to [`crate::Effect::Look`] and [`crate::Effect::LookAgain`].
    Looked {
        /// The step.
        node: NodeKey,
        /// As in the effect.
        ask: u32,
        /// What was found, or why nothing was.
        answer: Result<Looked, Failure>,
    },
    /// A commit is durable.
    Committed(Ticket),
    /// A commit failed. The run ends at once, because nothing can be promised any more.
    CommitFailed {
        /// The commit.
        ticket: Ticket,
        /// What the store said.
        message: String,
    },
    /// Answer to [`crate::Effect::Act`].
    Acted {
        /// The step.
        node: NodeKey,
        /// As in the operation.
        direction: Direction,
        /// The attempt.
        attempt: u32,
        /// What the provider said, if it did.
        answer: ActAnswer,
    },
    /// Answer to [`crate::Effect::AskStatus`].
    Status {
        /// The step.
        node: NodeKey,
        /// As in the effect.
        direction: Direction,
        /// As in the effect.
        attempt: u32,
        /// What the provider's ledger knows.
        answer: OperationStatus,
    },
    /// Answer to [`crate::Effect::AskGate`].
    Gate {
        /// The gate.
        node: NodeKey,
        /// How often it has been asked.
        attempt: u32,
        /// The answer.
        answer: GateAnswer,
    },
    /// Time has passed.
    Tick,
    /// Stop starting; finish what is under way.
    Cancel,
    /// The journal's disk is nearly full. No new intent starts, neither forward nor back; what is under
    /// way is finished, and the run can be resumed.
    SpaceLow,
    /// The lease ends soon and was not renewed. As [`Event::SpaceLow`].
    LeaseEnding,
    /// Stop without waiting. The driver ends the providers; what they were doing is unknown.
    Interrupt,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Fingerprint of the state.
    pub fingerprint: Digest,
    /// Digest of the before-image, if one was asked for and there was something to keep.
    pub before_image: Option<Digest>,
    /// Whether it is what the step may leave behind when it is broken off: a part of its places is as before,
    /// and the others are as planned. See [`rectify_model::plan::Step::is_partway`].
    pub partway: bool,
}

/// What a provider said to an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActAnswer {
    /// It is as planned now.
    Done(Applied),
    /// It failed. The codes `STALE`, `UNKNOWN_OUTCOME`, and (unless nothing was changed) `TIMEOUT`
    /// and `CANCELLED` have meanings of their own.
    Failed(Failure),
    /// No answer came.
    Lost {
        /// Why.
        message: String,
    },
}

/// Who brought the planned state about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// This operation.
    Applied,
    /// It was so already; nothing was written.
    Already,
}

/// What a provider's ledger knows of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationStatus {
    /// Never begun.
    NeverSeen,
    /// Begun, and nothing more is known.
    Started,
    /// Ended, with this answer.
    Done(ActAnswer),
    /// The provider could not be asked.
    Lost {
        /// Why.
        message: String,
    },
}

/// Answer of a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateAnswer {
    /// It holds.
    Passed,
    /// It does not hold yet, or could not be asked.
    NotYet {
        /// What was seen.
        message: String,
    },
}
