//! What a provider may answer about a node. The walk turns an answer that breaks a rule into an
//! undecided one; planning refuses an observation that holds one.

use crate::index::Indexed;
use rectify_base::{
    Digest,
    canonical::CanonicalError,
    fingerprint::{alike, fingerprint},
};
use rectify_model::{
    grade::{Prediction, TypeKind},
    graph::{Access, TypeFacts},
    observation::{Answer, Proposal},
};
use serde_json::Value;

/// Fingerprint of a state under the type of a node.
pub(crate) fn print_of(node: &Indexed<'_>, state: Option<&Value>) -> Result<Digest, CanonicalError> {
    fingerprint(&node.node.type_name, node.facts.version, state, &node.facts.volatile)
}

/// How sure a proposal can be at best: never more than its type, and not at all of an action whose
/// state afterwards is not known.
pub(crate) fn prediction(facts: &TypeFacts, proposal: &Proposal) -> Prediction {
    let best = proposal.prediction.min(facts.prediction);
    match (facts.kind, &proposal.planned) {
        (TypeKind::Action, None) => Prediction::Opaque,
        _ => best,
    }
}

/// Checks an answer; the message says which rule it breaks.
pub(crate) fn check(node: &Indexed<'_>, answer: &Answer) -> Result<(), String> {
    check_resolved(node, answer.resolved())?;
    match answer {
        Answer::Undecided { code, .. } if code.is_empty() => Err("it is undecided without a code".into()),
        Answer::Undecided { .. } => Ok(()),
        Answer::Unchanged { state, .. } => check_state(state.as_ref()),
        Answer::Changed(proposal) => check_proposal(node, proposal),
    }
}

fn check_proposal(node: &Indexed<'_>, proposal: &Proposal) -> Result<(), String> {
    check_state(proposal.prior.as_ref())?;
    check_state(proposal.planned.as_ref())?;
    if !proposal.disruption.is_sorted_by(|a, b| a < b) {
        return Err("its disruptions are not sorted, each once".into());
    }
    let opaque = prediction(node.facts, proposal) == Prediction::Opaque;
    match node.facts.kind {
        TypeKind::Probe | TypeKind::Fact => Err("a probe never changes anything".into()),
        TypeKind::Action => Ok(()),
        TypeKind::Resource if opaque && proposal.planned.is_some() => {
            Err("an opaque prediction has no planned state".into())
        }
        TypeKind::Resource if opaque => Ok(()),
        TypeKind::Resource => {
            if alike(proposal.prior.as_ref(), proposal.planned.as_ref(), &node.facts.volatile) {
                return Err("it claims a change, but prior and planned state are equal".into());
            }
            Ok(())
        }
    }
}

fn check_resolved(node: &Indexed<'_>, resolved: &[String]) -> Result<(), String> {
    if resolved.is_empty() {
        return Ok(());
    }
    if !resolved.is_sorted_by(|a, b| a < b) {
        return Err("its resolved keys are not sorted, each once".into());
    }
    let mut writes = node.node.touches.iter().filter(|touch| touch.access == Access::Write).peekable();
    if writes.peek().is_none() {
        return Err("it names resolved keys, but the step writes nothing".into());
    }
    if writes.any(|touch| resolved.contains(&touch.key)) {
        return Err("its resolved keys repeat one that the step says it writes".into());
    }
    match resolved.iter().find(|key| !is_key(key)) {
        Some(key) => Err(format!("`{key}` is not a key: expected `<kind>:<name>`")),
        None => Ok(()),
    }
}

fn is_key(key: &str) -> bool {
    key.split_once(':').is_some_and(|(kind, name)| !kind.is_empty() && !name.is_empty())
}

fn check_state(state: Option<&Value>) -> Result<(), String> {
    match state {
        None => Ok(()),
        Some(state @ Value::Object(_)) => rectify_base::canonical::check(state)
            .map_err(|error| format!("its state is not canonical: {error}")),
        Some(_) => Err("a state is an object".into()),
    }
}

/// Checks that an answer starts from the state that the provider was given.
pub(crate) fn check_stands_on(
    node: &Indexed<'_>,
    answer: &Answer,
    given: Option<&Value>,
) -> Result<(), String> {
    let found = match answer {
        Answer::Undecided { .. } => return Ok(()),
        Answer::Unchanged { state, .. } => state.as_ref(),
        Answer::Changed(proposal) => proposal.prior.as_ref(),
    };
    if alike(found, given, &node.facts.volatile) {
        Ok(())
    } else {
        Err("it does not start from the state that the earlier step leaves behind".into())
    }
}
