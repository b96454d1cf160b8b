//! Diagnostics as a canonical document.

use super::regions::Regions;
use crate::SourceFile;
use rectify_base::{Diagnostic, Severity};
use serde::{Deserialize, Serialize};

/// Format name of this version.
pub const FORMAT: &str = "rectify.diagnostics/v1";

/// What is wrong with the sources of a project. Without `diagnostics` they are sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Diagnostics {
    /// Name and version of the format: [`FORMAT`].
    #[cfg_attr(feature = "schema", schemars(extend("const" = FORMAT)))]
    pub format: String,
    /// The problems, in order of place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Problem>,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Stable code; `rectify explain CODE` tells more.
    #[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[a-z0-9]+(-[a-z0-9]+)*$")))]
    pub code: String,
    /// Whether a graph can be made all the same.
    pub severity: Severity,
    /// What is wrong, in one sentence without a final period.
    pub message: String,
    /// Where; the first place is the primary one. Absent where there is no source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Region>,
    /// What was expected, or what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Replacements, each of which would repair the problem.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Repair>,
}

/// A part of a source file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Path relative to the project, `/` between parts.
    pub file: String,
    /// First byte.
    pub start: usize,
    /// One past the last byte; equal to `start` for a point.
    pub end: usize,
    /// One-based line of the first byte.
    pub start_line: u32,
    /// One-based column of the first byte, counted in Unicode code points.
    pub start_column: u32,
    /// One-based line of `end`.
    pub end_line: u32,
    /// One-based column of `end`, counted in Unicode code points: one past the last.
    pub end_column: u32,
    /// What is to be seen there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A replacement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// What to replace.
    pub at: Region,
    /// What to put there.
    pub replacement: String,
}

impl Diagnostics {
    /// Puts lines and columns to diagnostics. `files` are those that were compiled.
    #[must_use]
    pub fn new(diagnostics: &[Diagnostic], files: &[SourceFile]) -> Self {
        let mut regions = Regions::new(files);
        let diagnostics = diagnostics.iter().map(|diagnostic| Problem::new(diagnostic, &mut regions));
        Self { format: FORMAT.into(), diagnostics: diagnostics.collect() }
    }
}

impl Problem {
    pub(super) fn new(diagnostic: &Diagnostic, regions: &mut Regions<'_>) -> Self {
        Self {
            code: diagnostic.code.to_string(),
            severity: diagnostic.severity,
            message: diagnostic.message.clone(),
            places: diagnostic.labels.iter().map(|label| regions.find(label)).collect(),
            help: diagnostic.help.clone(),
            fixes: diagnostic
                .fixes
                .iter()
                .map(|fix| Repair { at: regions.find(&fix.at), replacement: fix.replacement.clone() })
                .collect(),
        }
    }
}

/// Its schema, see [`rectify_base::schema`].
#[cfg(feature = "schema")]
#[must_use]
pub(crate) fn schema() -> rectify_base::schema::Named {
    use rectify_base::schema::{Form, document};
    ("diagnostics", document::<Diagnostics>("Diagnostics of Rectify", Form::Canonical))
}
