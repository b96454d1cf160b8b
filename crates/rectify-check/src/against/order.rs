//! The order that the graph asks for, kept by the edges of the plan.
//!
//! Edges between two changing steps are the graph's own. Where nodes that need nothing stand
//! between, the later step must come after the earlier one all the same, by whatever edges.

use super::{Case, Fate};
use crate::{Invariant, notes::Notes};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
};
use rectify_base::Address;
use rectify_model::{
    graph::{Edge, EdgeKind, Node},
    plan::Step,
};

/// A set of steps larger than this is cut down to its last ones, which stand for the others.
const SET_MAX: usize = 32;

pub(super) fn run(case: &Case<'_>, notes: &mut Notes) {
    for nodes in case.graph.nodes.chunk_by(|a, b| a.target == b.target) {
        // The steps that must come before whatever comes after a node that needs nothing.
        let mut through: BTreeMap<&Address, BTreeSet<usize>> = BTreeMap::new();
        for node in nodes {
            match case.fate(&node.target, &node.address) {
                Some(Fate::Step(at, step)) => kept(case, node, at, step, &through, notes),
                Some(Fate::Unchanged(..)) => {
                    let mut before = BTreeSet::new();
                    for edge in &node.edges {
                        match case.step_at(&node.target, &edge.from) {
                            Some(source) => drop(before.insert(source)),
                            None => before.extend(through.get(&edge.from).into_iter().flatten().copied()),
                        }
                    }
                    if before.len() > SET_MAX {
                        before = case.reach.last_of(before);
                    }
                    through.insert(&node.address, before);
                }
                Some(Fate::Deferred(..)) | None => {}
            }
        }
    }
}

fn kept<'a>(
    case: &Case<'a>,
    node: &'a Node,
    at: usize,
    step: &Step,
    through: &BTreeMap<&Address, BTreeSet<usize>>,
    notes: &mut Notes,
) {
    let held: BTreeMap<&Address, &Edge> = step.edges.iter().map(|edge| (&edge.from, edge)).collect();
    let direct: BTreeSet<&Address> = node.edges.iter().map(|edge| &edge.from).collect();
    for edge in &node.edges {
        if case.step_at(&node.target, &edge.from).is_some() {
            let message = format!("the edge from `{}` is missing or differs from the graph's", edge.from);
            if held.get(&edge.from) != Some(&edge) {
                notes.add(Invariant::Order, format!("/steps/{at}/edges"), message);
            }
        } else if let Some(wanted) = through.get(&edge.from) {
            for earlier in case.reach.missing(at, wanted.clone()) {
                let address = case.plan.steps.get(earlier).map_or("", |step| step.address.as_str());
                let message = format!("it must come after `{address}`, through `{}`", edge.from);
                notes.add(Invariant::Order, format!("/steps/{at}/edges"), message);
            }
        }
    }
    for (index, edge) in step.edges.iter().enumerate() {
        let explained =
            direct.contains(&edge.from) || (edge.kind == EdgeKind::Implied && edge.reason.is_some());
        let message = "the graph has no such edge, and the plan gives no reason for it";
        notes.require(explained, Invariant::Order, || format!("/steps/{at}/edges/{index}"), message);
    }
}
