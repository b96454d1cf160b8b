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
    /// The journal could not store a record.
    pub journal_lost: bool,
    /// An intent was handed to the journal, so an effect may have followed.
    pub intended: bool,
}

/// How the run ended.
pub const fn outcome(facts: Facts) -> RunOutcome {
    if facts.journal_lost {
        // The journal may lack results of what was done, and it cannot say of which.
        return if facts.intended { RunOutcome::NeedsOperator } else { RunOutcome::Failed };
    }
    if facts.interrupted {
        return RunOutcome::Interrupted;
    }
    if facts.unknown {
        return RunOutcome::NeedsOperator;
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
    // Not complete without any reason cannot be reached; if it were, it is no success.
    if facts.changed { RunOutcome::PartiallyApplied } else { RunOutcome::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Facts> {
        (0_u32..1 << 9).map(|bits| {
            let bit = |n: u32| bits >> n & 1 == 1;
            Facts {
                complete: bit(0),
                changed: bit(1),
                unknown: bit(2),
                failed: bit(3),
                stale: bit(4),
                cancelled: bit(5),
                interrupted: bit(6),
                journal_lost: bit(7),
                intended: bit(8),
            }
        })
    }

    #[test]
    fn success_means_that_all_is_done_and_nothing_is_wrong() {
        for facts in all() {
            let clean = facts.complete
                && !(facts.unknown || facts.failed || facts.stale || facts.interrupted || facts.journal_lost);
            assert_eq!(outcome(facts) == RunOutcome::Succeeded, clean, "{facts:?}");
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
        for facts in all().filter(|facts| facts.unknown) {
            let outcome = outcome(facts);
            let honest = matches!(outcome, RunOutcome::NeedsOperator | RunOutcome::Interrupted);
            assert!(honest || facts.journal_lost && !facts.intended, "{facts:?} {outcome:?}");
        }
    }
}
