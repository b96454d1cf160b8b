//! What becomes of each node of a target: it changes, it stays, or it is deferred.

use crate::{
    PlanError, alias, answer,
    chain::{self, Basis, Chains},
    codes,
    converge::{self, Candidates},
    index::{Indexed, TargetNodes},
    report::{Cause, Reason},
};
use rectify_base::Address;
use rectify_model::{
    Observation,
    grade::Prediction,
    observation::{Answer, Proposal},
    plan::{DeferredCause, Idle},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What becomes of a node.
pub(crate) enum Outcome<'o> {
    /// It is a step of the plan.
    Changes { proposal: &'o Proposal, prediction: Prediction },
    /// Nothing is done; the state is the one that was found.
    Stays { why: Idle, state: Option<&'o Value> },
    /// It is not covered by the plan.
    Deferred { cause: DeferredCause, code: String, message: String },
}

/// The outcomes of one target, and the reasons for them, all by local position.
#[derive(Default)]
pub(crate) struct Outcomes<'o> {
    pub outcomes: Vec<Outcome<'o>>,
    /// In order of positions, several of one node together.
    pub reasons: Vec<(usize, Reason)>,
    /// What each answer has to stand on.
    pub bases: Vec<Basis>,
    /// Nodes of chains taken as converged that would not be predicted exactly.
    pub doubtful: BTreeSet<usize>,
}

impl<'o> Outcomes<'o> {
    /// Whether the node at this position is a step of the plan.
    pub fn changes(&self, position: usize) -> bool {
        matches!(self.outcomes.get(position), Some(Outcome::Changes { .. }))
    }

    /// Whether the node at this position is deferred.
    pub fn deferred(&self, position: usize) -> bool {
        matches!(self.outcomes.get(position), Some(Outcome::Deferred { .. }))
    }

    /// The code of a deferral.
    pub fn deferral_code(&self, position: usize) -> Option<&str> {
        match self.outcomes.get(position) {
            Some(Outcome::Deferred { code, .. }) => Some(code),
            Some(Outcome::Changes { .. } | Outcome::Stays { .. }) | None => None,
        }
    }

    /// What a changing node's answer has to stand on.
    pub fn basis(&self, position: usize) -> Basis {
        self.bases.get(position).copied().unwrap_or(Basis::Live)
    }

    fn prediction(&self, position: usize) -> Option<Prediction> {
        match self.outcomes.get(position) {
            Some(Outcome::Changes { prediction, .. }) => Some(*prediction),
            Some(Outcome::Stays { .. } | Outcome::Deferred { .. }) | None => None,
        }
    }

    fn proposal(&self, position: usize) -> Option<&'o Proposal> {
        match self.outcomes.get(position) {
            Some(Outcome::Changes { proposal, .. }) => Some(proposal),
            Some(Outcome::Stays { .. } | Outcome::Deferred { .. }) | None => None,
        }
    }
}

fn address(target: &TargetNodes<'_>, position: usize) -> Option<Address> {
    target.nodes.get(position).map(|node| node.node.address.clone())
}

/// Decides all nodes of a target.
///
/// First as if every step that finds something to change were carried out. Of that, chains of steps
/// on one thing that would leave it as it was found come to nothing; they are taken out, and with
/// them what only they trigger, as far as what the providers answered still holds without them.
///
/// # Errors
/// [`codes::PLAN_ANSWER_INVALID`] where the observation holds an answer that a walk never records.
pub(crate) fn decide<'o>(
    target: &TargetNodes<'_>,
    observation: &'o Observation,
) -> Result<Outcomes<'o>, PlanError> {
    for (position, (node, observed)) in target.nodes.iter().zip(&observation.entries).enumerate() {
        answer::check(node, &observed.answer).map_err(|message| invalid(observation, position, message))?;
    }
    let aliases = alias::find(target, observation);
    let mut pass = Pass {
        target,
        observation,
        chains: Chains::new(target),
        aliases: &aliases,
        converged: BTreeMap::new(),
    };
    let all = pass.run()?;
    let candidates = Candidates::find(target, observation, &pass.chains, &all);
    pass.converged = candidates.chains();
    while !pass.converged.is_empty() {
        let outcomes = pass.run()?;
        let wrong = candidates.refuted(target, &pass.chains, &pass.converged, &all, &outcomes);
        if wrong.is_empty() {
            return Ok(outcomes);
        }
        pass.converged.retain(|group, _| !wrong.contains(group));
    }
    Ok(all)
}

