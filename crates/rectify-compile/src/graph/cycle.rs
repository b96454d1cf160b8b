//! Steps that wait for each other, shown as the shortest path that closes.

use super::{Item, Link, Links};
use crate::{codes, report::Report};
use petgraph::{
    Direction,
    algo::{astar, kosaraju_scc},
    graph::{DiGraph, NodeIndex},
};
use rectify_base::{Diagnostic, Label};
use std::collections::BTreeSet;

/// Reports the cycles among the items that sorting left over: one for each group of items that all
/// wait for each other. Items that only wait for a cycle are in none.
pub(super) fn report(items: &[Item<'_>], links: &Links, rest: &BTreeSet<usize>, report: &mut Report) {
    for path in find(links, rest) {
        report.push(diagnostic(items, links, &path));
    }
}

fn diagnostic(items: &[Item<'_>], links: &Links, path: &[usize]) -> Diagnostic {
    let address = |index: usize| items.get(index).map_or("", |i| i.address.as_str());
    let mut labels = Vec::new();
    for (place, to) in path.iter().enumerate() {
        let from = path.get((place + path.len() - 1) % path.len()).copied().unwrap_or(*to);
        let link = links.before(*to).find(|(f, _)| *f == from).map(|(_, link)| link);
        let (Some(item), Some(link)) = (items.get(*to), link) else { continue };
        labels.push(label(item, link, address(from)));
    }
    labels.sort();
    let mut names: Vec<String> = path.iter().map(|i| format!("`{}`", address(*i))).collect();
    names.extend(names.first().cloned());
    let mut diagnostic = Diagnostic::error(
        codes::GRAPH_CYCLE,
        format!("steps wait for each other: {}", names.join(" before ")),
    )
    .help("remove one of these edges");
    diagnostic.labels = labels;
    diagnostic
}

fn label(item: &Item<'_>, link: &Link, from: &str) -> Label {
    let at = link.span.unwrap_or(item.span).range();
    let text = match &link.reason {
        Some(reason) => reason.clone(),
        None => format!("`{}` waits for `{from}`", item.address),
    };
    Label { file: item.file.into(), start: at.start, end: at.end, text }
}

/// For each strongly connected group a shortest cycle through its smallest address, in the order in
/// which its steps would come. Groups are sorted by that address.
fn find(links: &Links, rest: &BTreeSet<usize>) -> Vec<Vec<usize>> {
    let items: Vec<usize> = rest.iter().copied().collect();
    let mut graph: DiGraph<usize, ()> = DiGraph::with_capacity(items.len(), items.len());
    for item in &items {
        graph.add_node(*item);
    }
    for (to, item) in items.iter().enumerate() {
        let before = links.before(*item).filter_map(|(from, _)| items.binary_search(&from).ok());
        for from in before {
            graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), ());
        }
    }
    let groups = kosaraju_scc(&graph);
    let mut cycles: Vec<Vec<usize>> = groups.iter().filter_map(|group| shortest(&mut graph, group)).collect();
    cycles.sort();
    cycles
}

/// The shortest way from the group's smallest node back to it; none if it does not wait for itself.
fn shortest(graph: &mut DiGraph<usize, ()>, group: &[NodeIndex]) -> Option<Vec<usize>> {
    let start = *group.iter().min()?;
    // The same step once more, as the end of the way.
    let end = graph.add_node(*graph.node_weight(start)?);
    let last: Vec<NodeIndex> = graph.neighbors_directed(start, Direction::Incoming).collect();
    for node in last {
        graph.add_edge(node, end, ());
    }
    let (_, mut way) = astar(&*graph, start, |node| node == end, |_| 1_usize, |_| 0)?;
    way.pop();
    way.into_iter().map(|node| graph.node_weight(node).copied()).collect()
}
