//! What becomes of each node of a target: it changes, it stays, or it is deferred.

use crate::{
    PlanError, answer,
    chain::{Basis, Chains},
    codes,
    index::{Indexed, TargetNodes},
    report::{Cause, Reason},
};
use rectify_base::Address;
use rectify_model::{
    Observation,
    grade::Prediction,
    observation::{Answer, Proposal},
};

/// What becomes of a node.
pub(crate) enum Outcome<'o> {
    /// It is a step of the plan.
    Changes { proposal: &'o Proposal, prediction: Prediction },
    /// It needs nothing.
    Stays,
    /// It is not covered by the plan.
    Deferred { code: String, message: String },
}

/// The outcomes of one target, and the reasons for them, both by local position.
pub(crate) struct Outcomes<'o> {
    pub outcomes: Vec<Outcome<'o>>,
    pub reasons: Vec<Vec<Reason>>,
}

impl<'o> Outcomes<'o> {
    /// Whether the node at this position is a step of the plan.
    pub fn changes(&self, position: usize) -> bool {
        matches!(self.outcomes.get(position), Some(Outcome::Changes { .. }))
    }

    fn deferred(&self, position: usize) -> bool {
        matches!(self.outcomes.get(position), Some(Outcome::Deferred { .. }))
    }

    fn prediction(&self, position: usize) -> Option<Prediction> {
        match self.outcomes.get(position) {
            Some(Outcome::Changes { prediction, .. }) => Some(*prediction),
            Some(Outcome::Stays | Outcome::Deferred { .. }) | None => None,
        }
    }

    fn proposal(&self, position: usize) -> Option<&'o Proposal> {
        match self.outcomes.get(position) {
            Some(Outcome::Changes { proposal, .. }) => Some(proposal),
            Some(Outcome::Stays | Outcome::Deferred { .. }) | None => None,
        }
    }
}

fn address(target: &TargetNodes<'_>, position: usize) -> Option<Address> {
    target.nodes.get(position).map(|node| node.node.address.clone())
}

/// Decides all nodes of a target, in order; so what stands before a node is decided when it is.
///
/// # Errors
/// [`codes::PLAN_ANSWER_INVALID`] where the observation holds an answer that a walk never records.
pub(crate) fn decide<'o>(
    target: &TargetNodes<'_>,
    observation: &'o Observation,
) -> Result<Outcomes<'o>, PlanError> {
    let mut chains = Chains::new(target);
    let count = target.nodes.len();
    let mut all = Outcomes { outcomes: Vec::with_capacity(count), reasons: Vec::with_capacity(count) };
    for (position, (node, observed)) in target.nodes.iter().zip(&observation.entries).enumerate() {
        let refuse = |message: String| {
            PlanError::new(
                codes::PLAN_ANSWER_INVALID,
                format!("observation:{}:/entries/{position}/answer", observation.target),
                message,
            )
        };
        answer::check(node, &observed.answer).map_err(refuse)?;
        let mut reasons = Vec::new();
        let deferred_source = node.sources.iter().copied().find(|source| all.deferred(*source));
        let outcome = if let Answer::Undecided { code, message } = &observed.answer {
            reasons.push(Reason::Undecided { code: code.clone(), message: message.clone() });
            Outcome::Deferred { code: code.clone(), message: message.clone() }
        } else if let Some(source) = deferred_source.and_then(|source| address(target, source)) {
            let message = format!("`{source}`, which comes before it, is deferred");
            reasons.push(Reason::AfterDeferred { source });
            Outcome::Deferred { code: codes::PLAN_AFTER_DEFERRED.as_str().into(), message }
        } else {
            let basis = chains.basis(target, position, |at| all.proposal(at));
            check_basis(node, &observed.answer, &basis, &all).map_err(refuse)?;
            match &observed.answer {
                Answer::Undecided { .. } | Answer::Unchanged { .. } => {
                    reasons.push(Reason::AsDesired);
                    note_reads(target, &chains, position, &mut reasons);
                    Outcome::Stays
                }
                Answer::Changed(proposal) => {
                    changed(target, &chains, position, node, proposal, &basis, &all, &mut reasons)
                }
            }
        };
        chains.settle(position, !matches!(outcome, Outcome::Stays));
        all.outcomes.push(outcome);
        all.reasons.push(reasons);
    }
    Ok(all)
}

/// Whether the answer stands on what it has to stand on.
fn check_basis(node: &Indexed<'_>, answer: &Answer, basis: &Basis, all: &Outcomes<'_>) -> Result<(), String> {
    match basis {
        Basis::Live => Ok(()),
        Basis::Result(origin) => {
            let given = all.proposal(*origin).and_then(|proposal| proposal.planned.as_ref());
            answer::check_stands_on(node, answer, given)
        }
        Basis::Unknown(why) => Err(format!("it cannot be decided, because {why}")),
    }
}

fn note_reads(target: &TargetNodes<'_>, chains: &Chains<'_>, position: usize, reasons: &mut Vec<Reason>) {
    for (key, source) in chains.changed_reads(position) {
        if let Some(source) = address(target, source) {
            reasons.push(Reason::ReadsChanged { key: key.into(), source });
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one step of the loop above, split for reading")]
fn changed<'o>(
    target: &TargetNodes<'_>,
    chains: &Chains<'_>,
    position: usize,
    node: &Indexed<'_>,
    proposal: &'o Proposal,
    basis: &Basis,
    all: &Outcomes<'o>,
    reasons: &mut Vec<Reason>,
) -> Outcome<'o> {
    let triggers: Vec<usize> = node.triggers().collect();
    let fired: Vec<usize> = triggers.iter().copied().filter(|source| all.changes(*source)).collect();
    let addresses = |positions: &[usize]| -> Vec<Address> {
        positions.iter().filter_map(|position| address(target, *position)).collect()
    };
    if !triggers.is_empty() && fired.is_empty() {
        reasons.push(Reason::TriggerNotFired { sources: addresses(&triggers) });
        return Outcome::Stays;
    }
    let mut prediction = proposal.prediction;
    let mut lower = |to: Prediction, cause: Option<Cause>| {
        if let Some(cause) = cause
            && to < prediction
        {
            reasons.push(Reason::Degraded { from: prediction, to, cause });
            prediction = to;
        }
    };
    lower(answer::prediction(node.facts, proposal), Some(Cause::Type));
    let doubtful =
        |source: usize| all.prediction(source).is_some_and(|prediction| prediction < Prediction::Exact);
    if let Some(source) = fired.iter().copied().find(|source| doubtful(*source)) {
        lower(Prediction::Conditional, address(target, source).map(|source| Cause::Trigger { source }));
    }
    if let Basis::Result(origin) = basis
        && doubtful(*origin)
    {
        lower(Prediction::Conditional, address(target, *origin).map(|source| Cause::Chain { source }));
    }
    if let Some((_, source)) = chains.changed_reads(position).next() {
        lower(Prediction::Conditional, address(target, source).map(|source| Cause::Read { source }));
    }
    if !fired.is_empty() {
        reasons.push(Reason::Triggered { sources: addresses(&fired) });
    }
    if let Basis::Result(origin) = basis
        && let Some(source) = address(target, *origin)
    {
        reasons.push(Reason::PredictedOn { source });
    }
    note_reads(target, chains, position, reasons);
    Outcome::Changes { proposal, prediction }
}
