//! What became of each node, and whether it had to.

use super::{Case, Fate, names};
use crate::{Invariant, notes::Notes};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    vec::Vec,
};
use rectify_base::{Address, TargetName, fingerprint::fingerprint};
use rectify_model::{
    graph::{Access, EdgeKind, Node, Touch},
    observation::Answer,
    plan::{Deferred, DeferredCause, Idle, Unchanged},
};

/// Code of a deferral that follows from an earlier one.
pub(super) const AFTER_DEFERRED: &str = "plan-after-deferred";
/// Code of a deferral because the result of an earlier step is not known.
pub(super) const PRIOR_UNKNOWN: &str = "plan-prior-unknown";
/// Code of a deferral because another step writes the same thing under another name.
const TWO_NAMES: &str = "plan-two-names";

pub(super) fn run(case: &Case<'_>, notes: &mut Notes) {
    once(case, notes);
    in_order(case, notes);
    graph_order(case, notes);
    for node in &case.graph.nodes {
        let Some(fate) = case.fate(&node.target, &node.address) else { continue };
        ancestors(case, node, fate, notes);
        let Some(answer) = case.answer(node) else { continue };
        match (fate, answer) {
            (Fate::Deferred(at, entry), answer) => deferral(case, node, at, entry, answer, notes),
            (Fate::Step(at, _), Answer::Changed(_)) => {
                let fired = fired(case, node).unwrap_or(true);
                let place = || format!("/steps/{at}");
                notes.require(fired, Invariant::Trigger, place, "nothing that triggers it changes");
            }
            (Fate::Step(at, _), Answer::Unchanged { .. } | Answer::Undecided { .. }) => {
                notes.add(Invariant::Complete, format!("/steps/{at}"), "nothing was found to change here");
            }
            (Fate::Unchanged(at, entry), answer) => unchanged(case, node, at, entry, answer, notes),
        }
    }
}

/// Whether a trigger of the node changes; nothing if it has no triggers.
fn fired(case: &Case<'_>, node: &Node) -> Option<bool> {
    let triggers: Vec<&Address> =
        node.edges.iter().filter(|edge| edge.kind == EdgeKind::OnChange).map(|edge| &edge.from).collect();
    let changes = |from: &&Address| matches!(case.fates.get(&(*from, &node.target)), Some(Fate::Step(..)));
    (!triggers.is_empty()).then(|| triggers.iter().any(changes))
}

fn once(case: &Case<'_>, notes: &mut Notes) {
    let nodes: BTreeSet<(&Address, &TargetName)> =
        case.graph.nodes.iter().map(|node| (&node.address, &node.target)).collect();
    for (address, target) in nodes.iter().filter(|key| !case.fates.contains_key(*key)) {
        notes.add(Invariant::Once, "", format!("`{address}` on `{target}` of the graph is not in the plan"));
    }
    for (key, fate) in case.fates.iter().filter(|(key, _)| !nodes.contains(*key)) {
        let place = match fate {
            Fate::Step(at, _) => format!("/steps/{at}"),
            Fate::Unchanged(at, _) => format!("/unchanged/{at}"),
            Fate::Deferred(at, _) => format!("/deferred/{at}"),
        };
        notes.add(Invariant::Once, place, format!("`{}` on `{}` is not in the graph", key.0, key.1));
    }
}

/// Each of the three lists follows the graph's order.
fn in_order(case: &Case<'_>, notes: &mut Notes) {
    let places: BTreeMap<(&Address, &TargetName), usize> =
        case.graph.nodes.iter().enumerate().map(|(at, node)| ((&node.address, &node.target), at)).collect();
    let plan = case.plan;
    let lists: [(&str, Vec<_>); 3] = [
        ("steps", plan.steps.iter().map(|e| (&e.address, &e.target)).collect()),
        ("unchanged", plan.unchanged.iter().map(|e| (&e.address, &e.target)).collect()),
        ("deferred", plan.deferred.iter().map(|e| (&e.address, &e.target)).collect()),
    ];
    for (list, entries) in lists {
        let mut before = None;
        for (at, key) in entries.into_iter().enumerate() {
            let place = places.get(&key).copied();
            let sorted = place.is_none() || before < place;
            let message = "the graph's order is another one";
            notes.require(sorted, Invariant::Sorted, || format!("/{list}/{at}"), message);
            before = place.or(before);
        }
    }
}

/// The graph's own order: of the nodes whose predecessors are all named, always the smallest address.
fn graph_order(case: &Case<'_>, notes: &mut Notes) {
    let mut start = 0;
    for nodes in case.graph.nodes.chunk_by(|a, b| a.target == b.target) {
        let mut waits: BTreeMap<&Address, usize> = BTreeMap::new();
        let mut then: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
        for node in nodes {
            waits.insert(&node.address, node.edges.len());
            for edge in &node.edges {
                then.entry(&edge.from).or_default().push(&node.address);
            }
        }
        let mut free: BTreeSet<&Address> =
            waits.iter().filter(|(_, count)| **count == 0).map(|(address, _)| *address).collect();
        for (at, node) in nodes.iter().enumerate() {
            if free.pop_first() != Some(&node.address) {
                let place = format!("graph:/nodes/{}", start + at);
                notes.add(Invariant::GraphOrder, place, "another node comes first in the canonical order");
                break;
            }
            for next in then.remove(&node.address).unwrap_or_default() {
                // A graph with an address twice may count otherwise; it is noted as out of order.
                let Some(count) = waits.get_mut(next) else { continue };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    free.insert(next);
                }
            }
        }
        start += nodes.len();
    }
}

