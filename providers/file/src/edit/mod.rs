//! Edits of contents: pure functions from bytes to bytes. Each is its own fixed point: editing the
//! result again changes nothing.

mod block;
mod ini;
mod json;
mod line;
mod toml;
mod tree;
mod yaml;

pub(crate) use block::{Block, Marker};
pub(crate) use ini::{Assignment, Continuation, IniEdit, Others};
pub(crate) use line::{LineEdit, Occurrence};
pub(crate) use tree::{Format, Goal, Literal, Setting, Step, TreeEdit};

use crate::lines::Line;
use rectify_sdk::protocol::{ErrorCode, ItemError};
use regex::bytes::Regex;

/// Any edit.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Line(LineEdit),
    Block(Block),
    Ini(IniEdit),
    Tree(TreeEdit),
}

impl Edit {
    /// The content after the edit.
    pub(crate) fn apply(&self, bytes: &[u8]) -> Result<Vec<u8>, EditError> {
        match self {
            Self::Line(edit) => edit.apply(bytes),
            Self::Block(edit) => edit.apply(bytes),
            Self::Ini(edit) => edit.apply(bytes),
            Self::Tree(edit) => edit.apply(bytes),
        }
    }

    /// Whether it only takes away: a file that is not there is as it should be.
    pub(crate) fn is_absent(&self) -> bool {
        match self {
            Self::Line(edit) => edit.presence == Presence::Absent,
            Self::Block(edit) => edit.presence == Presence::Absent,
            Self::Ini(edit) => edit.is_absent(),
            Self::Tree(edit) => edit.is_absent(),
        }
    }
}

/// Where something new is inserted.
#[derive(Clone, Debug)]
pub(crate) enum Position {
    End,
    Beginning,
    /// After the last line that matches.
    After(Regex),
    /// Before the first line that matches.
    Before(Regex),
}

/// Whether the line, block or setting should be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    #[default]
    Present,
    Absent,
}

/// Why a content cannot be edited as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("no line matches the anchor `{0}`")]
    NoAnchor(String),
    #[error("line {line}: the {what} of the managed block {problem}")]
    Markers {
        /// One-based.
        line: usize,
        what: &'static str,
        problem: &'static str,
    },
    /// Not text, or not of the format.
    #[error("{0}")]
    Unreadable(String),
    /// Something else is where the edit leads.
    #[error("{message}")]
    InTheWay { at: String, message: String, hint: &'static str },
    /// What is there cannot be edited so that everything else stays.
    #[error("{message}")]
    Unsafe { at: String, message: String, hint: &'static str },
}

impl EditError {
    /// What a provider answers.
    pub(crate) fn answer(self) -> ItemError {
        let message = self.to_string();
        let item = |code, at: &str| ItemError::new(code, message.clone()).at(at);
        match self {
            Self::NoAnchor(_) => item(ErrorCode::Failed, "/anchor"),
            Self::Markers { .. } => item(ErrorCode::Failed, "/block"),
            Self::Unreadable(_) => item(ErrorCode::Unsupported, "/path"),
            Self::InTheWay { at, hint, .. } => item(ErrorCode::Conflict, &at).hint(hint),
            Self::Unsafe { at, hint, .. } => item(ErrorCode::Unsupported, &at).hint(hint),
        }
    }
}

impl Position {
    /// Index of the line before which the new lines go.
    fn index(&self, lines: &[Line<'_>]) -> Result<usize, EditError> {
        let missing = |pattern: &Regex| EditError::NoAnchor(pattern.as_str().into());
        match self {
            Self::End => Ok(lines.len()),
            Self::Beginning => Ok(0),
            Self::After(pattern) => lines
                .iter()
                .rposition(|l| pattern.is_match(l.text))
                .map(|at| at + 1)
                .ok_or_else(|| missing(pattern)),
            Self::Before(pattern) => {
                lines.iter().position(|l| pattern.is_match(l.text)).ok_or_else(|| missing(pattern))
            }
        }
    }
}

/// Inserts whole lines; the line before them gets its ending if it had none.
fn insert<'a>(lines: &mut Vec<Line<'a>>, index: usize, new: impl IntoIterator<Item = Line<'a>>) {
    let index = index.min(lines.len());
    lines.splice(index..index, new);
}
