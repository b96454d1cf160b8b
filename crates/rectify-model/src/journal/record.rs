//! What is written down, in canonical JSON.

use super::{RunId, RunMark, UndoRecord, UseId};
use crate::{grade::Retry, observation::Identity};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use rectify_base::{Address, Digest, FileDigests, NodeKey, TargetName};
use serde::{Deserialize, Serialize};

/// The beginning of a run: what was admitted, and what carries it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Name and version of the format: [`super::FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = super::FORMAT)))]
    pub format: String,
    /// The run.
    pub run: RunId,
    /// The permission that it uses up.
    #[serde(rename = "use")]
    pub use_id: UseId,
    /// The plan.
    pub plan: FileDigests,
    /// The targets, sorted. Never empty.
    pub targets: Vec<TargetName>,
    /// Why it was let in.
    pub admission: Admission,
    /// The providers that carry it out, by name.
    pub providers: BTreeMap<String, ProviderRecord>,
    /// Fence of the lease; grows with each holder.
    pub fence: u64,
    /// When it began, in milliseconds since 1970, by the executor's clock. For reading only.
    pub started_at_ms: u64,
    /// From when on no new intent may start, likewise.
    pub expires_at_ms: u64,
}

/// What the executor verified before the run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// Digest of the seal's envelope.
    pub seal: Digest,
    /// Digests of the approvals' envelopes, sorted.
    pub approvals: Vec<Digest>,
    /// Digest of the policy bundle that the executor evaluated.
    pub bundle: Digest,
    /// Digests of the envelopes of the overrides that the decision needed, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Digest>,
}

/// What acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProviderRecord {
    /// Its version.
    pub version: String,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// `blake3:<hex>` of the executable, or `builtin:<name>@<version>`.
    pub executable: String,
}

/// A record with its place in the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Place in the run: 1, 2, 3, … without gaps. Order is this, never time.
    pub seq: u64,
    /// When it was written, in milliseconds since 1970. For reading only.
    pub at_ms: u64,
    /// What happened.
    pub record: Record,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A target proved, or failed to prove, what it is.
    Target(TargetRecord),
    /// A step entered a state.
    Step(StepRecord),
    /// A gate was answered for good.
    Gate(GateRecord),
    /// Taking a step back entered a state.
    Undo(UndoRecord),
    /// Something about the run as a whole.
    Run(RunMark),
}

/// What a target proved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetRecord {
    /// The target.
    pub target: TargetName,
    /// What came of it.
    pub state: TargetState,
}

/// What came of verifying a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// It is what the plan says.
    Verified(Identity),
    /// It is not, or could not be asked.
    Refused(Failure),
}

/// A step entered a state. Before its first record a step is pending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// The step.
    pub node: NodeKey,
    /// The state.
    pub state: StepState,
}

/// States of a step that are written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StepState {
    /// It may act from now on.
    Intent(Intent),
    /// The state is as planned.
    Succeeded {
        /// By whom.
        how: How,
        /// Fingerprint of what was left or found; absent for an action whose state says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Digest>,
        /// Steps that this success obliges to run (`on_change`), sorted. They stay owed until they
        /// have a result of their own, whatever happens to the engine in between.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        owes: Vec<Address>,
    },
    /// It failed, and what is known of the effect is known.
    Failed(Failure),
    /// Whether it happened is not known. A later record of the step may resolve it.
    Unknown(Failure),
    /// What was found is neither as expected nor as planned; nothing was written.
    Stale {
        /// Fingerprint of what was found, if the provider told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<Digest>,
    },
    /// It was not tried.
    Skipped {
        /// Why.
        because: Because,
    },
}

/// Why a step was not tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// A step that it waits for did not succeed.
    Dependency(Address),
    /// None of the opaque steps that would have triggered it changed anything. Not a failure.
    NotTriggered,
}

/// Everything that must be known before an effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// 1 for the first attempt. Each attempt has an intent of its own.
    pub attempt: u32,
    /// Id of the operation ([`super::operation_id`]); the same for each attempt.
    pub op_id: String,
    /// What may be done if the answer is lost.
    pub retry: Retry,
    /// Fingerprint of what was found: what the step expects, or, where an earlier attempt was broken off, what that
    /// left behind partway.
    pub expect: Digest,
    /// Digest of the before-image, if there was something to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_image: Option<Digest>,
    /// Fence of the lease.
    pub fence: u64,
    /// Longest time that the operation may take, in milliseconds.
    pub deadline_ms: u64,
}

/// How a step came to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The provider did it.
    Applied,
    /// It was as planned already; nothing was written.
    Already,
    /// The answer was lost; looking afterwards found it as planned.
    Observed,
    /// A person said so.
    Judged,
}

impl How {
    /// Whether the run may have changed something.
    #[must_use]
    pub const fn changed(self) -> bool {
        matches!(self, Self::Applied | Self::Observed | Self::Judged)
    }
}

/// What is known of the effect of something that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mutated {
    /// Nothing was changed.
    No,
    /// Something may have been changed.
    Maybe,
    /// Something was changed.
    Yes,
}

/// A failure, as told or as concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Stable code: ours, or the provider's (in capitals).
    pub code: String,
    /// What went wrong, for a person; without secrets.
    pub message: String,
    /// What is known of the effect.
    pub mutated: Mutated,
}

impl Failure {
    /// Whether the provider was certainly not asked, because the engine was stopped between an intent
    /// and its request. Nothing failed; a run that is resumed begins here again.
    #[must_use]
    pub fn not_begun(&self) -> bool {
        self.mutated == Mutated::No && self.code == super::NOT_BEGUN
    }
}

/// A gate was answered for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GateRecord {
    /// The gate.
    pub node: NodeKey,
    /// How often it was asked.
    pub attempts: u32,
    /// The answer.
    pub state: GateState,
}

/// Answer of a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// It holds.
    Passed,
    /// It did not hold within its window; with the last answer.
    Failed(Failure),
}