/// Whether an earlier node that this one waits for is deferred.
fn deferred_source<'a>(case: &Case<'a>, node: &'a Node) -> Option<&'a Address> {
    let is_deferred =
        |from: &&Address| matches!(case.fates.get(&(*from, &node.target)), Some(Fate::Deferred(..)));
    node.edges.iter().map(|edge| &edge.from).find(is_deferred)
}

fn ancestors<'a>(case: &Case<'a>, node: &'a Node, fate: Fate<'a>, notes: &mut Notes) {
    let place = match fate {
        Fate::Step(at, _) => format!("/steps/{at}"),
        Fate::Unchanged(at, _) => format!("/unchanged/{at}"),
        // Direct sources are enough: whatever stands between is deferred itself, or noted.
        Fate::Deferred(..) => return,
    };
    if let Some(source) = deferred_source(case, node) {
        notes.add(Invariant::AfterDeferred, place, format!("`{source}`, which comes before it, is deferred"));
    }
}

fn deferral<'a>(
    case: &Case<'a>,
    node: &'a Node,
    at: usize,
    entry: &Deferred,
    answer: &Answer,
    notes: &mut Notes,
) {
    let justified = match answer {
        Answer::Undecided { code, message } => (code, message) == (&entry.code, &entry.message),
        Answer::Unchanged { .. } | Answer::Changed(_) if entry.code == TWO_NAMES => {
            names::has_two(case, node)
        }
        Answer::Unchanged { .. } | Answer::Changed(_) => {
            entry.code == AFTER_DEFERRED && deferred_source(case, node).is_some()
        }
    };
    let message = "neither the observation nor an earlier deferral gives this reason";
    notes.require(justified, Invariant::Deferral, || format!("/deferred/{at}"), message);
    let cause = match entry.code.as_str() {
        AFTER_DEFERRED => DeferredCause::Waits,
        PRIOR_UNKNOWN if earlier_writer(case, node) => DeferredCause::Waits,
        _ => DeferredCause::Undecided,
    };
    let message = "the reason is of the other kind";
    notes.require(cause == entry.cause, Invariant::Deferral, || format!("/deferred/{at}/cause"), message);
}

/// Whether an earlier node, which is done or deferred, writes what this one touches, or a directory
/// above it.
fn earlier_writer(case: &Case<'_>, node: &Node) -> bool {
    let keys: Vec<&str> = node.touches.iter().map(|touch| touch.key.as_str()).collect();
    let hits = |touch: &Touch| {
        let above = |key: &&str| key.strip_prefix(&touch.key).is_some_and(|rest| rest.starts_with('/'));
        touch.access == Access::Write && (keys.contains(&touch.key.as_str()) || keys.iter().any(above))
    };
    let earlier = case
        .graph
        .nodes
        .iter()
        .take_while(|other| other.address != node.address || other.target != node.target);
    earlier.filter(|other| other.target == node.target && other.touches.iter().any(hits)).any(|other| {
        matches!(case.fate(&other.target, &other.address), Some(Fate::Step(..) | Fate::Deferred(..)))
    })
}

fn unchanged(case: &Case<'_>, node: &Node, at: usize, entry: &Unchanged, answer: &Answer, notes: &mut Notes) {
    let why = || format!("/unchanged/{at}/why");
    let found = case.converged.found(node);
    let state = match answer {
        Answer::Unchanged { state, .. } => {
            let expected = if found.is_some() { Idle::Converged } else { Idle::AsDesired };
            // What is called converged without being so is noted where chains are looked at.
            let fits = entry.why == expected || entry.why == Idle::Converged;
            notes.require(fits, Invariant::Idle, why, "what was found gives another reason");
            state.as_ref()
        }
        Answer::Changed(proposal) => {
            let unfired = fired(case, node) == Some(false);
            let kept = unfired || entry.why == Idle::Converged;
            let message = "a change was found here, and nothing keeps it from being made";
            notes.require(kept, Invariant::Complete, || format!("/unchanged/{at}"), message);
            let says = !kept || entry.why != Idle::AsDesired;
            notes.require(says, Invariant::Idle, why, "a change was found here, and nothing triggers it");
            proposal.prior.as_ref()
        }
        Answer::Undecided { .. } => {
            notes.add(Invariant::Complete, format!("/unchanged/{at}"), "it could not be decided");
            return;
        }
    };
    let Some(facts) = case.graph.types.get(&node.type_name) else { return };
    let state = found.unwrap_or(state);
    let computed = fingerprint(&node.type_name, facts.version, state, &facts.volatile);
    let message = "it is not the fingerprint of the state that was observed";
    let place = || format!("/unchanged/{at}/fingerprint");
    notes.require(computed == Ok(entry.fingerprint), Invariant::Unchanged, place, message);
}
