//! Methods, their parameters and results.
//!
//! Unknown members of these envelopes are ignored, so that a minor version can add some; unknown
//! properties of a resource are errors of its schema.

use crate::error::ItemError;
use rectify_base::{Digest, DigestKey, Secret, SecretName, TypeName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// Method names.
pub mod method {
    /// Request: greeting. First of all.
    pub const INITIALIZE: &str = "initialize";
    /// Request: settings of the session (root directory, allowed commands). Once, before any
    /// `resource.` request: without it a provider would not know which `/` is meant.
    pub const CONFIGURE: &str = "configure";
    /// Request: the manifest, byte-equal to the static one.
    pub const SCHEMA_GET: &str = "schema.get";
    /// Request: check properties beyond their schema. Pure.
    pub const VALIDATE: &str = "resource.validate";
    /// Request: canonical form of properties. Pure.
    pub const NORMALIZE: &str = "resource.normalize";
    /// Request: the state now.
    pub const READ: &str = "resource.read";
    /// Request: what would change; reads the state unless it is given.
    pub const PLAN: &str = "resource.plan";
    /// Request: make the planned change, if the state is as expected. Only in mode `apply`.
    pub const APPLY: &str = "resource.apply";
    /// Request: what became of an operation.
    pub const OP_STATUS: &str = "op.status";
    /// Request: store a chunk of a blob.
    pub const BLOB_PUT: &str = "blob.put";
    /// Request: fetch a chunk of a blob.
    pub const BLOB_GET: &str = "blob.get";
    /// Request: sign of life.
    pub const PING: &str = "ping";
    /// Request: finish; then the engine closes the stream.
    pub const SHUTDOWN: &str = "shutdown";
    /// Notification of the engine: cancel a request.
    pub const CANCEL: &str = "$/cancel";
    /// Notification of the provider: progress of a request.
    pub const PROGRESS: &str = "$/progress";
    /// Notification of the provider: a log record.
    pub const LOG: &str = "$/log";
}

/// `MAJOR.MINOR`, written as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", extend("pattern" = "^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$"))
)]
pub struct ProtocolVersion {
    /// Raised when old peers could misunderstand.
    pub major: u32,
    /// Raised when something is added.
    pub minor: u32,
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for ProtocolVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProtocolVersion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // One spelling, so that what is compared as text and what is compared as numbers agree.
        let number = |digits: &str| {
            let plain =
                digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
            digits.parse().ok().filter(|_| plain)
        };
        let parts = text.split_once('.').and_then(|(a, b)| Some((number(a)?, number(b)?)));
        let (major, minor) =
            parts.ok_or_else(|| serde::de::Error::custom(format!("expected MAJOR.MINOR, got `{text}`")))?;
        Ok(Self { major, minor })
    }
}

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Look only.
    Read,
    /// Look and predict.
    Plan,
    /// Change.
    Apply,
}

/// Parameters of [`method::INITIALIZE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Initialize {
    /// Versions that the engine speaks.
    pub protocol: crate::manifest::ProtocolRange,
    /// 128-bit nonce in hexadecimal, to be echoed.
    pub session: String,
    /// What the session may do.
    pub mode: Mode,
    /// Longest frame, in bytes.
    pub frame_max_bytes: usize,
    /// Private directories of the session.
    pub dirs: Directories,
}

/// Private directories of a provider session. They exist, with mode 0700.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Directories {
    /// For scratch; emptied afterwards. Writable in every mode.
    pub work: String,
    /// For the ledger of operations; kept. Writable in mode `apply` only; may be empty otherwise.
    pub state: String,
    /// Content-addressed blobs (`<blake3 hex>`), before-images among them; kept. As `state`.
    pub blobs: String,
}

/// Result of [`method::INITIALIZE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Initialized {
    /// The version that is spoken from now on: the highest common one.
    pub protocol: ProtocolVersion,
    /// The nonce.
    pub session: String,
    /// Name of the provider.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Digest of its manifest.
    pub manifest: Digest,
}

