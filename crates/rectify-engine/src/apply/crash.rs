//! Where, around a record, a test may kill somebody; see [`rectify_host::crash`].

use rectify_host::crash::{Point, reached};
use rectify_model::journal::{Record, StepState, UndoState};

/// The points before and after a record is stored.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    before: Option<Point>,
    after: Option<Point>,
}

impl Around {
    /// Those of a record.
    pub fn of(record: &Record) -> Self {
        let (before, after) = match record {
            Record::Step(step) => match &step.state {
                StepState::Intent(_) => (Some(Point::Leased), Some(Point::Intended(false))),
                StepState::Succeeded { .. } | StepState::Failed(_) => {
                    (Some(Point::Answered(false)), Some(Point::Recorded(false)))
                }
                _ => (None, None),
            },
            Record::Undo(undo) => match &undo.state {
                UndoState::Intent(_) => (None, Some(Point::Intended(true))),
                UndoState::Undone { .. } | UndoState::Failed(_) => {
                    (Some(Point::Answered(true)), Some(Point::Recorded(true)))
                }
                _ => (None, None),
            },
            _ => (None, None),
        };
        Self { before, after }
    }

    /// Right before it is stored.
    pub fn before(self) {
        self.before.map(reached).unwrap_or_default();
    }

    /// Once it is durable.
    pub fn after(self) {
        self.after.map(reached).unwrap_or_default();
    }
}
