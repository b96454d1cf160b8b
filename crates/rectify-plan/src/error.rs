//! Why there is no plan.

use rectify_base::Code;
use serde::Serialize;

/// Why planning was refused: the first problem found, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{place}: {message}")]
pub struct PlanError {
    /// Stable code.
    pub code: Code,
    /// `graph:<JSON Pointer>`, `observation:<target>:<JSON Pointer>`, or `plan:<JSON Pointer>`.
    pub place: String,
    /// What is wrong, in one sentence without a final period.
    pub message: String,
}

impl PlanError {
    pub(crate) fn new(code: Code, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, place: place.into(), message: message.into() }
    }
}
