//! Chains that come to nothing: steps on one thing which together leave it as it was found. They are
//! derived anew from graph and answers, and compared with what the plan says of them.

use super::{
    Case, Fate,
    nodes::{AFTER_DEFERRED, PRIOR_UNKNOWN},
};
use crate::{Invariant, notes::Notes, value};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format, vec,
    vec::Vec,
};
use rectify_base::{Address, TargetName};
use rectify_model::{
    grade::{Prediction, TypeKind},
    graph::{Access, EdgeKind, Node, TypeFacts},
    observation::{Answer, Proposal},
    plan::Idle,
};
use serde_json::Value;

/// What was found where chains are called converged: for each of their nodes after the first step.
#[derive(Default)]
pub(super) struct Converged<'a>(BTreeMap<(&'a Address, &'a TargetName), Option<&'a Value>>);

impl<'a> Converged<'a> {
    /// What was found, if the node stands in a converged chain after its first step, or is that.
    pub fn found(&self, node: &'a Node) -> Option<Option<&'a Value>> {
        self.0.get(&(&node.address, &node.target)).copied()
    }
}

/// One node of a group with what was answered about it.
struct Member<'a> {
    /// Place among the nodes of the target.
    at: usize,
    node: &'a Node,
    fate: Fate<'a>,
    answer: &'a Answer,
    facts: &'a TypeFacts,
}

/// The nodes of one target, and what would become of them if no chain came to nothing.
struct Target<'a> {
    nodes: &'a [Node],
    places: BTreeMap<&'a Address, usize>,
    would_change: Vec<bool>,
}

impl<'a> Target<'a> {
    fn new(case: &Case<'a>, nodes: &'a [Node]) -> Self {
        let places: BTreeMap<_, _> = nodes.iter().enumerate().map(|(at, node)| (&node.address, at)).collect();
        let mut target = Self { nodes, places, would_change: Vec::with_capacity(nodes.len()) };
        for node in nodes {
            let decided = !matches!(case.fate(&node.target, &node.address), None | Some(Fate::Deferred(..)));
            let changed = decided && matches!(case.answer(node), Some(Answer::Changed(_)));
            let triggers: Vec<usize> = target.triggers(node).collect();
            let fires = triggers.iter().any(|at| target.would_change.get(*at) == Some(&true));
            target.would_change.push(changed && (triggers.is_empty() || fires));
        }
        target
    }

    fn triggers(&self, node: &'a Node) -> impl Iterator<Item = usize> + '_ {
        let edges = node.edges.iter().filter(|edge| edge.kind == EdgeKind::OnChange);
        edges.filter_map(|edge| self.places.get(&edge.from).copied())
    }

    fn sources(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let edges = self.nodes.get(at).map(|node| node.edges.as_slice()).unwrap_or_default();
        edges.iter().filter_map(|edge| self.places.get(&edge.from).copied())
    }

    /// The nodes that surely come after one node and before another one.
    fn between(&self, first: usize, last: usize) -> BTreeSet<usize> {
        let (mut earlier, mut open) = (BTreeSet::new(), vec![last]);
        while let Some(here) = open.pop() {
            open.extend(self.sources(here).filter(|source| *source > first && earlier.insert(*source)));
        }
        let mut between = BTreeSet::new();
        for at in earlier {
            if self.sources(at).any(|source| source == first || between.contains(&source)) {
                between.insert(at);
            }
        }
        between
    }

    /// The groups of nodes that write the same things, directly or through others; only those of
    /// more than one node.
    fn groups(&self) -> Vec<Vec<usize>> {
        let mut group_of: Vec<usize> = (0..self.nodes.len()).collect();
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut writer: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            for touch in node.touches.iter().filter(|touch| touch.access == Access::Write) {
                let Some(other) = writer.insert(&touch.key, at) else { continue };
                let of = |at: usize| group_of.get(at).copied().unwrap_or(at);
                let (into, from) = (of(other), of(at));
                if into == from {
                    continue;
                }
                let moved = members.remove(&from).unwrap_or_else(|| vec![from]);
                for at in &moved {
                    if let Some(group) = group_of.get_mut(*at) {
                        *group = into;
                    }
                }
                members.entry(into).or_insert_with(|| vec![into]).extend(moved);
            }
        }
        let mut groups: Vec<Vec<usize>> = members.into_values().collect();
        groups.iter_mut().for_each(|group| group.sort_unstable());
        groups
    }
}

