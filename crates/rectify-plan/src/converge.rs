//! Chains that come to nothing: steps on one thing of which each finds something to change, and
//! which together leave the thing as it was found. `file.content` and then `file.line` on one file
//! are such a chain once both were applied: each is compared with its own state in between.
//!
//! A chain is taken out as a whole, unless something happens between its steps (which the author may
//! want to see the thing as it is in between), a step of it is not certain, or another answer stands
//! on the result of what would no longer be done.

use crate::{
    answer,
    chain::Chains,
    codes,
    index::{Indexed, TargetNodes},
    outcome::Outcomes,
};
use rectify_base::fingerprint::alike;
use rectify_model::{
    Observation,
    grade::{Prediction, TypeKind},
    observation::{Answer, Proposal},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The steps of a chain that comes to nothing, and what the first of them found.
#[derive(Clone)]
pub(crate) struct Chain<'o> {
    /// Positions, in order. Never empty.
    pub steps: Vec<usize>,
    pub found: Option<&'o Value>,
}

impl Chain<'_> {
    pub fn first(&self) -> usize {
        self.steps.first().copied().unwrap_or_default()
    }

    pub fn last(&self) -> usize {
        self.steps.last().copied().unwrap_or_default()
    }
}

/// The chains that come to nothing by themselves, by group; and what happens between their steps.
pub(crate) struct Candidates<'o> {
    chains: BTreeMap<usize, Chain<'o>>,
    between: BTreeMap<usize, Vec<usize>>,
}

impl<'o> Candidates<'o> {
    /// Finds them, given what would become of all nodes if no chain were taken out.
    pub fn find(
        target: &TargetNodes<'_>,
        observation: &'o Observation,
        chains: &Chains<'_>,
        all: &Outcomes<'o>,
    ) -> Self {
        let mut found = Self { chains: BTreeMap::new(), between: BTreeMap::new() };
        for (group, members) in chains.groups() {
            if let Some(chain) = candidate(target, observation, chains, all, &members) {
                found.between.insert(group, between(target, &chain, &members));
                found.chains.insert(group, chain);
            }
        }
        found
    }

    pub fn chains(&self) -> BTreeMap<usize, Chain<'o>> {
        self.chains.clone()
    }

    /// Which of the chains that were taken out must not be, seeing what became of all nodes. `all` is
    /// what would become of them if none were.
    pub fn refuted(
        &self,
        target: &TargetNodes<'_>,
        chains: &Chains<'_>,
        converged: &BTreeMap<usize, Chain<'_>>,
        all: &Outcomes<'_>,
        outcomes: &Outcomes<'_>,
    ) -> BTreeSet<usize> {
        let mut wrong = BTreeSet::new();
        for (group, chain) in converged {
            let between = self.between.get(group).map(Vec::as_slice).unwrap_or_default();
            if between.iter().any(|node| outcomes.changes(*node))
                || chain.steps.iter().any(|step| outcomes.doubtful.contains(step))
            {
                wrong.insert(*group);
            }
        }
        for position in 0..target.nodes.len() {
            let before = all.basis(position);
            if before == outcomes.basis(position)
                || converged.contains_key(&chains.group_of(position))
                || (outcomes.deferred(position) && !outcomes.waits_for_result(position))
            {
                continue;
            }
            let culprits =
                before.origin().map(|origin| culprits(target, chains, converged, all, outcomes, origin));
            match culprits {
                Some(culprits) if !culprits.is_empty() => wrong.extend(culprits),
                // Never, but then nothing is taken out.
                _ => wrong.extend(converged.keys()),
            }
        }
        wrong
    }
}

