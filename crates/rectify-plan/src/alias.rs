//! Things with two names. A step says what it writes by a name; where links on the way lead
//! elsewhere, its provider says what that is in truth. Two steps that write one thing under two names
//! were never compared with each other, so neither can be decided.

use crate::{
    chain::{ancestors, leaves_directory},
    index::TargetNodes,
};
use rectify_model::{
    Observation,
    graph::Access,
    observation::{Answer, Proposal},
};
use std::collections::{BTreeMap, BTreeSet};

/// What a node writes, by name and in truth.
struct Writer<'a> {
    position: usize,
    named: Vec<&'a str>,
    resolved: &'a [String],
    proposal: Option<&'a Proposal>,
}

impl<'a> Writer<'a> {
    fn keys(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.named.iter().copied().chain(self.resolved.iter().map(String::as_str))
    }

    /// Whether both know the thing by one name, so that the graph has an order for them.
    fn shares_name(&self, other: &Self, key: &str) -> bool {
        match (self.named.contains(&key), other.named.contains(&key)) {
            (true, true) => true,
            (false, false) => self.named == other.named,
            (true, false) | (false, true) => false,
        }
    }

    /// Whether this one's names lie below the other's.
    fn named_below(&self, directory: &Self) -> bool {
        self.named.iter().any(|key| ancestors(key).any(|above| directory.named.contains(&above)))
    }
}

/// The nodes that cannot be decided, with the reason in words. Linear where nothing is resolved.
pub(crate) fn find(target: &TargetNodes<'_>, observation: &Observation) -> BTreeMap<usize, String> {
    let mut found = BTreeMap::new();
    if observation.entries.iter().all(|entry| entry.answer.resolved().is_empty()) {
        return found;
    }
    let mut writers = Vec::new();
    for (position, (node, entry)) in target.nodes.iter().zip(&observation.entries).enumerate() {
        let writes = node.node.touches.iter().filter(|touch| touch.access == Access::Write);
        let named: Vec<&str> = writes.map(|touch| touch.key.as_str()).collect();
        let proposal = match &entry.answer {
            Answer::Undecided { .. } => continue,
            Answer::Unchanged { .. } => None,
            Answer::Changed(proposal) => Some(proposal),
        };
        if !named.is_empty() {
            writers.push(Writer { position, named, resolved: entry.answer.resolved(), proposal });
        }
    }
    let mut by_key: BTreeMap<&str, Vec<&Writer<'_>>> = BTreeMap::new();
    for writer in &writers {
        for key in writer.keys() {
            by_key.entry(key).or_default().push(writer);
        }
    }
    for (key, writers) in &by_key {
        same_thing(target, key, writers, &mut found);
    }
    for writer in writers.iter().filter(|writer| !writer.resolved.is_empty()) {
        let above = writer.resolved.iter().flat_map(|key| ancestors(key));
        let above: BTreeSet<usize> =
            above.filter_map(|key| by_key.get(key)).flatten().map(|other| other.position).collect();
        let mut below: BTreeSet<usize> = BTreeSet::new();
        for key in writer.resolved {
            // `0` follows `/`.
            let (from, to) = (format!("{key}/"), format!("{key}0"));
            let inside = by_key.range(from.as_str()..to.as_str());
            below.extend(inside.flat_map(|(_, others)| others.iter().map(|other| other.position)));
        }
        for other in writers.iter().filter(|other| above.contains(&other.position)) {
            inside(target, other, writer, &mut found);
        }
        for other in writers.iter().filter(|other| below.contains(&other.position)) {
            inside(target, writer, other, &mut found);
        }
    }
    found
}

fn address<'a>(target: &'a TargetNodes<'_>, position: usize) -> &'a str {
    target.nodes.get(position).map_or("", |node| node.node.address.as_str())
}

/// One thing, and all that write it.
fn same_thing(
    target: &TargetNodes<'_>,
    key: &str,
    writers: &[&Writer<'_>],
    found: &mut BTreeMap<usize, String>,
) {
    let Some((first, rest)) = writers.split_first() else { return };
    let Some(other) = rest.iter().find(|other| !first.shares_name(other, key)) else { return };
    if writers.iter().all(|writer| writer.proposal.is_none()) {
        return;
    }
    for writer in writers {
        let counterpart = if first.shares_name(writer, key) { other } else { first };
        found.entry(writer.position).or_insert_with(|| {
            format!(
                "it writes {key}, which `{}` writes under another name; use one name in both",
                address(target, counterpart.position)
            )
        });
    }
}

/// A step on a directory, and one on something in it that does not name it so.
fn inside(
    target: &TargetNodes<'_>,
    directory: &Writer<'_>,
    below: &Writer<'_>,
    found: &mut BTreeMap<usize, String>,
) {
    let (Some(change), Some(_)) = (directory.proposal, below.proposal) else { return };
    if directory.position == below.position || below.named_below(directory) {
        return;
    }
    if leaves_directory(change) && comes_before(target, directory.position, below.position) {
        return;
    }
    let (above, inner) = (address(target, directory.position), address(target, below.position));
    found.entry(below.position).or_insert_with(|| {
        format!("it lies in what `{above}` changes under another name, with no order that makes it certain")
    });
    found.entry(directory.position).or_insert_with(|| {
        format!("`{inner}` lies in what it changes under another name, with no order that makes it certain")
    });
}

/// Whether a node surely comes before another one.
fn comes_before(target: &TargetNodes<'_>, earlier: usize, later: usize) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![later]);
    while let Some(here) = open.pop() {
        if here == earlier {
            return true;
        }
        for source in target.nodes.get(here).map(|node| node.sources.as_slice()).unwrap_or_default() {
            if *source >= earlier && seen.insert(*source) {
                open.push(*source);
            }
        }
    }
    false
}
