//! Codes of this crate. Each has a page under `docs/errors/`.

rectify_base::codes! {
    /// The plan names a step, target or gate that it does not have, or names one twice.
    PLAN_REFERENCE = "apply-plan-reference";
    /// The steps of the plan wait for each other in a circle.
    PLAN_CYCLE = "apply-plan-cycle";
    /// The target is not the one that the plan was made for.
    IDENTITY = "apply-identity";
    /// The target could not say what it is.
    IDENTITY_UNKNOWN = "apply-identity-unknown";
    /// What is assumed of the target is no longer so.
    ASSUMPTION = "apply-assumption";
    /// The state before a step could not be read.
    LOOK = "apply-look";
    /// What was found is neither what the plan expects nor what it leaves behind.
    STALE = "apply-stale";
    /// The provider reported a failure.
    STEP_FAILED = "apply-step-failed";
    /// After the step the state is not the one that the plan promised.
    PARITY = "apply-parity";
    /// The state after a step could not be read.
    LOOK_AGAIN = "apply-look-again";
    /// The provider's answer was lost, and looking showed that nothing was changed.
    LOST_ANSWER = "apply-lost-answer";
    /// Whether an operation happened is not known, and only a person may decide.
    NEEDS_OPERATOR = "apply-needs-operator";
    /// A gate did not hold within its window.
    GATE = "apply-gate";
    /// The permission expired before everything had begun.
    EXPIRED = "apply-expired";
    /// The run was asked to stop.
    CANCELLED = "apply-cancelled";
    /// The run was stopped without waiting for what was under way.
    INTERRUPTED = "apply-interrupted";
    /// The journal's disk is nearly full, so nothing new may begin.
    SPACE_LOW = "apply-space-low";
    /// The lease could not be renewed in time, so nothing new may begin.
    LEASE_ENDING = "apply-lease-ending";
    /// A step could not be taken back.
    UNDO_FAILED = "apply-undo-failed";
    /// What was to be taken back is no longer what the run left behind.
    UNDO_CONFLICT = "apply-undo-conflict";
    /// The journal could not store a record, so nothing more may happen.
    JOURNAL = "apply-journal";
    /// The driver reported something that was not asked for.
    UNEXPECTED_EVENT = "apply-unexpected-event";
}
