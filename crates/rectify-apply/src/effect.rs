//! What a driver has to do.

use alloc::{string::String, vec::Vec};
use rectify_base::{Address, Code, Digest, NodeKey, TargetName, TypeName};
use rectify_model::{
    journal::{Direction, Record, RunOutcome, StepState, UndoState},
    observation::Identity,
    plan::Action,
};
use serde_json::{Map, Value};

/// Names one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Something to do. Only [`Effect::Act`] changes a target.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the target what it is; answer with [`crate::Event::Verified`]. Once that is answered with
    /// the identity, nothing under a lower fence may land there any more.
    Verify {
        /// The target.
        target: TargetName,
        /// What the plan says it is.
        identity: Identity,
        /// Whether to read again what the plan assumes of it. Not where only the past is dealt with.
        assumptions: bool,
        /// Fence of the lease.
        fence: u64,
    },
    /// Read the state of the step's resource; answer with [`crate::Event::Looked`].
    Look {
        /// The step.
        node: NodeKey,
        /// To be echoed in the answer.
        ask: u32,
        /// Keep a before-image.
        capture: bool,
    },
    /// Store an intent, of a step or of its inverse; answer with [`crate::Event::Committed`] once it is durable.
    CommitIntent {
        /// The commit.
        ticket: Ticket,
        /// What to store.
        record: Record,
    },
    /// Let the provider act; answer with [`crate::Event::Acted`].
    Act(Operation),
    /// Read the state again; answer with [`crate::Event::Looked`].
    LookAgain {
        /// The step.
        node: NodeKey,
        /// To be echoed in the answer.
        ask: u32,
    },
    /// Ask the provider what became of an operation; answer with [`crate::Event::Status`].
    AskStatus {
        /// The step.
        node: NodeKey,
        /// To be echoed in the answer.
        direction: Direction,
        /// To be echoed in the answer.
        attempt: u32,
        /// Id of the operation.
        op_id: String,
    },
    /// Store anything else; answer with [`crate::Event::Committed`] once it is durable.
    CommitResult {
        /// The commit.
        ticket: Ticket,
        /// What to store.
        record: Record,
    },
    /// Ask a gate; answer with [`crate::Event::Gate`].
    AskGate {
        /// The gate.
        node: NodeKey,
        /// 1 for the first time.
        attempt: u32,
    },
    /// Send [`crate::Event::Tick`] at this time or later.
    WaitUntil {
        /// In milliseconds, on the clock of `now`.
        at_ms: u64,
    },
    /// Tell whoever watches.
    Log(Notice),
    /// The run is over.
    Finish(Finished),
}

/// One operation, as the provider gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The step.
    pub node: NodeKey,
    /// Forward, or back: then `desired` says which thing is meant, and the state to bring back is
    /// [`rectify_model::plan::Step::before`].
    pub direction: Direction,
    /// The attempt whose intent is durable.
    pub attempt: u32,
    /// Id; the same for each attempt, but another one after a person allowed a new try.
    pub op_id: String,
    /// The type.
    pub type_name: TypeName,
    /// What is done.
    pub action: Action,
    /// The properties of the step.
    pub desired: Map<String, Value>,
    /// Fingerprint of what must be found.
    pub expect: Digest,
    /// Fingerprint of what must be left behind, if that is known.
    pub result: Option<Digest>,
    /// Longest time for it, in milliseconds.
    pub deadline_ms: u64,
    /// Fence of the lease.
    pub fence: u64,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why it is not a success, in the order in which it came to light. Empty for a success.
    pub reasons: Vec<Reason>,
}

/// One reason why a run did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Stable code.
    pub code: Code,
    /// The step, gate or target; `run` if it is about the whole run.
    pub place: String,
    /// What happened, for a person.
    pub message: String,
}

/// Progress, for whoever watches. Nothing depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A wave begins.
    WaveStarted {
        /// Counted from 0.
        index: usize,
        /// Its targets.
        targets: Vec<TargetName>,
    },
    /// A step begins.
    StepStarted {
        /// The step.
        node: NodeKey,
    },
    /// A state of a step is durable.
    StepIs {
        /// The step.
        node: NodeKey,
        /// The state.
        state: StepState,
    },
    /// Steps are taken back from now on.
    Undoing {
        /// What failed.
        because: Reason,
        /// What is taken back, in the plan's order.
        steps: Vec<NodeKey>,
    },
    /// Taking a step back begins.
    UndoStarted {
        /// The step.
        node: NodeKey,
    },
    /// A state of taking a step back is durable.
    UndoIs {
        /// The step.
        node: NodeKey,
        /// The state.
        state: UndoState,
    },
    /// A gate does not hold yet and is asked again.
    GateWaits {
        /// The gate.
        node: NodeKey,
        /// How often it was asked.
        attempt: u32,
        /// What was seen.
        message: String,
    },
    /// A gate holds.
    GatePassed {
        /// The gate.
        node: NodeKey,
    },
    /// Nothing new is started from now on.
    Stopping(Reason),
    /// Steps of this target are owed because `by` changed something.
    Owed {
        /// The step that changed something.
        by: NodeKey,
        /// The steps that must run.
        steps: Vec<Address>,
    },
    /// An event that was not asked for; it was left out of account.
    Ignored {
        /// [`crate::codes::UNEXPECTED_EVENT`].
        code: Code,
        /// The event, in words.
        what: String,
    },
}
