//! A graph whose shape was verified, with the look-ups that planning needs. Every later part relies
//! on it and checks nothing twice.

use crate::{PlanError, codes};
use rectify_base::{Address, RemediationName, TargetName};
use rectify_model::{
    Graph,
    grade::TypeKind,
    graph::{self, Edge, EdgeKind, Node, TypeFacts},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// One target's nodes. Positions in it are local: 0 is the target's first node.
pub(crate) struct TargetNodes<'g> {
    /// Place of the first node in the graph.
    pub start: usize,
    /// The nodes with their types, in canonical order.
    pub nodes: Vec<Indexed<'g>>,
}

/// A node with what the graph says about its type, and its edges by position.
pub(crate) struct Indexed<'g> {
    pub node: &'g Node,
    pub facts: &'g TypeFacts,
    /// For each of the node's edges: the local position of its source, always smaller than its own.
    pub sources: Vec<usize>,
}

impl<'g> Indexed<'g> {
    /// The edges with their sources' local positions.
    pub fn edges(&self) -> impl Iterator<Item = (usize, &'g Edge)> {
        self.sources.iter().copied().zip(self.node.edges.iter())
    }

    /// Local positions of the sources whose change triggers this node.
    pub fn triggers(&self) -> impl Iterator<Item = usize> {
        self.edges().filter(|(_, edge)| edge.kind == EdgeKind::OnChange).map(|(source, _)| source)
    }
}

fn invalid(place: String, message: impl Into<String>) -> PlanError {
    PlanError::new(codes::PLAN_GRAPH_INVALID, place, message)
}

/// Verifies the parts of a graph that belong to no node.
pub(crate) fn verify_frame(graph: &Graph) -> Result<(), PlanError> {
    if graph.format != graph::FORMAT {
        return Err(invalid("graph:/format".into(), format!("expected `{}`", graph::FORMAT)));
    }
    if graph.targets.is_empty() {
        return Err(PlanError::new(
            codes::PLAN_NO_TARGETS,
            "graph:/targets",
            "the graph names no target; an empty selection never means all",
        ));
    }
    if graph.limits.parallel_steps == 0 {
        return Err(invalid("graph:/limits/parallel_steps".into(), "at least one step must be allowed"));
    }
    let mut before = None;
    for (index, gate) in graph.gates.iter().enumerate() {
        let place = || format!("graph:/gates/{index}");
        if !graph.targets.contains_key(&gate.target) {
            return Err(invalid(place(), format!("`{}` is not a target of the graph", gate.target)));
        }
        if graph.types.get(&gate.type_name).is_none_or(|facts| facts.kind != TypeKind::Probe) {
            return Err(invalid(place(), format!("`{}` is not a known probe", gate.type_name)));
        }
        let key = (&gate.target, &gate.address);
        if before.is_some_and(|before| before >= key) {
            return Err(invalid(place(), "gates are sorted by target and address, each once"));
        }
        before = Some(key);
    }
    Ok(())
}

/// The place of each target's nodes in the graph.
///
/// # Errors
/// When nodes are not sorted by target, or name a target that the graph does not.
pub(crate) fn ranges(graph: &Graph) -> Result<BTreeMap<TargetName, Range<usize>>, PlanError> {
    let mut ranges: BTreeMap<TargetName, Range<usize>> =
        graph.targets.keys().map(|target| (target.clone(), 0..0)).collect();
    let mut start = 0;
    let mut before: Option<&TargetName> = None;
    for run in graph.nodes.chunk_by(|a, b| a.target == b.target) {
        let Some(target) = run.first().map(|node| &node.target) else { continue };
        let place = || format!("graph:/nodes/{start}/target");
        if before.is_some_and(|before| before >= target) {
            return Err(invalid(place(), "nodes are sorted by target"));
        }
        let Some(range) = ranges.get_mut(target) else {
            return Err(invalid(place(), format!("`{target}` is not a target of the graph")));
        };
        *range = start..start + run.len();
        start += run.len();
        before = Some(target);
    }
    Ok(ranges)
}

/// Verifies and indexes one target's nodes.
pub(crate) fn target_nodes(graph: &Graph, range: Range<usize>) -> Result<TargetNodes<'_>, PlanError> {
    let remediations: BTreeSet<&str> = graph.remediations.keys().map(RemediationName::as_str).collect();
    let start = range.start;
    let slice = graph.nodes.get(range).unwrap_or_default();
    // Nearly in this order already, so this is cheaper than a map.
    let mut places: Vec<(&Address, usize)> =
        slice.iter().enumerate().map(|(position, node)| (&node.address, position)).collect();
    places.sort();
    let twice: BTreeSet<usize> = places
        .windows(2)
        .filter_map(|pair| match pair {
            [(a, _), (b, position)] if a == b => Some(*position),
            _ => None,
        })
        .collect();
    let mut nodes = Vec::with_capacity(slice.len());
    for (position, node) in slice.iter().enumerate() {
        let place = |rest: &str| format!("graph:/nodes/{}{rest}", start + position);
        if node.address.is_gate() {
            return Err(invalid(place("/address"), "a gate is not a step"));
        }
        if !remediations.contains(node.address.remediation()) {
            return Err(invalid(place("/address"), "its remediation is not in the graph"));
        }
        let facts = graph.types.get(&node.type_name).ok_or_else(|| {
            invalid(place("/type"), format!("type `{}` is not in the graph", node.type_name))
        })?;
        let mut sources = Vec::with_capacity(node.edges.len());
        let mut before: Option<&Address> = None;
        for (at, edge) in node.edges.iter().enumerate() {
            let place = || place(&format!("/edges/{at}"));
            if before.is_some_and(|before| before >= &edge.from) {
                return Err(invalid(place(), "edges are sorted by source, one a source"));
            }
            before = Some(&edge.from);
            // Steps often wait for the one before.
            let near =
                position.checked_sub(1).filter(|at| slice.get(*at).is_some_and(|n| n.address == edge.from));
            let found = || {
                let at = places.partition_point(|(address, _)| *address < &edge.from);
                places.get(at).filter(|(address, _)| *address == &edge.from).map(|(_, position)| *position)
            };
            let source = near.or_else(found).filter(|source| *source < position).ok_or_else(|| {
                invalid(place(), format!("`{}` does not stand before this step", edge.from))
            })?;
            sources.push(source);
        }
        if twice.contains(&position) {
            return Err(invalid(place("/address"), format!("`{}` is there twice", node.address)));
        }
        nodes.push(Indexed { node, facts, sources });
    }
    Ok(TargetNodes { start, nodes })
}
