//! The static manifest of a provider: what it can do, known before anything is started.

use crate::message::ProtocolVersion;
use rectify_base::{
    Digest, Pointer, TypeName,
    canonical::{self, CanonicalError},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Format name of this version.
pub const FORMAT: &str = "rectify.manifest/v1";

/// What `provider manifest` prints, as a canonical JSON file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// Name of the provider. Its types need not begin with it: the provider `probe` has
    /// `tcp.connect`. Which provider has a type is found through the manifests.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Protocol versions it speaks.
    pub protocol: ProtocolRange,
    /// Its types, sorted by name.
    pub types: Vec<TypeDescriptor>,
}

/// A range of protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProtocolRange {
    /// Oldest.
    pub min: ProtocolVersion,
    /// Newest.
    pub max: ProtocolVersion,
}

/// One type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TypeDescriptor {
    /// Its name.
    pub name: TypeName,
    /// Version of its schema; raised when old properties or states are read in another way.
    pub version: u32,
    /// `resource`, `action` or `probe`.
    pub kind: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema 2020-12 of the properties: a closed object, `default`s filled in by the engine.
    pub schema: Value,
    /// Members of the state that take no part in fingerprints and parity: what moves by itself, and
    /// what is only for display.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volatile: Vec<Pointer>,
    /// Rules that say what a step touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<TouchRule>,
    /// Best prediction: `exact`, `conditional` or `opaque`.
    pub prediction: String,
    /// `converge`, `query` or `once`.
    pub retry: String,
    /// Best undo: `exact`, `lossy` or `none`.
    pub undo: String,
    /// Whether the expectation is compared inside the change itself.
    pub compare_and_swap: bool,
    /// Longest a read or plan of one item may take, in milliseconds.
    pub read_timeout_ms: u64,
    /// Longest an apply of one item may take, in milliseconds; a property may ask for less.
    pub apply_timeout_ms: u64,
}

/// What a property says about things that a step touches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TouchRule {
    /// Place of the property; its value (a string) is the thing's name. Absent property: no touch.
    pub property: Pointer,
    /// Kind of thing. `path` is special: a writer of a directory comes before what lies in it.
    pub kind: String,
    /// `read` or `write`.
    pub access: String,
}

impl Manifest {
    /// The bytes of the manifest file.
    ///
    /// # Errors
    /// When a schema in it breaks the profile of canonical JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical::file_bytes(self)
    }

    /// Digest of the manifest file.
    ///
    /// # Errors
    /// See [`Manifest::to_bytes`].
    pub fn digest(&self) -> Result<Digest, CanonicalError> {
        Ok(Digest::of_bytes(&self.to_bytes()?))
    }

    /// The descriptor of a type.
    #[must_use]
    pub fn descriptor(&self, name: &TypeName) -> Option<&TypeDescriptor> {
        self.types.iter().find(|t| &t.name == name)
    }
}
