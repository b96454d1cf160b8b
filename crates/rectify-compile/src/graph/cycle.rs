//! Steps that wait for each other, shown as the path that closes.

use super::{Item, Link, Links};
use crate::{codes, report::Report};
use rectify_base::{Diagnostic, Label};
use std::collections::BTreeSet;

/// Reports one cycle among the items that sorting left over.
pub(super) fn report(items: &[Item<'_>], links: &Links, rest: &BTreeSet<usize>, report: &mut Report) {
    let path = find(links, rest);
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
    report.push(diagnostic);
}

fn label(item: &Item<'_>, link: &Link, from: &str) -> Label {
    let at = link.span.unwrap_or(item.span).range();
    let text = match &link.reason {
        Some(reason) => reason.clone(),
        None => format!("`{}` waits for `{from}`", item.address),
    };
    Label { file: item.file.into(), start: at.start, end: at.end, text }
}

/// A cycle in the order in which its steps would come, beginning with the smallest address. Each
/// item left over waits for another one left over, so going backwards must close.
fn find(links: &Links, rest: &BTreeSet<usize>) -> Vec<usize> {
    let mut path: Vec<usize> = Vec::new();
    let mut on_path = BTreeSet::new();
    let mut here = rest.first().copied();
    while let Some(index) = here {
        if !on_path.insert(index) {
            let start = path.iter().position(|i| *i == index).unwrap_or(0);
            path.drain(..start);
            break;
        }
        path.push(index);
        here = links.before(index).map(|(from, _)| from).find(|from| rest.contains(from));
    }
    path.reverse();
    let smallest = path.iter().enumerate().min_by_key(|(_, i)| **i).map_or(0, |(place, _)| place);
    path.rotate_left(smallest);
    path
}