fn invalid(observation: &Observation, position: usize, message: String) -> PlanError {
    PlanError::new(
        codes::PLAN_ANSWER_INVALID,
        format!("observation:{}:/entries/{position}/answer", observation.target),
        message,
    )
}

/// One way through the nodes, in order; so what stands before a node is decided when it is.
struct Pass<'p, 'g, 'o> {
    target: &'p TargetNodes<'g>,
    observation: &'o Observation,
    chains: Chains<'g>,
    aliases: &'p BTreeMap<usize, String>,
    /// The chains that come to nothing, by group.
    converged: BTreeMap<usize, converge::Chain<'o>>,
}

impl<'o> Pass<'_, '_, 'o> {
    fn run(&mut self) -> Result<Outcomes<'o>, PlanError> {
        let count = self.target.nodes.len();
        let mut all = Outcomes {
            outcomes: Vec::with_capacity(count),
            reasons: Vec::with_capacity(count),
            bases: Vec::with_capacity(count),
            doubtful: BTreeSet::new(),
        };
        let mut reasons = Vec::new();
        for (position, (node, observed)) in
            self.target.nodes.iter().zip(&self.observation.entries).enumerate()
        {
            let basis = self.chains.basis(self.target, position, |at| all.proposal(at));
            let outcome = self
                .outcome(position, node, &observed.answer, basis, &mut all, &mut reasons)
                .map_err(|message| invalid(self.observation, position, message))?;
            all.reasons.extend(reasons.drain(..).map(|reason| (position, reason)));
            self.chains.settle(position, !matches!(outcome, Outcome::Stays { .. }));
            all.outcomes.push(outcome);
            all.bases.push(basis);
        }
        Ok(all)
    }

    fn outcome(
        &self,
        position: usize,
        node: &Indexed<'_>,
        answer: &'o Answer,
        basis: Basis,
        all: &mut Outcomes<'o>,
        reasons: &mut Vec<Reason>,
    ) -> Result<Outcome<'o>, String> {
        if let Answer::Undecided { code, message } = answer {
            let waits = code == codes::PLAN_PRIOR_UNKNOWN.as_str();
            if waits && self.converged.is_empty() && !matches!(basis, Basis::Unknown(..)) {
                return Err("it waits for an earlier step, but none changes the same thing".into());
            }
            let cause = if waits { DeferredCause::Waits } else { DeferredCause::Undecided };
            reasons.push(Reason::Undecided { code: code.clone(), message: message.clone() });
            return Ok(Outcome::Deferred { cause, code: code.clone(), message: message.clone() });
        }
        if let Some(message) = self.aliases.get(&position) {
            let code: String = codes::PLAN_TWO_NAMES.as_str().into();
            reasons.push(Reason::Undecided { code: code.clone(), message: message.clone() });
            return Ok(Outcome::Deferred { cause: DeferredCause::Undecided, code, message: message.clone() });
        }
        let source = node.sources.iter().copied().find(|source| all.deferred(*source));
        if let Some(source) = source.and_then(|source| address(self.target, source)) {
            let message = format!("`{source}`, which comes before it, is deferred");
            reasons.push(Reason::AfterDeferred { source });
            return Ok(Outcome::Deferred {
                cause: DeferredCause::Waits,
                code: codes::PLAN_AFTER_DEFERRED.as_str().into(),
                message,
            });
        }
        if let Some(chain) = self.converged.get(&self.chains.group_of(position)) {
            return Ok(self.of_converged(position, node, answer, chain, all, reasons));
        }
        // While chains are taken out by way of trial, an answer may stand on what is gone.
        if self.converged.is_empty() {
            self.check_basis(node, answer, basis, all)?;
        }
        Ok(match answer {
            Answer::Undecided { .. } => Outcome::Stays { why: Idle::AsDesired, state: None },
            Answer::Unchanged { state, .. } => {
                reasons.push(Reason::AsDesired);
                self.note_reads(position, reasons);
                Outcome::Stays { why: Idle::AsDesired, state: state.as_ref() }
            }
            Answer::Changed(proposal) => self.changed(position, node, proposal, basis, all, reasons),
        })
    }

    /// A node of a chain that comes to nothing. From the chain's first step on, what was found is
    /// what that step found.
    fn of_converged(
        &self,
        position: usize,
        node: &Indexed<'_>,
        answer: &'o Answer,
        chain: &converge::Chain<'o>,
        all: &mut Outcomes<'o>,
        reasons: &mut Vec<Reason>,
    ) -> Outcome<'o> {
        let own = match answer {
            Answer::Unchanged { state, .. } => state.as_ref(),
            Answer::Changed(proposal) => proposal.prior.as_ref(),
            Answer::Undecided { .. } => None,
        };
        let after = position > chain.first();
        let state = if after { chain.found } else { own };
        if chain.steps.binary_search(&position).is_ok() {
            if self.is_doubtful(position, node, chain, all) {
                all.doubtful.insert(position);
            }
        } else if matches!(answer, Answer::Changed(_)) {
            reasons.push(Reason::TriggerNotFired { sources: self.addresses(node.triggers()) });
            return Outcome::Stays { why: Idle::NotTriggered, state };
        } else if !after {
            reasons.push(Reason::AsDesired);
            return Outcome::Stays { why: Idle::AsDesired, state };
        }
        if let (Some(first), Some(last)) =
            (address(self.target, chain.first()), address(self.target, chain.last()))
        {
            reasons.push(Reason::Converged { first, last, steps: chain.steps.len() as u64 });
        }
        Outcome::Stays { why: Idle::Converged, state }
    }

    /// Whether a step of a chain would not be predicted exactly, for reasons outside of the chain.
    fn is_doubtful(
        &self,
        position: usize,
        node: &Indexed<'_>,
        chain: &converge::Chain<'_>,
        all: &Outcomes<'_>,
    ) -> bool {
        let trigger = node.triggers().any(|source| {
            chain.steps.binary_search(&source).is_err()
                && all.prediction(source).is_some_and(|prediction| prediction < Prediction::Exact)
        });
        trigger || self.chains.changed_reads(position).next().is_some()
    }

    fn addresses(&self, positions: impl Iterator<Item = usize>) -> Vec<Address> {
        positions.filter_map(|position| address(self.target, position)).collect()
    }

    /// Whether the answer stands on what it has to stand on.
    fn check_basis(
        &self,
        node: &Indexed<'_>,
        answer: &Answer,
        basis: Basis,
        all: &Outcomes<'_>,
    ) -> Result<(), String> {
        match basis {
            Basis::Live => Ok(()),
            Basis::Result(origin) => {
                let given = all.proposal(origin).and_then(|proposal| proposal.planned.as_ref());
                answer::check_stands_on(node, answer, given)
            }
            Basis::Unknown(origin, why) => {
                let why = chain::unknown(self.target, origin, why);
                Err(format!("it cannot be decided, because {why}"))
            }
        }
    }

    fn note_reads(&self, position: usize, reasons: &mut Vec<Reason>) {
        for (key, source) in self.chains.changed_reads(position) {
            if let Some(source) = address(self.target, source) {
                reasons.push(Reason::ReadsChanged { key: key.into(), source });
            }
        }
    }

    fn changed(
        &self,
        position: usize,
        node: &Indexed<'_>,
        proposal: &'o Proposal,
        basis: Basis,
        all: &Outcomes<'o>,
        reasons: &mut Vec<Reason>,
    ) -> Outcome<'o> {
        let mut triggers = node.triggers().peekable();
        let triggered = triggers.peek().is_some();
        let fired: Vec<usize> = triggers.filter(|source| all.changes(*source)).collect();
        if triggered && fired.is_empty() {
            reasons.push(Reason::TriggerNotFired { sources: self.addresses(node.triggers()) });
            return Outcome::Stays { why: Idle::NotTriggered, state: proposal.prior.as_ref() };
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
        let source_of = |position| address(self.target, position);
        lower(answer::prediction(node.facts, proposal), Some(Cause::Type));
        let doubtful =
            |source: usize| all.prediction(source).is_some_and(|prediction| prediction < Prediction::Exact);
        if let Some(source) = fired.iter().copied().find(|source| doubtful(*source)) {
            lower(Prediction::Conditional, source_of(source).map(|source| Cause::Trigger { source }));
        }
        if let Basis::Result(origin) = basis
            && doubtful(origin)
        {
            lower(Prediction::Conditional, source_of(origin).map(|source| Cause::Chain { source }));
        }
        if let Some((_, source)) = self.chains.changed_reads(position).next() {
            lower(Prediction::Conditional, source_of(source).map(|source| Cause::Read { source }));
        }
        if !fired.is_empty() {
            reasons.push(Reason::Triggered { sources: self.addresses(fired.into_iter()) });
        }
        if let Basis::Result(origin) = basis
            && let Some(source) = source_of(origin)
        {
            reasons.push(Reason::PredictedOn { source });
        }
        self.note_reads(position, reasons);
        Outcome::Changes { proposal, prediction }
    }
}
