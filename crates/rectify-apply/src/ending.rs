//! What a journal says of its run, read apart from the step function.

use crate::{
    codes,
    outcome::{Facts, outcome},
    scope::{self, Node},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::{String, ToString},
    vec::Vec,
};
use rectify_base::{Address, NodeKey, TargetName};
use rectify_model::{
    Plan,
    graph::{EdgeKind, UndoMode},
    journal::{
        Because, Failure, GateState, How, Mutated, Record, Resolution, RunOutcome, RunView, StepRecord,
        StepState, StopCause, TargetState, UndoRecord, UndoState, Verdict,
    },
    plan::Step,
};

/// How the run ended, from its journal alone. Of a run at work, or one that was broken off, it says how
/// it would end if nothing more were recorded.
///
/// It agrees with [`crate::Finished::outcome`] unless the journal could not be written: what is not
/// recorded is not known here.
#[must_use]
pub fn ending(view: &RunView, plan: &Plan) -> RunOutcome {
    outcome(facts(view, plan))
}

/// The steps that have to be taken back, in the plan's order, if the run fails with this journal: those
/// that changed something, of each remediation with `undo: auto` that is not complete on its target, and
/// what changed something after them. Not all of them have an inverse.
#[must_use]
pub fn undo_scope(view: &RunView, plan: &Plan) -> Vec<NodeKey> {
    let members = members(view, plan);
    plan.steps
        .iter()
        .enumerate()
        .filter(|(index, _)| members.contains(index))
        .map(|(_, step)| node_of(step))
        .collect()
}

/// The steps that the success of this one obliges to run, sorted.
#[must_use]
pub fn triggers_of(plan: &Plan, node: &NodeKey) -> Vec<Address> {
    let triggered = plan.steps.iter().filter(|step| {
        let fires = step.edges.iter().any(|e| e.kind == EdgeKind::OnChange && e.from == node.address);
        step.target == node.target && fires
    });
    let mut all: Vec<Address> = triggered.map(|step| step.address.clone()).collect();
    all.sort();
    all
}

/// The record that follows a person's answer about a step of this plan. `None` for a new try, which
/// needs none: [`crate::RunState::resume`] makes it.
#[must_use]
pub fn verdict_record(plan: &Plan, resolution: &Resolution) -> Option<Record> {
    let node = resolution.node.clone();
    let how = How::Judged;
    let code = if resolution.undo { codes::UNDO_FAILED } else { codes::STEP_FAILED };
    let failure = || Failure {
        code: code.as_str().to_string(),
        message: resolution.reason.clone(),
        mutated: Mutated::Maybe,
    };
    Some(match (resolution.verdict, resolution.undo) {
        (Verdict::Retry, _) => return None,
        (Verdict::Succeeded, false) => {
            let owes = triggers_of(plan, &node);
            Record::Step(StepRecord { node, state: StepState::Succeeded { how, fingerprint: None, owes } })
        }
        (Verdict::Failed, false) => Record::Step(StepRecord { node, state: StepState::Failed(failure()) }),
        (Verdict::Succeeded, true) => {
            Record::Undo(UndoRecord { node, state: UndoState::Undone { how, fingerprint: None } })
        }
        (Verdict::Failed, true) => Record::Undo(UndoRecord { node, state: UndoState::Failed(failure()) }),
    })
}

fn node_of(step: &Step) -> NodeKey {
    NodeKey { target: step.target.clone(), address: step.address.clone() }
}

/// Whether the step is over, and nothing about it speaks against the run.
pub(crate) const fn is_met(state: &StepState) -> bool {
    matches!(state, StepState::Succeeded { .. } | StepState::Skipped { because: Because::NotTriggered })
}

/// Whether the step left, or may have left, something behind.
pub(crate) fn changed(state: &StepState) -> bool {
    match state {
        StepState::Succeeded { how, .. } => how.changed(),
        StepState::Failed(failure) => failure.mutated != Mutated::No,
        StepState::Intent(_) | StepState::Unknown(_) => true,
        StepState::Stale { .. } | StepState::Skipped { .. } => false,
    }
}

/// Whether nothing more is done about taking it back.
pub(crate) fn is_over(state: &UndoState) -> bool {
    match state {
        UndoState::Intent(_) | UndoState::Unknown(_) => false,
        UndoState::Failed(failure) => !failure.not_begun(),
        UndoState::Undone { .. } | UndoState::Conflict { .. } | UndoState::Kept { .. } => true,
    }
}

fn step_met(view: &RunView, node: &NodeKey) -> bool {
    view.steps().get(node).is_some_and(|progress| is_met(&progress.state))
}

