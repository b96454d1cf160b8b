//! Why a bundle or a plan was refused without a decision. Every such error means: denied.

use rectify_base::Code;

/// A refusal with its code and place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{message}", .place, if .place.is_empty() { "" } else { ": " })]
pub struct PolicyError {
    /// What went wrong.
    pub code: Code,
    /// `<file>:<line>:<column>`, a file, or the path of a rule such as `data.rectify.allow`;
    /// empty where nothing can be pointed at.
    pub place: String,
    /// One sentence without a final period.
    pub message: String,
}

impl PolicyError {
    /// Puts the three together.
    #[must_use]
    pub fn new(code: Code, place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, place: place.into(), message: message.into() }
    }

    /// Takes over an error of the Rego engine, whose text holds `--> file:line:column` and
    /// `error: message` where it knows a place, else only a message.
    pub(crate) fn from_engine(code: Code, place: &str, text: &str) -> Self {
        let found = text.lines().find_map(|line| line.trim_start().strip_prefix("--> "));
        let said =
            text.lines().filter_map(|line| line.split_once("error: ")).map(|(_, said)| said).next_back();
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("unknown error");
        Self::new(code, found.unwrap_or(place).trim(), said.unwrap_or(last).trim())
    }
}
