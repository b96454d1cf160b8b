//! Observations: what the providers of one target answered while planning. Planning reads nothing
//! else, so it can be replayed. No time, duration, pid, mtime or inode is in them.

use crate::{
    fact::Facts,
    grade::{Disruption, Prediction, UndoGrade},
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use rectify_base::{Address, Digest, SecretName, TargetName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Format name of this version.
pub const FORMAT: &str = "rectify.observation/v1";

/// What was seen on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Observation {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The target.
    pub target: TargetName,
    /// Digest of the graph that was walked.
    pub graph: Digest,
    /// Which machine or root directory answered.
    pub identity: Identity,
    /// What the target is, as far as expressions may ask: the facts that compiling was given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: Facts,
    /// The secrets that steps on it use: the digest of each value under the target's key, which says
    /// whether the value is the same, and nothing else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretName, Digest>,
    /// One entry per node of the target, in the graph's order.
    pub entries: Vec<Observed>,
}

/// What a target proves about itself; a name alone never decides where a change lands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A whole machine: derived digest of its machine id.
    Machine(Digest),
    /// A directory that stands for `/`: derived digest of its marker file's random id.
    Root(Digest),
}

/// What was seen of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// The node.
    pub address: Address,
    /// What the provider answered.
    pub answer: Answer,
}

/// A provider's answer to `resource.plan`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The state is as desired. For an action: there is nothing to do.
    Unchanged {
        /// The state, without what is only for display; absent if the resource does not exist.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<Value>,
        /// Keys that it writes in truth, sorted, where links on the way lead elsewhere than its
        /// write touches say; those are not repeated.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        resolved: Vec<String>,
    },
    /// The state has to change, or the action has to run.
    Changed(Proposal),
    /// It could not be decided. The plan is blocked here.
    Undecided {
        /// The provider's error code.
        code: String,
        /// What it said, without secrets.
        message: String,
    },
}

impl Answer {
    /// Keys that the node writes in truth, beside its write touches.
    #[must_use]
    pub fn resolved(&self) -> &[String] {
        match self {
            Self::Unchanged { resolved, .. } => resolved,
            Self::Changed(proposal) => &proposal.resolved,
            Self::Undecided { .. } => &[],
        }
    }
}

/// What a provider would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The state now (or, after an earlier step on the same thing, as predicted); absent if there
    /// is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<Value>,
    /// The state after; absent if it will not exist, or if `prediction` is opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Value>,
    /// How sure that is.
    pub prediction: Prediction,
    /// What it interrupts, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disruption: Vec<Disruption>,
    /// How it could be taken back.
    pub undo: ProposedUndo,
    /// Keys that it writes in truth, sorted, where links on the way lead elsewhere than its
    /// write touches say; those are not repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<String>,
}

/// How a provider would take a step back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProposedUndo {
    /// How well.
    pub grade: UndoGrade,
    /// What is lost, or why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
