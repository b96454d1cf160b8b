//! A reason not to go on.

use rectify_base::Code;
use serde::Serialize;

/// Where a refusal points if it is about the plan's own bytes.
pub const PLACE_PLAN: &str = "plan";
/// Where a refusal points if it is about the set of envelopes.
pub const PLACE_ENVELOPES: &str = "envelopes";
/// Where a refusal points if it is about the policy that was evaluated.
pub const PLACE_POLICY: &str = "policy";

/// One reason to refuse a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refusal {
    /// Stable code; `rectify explain CODE` tells more.
    pub code: Code,
    /// What is wrong, in one sentence without a final period.
    pub message: String,
    /// The envelope's file name, or [`PLACE_PLAN`], [`PLACE_ENVELOPES`] or [`PLACE_POLICY`].
    pub place: String,
}

impl Refusal {
    /// A reason with its place.
    #[must_use]
    pub fn new(code: Code, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: place.into() }
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.message, self.code)
    }
}