fn members(view: &RunView, plan: &Plan) -> BTreeSet<usize> {
    let mut incomplete: BTreeSet<(&TargetName, String)> = BTreeSet::new();
    for step in plan.steps.iter().filter(|step| !step_met(view, &node_of(step))) {
        incomplete.insert((&step.target, step.address.remediation().to_string()));
    }
    for gate in &plan.gates {
        let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
        if view.gates().get(&node) != Some(&GateState::Passed) {
            incomplete.insert((&gate.target, gate.address.remediation().to_string()));
        }
    }
    let index: BTreeMap<NodeKey, usize> =
        plan.steps.iter().enumerate().map(|(index, step)| (node_of(step), index)).collect();
    let auto = |name: &str| {
        plan.remediations.iter().any(|(known, info)| known.as_str() == name && info.undo == UndoMode::Auto)
    };
    let mut nodes: Vec<Node> = plan
        .steps
        .iter()
        .map(|step| {
            let remediation = step.address.remediation();
            let pair = (&step.target, remediation.to_string());
            let state = view.steps().get(&node_of(step)).map(|progress| &progress.state);
            Node {
                due: auto(remediation) && incomplete.contains(&pair),
                changed: state.is_some_and(changed),
                dependents: Vec::new(),
            }
        })
        .collect();
    for (dependent, step) in plan.steps.iter().enumerate() {
        for edge in &step.edges {
            let from = NodeKey { target: step.target.clone(), address: edge.from.clone() };
            if let Some(node) = index.get(&from).and_then(|source| nodes.get_mut(*source)) {
                node.dependents.push(dependent);
            }
        }
    }
    scope::taken_back(&nodes)
}

fn facts(view: &RunView, plan: &Plan) -> Facts {
    let mut facts = Facts { undoing: view.undoing().is_some(), ..Facts::default() };
    let all_verified = plan
        .targets
        .keys()
        .all(|target| matches!(view.targets().get(target), Some(TargetState::Verified(_))));
    facts.complete = plan.steps.iter().all(|step| step_met(view, &node_of(step)))
        && plan.gates.iter().all(|gate| {
            let node = NodeKey { target: gate.target.clone(), address: gate.address.clone() };
            view.gates().get(&node) == Some(&GateState::Passed)
        })
        && (all_verified || !plan.steps.is_empty() || !plan.gates.is_empty());
    let mut skipped = false;
    for progress in view.steps().values() {
        facts.intended |= progress.attempts > 0;
        facts.changed |= changed(&progress.state);
        match &progress.state {
            StepState::Intent(_) => facts.unknown = true,
            StepState::Unknown(_) => facts.unknown |= !progress.granted,
            StepState::Failed(failure) => facts.failed |= !failure.not_begun(),
            StepState::Stale { .. } => facts.stale = true,
            StepState::Skipped { because: Because::Dependency(_) } => skipped = true,
            StepState::Succeeded { .. } | StepState::Skipped { .. } => {}
        }
    }
    for state in view.targets().values() {
        let TargetState::Refused(refusal) = state else { continue };
        if refusal.code == codes::ASSUMPTION.as_str() {
            facts.stale = true;
        } else if view.resumed() > 0 {
            facts.held = true;
        } else {
            facts.failed = true;
        }
    }
    facts.failed |= view.gates().values().any(|state| matches!(state, GateState::Failed(_)));
    for cause in view.stopped() {
        match cause {
            StopCause::Cancelled => facts.cancelled = true,
            StopCause::Interrupted => facts.interrupted = true,
            StopCause::Expired | StopCause::Refused => facts.failed = true,
            StopCause::SpaceLow | StopCause::LeaseEnding => facts.held = true,
        }
    }
    // Something is skipped only behind what went wrong.
    facts.failed |= facts.undoing || skipped && !facts.stale;
    if facts.failed || facts.stale {
        add_undo(view, plan, &mut facts);
    }
    facts
}

fn add_undo(view: &RunView, plan: &Plan, facts: &mut Facts) {
    let members = members(view, plan);
    for (index, step) in plan.steps.iter().enumerate() {
        let node = node_of(step);
        let progress = view.undo().get(&node);
        let state = progress.map(|progress| &progress.state);
        facts.undo_left |= members.contains(&index) && !state.is_some_and(is_over);
        match state {
            Some(UndoState::Intent(_)) => facts.undo_unknown = true,
            Some(UndoState::Unknown(_)) => {
                facts.undo_unknown |= progress.is_some_and(|progress| !progress.granted);
            }
            Some(UndoState::Conflict { .. }) => facts.undo_failed = true,
            Some(UndoState::Failed(failure)) => facts.undo_failed |= !failure.not_begun(),
            Some(UndoState::Undone { .. } | UndoState::Kept { .. }) | None => {}
        }
        let left = view.steps().get(&node).is_some_and(|progress| changed(&progress.state));
        facts.kept |= left && !matches!(state, Some(UndoState::Undone { .. }));
    }
}
