//! Where things were written. For messages only: it lies beside a plan, never in it.

use rectify_base::Address;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Format name of this version.
pub const FORMAT: &str = "rectify.source-map/v1";

/// Maps the address of each step and gate to its place in the sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SourceMap {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The places, by address.
    pub places: BTreeMap<Address, Place>,
}

impl Default for SourceMap {
    fn default() -> Self {
        Self { format: FORMAT.into(), places: BTreeMap::new() }
    }
}

impl SourceMap {
    /// The place of a step or gate.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<&Place> {
        self.places.get(address)
    }
}

/// Its schema, see [`rectify_base::schema`].
#[cfg(feature = "schema")]
#[must_use]
pub fn schema() -> rectify_base::schema::Named {
    use rectify_base::schema::{Form, document};
    ("source-map", document::<SourceMap>("Rectify source map", Form::Canonical))
}

/// A range of bytes in a source file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Path relative to the project.
    pub file: String,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// One-based line of the first byte.
    pub line: u32,
    /// One-based column of the first byte, counted in characters.
    pub column: u32,
}
