//! How a run ended, from what came to light. Total, and the only place that decides.

use rectify_model::journal::RunOutcome;

/// What came to light in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Every step and gate is done.
    pub complete: bool,
    /// Something was, or may have been, changed.
    pub changed: bool,
    /// Of some operation it is not known whether it happened.
    pub unknown: bool,
    /// A step, gate, target or the permission's lifetime failed the run.
    pub failed: bool,
    /// A state was neither as expected nor as planned.
    pub stale: bool,
    /// Asked to stop.
    pub cancelled: bool,
    /// Stopped without waiting.
    pub interrupted: bool,
    /// It cannot go on now, through no fault of the plan: the disk is nearly full, the lease ends, or a
    /// target cannot be verified again.
    pub held: bool,
    /// The journal could not store a record.
    pub journal_lost: bool,
    /// An intent was handed to the journal, so an effect may have followed.
    pub intended: bool,
    /// Taking back began.
    pub undoing: bool,
    /// Not everything that has to be taken back came to an end of its own.
    pub undo_left: bool,
    /// Of some inverse it is not known whether it happened.
    pub undo_unknown: bool,
    /// An inverse failed, or found something that the run did not leave behind.
    pub undo_failed: bool,
    /// Something that was changed stays: it has no inverse, or does not have to be taken back.
    pub kept: bool,
}

/// How the run ended.
#[must_use]
pub const fn outcome(facts: Facts) -> RunOutcome {
    if facts.journal_lost {
        // The journal may lack results of what was done, and it cannot say of which.
        return if facts.intended { RunOutcome::NeedsOperator } else { RunOutcome::Failed };
    }
    if facts.interrupted {
        return RunOutcome::Interrupted;
    }
    if facts.unknown || facts.undo_unknown {
        return RunOutcome::NeedsOperator;
    }
    if facts.undo_left {
        // It was stopped before everything was taken back. Resuming goes on with that.
        return if facts.cancelled { RunOutcome::Cancelled } else { RunOutcome::Interrupted };
    }
    if facts.undoing {
        return match (facts.undo_failed, facts.kept) {
            (true, _) => RunOutcome::UndoFailed,
            (false, true) => RunOutcome::PartiallyApplied,
            (false, false) => RunOutcome::Undone,
        };
    }
    if facts.failed {
        return if facts.changed { RunOutcome::PartiallyApplied } else { RunOutcome::Failed };
    }
    if facts.stale {
        return if facts.changed { RunOutcome::PartiallyApplied } else { RunOutcome::Stale };
    }
    if facts.complete {
        return RunOutcome::Succeeded;
    }
    if facts.cancelled {
        return RunOutcome::Cancelled;
    }
    // Held, or broken off without a word: there is more to do, and nothing speaks against it.
    RunOutcome::Interrupted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Facts> {
        (0_u32..1 << 15).map(|bits| {
            let bit = |n: u32| bits >> n & 1 == 1;
            Facts {
                complete: bit(0),
                changed: bit(1),
                unknown: bit(2),
                failed: bit(3),
                stale: bit(4),
                cancelled: bit(5),
                interrupted: bit(6),
                held: bit(7),
                journal_lost: bit(8),
                intended: bit(9),
                undoing: bit(10),
                undo_left: bit(11),
                undo_unknown: bit(12),
                undo_failed: bit(13),
                kept: bit(14),
            }
        })
    }

    #[test]
    fn success_means_that_all_is_done_and_nothing_is_wrong() {
        for facts in all() {
            let wrong = facts.unknown
                || facts.failed
                || facts.stale
                || facts.interrupted
                || facts.journal_lost
                || facts.undoing
                || facts.undo_left
                || facts.undo_unknown;
            assert_eq!(outcome(facts) == RunOutcome::Succeeded, facts.complete && !wrong, "{facts:?}");
        }
    }

    #[test]
    fn stale_and_failed_promise_that_nothing_was_changed() {
        for facts in all().filter(|facts| !facts.journal_lost) {
            let promised = matches!(outcome(facts), RunOutcome::Stale | RunOutcome::Failed);
            assert!(!(promised && facts.changed), "{facts:?}");
        }
    }

    #[test]
    fn what_is_unknown_is_never_called_known() {
        for facts in all().filter(|facts| facts.unknown || facts.undo_unknown) {
            let outcome = outcome(facts);
            let honest = matches!(outcome, RunOutcome::NeedsOperator | RunOutcome::Interrupted);
            assert!(honest || facts.journal_lost && !facts.intended, "{facts:?} {outcome:?}");
        }
    }

    #[test]
    fn undone_means_that_everything_was_taken_back() {
        for facts in all() {
            let open = facts.unknown || facts.undo_unknown || facts.undo_left;
            let taken_back = facts.undoing && !facts.undo_failed && !facts.kept && !open;
            let heard = !facts.journal_lost && !facts.interrupted;
            assert_eq!(outcome(facts) == RunOutcome::Undone, taken_back && heard, "{facts:?}");
        }
    }

    #[test]
    fn a_failed_inverse_is_never_called_anything_milder_at_the_end() {
        for facts in all().filter(|facts| facts.undoing && facts.undo_failed && !facts.journal_lost) {
            let outcome = outcome(facts);
            assert!(outcome == RunOutcome::UndoFailed || !outcome.is_final(), "{facts:?} {outcome:?}");
        }
    }

    #[test]
    fn no_run_ends_for_good_with_something_left_to_take_back() {
        for facts in all().filter(|facts| facts.undo_left && !facts.journal_lost) {
            assert!(!outcome(facts).is_final(), "{facts:?}");
        }
    }
}
