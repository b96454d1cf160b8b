//! The codes of this crate, one an invariant.

rectify_base::codes! {
    /// Broken: the format name is the one of this version.
    CHECK_FORMAT = "check-format";
    /// Broken: there is a target, and every entry names a target of the plan.
    CHECK_TARGETS = "check-targets";
    /// Broken: every entry belongs to a remediation of the plan.
    CHECK_REMEDIATIONS = "check-remediations";
    /// Broken: every node of the graph is in the plan exactly once: as a step, unchanged, or deferred.
    CHECK_ONCE = "check-once";
    /// Broken: steps, unchanged and deferred entries stand in the graph's order; gates are sorted.
    CHECK_SORTED = "check-sorted";
    /// Broken: edges are sorted and lead back to an earlier step of the same target.
    CHECK_EDGES = "check-edges";
    /// Broken: the counts are those of the lists.
    CHECK_COUNTS = "check-counts";
    /// Broken: the plan keeps its own limits.
    CHECK_LIMITS = "check-limits";
    /// Broken: the waves name every target exactly once, and the first is one target that changes.
    CHECK_WAVES = "check-waves";
    /// Broken: the table of types holds exactly the types that steps and gates use.
    CHECK_TYPES_USED = "check-types-used";
    /// Broken: only actions run, probes are never steps, and every gate is a probe.
    CHECK_KIND = "check-kind";
    /// Broken: a step that is triggered by an uncertain one is not exact.
    CHECK_TRIGGER_PREDICTION = "check-trigger-prediction";
    /// Broken: what is left behind is given exactly where the prediction is not opaque.
    CHECK_KNOWN = "check-known";
    /// Broken: the result is the fingerprint of the planned state.
    CHECK_RESULT = "check-result";
    /// Broken: a planned state holds nothing that is only for display.
    CHECK_PLANNED_VOLATILE = "check-planned-volatile";
    /// Broken: a step that changes a resource says what changes, sorted, and each change is one.
    CHECK_CHANGES_SHAPE = "check-changes-shape";
    /// Broken: the changes lead from the state that was observed to the planned one.
    CHECK_CHANGES_MATCH = "check-changes-match";
    /// Broken: a text that is shown is the content whose digest stands beside it.
    CHECK_SHOWN = "check-shown";
    /// Broken: an inverse is there exactly where the grade says so, and mirrors its step.
    CHECK_UNDO = "check-undo";
    /// Broken: two steps that write one thing are ordered.
    CHECK_WRITERS = "check-writers";
    /// Broken: every value has a canonical form: no floats, no big integers, not too deep.
    CHECK_PROFILE = "check-profile";
    /// Broken: no two targets are one machine or directory.
    CHECK_IDENTITY_SHARED = "check-identity-shared";
    /// Broken: project, limits and remediations are the graph's.
    CHECK_PROJECT = "check-project";
    /// Broken: plan and observations name the graph that is at hand.
    CHECK_GRAPH_DIGEST = "check-graph-digest";
    /// Broken: each target names its one observation.
    CHECK_OBSERVATION_DIGEST = "check-observation-digest";
    /// Broken: the targets, their environments and labels are the graph's.
    CHECK_TARGET_FACTS = "check-target-facts";
    /// Broken: the identity of each target is the one that was observed.
    CHECK_IDENTITY = "check-identity";
    /// Broken: what is said of types is what the graph says.
    CHECK_TYPE_FACTS = "check-type-facts";
    /// Broken: the graph's nodes stand in the canonical order, and edges lead back.
    CHECK_GRAPH_ORDER = "check-graph-order";
    /// Broken: the entries of an observation are the nodes of its target.
    CHECK_ENTRIES = "check-entries";
    /// Broken: type, properties and touches of a step are the node's.
    CHECK_NODE = "check-node";
    /// Broken: a step expects the fingerprint of the state that was observed.
    CHECK_EXPECT = "check-expect";
    /// Broken: what a step does follows from the states before and after.
    CHECK_ACTION = "check-action";
    /// Broken: the planned state is the one that the provider predicted.
    CHECK_PLANNED = "check-planned";
    /// Broken: no prediction is surer than the provider's answer or its type, or less sure without a reason.
    CHECK_PREDICTION = "check-prediction";
    /// Broken: no undo is graded better than the provider's answer or its type.
    CHECK_UNDO_GRADE = "check-undo-grade";
    /// Broken: what a step interrupts is what the provider said.
    CHECK_DISRUPTION = "check-disruption";
    /// Broken: the gates are those of the remediations that change something on the target.
    CHECK_GATES = "check-gates";
    /// Broken: a step with triggers is there only if one of them changes.
    CHECK_TRIGGER = "check-trigger";
    /// Broken: what was found wanting is a step, and nothing else is.
    CHECK_COMPLETE = "check-complete";
    /// Broken: nothing that comes after a deferred step is done or called unchanged.
    CHECK_AFTER_DEFERRED = "check-after-deferred";
    /// Broken: everything deferred is so for the reason that the plan gives.
    CHECK_DEFERRAL = "check-deferral";
    /// Broken: an unchanged entry holds the fingerprint of the state that was observed.
    CHECK_UNCHANGED = "check-unchanged";
    /// Broken: every order that the graph asks for between two changing steps is kept.
    CHECK_ORDER = "check-order";
    /// Broken: a step starts from the state that the step before it on the same thing leaves behind.
    CHECK_CHAIN = "check-chain";
    /// Broken: a step says where it writes in truth, as its provider said, and nothing twice.
    CHECK_RESOLVED = "check-resolved";
    /// Broken: no two steps write one thing under two names.
    CHECK_NAMES = "check-names";
    /// Broken: a chain is called converged only if its steps leave what was found, with certainty.
    CHECK_CONVERGED = "check-converged";
    /// Broken: no chain of steps is done that leaves what was found, with nothing between or after them.
    CHECK_FUTILE = "check-futile";
    /// Broken: an unchanged entry says truthfully why nothing is done.
    CHECK_IDLE = "check-idle";
    /// Assumptions in disorder, of an unknown group, or that decide nothing.
    CHECK_ASSUMPTIONS = "check-assumptions";
    /// Other assumptions than the graph's.
    CHECK_ASSUMED = "check-assumed";
    /// An assumption that contradicts what was observed.
    CHECK_ASSUMED_TRULY = "check-assumed-truly";
    /// Broken: the secrets of a target are those that its steps name, from where the graph says, as observed.
    CHECK_SECRETS = "check-secrets";
    /// Broken: a step with an inverse says in its changes what was there before.
    CHECK_BEFORE = "check-before";
    /// Broken: the providers of the plan are the locked ones of its types, as the graph says.
    CHECK_PROVIDERS = "check-providers";
}
