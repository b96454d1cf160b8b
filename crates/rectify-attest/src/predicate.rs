//! The bodies of the six kinds of statements. Times are unix seconds, UTC.

use crate::{
    principal::PrincipalName,
    statement::{Kind, Predicate},
};
use rectify_base::{Address, Digest, ProjectName, TargetName};
use rectify_model::{
    Decision,
    journal::{self, RunId, RunOutcome, UseId},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Permission to run one plan once, in a window of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// Within what generations are counted: the plan's project, or `<project>/<anything>`.
    pub scope: String,
    /// Grows within the scope; an executor never goes back to a lower one.
    pub generation: u64,
    /// 128 random bits: one permission is at most one run per target.
    #[serde(rename = "use")]
    pub use_id: UseId,
    /// First second in which it may start.
    pub not_before: u64,
    /// First second in which nothing new may start any more.
    pub expires_at: u64,
    /// Who wrote the change; never counts as approver.
    pub author: PrincipalName,
    /// Who asked for it; if they did not sign, one more approval is needed.
    pub requester: PrincipalName,
    /// Digest of the sources (`rectify 2026 v1 sources`).
    pub sources: Digest,
    /// Digest of the policy bundle.
    pub policy: Digest,
    /// Digest of the bytes of the decision's envelope file.
    pub decision: Digest,
}

impl Predicate for Seal {
    const KIND: Kind = Kind::Seal;
}

impl Seal {
    /// Whether the scope is one of this project.
    #[must_use]
    pub fn is_of(&self, project: &ProjectName) -> bool {
        self.scope.strip_prefix(project.as_str()).is_some_and(|rest| {
            rest.is_empty()
                || (rest.strip_prefix('/').is_some_and(|name| !name.is_empty()) && self.scope.len() <= 256)
        })
    }
}

/// What an approver says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Consent.
    Yes,
    /// Objection. Reserved: a plan with one beside it is refused.
    No,
}

/// A person's consent to one permission for one plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The seal's permission.
    #[serde(rename = "use")]
    pub use_id: UseId,
    /// Who consents; the signature must be theirs.
    pub approver: PrincipalName,
    /// First second in which it counts no more.
    pub expires_at: u64,
    /// Yes, or the reserved no.
    pub verdict: Verdict,
    /// Why, for readers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Digest of the rendering that the approver saw; noted, never verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendering: Option<Digest>,
}

impl Predicate for Approval {
    const KIND: Kind = Kind::Approval;
}

/// A person's word that denials of some rules of policy do not hold for one permission. Which rules that is
/// possible for, the policy bundle says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The seal's permission.
    #[serde(rename = "use")]
    pub use_id: UseId,
    /// Who says so; the signature must be theirs.
    pub by: PrincipalName,
    /// Ids of the rules, sorted; at least one.
    pub rules: BTreeSet<String>,
    /// Why, for readers; never blank.
    pub reason: String,
    /// First second in which it counts no more.
    pub expires_at: u64,
}

impl Predicate for Override {
    const KIND: Kind = Kind::Override;
}

impl Override {
    /// Most rules of one override.
    pub const RULES_MAX: usize = 64;
    /// Longest reason and longest id of a rule, in bytes.
    pub const TEXT_MAX_BYTES: usize = 4096;

    /// What is wrong with its rules or its reason, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let fits = |text: &String| !text.trim().is_empty() && text.len() <= Self::TEXT_MAX_BYTES;
        if self.rules.is_empty() || self.rules.len() > Self::RULES_MAX || !self.rules.iter().all(fits) {
            Some("must name 1 to 64 rules, each by its id")
        } else if fits(&self.reason) {
            None
        } else {
            Some("must give a reason, of at most 4096 bytes")
        }
    }
}

/// A person's answer to an operation of which nobody knew whether it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// The run.
    pub run: RunId,
    /// The permission that it used.
    #[serde(rename = "use")]
    pub use_id: UseId,
    /// Where the step is.
    pub target: TargetName,
    /// The step.
    pub address: Address,
    /// Whether it is about taking the step back.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub undo: bool,
    /// Id of the operation that the answer is about. A new try is another one, so an answer is never
    /// about a later operation than the one that its author looked into.
    pub operation: String,
    /// The answer.
    pub verdict: journal::Verdict,
    /// Who answers; the signature must be theirs.
    pub by: PrincipalName,
    /// Why, for readers; never blank.
    pub reason: String,
}

impl Predicate for Resolution {
    const KIND: Kind = Kind::Resolution;
}

impl Resolution {
    /// Longest reason, in bytes.
    pub const REASON_MAX_BYTES: usize = 4096;

    /// What is wrong with its reason, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let fits = !self.reason.trim().is_empty() && self.reason.len() <= Self::REASON_MAX_BYTES;
        (!fits).then_some("must give a reason, of at most 4096 bytes")
    }
}

/// What policy said when the plan was sealed: advice to readers, the executor asks again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DecisionRecord {
    /// When it was evaluated.
    pub evaluated_at: u64,
    /// What it said.
    pub decision: Decision,
}

impl Predicate for DecisionRecord {
    const KIND: Kind = Kind::Decision;
}

/// Proof of what one run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The run.
    pub run: RunId,
    /// The permission that it used.
    #[serde(rename = "use")]
    pub use_id: UseId,
    /// What happened on each target.
    pub targets: BTreeMap<TargetName, TargetResult>,
    /// When it began, by the executor's clock.
    pub started_at: u64,
    /// When it ended, likewise.
    pub ended_at: u64,
    /// What acted, by provider: `blake3:<hex>` of the executable, or `builtin:<name>@<version>`.
    pub providers: BTreeMap<String, String>,
    /// How it ended.
    pub result: RunOutcome,
    /// What policy denied and people let pass, by envelope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<UsedOverride>,
    /// The audit log's checkpoint after the run: a signed note (C2SP `tlog-checkpoint`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

/// An override that a run rested on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsedOverride {
    /// Digest of the envelope file's bytes.
    pub envelope: Digest,
    /// Who signed it.
    pub by: PrincipalName,
    /// The rules that it names.
    pub rules: BTreeSet<String>,
    /// Why.
    pub reason: String,
}

impl Predicate for Receipt {
    const KIND: Kind = Kind::Receipt;
}

/// What happened on one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetResult {
    /// How it ended there.
    pub result: RunOutcome,
    /// Steps that changed something.
    pub changed: u64,
    /// Steps that found everything done already.
    pub already: u64,
    /// Steps that failed, or whose outcome is unknown.
    pub failed: u64,
    /// Steps that were not started.
    pub skipped: u64,
    /// Steps that were taken back.
    pub undone: u64,
}