fn members<'a>(case: &Case<'a>, target: &Target<'a>, group: &[usize]) -> Option<Vec<Member<'a>>> {
    let member = |at: &usize| {
        let node = target.nodes.get(*at)?;
        let fate = case.fate(&node.target, &node.address)?;
        let facts = case.graph.types.get(&node.type_name)?;
        Some(Member { at: *at, node, fate, answer: case.answer(node)?, facts })
    };
    group.iter().map(member).collect()
}

/// The steps of a group that would change something, with their proposals; or why they are no chain
/// that comes to nothing.
fn chain<'m, 'a>(
    case: &Case<'a>,
    target: &Target<'a>,
    members: &'m [Member<'a>],
) -> Result<Vec<(&'m Member<'a>, &'a Proposal)>, &'static str> {
    let mut steps = Vec::new();
    for member in members {
        let waits = matches!(member.fate, Fate::Deferred(_, entry) if entry.code == AFTER_DEFERRED);
        let proposal = match member.answer {
            _ if matches!(member.fate, Fate::Deferred(..)) && !waits => {
                return Err("a step of it cannot be decided");
            }
            Answer::Undecided { .. } => return Err("a step of it cannot be decided"),
            Answer::Unchanged { .. } => continue,
            Answer::Changed(proposal) => proposal,
        };
        if waits && target.triggers(member.node).next().is_some() {
            return Err("whether a step of it is triggered is not known");
        }
        if waits || target.would_change.get(member.at) == Some(&true) {
            let exact = proposal.prediction.min(member.facts.prediction) == Prediction::Exact;
            if !exact || member.facts.kind != TypeKind::Resource || doubtful(case, target, members, member) {
                return Err("a step of it is not certain");
            }
            steps.push((member, proposal));
        }
    }
    let (Some((first, found)), Some((last, left))) = (steps.first(), steps.last()) else {
        return Err("no step of it finds anything to change");
    };
    for pair in steps.windows(2) {
        let [(a, earlier), (b, later)] = pair else { continue };
        let alike = a.node.type_name.provider() == b.node.type_name.provider()
            && writes(a.node).eq(writes(b.node))
            && value::same(later.prior.as_ref(), earlier.planned.as_ref(), &b.facts.volatile);
        if !alike {
            return Err("a step of it does not start from what the one before leaves behind");
        }
    }
    let returns = |member: &Member<'_>| {
        value::same(found.prior.as_ref(), left.planned.as_ref(), &member.facts.volatile)
    };
    if steps.len() < 2 || !steps.iter().all(|(member, _)| returns(member)) {
        return Err("its last step does not leave what its first step found");
    }
    let own = |at: usize| members.iter().any(|member| member.at == at);
    let step = |at: &usize| {
        target.nodes.get(*at).is_some_and(|node| case.step_at(&node.target, &node.address).is_some())
    };
    if target.between(first.at, last.at).iter().any(|at| !own(*at) && step(at)) {
        return Err("another step stands between its steps");
    }
    Ok(steps)
}

fn writes(node: &Node) -> impl Iterator<Item = &str> {
    node.touches.iter().filter(|touch| touch.access == Access::Write).map(|touch| touch.key.as_str())
}

/// Whether what a step of a chain stands on outside of the chain is not certain.
fn doubtful<'a>(case: &Case<'a>, target: &Target<'a>, members: &[Member<'a>], member: &Member<'a>) -> bool {
    let own = |at: usize| members.iter().any(|member| member.at == at);
    let step = |at: usize| match target.nodes.get(at).and_then(|node| case.fate(&node.target, &node.address))
    {
        Some(Fate::Step(_, step)) => Some(step),
        _ => None,
    };
    let trigger = target
        .triggers(member.node)
        .any(|at| !own(at) && step(at).is_some_and(|step| step.prediction < Prediction::Exact));
    let reads = |key: &str| {
        let mut touches = member.node.touches.iter();
        touches.any(|touch| touch.access == Access::Read && touch.key == key)
    };
    let reads_any = member.node.touches.iter().any(|touch| touch.access == Access::Read);
    let read = reads_any
        && target.nodes.iter().take(member.at).any(|node| {
            let done = case.fate(&node.target, &node.address);
            !matches!(done, None | Some(Fate::Unchanged(..))) && writes(node).any(reads)
        });
    trigger || read
}

fn targets<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a [Node]> + use<'a> {
    case.graph.nodes.chunk_by(|a, b| a.target == b.target)
}

fn is_called_converged(fate: Fate<'_>) -> bool {
    matches!(fate, Fate::Unchanged(_, entry) if entry.why == Idle::Converged)
}

