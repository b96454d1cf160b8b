//! What was found.

use crate::Invariant;
use alloc::{borrow::ToOwned, collections::BTreeSet, string::String, vec::Vec};
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

    /// The notes in order, each once. What only follows from another one of the same step is left out:
    /// changes that are wrong, or start from something else, do not lead back either.
    pub fn sorted(mut self) -> Vec<Note> {
        let step = |note: &Note| note.place.split('/').nth(2).unwrap_or_default().to_owned();
        let causes =
            [Invariant::Expect, Invariant::Planned, Invariant::ChangesMatch, Invariant::ChangesShape];
        let causes: BTreeSet<String> =
            self.0.iter().filter(|note| causes.contains(&note.invariant)).map(step).collect();
        self.0.retain(|note| note.invariant != Invariant::Before || !causes.contains(&step(note)));
        self.0.sort();
        self.0.dedup();
        self.0
    }
}
