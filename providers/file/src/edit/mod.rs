//! Edits of contents: pure functions from bytes to bytes. Each is its own fixed point: editing the
//! result again changes nothing.

mod block;
mod line;

pub(crate) use block::{Block, Marker};
pub(crate) use line::{LineEdit, Occurrence};

use crate::lines::Line;
use regex::bytes::Regex;

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

/// Whether the line or block should be there.
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
