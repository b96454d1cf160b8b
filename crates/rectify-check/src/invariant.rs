//! What is checked: each invariant has a number, a name, a code and a sentence.

use crate::codes;
use core::fmt;
use rectify_base::Code;
use serde::{Serialize, Serializer};

/// A rule that every sound plan keeps. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Invariant {
    /// I01: The format name is the one of this version.
    Format = 1,
    /// I02: There is a target, and every entry names a target of the plan.
    Targets = 2,
    /// I03: Every entry belongs to a remediation of the plan.
    Remediations = 3,
    /// I04: Every node of the graph is in the plan exactly once: as a step, unchanged, or deferred.
    Once = 4,
    /// I05: Steps, unchanged and deferred entries stand in the graph's order; gates are sorted.
    Sorted = 5,
    /// I06: Edges are sorted and lead back to an earlier step of the same target.
    Edges = 6,
    /// I07: The counts are those of the lists.
    Counts = 7,
    /// I08: The plan keeps its own limits.
    Limits = 8,
    /// I09: The waves name every target exactly once, and the first is one target that changes.
    Waves = 9,
    /// I10: The table of types holds exactly the types that steps, gates and assumptions use.
    TypesUsed = 10,
    /// I11: Only actions run, probes are never steps, and every gate is a probe.
    Kind = 11,
    /// I12: A step that is triggered by an uncertain one is not exact.
    TriggerPrediction = 12,
    /// I13: What is left behind is given exactly where the prediction is not opaque.
    Known = 13,
    /// I14: The result is the fingerprint of the planned state.
    Result = 14,
    /// I15: A planned state holds nothing that is only for display.
    PlannedVolatile = 15,
    /// I16: A step that changes a resource says what changes, sorted, and each change is one.
    ChangesShape = 16,
    /// I17: The changes lead from the state that was observed to the planned one.
    ChangesMatch = 17,
    /// I18: A text that is shown is the content whose digest stands beside it.
    Shown = 18,
    /// I19: An inverse is there exactly where the grade says so, and mirrors its step.
    Undo = 19,
    /// I20: Two steps that write one thing are ordered.
    Writers = 20,
    /// I21: Every value has a canonical form: no floats, no big integers, not too deep.
    Profile = 21,
    /// I22: No two targets are one machine or directory.
    IdentityShared = 22,
    /// I23: Project, limits and remediations are the graph's.
    Project = 23,
    /// I24: Plan and observations name the graph that is at hand.
    GraphDigest = 24,
    /// I25: Each target names its one observation.
    ObservationDigest = 25,
    /// I26: The targets, their environments and labels are the graph's.
    TargetFacts = 26,
    /// I27: The identity of each target is the one that was observed.
    Identity = 27,
    /// I28: What is said of types is what the graph says.
    TypeFacts = 28,
    /// I29: The graph's nodes stand in the canonical order, and edges lead back.
    GraphOrder = 29,
    /// I30: The entries of an observation are the nodes of its target.
    Entries = 30,
    /// I31: Type, properties and touches of a step are the node's.
    Node = 31,
    /// I32: A step expects the fingerprint of the state that was observed.
    Expect = 32,
    /// I33: What a step does follows from the states before and after.
    Action = 33,
    /// I34: The planned state is the one that the provider predicted.
    Planned = 34,
    /// I35: No prediction is surer than the provider's answer or its type, or less sure without a reason.
    Prediction = 35,
    /// I36: No undo is graded better than the provider's answer or its type.
    UndoGrade = 36,
    /// I37: What a step interrupts is what the provider said.
    Disruption = 37,
    /// I38: The gates are those of the remediations that change something on the target.
    Gates = 38,
    /// I39: A step with triggers is there only if one of them changes.
    Trigger = 39,
    /// I40: What was found wanting is a step, and nothing else is.
    Complete = 40,
    /// I41: Nothing that comes after a deferred step is done or called unchanged.
    AfterDeferred = 41,
    /// I42: Everything deferred is so for the reason that the plan gives.
    Deferral = 42,
    /// I43: An unchanged entry holds the fingerprint of the state that was observed.
    Unchanged = 43,
    /// I44: Every order that the graph asks for between two changing steps is kept.
    Order = 44,
    /// I45: A step starts from the state that the step before it on the same thing leaves behind.
    Chain = 45,
    /// I46: A step says where it writes in truth, as its provider said, and nothing twice.
    Resolved = 46,
    /// I47: No two steps write one thing under two names.
    Names = 47,
    /// I48: A chain is called converged only if its steps leave what was found, with certainty.
    Converged = 48,
    /// I49: No chain of steps is done that leaves what was found, with nothing between or after them.
    Futile = 49,
    /// I50: An unchanged entry says truthfully why nothing is done.
    Idle = 50,
    /// I51: Assumptions are sorted by place, are of a group that a type of the plan tells, and decide something.
    Assumptions = 51,
    /// I52: What is assumed of a target is what the graph says.
    Assumed = 52,
    /// I53: What is assumed is what was observed.
    AssumedTruly = 53,
    /// I54: The secrets of a target are those that its steps name, from where the graph says, as observed.
    Secrets = 54,
    /// I55: A step with an inverse says in its changes what was there before.
    Before = 55,
    /// I56: The providers of the plan are the locked ones of its types, as the graph says.
    Providers = 56,
}

