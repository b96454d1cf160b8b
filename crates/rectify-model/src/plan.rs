//! The plan: exactly what will be done. It holds no time, host name, path of the planner, user,
//! random id, executable digest, policy digest or source line.

use crate::{
    fact::Assumption,
    grade::{Disruption, Prediction, Retry, TypeKind, UndoGrade},
    graph::{Edge, RemediationInfo, RunLimits, SecretOrigin, Touch},
    observation::Identity,
    provider::LockedProvider,
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use rectify_base::{
    Address, Digest, FileDigests, Pointer, ProjectName, RemediationName, SecretName, TargetName, TypeName,
    fingerprint::alike,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Format name of this version.
pub const FORMAT: &str = "rectify.plan/v1";

/// A plan for explicit targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The project.
    pub project: ProjectName,
    /// The graph it was made from.
    pub graph: FileDigests,
    /// Bounds of a run.
    pub limits: RunLimits,
    /// The remediations that take part.
    pub remediations: BTreeMap<RemediationName, RemediationInfo>,
    /// The explicit list of targets. Never empty.
    pub targets: BTreeMap<TargetName, PlanTarget>,
    /// The types that changing steps, gates and assumptions use.
    pub types: BTreeMap<TypeName, PlanType>,
    /// The providers of these types that are not part of Rectify, by name. A run does not begin where
    /// another release is locked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, LockedProvider>,
    /// What will be done, in the graph's order.
    pub steps: Vec<Step>,
    /// What is not done because nothing has to be, in the graph's order.
    pub unchanged: Vec<Unchanged>,
    /// What is not covered: it could not be decided, or waits for something that is not. Signed as
    /// such, never executed.
    pub deferred: Vec<Deferred>,
    /// What must hold afterwards, sorted by target and address.
    pub gates: Vec<PlanGate>,
    /// Targets in the order in which they are changed; each wave waits for the one before.
    pub waves: Vec<Vec<TargetName>>,
    /// Sums, so that a reader need not count.
    pub counts: Counts,
}

impl Plan {
    /// What could not be decided. Unless this is empty, the plan says too little to be sealed.
    pub fn undecided(&self) -> impl Iterator<Item = &Deferred> {
        self.deferred.iter().filter(|entry| entry.cause == DeferredCause::Undecided)
    }
}

/// A target of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanTarget {
    /// Such as `prod`.
    pub environment: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What the target must prove before the first step.
    pub identity: Identity,
    /// The observations of this target.
    pub observation: FileDigests,
    /// What is assumed of the target, sorted by place. It is read again before a run begins, which is
    /// refused if anything differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<Assumption>,
    /// The secrets that its steps use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretName, PlannedSecret>,
}

/// A secret as the plan relies on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlannedSecret {
    /// Where its value comes from.
    pub origin: SecretOrigin,
    /// The value's digest under the target's key. A run does not begin if it is another.
    pub digest: Digest,
}

/// A type as the plan relies on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanType {
    /// Schema version.
    pub version: u32,
    /// Digest of the provider's manifest.
    pub manifest: Digest,
    /// Resource, action or probe.
    pub kind: TypeKind,
    /// What may be done about an unknown outcome.
    pub retry: Retry,
    /// Members of the state that take no part in fingerprints and parity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volatile: Vec<Pointer>,
}

/// What a step does to its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// There was none.
    Create,
    /// It changes in place.
    Update,
    /// It is removed and made anew (its kind changes).
    Replace,
    /// It is removed.
    Delete,
    /// An action runs.
    Run,
}

impl Action {
    /// The word used in files and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Run => "run",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Where.
    pub target: TargetName,
    /// Its stable name.
    pub address: Address,
    /// What it is.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// What is done.
    pub action: Action,
    /// The properties that the provider is given.
    pub desired: Map<String, Value>,
    /// What changes, by place in the state, sorted by pointer.
    pub changes: Vec<Change>,
    /// Fingerprint of what is expected to be found (of `null` where nothing exists).
    pub expect: Digest,
    /// Fingerprint of what is left behind; absent if the prediction is opaque.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Digest>,
    /// The state after the step, without what is only for display.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Value>,
    /// What it reads and writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<Touch>,
    /// Keys that it writes in truth, sorted, where links on the way lead elsewhere than its
    /// write touches say; those are not repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved: Vec<String>,
    /// How sure this is.
    pub prediction: Prediction,
    /// How it could be taken back.
    pub undo: Undo,
    /// What it waits for. Only changing steps are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    /// What it interrupts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disruption: Vec<Disruption>,
}