/// Parameters of [`method::CONFIGURE`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Configure {
    /// Directory that stands for `/`. All paths of resources lie beneath it. Absent: `/` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Commands (whole argv) that may run in a `plan` session, as guards and probes. Anything else
    /// is answered as opaque, or with `UNSUPPORTED` by a probe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plan_commands: Vec<Vec<String>>,
    /// Key of this project on this target, for the digests of what others may not read. The same in
    /// every session about the target, or no plan would fit what is found. Absent: such digests are
    /// not keyed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_key: Option<DigestKey>,
    /// Values of the secrets that properties may name in this session. They are for the places that
    /// name them, and for nothing else: no answer, log, error, argument list, environment or
    /// temporary file that others may read holds one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<SecretName, SecretValue>,
}

/// The value of a secret on its way to a provider. Only here is one ever written out.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
pub struct SecretValue(pub Secret);

impl Serialize for SecretValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|value| Self(Secret::new(value)))
    }
}

/// One item of [`method::VALIDATE`] and [`method::NORMALIZE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DesiredItem {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The properties.
    pub desired: Map<String, Value>,
}

/// One item of [`method::READ`]. What the properties say about the desired state must not matter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadItem {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The properties; only the identifying ones (and, for actions, the guards) count.
    pub desired: Map<String, Value>,
    /// Keep a before-image in the blob directory and name it in the answer. Mode `apply` only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub capture: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if wants a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Answer to a [`ReadItem`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReadAnswer {
    /// The state; absent if it does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// Digest of the before-image, if one was asked for and there is something to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_image: Option<Digest>,
}

/// One item of [`method::PLAN`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanItem {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The properties.
    pub desired: Map<String, Value>,
    /// The state to start from, where an earlier step of the plan changes the same thing: its
    /// predicted state. Absent: read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior: Option<Predicted>,
    /// Predicted states of those directories above the thing that earlier steps of the plan make or
    /// change, as far as their paths are spelled alike. Present, even if empty, it says that no
    /// other earlier step makes a directory there. Absent: that is not known, as after a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directories: Option<Vec<Value>>,
}

/// The predicted state of a thing after an earlier step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Predicted {
    /// The state; absent if it will not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
}

/// Answer to a [`PlanItem`]: an [`Answer`](https://docs.rs) of the model in wire form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlanAnswer {
    /// Nothing to do.
    Unchanged {
        /// The state; absent if it does not exist.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<Value>,
        /// Keys that it writes in truth, sorted, where links on the way lead elsewhere than the
        /// properties say. A key that a write touch names already is not repeated.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        resolved: Vec<String>,
    },
    /// Something to do.
    Changed {
        /// The state now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prior: Option<Value>,
        /// The state after; absent if it will not exist, or is not known (`prediction: opaque`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planned: Option<Value>,
        /// `exact`, `conditional` or `opaque`.
        prediction: String,
        /// `reload`, `restart`, `reboot`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        disruption: Vec<String>,
        /// `exact`, `lossy` or `none`.
        undo: String,
        /// What would be lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undo_note: Option<String>,
        /// Keys that it writes in truth, sorted, where links on the way lead elsewhere than the
        /// properties say. A key that a write touch names already is not repeated.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        resolved: Vec<String>,
    },
}

/// Parameters of [`method::APPLY`]: one operation. The provider looks again; acts only if the
/// fingerprint of what it finds is `expect`; answers `already` if it is `result`; else `STALE`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Apply {
    /// 256-bit id of the operation in hexadecimal; a retry has the same.
    pub op_id: String,
    /// The type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// `create`, `update`, `replace`, `delete` or `run`.
    pub action: String,
    /// The properties.
    pub desired: Map<String, Value>,
    /// Fingerprint of the state that must be found.
    pub expect: Digest,
    /// Fingerprint of the state to be left behind; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Digest>,
    /// Longest time for it, in milliseconds.
    pub deadline_ms: u64,
    /// Fence of the lease under which this runs. A provider with a ledger refuses a lower one.
    pub fence: u64,
}

/// Member of [`Apply::desired`] that asks for an inverse: beside the properties that name the thing
/// stands a [`Restore`] under this key, and the state in it is brought about instead of what the
/// properties say. No schema allows the key, so nobody can write it in a source.
pub const RESTORE: &str = "$restore";

/// Member of [`Apply::desired`] that asks an action for what its author declared as the way back:
/// beside all properties of the step stands `true` under this key. As [`RESTORE`], no schema allows it.
pub const UNDO: &str = "$undo";

/// What an inverse brings back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Restore {
    /// The state as the provider answered it before the step; absent if there was none. Content
    /// that it names by digest comes from the blob directory, where the before-image was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
}

