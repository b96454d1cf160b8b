//! What was found.

use crate::Invariant;
use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::Serialize;

/// One broken invariant, at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// Which one.
    pub invariant: Invariant,
    /// JSON Pointer into the plan; `graph:` or `observation:<target>:` before it names another document.
    pub place: String,
    /// What is wrong there, in one sentence without a final period.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at {}: {}", self.invariant, self.invariant.code(), self.place, self.message)
    }
}

/// Collects notes.
#[derive(Default)]
pub(crate) struct Notes(Vec<Note>);

impl Notes {
    pub fn add(&mut self, invariant: Invariant, place: impl Into<String>, message: impl Into<String>) {
        self.0.push(Note { invariant, place: place.into(), message: message.into() });
    }

    /// Adds a note unless the condition holds. The place is made only if it is needed.
    pub fn require(
        &mut self,
        holds: bool,
        invariant: Invariant,
        place: impl FnOnce() -> String,
        message: &str,
    ) {
        if !holds {
            self.add(invariant, place(), message);
        }
    }

    pub fn sorted(mut self) -> Vec<Note> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}
