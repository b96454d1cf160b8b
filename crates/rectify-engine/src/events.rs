//! What happens during a use case, as data. Text, progress and JSON lines are consumers of it.

use rectify_base::{Address, TargetName};
use serde::Serialize;

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A target is being observed.
    Observing {
        /// The target.
        target: TargetName,
        /// How many of its nodes were asked about, or are being asked about now.
        nodes: usize,
        /// How many there are.
        total: usize,
    },
    /// A provider process was started.
    ProviderStarted {
        /// The provider.
        provider: String,
        /// What confinement was achieved; absent for sessions that may change things.
        #[serde(skip_serializing_if = "Option::is_none")]
        confinement: Option<String>,
    },
    /// Planning finished.
    Planned {
        /// Number of changing steps.
        changes: u64,
    },
    /// A run began, or an earlier one with the same permission was found.
    RunStarted {
        /// The run.
        run: String,
        /// Number of changing steps of its plan.
        changes: u64,
    },
    /// A step's intent is durable and it is about to act.
    StepStarted {
        /// Where.
        target: TargetName,
        /// What.
        address: Address,
    },
    /// A step ended, and its result is durable.
    StepEnded {
        /// Where.
        target: TargetName,
        /// What.
        address: Address,
        /// `applied`, `already`, `failed`, `stale`, `unknown` or `skipped`.
        result: String,
        /// Why, where it did not succeed.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A gate does not hold yet, and is asked again.
    GateWaiting {
        /// Where.
        target: TargetName,
        /// Which.
        address: Address,
        /// How often it was asked.
        attempt: u32,
        /// What was seen.
        message: String,
    },
    /// A gate was asked for the last time.
    GateEnded {
        /// Where.
        target: TargetName,
        /// Which.
        address: Address,
        /// Whether it holds.
        holds: bool,
        /// What was seen.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A run that was broken off goes on.
    RunResumed {
        /// The run.
        run: String,
        /// Number of changing steps of its plan.
        changes: u64,
    },
    /// Nothing new is begun any more; what is open is resolved and finished.
    NothingNew {
        /// Stable code.
        code: rectify_base::Code,
        /// Why.
        message: String,
    },
    /// Something failed, and from now on steps are taken back.
    Undoing {
        /// The step, gate or target that failed.
        place: String,
        /// What happened.
        message: String,
        /// How many steps.
        steps: u64,
    },
    /// Taking a step back begins; its intent is durable.
    UndoStarted {
        /// Where.
        target: TargetName,
        /// What.
        address: Address,
    },
    /// Taking a step back ended, and its result is durable.
    UndoEnded {
        /// Where.
        target: TargetName,
        /// What.
        address: Address,
        /// `undone`, `failed`, `conflict`, `unknown` or `kept`.
        result: String,
        /// Why, where it was not taken back.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// What was under way did not end in time after somebody asked to stop; it is not waited for any more.
    GraceOver {
        /// How long it was waited for.
        waited_s: u64,
    },
    /// Something went wrong that does not change what the run came to.
    Warning {
        /// Stable code.
        code: rectify_base::Code,
        /// What.
        message: String,
    },
    /// A result that the journal could not keep.
    Unsaved {
        /// The record, as the journal would hold it.
        record: Box<rectify_model::journal::Record>,
    },
    /// A run ended.
    RunEnded {
        /// The run.
        run: String,
        /// Its outcome.
        outcome: String,
    },
}

/// A listener.
pub trait Events: Send + Sync {
    /// Called for each event, in order.
    fn on(&self, event: &Event);
}

/// A listener that does nothing.
pub struct Silent;

impl Events for Silent {
    fn on(&self, _event: &Event) {}
}
