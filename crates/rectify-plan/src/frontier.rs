//! The edges between changing steps: those of the graph, with the nodes that need nothing taken out
//! and the order through them kept.
//!
//! The frontier of a node that needs nothing is the set of changing steps that come before it. A
//! plain set would make a hub with m steps before and n after it cost m·n edges. So a frontier
//! larger than [`FRONTIER_MAX`] is turned into a queue: its steps wait for each other, in the
//! canonical order, and only the last one stands for all. That keeps edges linear in the graph's,
//! and every order that the graph asks for.

use crate::{index::TargetNodes, outcome::Outcomes, report::Reason};
use rectify_model::graph::{Edge, EdgeKind};
use std::collections::{BTreeMap, BTreeSet};

/// Most changing steps that one node that needs nothing stands for.
pub(crate) const FRONTIER_MAX: usize = 16;

/// The edges of each changing node, by source; and the reasons for those that the graph has not.
pub(crate) struct Contracted {
    pub edges: Vec<BTreeMap<usize, Edge>>,
    pub reasons: BTreeMap<usize, Vec<Reason>>,
}

/// The frontiers of the nodes that need nothing. Most are empty, or equal to that of the one node
/// that comes before, so they are shared.
struct Frontiers {
    /// The empty one first.
    sets: Vec<Vec<usize>>,
    of: Vec<usize>,
}

impl Frontiers {
    fn get(&self, position: usize) -> &[usize] {
        self.of.get(position).and_then(|set| self.sets.get(*set)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Notes the next position's frontier: that of another position, a new one, or none.
    fn push(&mut self, set: Option<usize>, new: Vec<usize>) {
        if new.is_empty() {
            self.of.push(set.and_then(|at| self.of.get(at).copied()).unwrap_or(0));
        } else {
            self.of.push(self.sets.len());
            self.sets.push(new);
        }
    }
}

/// Takes the unchanged nodes out.
pub(crate) fn contract(target: &TargetNodes<'_>, outcomes: &Outcomes<'_>) -> Contracted {
    let count = target.nodes.len();
    let mut frontiers = Frontiers { sets: vec![Vec::new()], of: Vec::with_capacity(count) };
    let mut contracted = Contracted { edges: vec![BTreeMap::new(); count], reasons: BTreeMap::new() };
    for (position, node) in target.nodes.iter().enumerate() {
        if outcomes.changes(position) {
            for (source, edge) in node.edges() {
                if outcomes.changes(source) {
                    contracted.add(position, source, edge.clone(), implied(edge));
                }
            }
            // After the direct ones, which say more.
            for (via, _) in node.edges().filter(|(source, _)| !outcomes.changes(*source)) {
                for source in frontiers.get(via) {
                    contracted.link(target, position, *source, via, false);
                }
            }
            frontiers.push(None, Vec::new());
        } else if let [source] = node.sources.as_slice() {
            let new = if outcomes.changes(*source) { vec![*source] } else { Vec::new() };
            frontiers.push(Some(*source), new);
        } else {
            let mut before = BTreeSet::new();
            for (source, _) in node.edges() {
                if outcomes.changes(source) {
                    before.insert(source);
                } else {
                    before.extend(frontiers.get(source));
                }
            }
            let mut before: Vec<usize> = before.into_iter().collect();
            if before.len() > FRONTIER_MAX {
                for pair in before.windows(2) {
                    if let [earlier, later] = pair {
                        contracted.link(target, *later, *earlier, position, true);
                    }
                }
                before = before.split_off(before.len() - 1);
            }
            frontiers.push(None, before);
        }
    }
    contracted
}

fn implied(edge: &Edge) -> Option<Reason> {
    (edge.kind == EdgeKind::Implied).then(|| Reason::ImpliedEdge {
        source: edge.from.clone(),
        why: edge.reason.clone().unwrap_or_else(|| "both touch one thing".into()),
    })
}

impl Contracted {
    fn add(&mut self, position: usize, source: usize, edge: Edge, reason: Option<Reason>) {
        let Some(edges) = self.edges.get_mut(position) else { return };
        if edges.contains_key(&source) {
            return;
        }
        edges.insert(source, edge);
        if let Some(reason) = reason {
            self.reasons.entry(position).or_default().push(reason);
        }
    }

    fn link(&mut self, target: &TargetNodes<'_>, position: usize, source: usize, via: usize, queued: bool) {
        let address = |at: usize| target.nodes.get(at).map(|node| node.node.address.clone());
        let (Some(source_address), Some(via)) = (address(source), address(via)) else { return };
        let (text, reason) = if queued {
            (
                format!("one by one, because many steps come before `{via}`, which needs nothing"),
                Reason::Queued { source: source_address.clone(), via },
            )
        } else {
            (
                format!("through `{via}`, which needs nothing"),
                Reason::WaitsThrough { source: source_address.clone(), via },
            )
        };
        let edge = Edge { from: source_address, kind: EdgeKind::Implied, reason: Some(text) };
        self.add(position, source, edge, Some(reason));
    }
}
