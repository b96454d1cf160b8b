//! Taking back, and what happens to a run as a whole.

use super::{Failure, How, Intent};
use alloc::string::String;
use rectify_base::{Address, Digest, NodeKey};
use serde::{Deserialize, Serialize};

/// Taking a step back entered a state. Only steps that changed something, or may have, are taken
/// back, and only after [`RunMark::Undoing`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UndoRecord {
    /// The step.
    pub node: NodeKey,
    /// The state.
    pub state: UndoState,
}

/// States of taking a step back that are written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UndoState {
    /// The signed inverse may act from now on. The operation's id is that of the inverse.
    Intent(Intent),
    /// The state is as it was before the step.
    Undone {
        /// By whom; `already` if nothing had to be done.
        how: How,
        /// Fingerprint of what was left or found; absent for an action whose state says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Digest>,
    },
    /// It failed, and what is known of the effect is known.
    Failed(Failure),
    /// Whether it happened is not known. A later record may resolve it.
    Unknown(Failure),
    /// What was found is neither what the step left behind nor what was there before; nothing was
    /// written.
    Conflict {
        /// Fingerprint of what was found, if the provider told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<Digest>,
    },
    /// It was not tried.
    Kept {
        /// Why.
        because: Kept,
    },
}

/// Why a step was not taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The plan has no inverse for it, as it said beforehand.
    NoInverse,
    /// A step that must be taken back before it was not.
    Dependent(Address),
}

/// Something about the run as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RunMark {
    /// An engine took the run up again, after verifying everything anew. The targets must be
    /// verified again before the next intent.
    Resumed {
        /// Fence of the new lease: higher than all before.
        fence: u64,
    },
    /// From now on nothing new is done; steps are taken back.
    Undoing {
        /// What failed.
        because: Failure,
        /// The step, gate or target that failed, or `run`.
        place: String,
    },
    /// A person said what became of an operation of which nobody knew.
    Resolved(Resolution),
    /// Nothing new began from here on, for a reason that no record of a step, gate or target gives.
    /// It holds until the run is resumed.
    Stopped {
        /// What kind of reason.
        cause: StopCause,
        /// The reason in words.
        message: String,
    },
}

/// Why nothing new began, where neither a step nor a gate nor a target is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// A person asked for it; what was under way was finished.
    Cancelled,
    /// A person asked for it, and nothing was waited for.
    Interrupted,
    /// The permission expired.
    Expired,
    /// The run would not be let in now. What is open is still resolved, and what failed is taken back.
    Refused,
    /// The journal's disk is nearly full.
    SpaceLow,
    /// The lease could not be renewed.
    LeaseEnding,
}

impl StopCause {
    /// All causes.
    pub const ALL: [Self; 6] =
        [Self::Cancelled, Self::Interrupted, Self::Expired, Self::Refused, Self::SpaceLow, Self::LeaseEnding];

    /// The word used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::SpaceLow => "space_low",
            Self::LeaseEnding => "lease_ending",
        }
    }

    /// Whether it fails the run. The others leave it as it is, to be resumed.
    #[must_use]
    pub const fn fails(self) -> bool {
        matches!(self, Self::Expired | Self::Refused)
    }
}

/// A person's answer to an operation of which nobody knows whether it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// The step.
    pub node: NodeKey,
    /// Whether it is about taking the step back.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub undo: bool,
    /// The answer.
    pub verdict: Verdict,
    /// Who gave it: a principal of the trust file.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Digest of the envelope with the signed answer.
    pub envelope: Digest,
}

/// What a person found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It happened.
    Succeeded,
    /// It did not happen, or not as it should; do not try again.
    Failed,
    /// It did not happen; try again, as a new operation.
    Retry,
}

impl Verdict {
    /// The word used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Retry => "retry",
        }
    }
}
