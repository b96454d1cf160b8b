//! Grades: how sure a prediction is, whether a step can be repeated, whether it can be undone.

use serde::{Deserialize, Serialize};

/// How sure the plan is of what a step will do. Ordered from least to most sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Prediction {
    /// An unguarded command: what it changes cannot be known.
    Opaque,
    /// The effect is known, but whether it happens depends on something opaque.
    Conditional,
    /// The state after the step is known.
    Exact,
}

/// What may be done when the outcome of an operation is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Retry {
    /// Safe to repeat after looking again.
    Converge,
    /// The provider can say whether the operation with this id happened.
    Query,
    /// Must not be repeated unless a person says so.
    Once,
}

/// Whether a step can be taken back. Ordered from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum UndoGrade {
    /// It cannot be taken back.
    None,
    /// Something is lost, and `note` of the step's undo says what.
    Lossy,
    /// The state before comes back, until the before-image's retention ends.
    Exact,
}

/// What a step interrupts. Ordered from least to most disruptive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Disruption {
    /// A service reads its configuration again.
    Reload,
    /// A service is restarted.
    Restart,
    /// The target is restarted.
    Reboot,
}

/// What kind of thing a type describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum TypeKind {
    /// Has a state that can be read and brought about.
    Resource,
    /// Is done, at most once per permission.
    Action,
    /// Is only asked; never changes anything.
    Probe,
    /// Tells expressions what a target is; never a step or a gate.
    Fact,
}
