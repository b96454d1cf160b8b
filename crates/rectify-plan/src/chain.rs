//! Steps that touch one thing. A step is predicted on the result of the step that changed the thing
//! last; where that result is not known, the step cannot be decided.

use crate::{answer, index::TargetNodes};
use rectify_model::{
    grade::{Prediction, TypeKind},
    graph::Access,
    observation::Proposal,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const PATH: &str = "path:";

/// An earlier writer of a thing: its position, and which of its written keys it is.
#[derive(Clone, Copy)]
struct Link {
    writer: usize,
    slot: usize,
}

/// What a node touches, and who wrote it last before.
#[derive(Default)]
struct Links<'g> {
    /// Keys that the node writes, each with its latest earlier writer.
    writes: Vec<(&'g str, Option<Link>)>,
    /// Latest earlier writers of directories above the paths that it touches.
    above: Vec<Link>,
    /// Keys that it only reads, with their latest earlier writers.
    reads: Vec<(&'g str, Link)>,
}

/// The chains of one target, and how far they are followed.
pub(crate) struct Chains<'g> {
    links: Vec<Links<'g>>,
    /// For each node and each key it writes: the last step, itself included, that changes the key.
    origins: Vec<Vec<Option<usize>>>,
}

/// What a node's answer has to stand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// What is there now.
    Live,
    /// The predicted result of the step at this position.
    Result(usize),
    /// Nothing: an earlier step changes the thing, and this says why its result cannot be used.
    Unknown(String),
}

impl<'g> Chains<'g> {
    /// Finds the writers. Linear in the touches, times the depth of paths.
    pub fn new(target: &TargetNodes<'g>) -> Self {
        let mut last: BTreeMap<&str, Link> = BTreeMap::new();
        let mut all = Vec::with_capacity(target.nodes.len());
        for (position, indexed) in target.nodes.iter().enumerate() {
            let touches = &indexed.node.touches;
            let mut links = Links::default();
            for touch in touches {
                let before = last.get(touch.key.as_str()).copied();
                match (touch.access, before) {
                    (Access::Write, before) => links.writes.push((&touch.key, before)),
                    (Access::Read, Some(before)) => links.reads.push((&touch.key, before)),
                    (Access::Read, None) => {}
                }
                links.above.extend(ancestors(&touch.key).filter_map(|key| last.get(key).copied()));
            }
            for (slot, (key, _)) in links.writes.iter().enumerate() {
                last.insert(key, Link { writer: position, slot });
            }
            all.push(links);
        }
        let origins = vec![Vec::new(); all.len()];
        Self { links: all, origins }
    }

    /// Positions whose outcome must be known before the node can be asked about.
    pub fn waits_for(&self, position: usize) -> BTreeSet<usize> {
        let Some(links) = self.links.get(position) else { return BTreeSet::new() };
        let own = links.writes.iter().filter_map(|(_, link)| link.map(|link| link.writer));
        own.chain(links.above.iter().map(|link| link.writer)).collect()
    }

    /// Notes whether a node changes something. Its predecessors have been settled before.
    pub fn settle(&mut self, position: usize, changes: bool) {
        let Some(links) = self.links.get(position) else { return };
        let after = links
            .writes
            .iter()
            .map(
                |(_, before)| {
                    if changes { Some(position) } else { before.and_then(|link| self.origin(link)) }
                },
            )
            .collect();
        if let Some(slots) = self.origins.get_mut(position) {
            *slots = after;
        }
    }

    fn origin(&self, link: Link) -> Option<usize> {
        self.origins.get(link.writer)?.get(link.slot).copied().flatten()
    }

    /// Keys that a node only reads and that an earlier step changes, with that step.
    pub fn changed_reads(&self, position: usize) -> impl Iterator<Item = (&'g str, usize)> + '_ {
        let reads = self.links.get(position).map(|links| links.reads.as_slice()).unwrap_or_default();
        reads.iter().filter_map(|(key, link)| Some((*key, self.origin(*link)?)))
    }

    /// What the node's answer has to stand on. `proposals` gives the proposal of a changing step.
    pub fn basis<'p>(
        &self,
        target: &TargetNodes<'_>,
        position: usize,
        proposals: impl Fn(usize) -> Option<&'p Proposal>,
    ) -> Basis {
        let (Some(links), Some(here)) = (self.links.get(position), target.nodes.get(position)) else {
            return Basis::Live;
        };
        // The state of an action is that of its guards, and a probe has none: neither is chained.
        if here.facts.kind != TypeKind::Resource {
            return Basis::Live;
        }
        let unknown = |origin: usize, why: &str| {
            let address = target.nodes.get(origin).map_or("", |node| node.node.address.as_str());
            Basis::Unknown(format!("`{address}` {why}"))
        };
        for origin in links.above.iter().filter_map(|link| self.origin(*link)) {
            let known = proposals(origin).is_some_and(leaves_directory);
            if !known {
                return unknown(origin, "changes a directory above it in a way that decides what is there");
            }
        }
        let origins: BTreeSet<usize> =
            links.writes.iter().filter_map(|(_, link)| link.and_then(|link| self.origin(link))).collect();
        let Some(last) = origins.last().copied() else { return Basis::Live };
        let keys = |position: usize| -> BTreeSet<&str> {
            let writes = self.links.get(position).map(|links| links.writes.as_slice()).unwrap_or_default();
            writes.iter().map(|(key, _)| *key).collect()
        };
        let (Some(before), Some(proposal)) = (target.nodes.get(last), proposals(last)) else {
            return unknown(last, "changes the same thing");
        };
        if before.facts.kind != TypeKind::Resource {
            return unknown(last, "runs before and may change the same thing");
        }
        if answer::prediction(before.facts, proposal) == Prediction::Opaque {
            return unknown(last, "changes the same thing in a way that cannot be predicted");
        }
        if origins.len() > 1
            || before.node.type_name.provider() != here.node.type_name.provider()
            || keys(last) != keys(position)
        {
            return unknown(last, "changes a part of the same thing that this step cannot be predicted on");
        }
        Basis::Result(last)
    }
}

/// Whether a proposal leaves a directory in the place of a directory, or where nothing was.
fn leaves_directory(proposal: &Proposal) -> bool {
    let is_directory =
        |state: &Value| state.get("kind").and_then(Value::as_str).is_some_and(|kind| kind == "directory");
    proposal.planned.as_ref().is_some_and(is_directory) && proposal.prior.as_ref().is_none_or(is_directory)
}

/// The directories above a path, nearest first, as touch keys. None for other kinds of things.
fn ancestors(key: &str) -> impl Iterator<Item = &str> {
    let is_path = key.starts_with(PATH);
    let mut rest = key;
    std::iter::from_fn(move || {
        let (parent, _) = rest.rsplit_once('/')?;
        rest = parent;
        (is_path && parent.len() > PATH.len()).then_some(parent)
    })
}