/// The chains that, taken out, took out a step with them.
fn culprits(
    target: &TargetNodes<'_>,
    chains: &Chains<'_>,
    converged: &BTreeMap<usize, Chain<'_>>,
    all: &Outcomes<'_>,
    outcomes: &Outcomes<'_>,
    origin: usize,
) -> BTreeSet<usize> {
    let (mut found, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![origin]);
    while let Some(here) = open.pop() {
        if !seen.insert(here) || !all.changes(here) || outcomes.changes(here) {
            continue;
        }
        let group = chains.group_of(here);
        if converged.contains_key(&group) {
            found.insert(group);
        } else if let Some(node) = target.nodes.get(here) {
            open.extend(node.triggers());
        }
    }
    found
}

/// The chain that the members of a group make, if it comes to nothing.
fn candidate<'o>(
    target: &TargetNodes<'_>,
    observation: &'o Observation,
    chains: &Chains<'_>,
    all: &Outcomes<'o>,
    members: &[usize],
) -> Option<Chain<'o>> {
    let mut steps: Vec<(usize, &Indexed<'_>, &'o Proposal)> = Vec::new();
    for member in members {
        let (node, observed) = (target.nodes.get(*member)?, observation.entries.get(*member)?);
        let proposal = match &observed.answer {
            Answer::Undecided { .. } => return None,
            Answer::Unchanged { .. } => continue,
            Answer::Changed(proposal) => proposal,
        };
        // What only waits for something else is predicted all the same; but whether it would be
        // triggered is not known.
        let waits = all.after_deferred(*member);
        if all.deferred(*member) && (!waits || node.triggers().next().is_some()) {
            return None;
        }
        if all.changes(*member) || waits {
            let certain = answer::prediction(node.facts, proposal) == Prediction::Exact;
            if node.facts.kind != TypeKind::Resource || !certain {
                return None;
            }
            steps.push((*member, node, proposal));
        }
    }
    let ((_, _, first), (_, _, last)) = (steps.first()?, steps.last()?);
    let linked = steps.windows(2).all(|pair| match pair {
        [(at_a, a, earlier), (at_b, b, later)] => {
            chains.same_things(a, *at_a, b, *at_b)
                && alike(later.prior.as_ref(), earlier.planned.as_ref(), &b.facts.volatile)
        }
        _ => true,
    });
    let returns = steps
        .iter()
        .all(|(_, node, _)| alike(first.prior.as_ref(), last.planned.as_ref(), &node.facts.volatile));
    let something = steps.iter().any(|(position, ..)| all.changes(*position));
    (steps.len() > 1 && linked && returns && something).then(|| Chain {
        steps: steps.iter().map(|(position, ..)| *position).collect(),
        found: first.prior.as_ref(),
    })
}

/// The nodes that surely come after the first step of a chain and before its last one.
fn between(target: &TargetNodes<'_>, chain: &Chain<'_>, members: &[usize]) -> Vec<usize> {
    let (first, last) = (chain.first(), chain.last());
    let sources =
        |position: usize| target.nodes.get(position).map(|node| node.sources.as_slice()).unwrap_or_default();
    let (mut before_last, mut open) = (BTreeSet::new(), vec![last]);
    while let Some(here) = open.pop() {
        for source in sources(here).iter().copied().filter(|source| *source > first) {
            if before_last.insert(source) {
                open.push(source);
            }
        }
    }
    let mut after_first = BTreeSet::from([first]);
    for here in before_last {
        if sources(here).iter().any(|source| after_first.contains(source)) {
            after_first.insert(here);
        }
    }
    after_first.into_iter().filter(|position| members.binary_search(position).is_err()).collect()
}

impl Outcomes<'_> {
    /// Whether a node is deferred only because something before it is.
    fn after_deferred(&self, position: usize) -> bool {
        self.deferral_code(position) == Some(codes::PLAN_AFTER_DEFERRED.as_str())
    }

    /// Whether a node is deferred because the result of an earlier step is not known.
    fn waits_for_result(&self, position: usize) -> bool {
        self.deferral_code(position) == Some(codes::PLAN_PRIOR_UNKNOWN.as_str())
    }
}
