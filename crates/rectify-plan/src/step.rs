//! One changing step, from a node and what its provider proposed.

use crate::{answer::print_of, diff, index::Indexed};
use rectify_base::{Digest, canonical::CanonicalError};
use rectify_model::{
    grade::{Prediction, TypeKind, UndoGrade},
    graph::{Edge, TypeFacts},
    observation::Proposal,
    plan::{Action, Inverse, Step, Undo},
};
use serde_json::Value;

/// Builds the step.
///
/// # Errors
/// When a state has no canonical form; answers are verified before, so it has.
pub(crate) fn build(
    node: &Indexed<'_>,
    proposal: &Proposal,
    prediction: Prediction,
    edges: Vec<Edge>,
) -> Result<Step, CanonicalError> {
    let prior = proposal.prior.as_ref();
    let known = if prediction == Prediction::Opaque { None } else { Some(proposal.planned.as_ref()) };
    let action = action(node.facts, proposal, known.is_some());
    let expect = print_of(node, prior)?;
    let result = known.map(|planned| print_of(node, planned)).transpose()?;
    Ok(Step {
        target: node.node.target.clone(),
        address: node.node.address.clone(),
        type_name: node.node.type_name.clone(),
        action,
        desired: node.node.desired.clone(),
        changes: known.map(|planned| diff::changes(prior, planned, &node.facts.volatile)).unwrap_or_default(),
        expect,
        result,
        planned: known.flatten().map(|planned| without_volatile(node.facts, planned)),
        touches: node.node.touches.clone(),
        resolved: proposal.resolved.clone(),
        prediction,
        undo: undo(node.facts, proposal, action, expect, result),
        edges,
        disruption: proposal.disruption.clone(),
    })
}

fn without_volatile(facts: &TypeFacts, state: &Value) -> Value {
    let mut state = state.clone();
    for pointer in &facts.volatile {
        pointer.remove(&mut state);
    }
    state
}

/// What is done, from what is there and what will be. Where the latter is not known, the resource
/// is made if there is none, and changed otherwise.
fn action(facts: &TypeFacts, proposal: &Proposal, known: bool) -> Action {
    let kind = |state: &Value| state.get("kind").cloned();
    match (facts.kind, &proposal.prior, &proposal.planned) {
        (TypeKind::Action, _, _) => Action::Run,
        (_, None, _) => Action::Create,
        (_, Some(_), None) if known => Action::Delete,
        (_, Some(_), None) => Action::Update,
        (_, Some(prior), Some(planned)) if kind(prior) != kind(planned) => Action::Replace,
        (_, Some(_), Some(_)) => Action::Update,
    }
}

fn undo(
    facts: &TypeFacts,
    proposal: &Proposal,
    action: Action,
    expect: Digest,
    result: Option<Digest>,
) -> Undo {
    let none = |why: &str| Undo {
        grade: UndoGrade::None,
        note: proposal.undo.note.clone().or_else(|| Some(why.into())),
        inverse: None,
    };
    let inverse = match action {
        Action::Create => Action::Delete,
        Action::Delete => Action::Create,
        Action::Update => Action::Update,
        Action::Replace => Action::Replace,
        Action::Run => Action::Run,
    };
    let mut grade = proposal.undo.grade.min(facts.undo);
    if grade == UndoGrade::None {
        return none(match action {
            Action::Run => "what a command did is not known, so it is not taken back",
            _ => "its provider cannot take it back",
        });
    }
    let (left, back) = match result {
        Some(left) => (left, Some(expect)),
        // Of such an action nothing can be seen, so nothing is expected, neither before nor after.
        None if action == Action::Run && says_nothing(proposal.prior.as_ref()) => (expect, None),
        None => return none("what it leaves behind is not known"),
    };
    if action == Action::Run {
        // What an action did is never seen whole, so neither is what takes it back.
        grade = grade.min(UndoGrade::Lossy);
    }
    let note = match (&proposal.undo.note, grade) {
        (None, UndoGrade::Lossy) => Some("its provider does not bring back everything".into()),
        (note, _) => note.clone(),
    };
    Undo { grade, note, inverse: Some(Inverse { action: inverse, expect: left, result: back }) }
}

/// Whether a state of an action says nothing about it.
fn says_nothing(state: Option<&Value>) -> bool {
    state.is_none_or(|state| state.as_object().is_some_and(serde_json::Map::is_empty))
}
