//! A problem found in what somebody wrote, as plain data. Renderers turn it into text, JSON or SARIF.

use crate::Code;
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing can be built on this input.
    Error,
    /// Legal, but probably not meant.
    Warning,
}

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Label {
    /// Path of the file as the user named it, relative to the project.
    pub file: String,
    /// First byte of the place.
    pub start: usize,
    /// One past its last byte; equal to `start` for a point.
    pub end: usize,
    /// What is to be seen there; may be empty.
    pub text: String,
}

/// A replacement that would repair the problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// What to replace.
    pub at: Label,
    /// What to put there.
    pub replacement: String,
}

/// One problem, with its code, its place and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code; `rectify explain CODE` tells more.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one sentence without a final period.
    pub message: String,
    /// Where; the first label is the primary one. Empty only where there is no source.
    pub labels: Vec<Label>,
    /// What was expected, or what to do.
    pub help: Option<String>,
    /// Mechanical repairs, if any.
    pub fixes: Vec<Fix>,
}

impl Diagnostic {
    /// An error without place or help yet.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: None,
            fixes: Vec::new(),
        }
    }

    /// A warning without place or help yet.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Adds a place; the first one added is the primary one.
    #[must_use]
    pub fn at(
        mut self,
        file: impl Into<String>,
        range: core::ops::Range<usize>,
        text: impl Into<String>,
    ) -> Self {
        self.labels.push(Label { file: file.into(), start: range.start, end: range.end, text: text.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
