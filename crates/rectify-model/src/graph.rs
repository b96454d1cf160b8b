//! The graph: what the sources mean, with every expression evaluated and every edge known.
//!
//! Nodes are sorted by target, then in the canonical topological order of that target (Kahn's
//! algorithm, the smallest address first), so equal sources give equal bytes whatever the order
//! of files and keys. Nothing in it comes from a clock, a host or a path of the author.

use crate::{
    fact::Assumption,
    grade::{Prediction, Retry, TypeKind, UndoGrade},
    provider::LockedProvider,
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use rectify_base::{
    Address, Digest, Pointer, ProjectName, RemediationName, SecretName, TargetName, TypeName,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Format name of this version.
pub const FORMAT: &str = "rectify.graph/v1";

/// A compiled project, or the selected remediations of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The project.
    pub project: ProjectName,
    /// Bounds of a run.
    pub limits: RunLimits,
    /// The remediations that take part, by name.
    pub remediations: BTreeMap<RemediationName, RemediationInfo>,
    /// The targets that take part, by name. Never empty.
    pub targets: BTreeMap<TargetName, TargetInfo>,
    /// What the manifests said of the types that are used, by name.
    pub types: BTreeMap<TypeName, TypeFacts>,
    /// The providers of these types that are not part of Rectify, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, LockedProvider>,
    /// The steps, in canonical order.
    pub nodes: Vec<Node>,
    /// The `verify` entries, sorted by target and address.
    pub gates: Vec<Gate>,
}

/// Bounds of a run, from the project file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RunLimits {
    /// Most steps in flight at once on one target.
    pub parallel_steps: u32,
    /// Most changes that one plan may hold; more is refused when planning.
    pub changes_max: u32,
}

/// What is said of a whole remediation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemediationInfo {
    /// Why it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
    /// Labels, for selection and policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What happens when a later step or a gate fails.
    pub undo: UndoMode,
}

/// The reason that an author gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// A reference, such as a CVE number or a ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What happens to finished steps when a later step or a gate fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum UndoMode {
    /// Steps with a signed inverse are taken back.
    Auto,
    /// Everything stays as it is.
    #[default]
    Manual,
}

/// A target as the inventory describes it. Connection details are not part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TargetInfo {
    /// Such as `prod`; policy may demand more for one than for another.
    pub environment: String,
    /// Labels, for selection and policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What decided the nodes of this target, sorted by place. A target of which nothing is left has no
    /// nodes, and says here why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<Assumption>,
    /// The secrets that its steps use, and where their values come from.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretName, SecretOrigin>,
}

/// Where the engine, not the target, finds the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SecretOrigin {
    /// The source.
    pub from: SecretSource,
    /// Whether a newline at the end belongs to the value; otherwise one is taken off.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub keep_newline: bool,
}

/// A source of a secret's value: UTF-8, 6 to 65,536 bytes, without NUL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// A file that others may not read: absolute, or relative to the project.
    File(String),
    /// A variable of the engine's environment.
    Env(String),
    /// A descriptor that the engine was started with, read to its end.
    Fd(u32),
    /// What a command prints, such as that of a password manager. It runs only if the trust file
    /// lists it.
    Command(Vec<String>),
}

/// What planning needs to know of a type; copied from the manifest that `manifest` names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TypeFacts {
    /// Schema version of the type.
    pub version: u32,
    /// Digest of the provider's manifest file.
    pub manifest: Digest,
    /// Resource, action or probe.
    pub kind: TypeKind,
    /// Best prediction that the type ever gives.
    pub prediction: Prediction,
    /// What may be done about an unknown outcome.
    pub retry: Retry,
    /// Best undo that the type ever gives.
    pub undo: UndoGrade,
    /// Members of the state that take no part in fingerprints and parity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volatile: Vec<Pointer>,
}

/// One step on one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Where it happens.
    pub target: TargetName,
    /// Its stable name.
    pub address: Address,
    /// What it is.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Its properties, typed by the provider's schema, defaults filled in.
    pub desired: Map<String, Value>,
    /// What must come before it, sorted by address, one edge per source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edges: Vec<Edge>,
    /// What it reads and writes, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<Touch>,
}

/// A reason to wait for another step on the same target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The step that comes first.
    pub from: Address,
    /// Why.
    pub kind: EdgeKind,
    /// For implied edges: what implied it, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where an edge comes from. Of several between two nodes the first in this order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EdgeKind {
    /// `on_change`: comes later, and acts only if the source changes.
    OnChange,
    /// `after`: comes later.
    After,
    /// Computed: both touch one thing.
    Implied,
}

/// A thing that a step reads or writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Touch {
    /// `<kind>:<name>`, such as `path:/etc/hosts`.
    pub key: String,
    /// How.
    pub access: Access,
}

/// How a thing is touched. Two writers of one thing must be ordered; a reader comes after a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Looks only.
    Read,
    /// Changes it.
    Write,
}

/// A check that must hold after the steps of its remediation on a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Where.
    pub target: TargetName,
    /// `remediation/verify:<index>`.
    pub address: Address,
    /// A probe type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// Its properties.
    pub desired: Map<String, Value>,
    /// How long it is retried, in seconds; 0 asks once.
    pub within_s: u32,
}
