//! What policy said about a plan.

use alloc::{collections::BTreeSet, string::String};
use rectify_base::Digest;
use serde::{Deserialize, Serialize};

/// The outcome of evaluating the accepted policy bundles over one plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Digest of the policy bundle, derived over its files.
    pub bundle: Digest,
    /// Whether `allow` was true and `deny` empty.
    pub allowed: bool,
    /// Reasons to refuse.
    pub deny: BTreeSet<Finding>,
    /// Remarks that refuse nothing.
    pub warn: BTreeSet<Finding>,
    /// Approvals that are asked for.
    pub require_approval: BTreeSet<ApprovalDemand>,
    /// What would refuse, but is overridden by people who may: never also in `deny`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub overridden: BTreeSet<Finding>,
}

impl Decision {
    /// How many approvals policy asks for at least.
    #[must_use]
    pub fn approvals(&self) -> u32 {
        self.require_approval.iter().map(|demand| demand.count).max().unwrap_or(0)
    }
}

/// One remark of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The rule's name.
    pub rule: String,
    /// What it says.
    pub message: String,
}

/// A rule's demand for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApprovalDemand {
    /// The rule's name.
    pub rule: String,
    /// What it says.
    pub message: String,
    /// How many distinct approvers.
    pub count: u32,
}
