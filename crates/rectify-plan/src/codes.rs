//! The codes of this crate: errors of planning, and reasons why a step is deferred.

rectify_base::codes! {
    /// The graph breaks a rule that planning relies on.
    PLAN_GRAPH_INVALID = "plan-graph-invalid";
    /// The graph names no target.
    PLAN_NO_TARGETS = "plan-no-targets";
    /// An observation was made from another graph.
    PLAN_GRAPH_DIGEST = "plan-graph-digest";
    /// An observation has another format.
    PLAN_OBSERVATION_FORMAT = "plan-observation-format";
    /// An observation does not hold the digests of just those secrets that the target's steps use.
    PLAN_SECRETS = "plan-secrets";
    /// The graph was made with other facts of a target than were observed.
    PLAN_ASSUMPTION = "plan-assumption";
    /// A target was not observed.
    PLAN_OBSERVATION_MISSING = "plan-observation-missing";
    /// An observation of a target that the graph does not name, or a second one of the same target.
    PLAN_OBSERVATION_EXTRA = "plan-observation-extra";
    /// The entries of an observation are not the nodes of its target.
    PLAN_ENTRIES_MISMATCH = "plan-entries-mismatch";
    /// Two targets proved to be one machine or directory.
    PLAN_IDENTITY_SHARED = "plan-identity-shared";
    /// An answer that a provider must not give.
    PLAN_ANSWER_INVALID = "plan-answer-invalid";
    /// More changes than the project allows in one plan.
    PLAN_TOO_MANY_CHANGES = "plan-too-many-changes";
    /// Deferred: a step before it is deferred.
    PLAN_AFTER_DEFERRED = "plan-after-deferred";
    /// Deferred: an earlier step changes the same thing, and its result is not known.
    PLAN_PRIOR_UNKNOWN = "plan-prior-unknown";
    /// Deferred: another step writes the same thing under another name.
    PLAN_TWO_NAMES = "plan-two-names";
    /// An answer for a node that was not asked about, or a second one.
    PLAN_WALK_ORDER = "plan-walk-order";
    /// The walk was finished before every node was answered.
    PLAN_WALK_UNFINISHED = "plan-walk-unfinished";
}