impl Step {
    /// The state that is expected to be found, without its `volatile` members: the planned state with
    /// every change turned back. `None` where there is none, or where nothing is known because the
    /// prediction is opaque. Its fingerprint is [`Step::expect`]; whoever relies on it checks that.
    #[must_use]
    pub fn before(&self, volatile: &[Pointer]) -> Option<Value> {
        if self.action == Action::Create || self.result.is_none() {
            return None;
        }
        let mut state = self.planned.clone().unwrap_or_else(|| Value::Object(Map::new()));
        for change in &self.changes {
            match &change.before {
                Some(before) => change.path.set(&mut state, before.clone()),
                None => change.path.remove(&mut state),
            }
        }
        for pointer in volatile {
            pointer.remove(&mut state);
        }
        Some(state)
    }

    /// Whether a state is one that this step, or taking it back, may leave behind when it is broken off:
    /// each place that changes holds what was there before or what is planned, some the one and some the
    /// other, and everything else is as planned. What is made or removed as a whole is never partway.
    #[must_use]
    pub fn is_partway(&self, found: &Value, volatile: &[Pointer]) -> bool {
        if self.action != Action::Update || self.result.is_none() {
            return false;
        }
        let mut forth = found.clone();
        let (mut old, mut new) = (false, false);
        for change in &self.changes {
            let here = change.path.get(found);
            match (here == change.before.as_ref(), here == change.after.as_ref()) {
                (true, false) => old = true,
                (false, true) => new = true,
                _ => return false,
            }
            match &change.after {
                Some(after) => change.path.set(&mut forth, after.clone()),
                None => change.path.remove(&mut forth),
            }
        }
        old && new && alike(Some(&forth), self.planned.as_ref(), volatile)
    }
}

/// One property before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Place in the state.
    pub path: Pointer,
    /// Before; absent if it was not there, which is not the same as null.
    #[cfg_attr(feature = "schema", schemars(extend("$ref" = "#/$defs/Json")))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// After; absent if it will not be there.
    #[cfg_attr(feature = "schema", schemars(extend("$ref" = "#/$defs/Json")))]
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What is written is there, also if it is null: serde would take that for absent, and the plan that is
/// read would not be the plan that was written.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// How a step is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// How well.
    pub grade: UndoGrade,
    /// What is lost, or why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The inverse; present unless the grade is `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inverse: Option<Inverse>,
}

/// The inverse of a step: bring back the state before, expecting to find what the step wrote. Of an
/// action it is the command that its author declared for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Inverse {
    /// What is done.
    pub action: Action,
    /// Fingerprint of what must be found: what the step left behind. Of an action whose state says
    /// nothing it is the fingerprint of that state, before and after.
    pub expect: Digest,
    /// Fingerprint of what comes back: what the step expected to find. Absent only for an action whose
    /// state says nothing: nobody can see whether it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Digest>,
}

/// A node that needs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Unchanged {
    /// Where.
    pub target: TargetName,
    /// What.
    pub address: Address,
    /// Fingerprint of the state that was found.
    pub fingerprint: Digest,
    /// Why nothing is done; left out where it is as desired.
    #[serde(default, skip_serializing_if = "Idle::is_as_desired")]
    pub why: Idle,
}

/// Why nothing is done about a node that was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// The state is as desired, or the action has nothing to do. Never written, so that a plan has
    /// one byte form.
    #[default]
    #[serde(skip)]
    AsDesired,
    /// The steps that write this thing, carried out one after the other, would leave it as it was
    /// found. It is as desired already.
    Converged,
    /// It would change, but none of the steps that trigger it does. It may differ from what is
    /// desired.
    NotTriggered,
}

impl Idle {
    /// Whether this is [`Idle::AsDesired`].
    #[must_use]
    pub const fn is_as_desired(&self) -> bool {
        matches!(self, Self::AsDesired)
    }
}

/// A node that is not covered by the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Deferred {
    /// Where.
    pub target: TargetName,
    /// What.
    pub address: Address,
    /// Whether it could not be decided itself, or only waits for another one.
    pub cause: DeferredCause,
    /// Why, as a code.
    pub code: String,
    /// Why, in words.
    pub message: String,
}

/// What kind of reason a deferral has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeferredCause {
    /// It could not be decided. A plan with such an entry is not fit to be sealed.
    Undecided,
    /// It can be decided only after an earlier step. Plan again once that is done.
    Waits,
}

/// A check that must hold after the steps of its remediation on a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlanGate {
    /// Where.
    pub target: TargetName,
    /// `remediation/verify:<index>`.
    pub address: Address,
    /// A probe type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Its properties.
    pub desired: Map<String, Value>,
    /// How long it is retried, in seconds.
    pub within_s: u32,
}

/// Sums over a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Steps that create.
    pub create: u64,
    /// Steps that update.
    pub update: u64,
    /// Steps that replace.
    pub replace: u64,
    /// Steps that delete.
    pub delete: u64,
    /// Actions that run.
    pub run: u64,
    /// Nodes that need nothing: as desired, or converged.
    pub unchanged: u64,
    /// Nodes that would change, but are not triggered.
    pub not_triggered: u64,
    /// Nodes that are not covered.
    pub deferred: u64,
}

impl Counts {
    /// Number of changing steps.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.create + self.update + self.replace + self.delete + self.run
    }
}