/// What was found, for the nodes of chains that are called converged.
pub(super) fn find<'a>(case: &Case<'a>) -> Converged<'a> {
    let mut found = Converged::default();
    if case.plan.unchanged.iter().all(|entry| entry.why != Idle::Converged) {
        return found;
    }
    for nodes in targets(case) {
        let target = Target::new(case, nodes);
        for group in target.groups() {
            let Some(members) = members(case, &target, &group) else { continue };
            if !members.iter().any(|member| is_called_converged(member.fate)) {
                continue;
            }
            // Whether the chain is one is noted elsewhere; what was found is known all the same.
            let first = members.iter().find(|member| target.would_change.get(member.at) == Some(&true));
            let Some((first, Answer::Changed(proposal))) = first.map(|first| (first, first.answer)) else {
                continue;
            };
            for member in members.iter().filter(|member| member.at >= first.at) {
                found.0.insert((&member.node.address, &member.node.target), proposal.prior.as_ref());
            }
        }
    }
    found
}

pub(super) fn run(case: &Case<'_>, notes: &mut Notes) {
    for nodes in targets(case) {
        let target = Target::new(case, nodes);
        let mut grouped = BTreeSet::new();
        for group in target.groups() {
            grouped.extend(group.iter().copied());
            let Some(members) = members(case, &target, &group) else { continue };
            if members.iter().any(|member| is_called_converged(member.fate)) {
                called_converged(case, &target, &members, notes);
            } else if let Ok(steps) = chain(case, &target, &members) {
                futile(case, &target, &members, &steps, notes);
            }
        }
        for (at, node) in nodes.iter().enumerate().filter(|(at, _)| !grouped.contains(at)) {
            if let (Some(Fate::Unchanged(place, entry)), false) =
                (case.fate(&node.target, &node.address), grouped.contains(&at))
                && entry.why == Idle::Converged
            {
                let message = "no other step writes the same thing";
                notes.add(Invariant::Converged, format!("/unchanged/{place}/why"), message);
            }
        }
    }
}

/// Everything in a chain that is called converged is so.
fn called_converged<'a>(case: &Case<'a>, target: &Target<'a>, members: &[Member<'a>], notes: &mut Notes) {
    let called = members.iter().find_map(|member| match member.fate {
        Fate::Unchanged(at, _) if is_called_converged(member.fate) => Some(at),
        _ => None,
    });
    let place = || format!("/unchanged/{}/why", called.unwrap_or_default());
    let steps = match chain(case, target, members) {
        Ok(steps) => steps,
        Err(why) => return notes.add(Invariant::Converged, place(), why),
    };
    let first = steps.first().map_or(usize::MAX, |(member, _)| member.at);
    for member in members {
        let is_step = steps.iter().any(|(step, _)| step.at == member.at);
        let why = match member.fate {
            Fate::Step(at, _) => {
                let message = "the chain that it belongs to is called converged";
                notes.add(Invariant::Converged, format!("/steps/{at}"), message);
                continue;
            }
            Fate::Unchanged(at, entry) => (at, entry.why),
            Fate::Deferred(..) => continue,
        };
        let fits = match why.1 {
            Idle::Converged => {
                is_step || (member.at > first && matches!(member.answer, Answer::Unchanged { .. }))
            }
            Idle::AsDesired | Idle::NotTriggered => !is_step,
        };
        let message = "it is not what the chain makes of it";
        notes.require(fits, Invariant::Converged, || format!("/unchanged/{}/why", why.0), message);
    }
}

/// A chain that comes to nothing is not done, unless something would be answered otherwise without
/// it: what it triggers, or what waits for its result.
fn futile<'a>(
    case: &Case<'a>,
    target: &Target<'a>,
    members: &[Member<'a>],
    steps: &[(&Member<'a>, &Proposal)],
    notes: &mut Notes,
) {
    let own = |at: usize| members.iter().any(|member| member.at == at);
    let needed =
        target.nodes.iter().enumerate().any(|(at, node)| match case.fate(&node.target, &node.address) {
            Some(Fate::Step(..)) => !own(at) && target.triggers(node).any(own),
            Some(Fate::Deferred(_, entry)) => entry.code == PRIOR_UNKNOWN || own(at),
            Some(Fate::Unchanged(..)) | None => false,
        });
    if let (false, Some((Member { fate: Fate::Step(at, _), .. }, _))) = (needed, steps.first()) {
        let message = "the steps on this thing leave it as it was found";
        notes.add(Invariant::Futile, format!("/steps/{at}"), message);
    }
}