/// What an operation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ApplyStatus {
    /// Done by this operation.
    Applied,
    /// It was as planned already; nothing was written.
    Already,
}

/// Answer to [`Apply`], sent as `ItemResult<Applied>`, as the one item that it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Applied {
    /// What it came to.
    pub status: ApplyStatus,
    /// The state afterwards; absent if it does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Value>,
    /// What an action printed, bounded, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

/// Bounded output of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Output {
    /// Exit code; absent if it was ended by a signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The last bytes of standard output, lossily as UTF-8.
    pub stdout: String,
    /// The last bytes of standard error, lossily as UTF-8.
    pub stderr: String,
    /// Whether anything was cut.
    pub truncated: bool,
}

/// Parameters of methods that take a batch. Results are independent and in the same order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Batch<T> {
    /// At most 128 items and 256 KiB, by the engine's own rule.
    pub items: Vec<T>,
}

/// Results of a batch, one per item, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchResult<T> {
    /// The results.
    pub items: Vec<ItemResult<T>>,
}

/// Result of one item: `{"ok": …}` or `{"error": …}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ItemResult<T> {
    /// It worked.
    Ok(T),
    /// It did not.
    Error(ItemError),
}

impl<T> From<Result<T, ItemError>> for ItemResult<T> {
    fn from(result: Result<T, ItemError>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::Error(error),
        }
    }
}

impl<T> ItemResult<T> {
    /// Back to a `Result`.
    ///
    /// # Errors
    /// The item's error.
    pub fn into_result(self) -> Result<T, ItemError> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Error(error) => Err(error),
        }
    }
}

/// Parameters of [`method::OP_STATUS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OpStatusQuery {
    /// The operation.
    pub op_id: String,
}

/// What became of an operation, as the ledger knows it. Any process of the provider can answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OpStatus {
    /// The ledger has no claim of it.
    NeverSeen,
    /// It was claimed, and no result is known.
    Started,
    /// It ended.
    Done(Box<ItemResult<Applied>>),
}

/// Parameters of [`method::CANCEL`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cancel {
    /// The request. It is still answered exactly once.
    pub id: u64,
}

/// Parameters of [`method::PROGRESS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// The request.
    pub id: u64,
    /// What is going on.
    pub message: String,
}

/// Parameters of [`method::LOG`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The record.
    pub message: String,
}

/// Parameters of [`method::BLOB_PUT`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlobPut {
    /// Digest of the whole blob.
    pub digest: Digest,
    /// Where this chunk begins, in bytes.
    pub offset: u64,
    /// Size of the whole blob, in bytes.
    pub size: u64,
    /// At most 512 KiB, in base64.
    pub chunk: String,
}

/// Result of [`method::BLOB_PUT`], sent as `ItemResult<BlobReceived>`. Chunks of one blob are sent
/// in order, each after the answer to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlobReceived {
    /// How many bytes from the beginning are there; go on from here.
    pub received: u64,
    /// Whether the blob is whole, has its digest, and is kept.
    pub complete: bool,
}

/// Parameters of [`method::BLOB_GET`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlobGet {
    /// Digest of the whole blob.
    pub digest: Digest,
    /// Where to begin, in bytes.
    pub offset: u64,
    /// At most 512 KiB.
    pub length: u64,
}

/// Result of [`method::BLOB_GET`], sent as `ItemResult<BlobChunk>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BlobChunk {
    /// Size of the whole blob, in bytes.
    pub size: u64,
    /// The bytes, in base64.
    pub chunk: String,
}

/// Result of [`method::PING`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pong {
    /// Requests under way.
    pub in_flight: u32,
}

#[cfg(test)]
mod tests {
    use super::ProtocolVersion;

    #[test]
    fn a_version_has_one_spelling() {
        for (text, good) in [("1.0", true), ("0.10", true), ("4294967295.0", true), ("4294967296.0", false)] {
            let read = serde_json::from_value::<ProtocolVersion>(text.into());
            assert_eq!(read.map(|version| version.to_string()).ok().as_deref(), good.then_some(text));
        }
        for text in ["", "1", "1.", ".1", "1.00", "01.0", "+1.0", "1.-0", "1.0.0", " 1.0"] {
            assert!(serde_json::from_value::<ProtocolVersion>(text.into()).is_err(), "{text}");
        }
    }
}