impl Invariant {
    /// All of them, by number.
    pub const ALL: &'static [Self] = &[
        Self::Format,
        Self::Targets,
        Self::Remediations,
        Self::Once,
        Self::Sorted,
        Self::Edges,
        Self::Counts,
        Self::Limits,
        Self::Waves,
        Self::TypesUsed,
        Self::Kind,
        Self::TriggerPrediction,
        Self::Known,
        Self::Result,
        Self::PlannedVolatile,
        Self::ChangesShape,
        Self::ChangesMatch,
        Self::Shown,
        Self::Undo,
        Self::Writers,
        Self::Profile,
        Self::IdentityShared,
        Self::Project,
        Self::GraphDigest,
        Self::ObservationDigest,
        Self::TargetFacts,
        Self::Identity,
        Self::TypeFacts,
        Self::GraphOrder,
        Self::Entries,
        Self::Node,
        Self::Expect,
        Self::Action,
        Self::Planned,
        Self::Prediction,
        Self::UndoGrade,
        Self::Disruption,
        Self::Gates,
        Self::Trigger,
        Self::Complete,
        Self::AfterDeferred,
        Self::Deferral,
        Self::Unchanged,
        Self::Order,
        Self::Chain,
        Self::Resolved,
        Self::Names,
        Self::Converged,
        Self::Futile,
        Self::Idle,
        Self::Assumptions,
        Self::Assumed,
        Self::AssumedTruly,
        Self::Secrets,
        Self::Before,
        Self::Providers,
    ];

    /// Its code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Format => codes::CHECK_FORMAT,
            Self::Targets => codes::CHECK_TARGETS,
            Self::Remediations => codes::CHECK_REMEDIATIONS,
            Self::Once => codes::CHECK_ONCE,
            Self::Sorted => codes::CHECK_SORTED,
            Self::Edges => codes::CHECK_EDGES,
            Self::Counts => codes::CHECK_COUNTS,
            Self::Limits => codes::CHECK_LIMITS,
            Self::Waves => codes::CHECK_WAVES,
            Self::TypesUsed => codes::CHECK_TYPES_USED,
            Self::Kind => codes::CHECK_KIND,
            Self::TriggerPrediction => codes::CHECK_TRIGGER_PREDICTION,
            Self::Known => codes::CHECK_KNOWN,
            Self::Result => codes::CHECK_RESULT,
            Self::PlannedVolatile => codes::CHECK_PLANNED_VOLATILE,
            Self::ChangesShape => codes::CHECK_CHANGES_SHAPE,
            Self::ChangesMatch => codes::CHECK_CHANGES_MATCH,
            Self::Shown => codes::CHECK_SHOWN,
            Self::Undo => codes::CHECK_UNDO,
            Self::Writers => codes::CHECK_WRITERS,
            Self::Profile => codes::CHECK_PROFILE,
            Self::IdentityShared => codes::CHECK_IDENTITY_SHARED,
            Self::Project => codes::CHECK_PROJECT,
            Self::GraphDigest => codes::CHECK_GRAPH_DIGEST,
            Self::ObservationDigest => codes::CHECK_OBSERVATION_DIGEST,
            Self::TargetFacts => codes::CHECK_TARGET_FACTS,
            Self::Identity => codes::CHECK_IDENTITY,
            Self::TypeFacts => codes::CHECK_TYPE_FACTS,
            Self::GraphOrder => codes::CHECK_GRAPH_ORDER,
            Self::Entries => codes::CHECK_ENTRIES,
            Self::Node => codes::CHECK_NODE,
            Self::Expect => codes::CHECK_EXPECT,
            Self::Action => codes::CHECK_ACTION,
            Self::Planned => codes::CHECK_PLANNED,
            Self::Prediction => codes::CHECK_PREDICTION,
            Self::UndoGrade => codes::CHECK_UNDO_GRADE,
            Self::Disruption => codes::CHECK_DISRUPTION,
            Self::Gates => codes::CHECK_GATES,
            Self::Trigger => codes::CHECK_TRIGGER,
            Self::Complete => codes::CHECK_COMPLETE,
            Self::AfterDeferred => codes::CHECK_AFTER_DEFERRED,
            Self::Deferral => codes::CHECK_DEFERRAL,
            Self::Unchanged => codes::CHECK_UNCHANGED,
            Self::Order => codes::CHECK_ORDER,
            Self::Chain => codes::CHECK_CHAIN,
            Self::Resolved => codes::CHECK_RESOLVED,
            Self::Names => codes::CHECK_NAMES,
            Self::Converged => codes::CHECK_CONVERGED,
            Self::Futile => codes::CHECK_FUTILE,
            Self::Idle => codes::CHECK_IDLE,
            Self::Assumptions => codes::CHECK_ASSUMPTIONS,
            Self::Assumed => codes::CHECK_ASSUMED,
            Self::AssumedTruly => codes::CHECK_ASSUMED_TRULY,
            Self::Secrets => codes::CHECK_SECRETS,
            Self::Before => codes::CHECK_BEFORE,
            Self::Providers => codes::CHECK_PROVIDERS,
        }
    }

    /// The rule, as a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Format => "The format name is the one of this version.",
            Self::Targets => "There is a target, and every entry names a target of the plan.",
            Self::Remediations => "Every entry belongs to a remediation of the plan.",
            Self::Once => {
                "Every node of the graph is in the plan exactly once: as a step, unchanged, or deferred."
            }
            Self::Sorted => {
                "Steps, unchanged and deferred entries stand in the graph's order; gates are sorted."
            }
            Self::Edges => "Edges are sorted and lead back to an earlier step of the same target.",
            Self::Counts => "The counts are those of the lists.",
            Self::Limits => "The plan keeps its own limits.",
            Self::Waves => {
                "The waves name every target exactly once, and the first is one target that changes."
            }
            Self::TypesUsed => {
                "The table of types holds exactly the types that steps, gates and assumptions use."
            }
            Self::Kind => "Only actions run, probes are never steps, and every gate is a probe.",
            Self::TriggerPrediction => "A step that is triggered by an uncertain one is not exact.",
            Self::Known => "What is left behind is given exactly where the prediction is not opaque.",
            Self::Result => "The result is the fingerprint of the planned state.",
            Self::PlannedVolatile => "A planned state holds nothing that is only for display.",
            Self::ChangesShape => {
                "A step that changes a resource says what changes, sorted, and each change is one."
            }
            Self::ChangesMatch => "The changes lead from the state that was observed to the planned one.",
            Self::Shown => "A text that is shown is the content whose digest stands beside it.",
            Self::Undo => "An inverse is there exactly where the grade says so, and mirrors its step.",
            Self::Writers => "Two steps that write one thing are ordered.",
            Self::Profile => "Every value has a canonical form: no floats, no big integers, not too deep.",
            Self::IdentityShared => "No two targets are one machine or directory.",
            Self::Project => "Project, limits and remediations are the graph's.",
            Self::GraphDigest => "Plan and observations name the graph that is at hand.",
            Self::ObservationDigest => "Each target names its one observation.",
            Self::TargetFacts => "The targets, their environments and labels are the graph's.",
            Self::Identity => "The identity of each target is the one that was observed.",
            Self::TypeFacts => "What is said of types is what the graph says.",
            Self::GraphOrder => "The graph's nodes stand in the canonical order, and edges lead back.",
            Self::Entries => "The entries of an observation are the nodes of its target.",
            Self::Node => "Type, properties and touches of a step are the node's.",
            Self::Expect => "A step expects the fingerprint of the state that was observed.",
            Self::Action => "What a step does follows from the states before and after.",
            Self::Planned => "The planned state is the one that the provider predicted.",
            Self::Prediction => {
                "No prediction is surer than the provider's answer or its type, or less sure without a reason."
            }
            Self::UndoGrade => "No undo is graded better than the provider's answer or its type.",
            Self::Disruption => "What a step interrupts is what the provider said.",
            Self::Gates => "The gates are those of the remediations that change something on the target.",
            Self::Trigger => "A step with triggers is there only if one of them changes.",
            Self::Complete => "What was found wanting is a step, and nothing else is.",
            Self::AfterDeferred => "Nothing that comes after a deferred step is done or called unchanged.",
            Self::Deferral => "Everything deferred is so for the reason that the plan gives.",
            Self::Unchanged => "An unchanged entry holds the fingerprint of the state that was observed.",
            Self::Order => "Every order that the graph asks for between two changing steps is kept.",
            Self::Chain => {
                "A step starts from the state that the step before it on the same thing leaves behind."
            }
            Self::Resolved => {
                "A step says where it writes in truth, as its provider said, and nothing twice."
            }
            Self::Names => "No two steps write one thing under two names.",
            Self::Converged => {
                "A chain is called converged only if its steps leave what was found, with certainty."
            }
            Self::Futile => {
                "No chain of steps is done that leaves what was found, with nothing between or after them."
            }
            Self::Idle => "An unchanged entry says truthfully why nothing is done.",
            Self::Assumptions => {
                "Assumptions are sorted by place, are of a group that a type of the plan tells, and decide something."
            }
            Self::Assumed => "What is assumed of a target is what the graph says.",
            Self::AssumedTruly => "What is assumed is what was observed.",
            Self::Secrets => {
                "The secrets of a target are those that its steps name, from where the graph says, as observed."
            }
            Self::Before => "A step with an inverse says in its changes what was there before.",
            Self::Providers => {
                "The providers of the plan are the locked ones of its types, as the graph says."
            }
        }
    }
}

/// Its number, such as `I07`.
impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{:02}", *self as u8)
    }
}

/// As its number.
impl Serialize for Invariant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
