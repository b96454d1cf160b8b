//! Steps that touch one thing. A step is predicted on the result of the step that changed the thing
//! last; where that result is not known, the step cannot be decided.

use crate::{
    answer,
    index::{Indexed, TargetNodes},
};
use rectify_model::{
    grade::{Prediction, TypeKind},
    graph::Access,
    observation::Proposal,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

const PATH: &str = "path:";

/// An earlier writer of a thing: its position, and which of all written keys it is.
#[derive(Clone, Copy)]
struct Link {
    writer: usize,
    slot: usize,
}

/// What a node touches, and who wrote it last before.
#[derive(Default)]
struct Links<'g> {
    /// The slots of the keys that the node writes.
    writes: Range<usize>,
    /// Latest earlier writers of directories above the paths that it touches.
    above: Vec<Link>,
    /// Keys that it only reads, with their latest earlier writers.
    reads: Vec<(&'g str, Link)>,
}

/// One key that one node writes.
struct Slot<'g> {
    key: &'g str,
    /// The latest earlier writer of the key.
    before: Option<Link>,
    /// The last step, the node itself included, that changes the key.
    origin: Option<usize>,
}

/// The chains of one target, and how far they are followed.
pub(crate) struct Chains<'g> {
    links: Vec<Links<'g>>,
    slots: Vec<Slot<'g>>,
    /// For each node, the first of all nodes that are joined with it by writing the same things.
    groups: Vec<usize>,
}

/// What a node's answer has to stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// What is there now.
    Live,
    /// The predicted result of the step at this position.
    Result(usize),
    /// Nothing: the step at this position changes the thing, and its result cannot be used.
    Unknown(usize, Why),
}

impl Basis {
    /// The step that decides what there is to stand on, if there is one.
    pub const fn origin(self) -> Option<usize> {
        match self {
            Self::Live => None,
            Self::Result(origin) | Self::Unknown(origin, _) => Some(origin),
        }
    }
}

/// Why the result of a step cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Above,
    Undecided,
    Runs,
    Opaque,
    Part,
}

impl Why {
    const fn text(self) -> &'static str {
        match self {
            Self::Above => "changes a directory above it in a way that decides what is there",
            Self::Undecided => "changes the same thing",
            Self::Runs => "runs before and may change the same thing",
            Self::Opaque => "changes the same thing in a way that cannot be predicted",
            Self::Part => "changes a part of the same thing that this step cannot be predicted on",
        }
    }
}

/// Why a node has no basis, in words.
pub(crate) fn unknown(target: &TargetNodes<'_>, origin: usize, why: Why) -> String {
    let address = target.nodes.get(origin).map_or("", |node| node.node.address.as_str());
    format!("`{address}` {}", why.text())
}

impl<'g> Chains<'g> {
    /// Finds the writers. Linear in the touches, times the depth of paths.
    pub fn new(target: &TargetNodes<'g>) -> Self {
        let keys = Keys::new(target);
        let mut last: Vec<Option<Link>> = vec![None; keys.written.len()];
        let latest = |last: &[Option<Link>], key: Option<usize>| key.and_then(|key| *last.get(key)?);
        let mut above = Above::default();
        let mut all = Vec::with_capacity(target.nodes.len());
        let mut slots: Vec<Slot<'g>> = Vec::with_capacity(target.nodes.len());
        let mut groups: Vec<usize> = (0..target.nodes.len()).collect();
        let mut own = Vec::new();
        for (position, indexed) in target.nodes.iter().enumerate() {
            let mut links = Links { writes: slots.len()..slots.len(), ..Links::default() };
            for touch in &indexed.node.touches {
                let key = keys.place(&touch.key);
                let before = latest(&last, key);
                match (touch.access, before) {
                    (Access::Write, before) => {
                        if let Some(before) = before {
                            join(&mut groups, before.writer, position);
                        }
                        own.extend(key.map(|key| (key, slots.len())));
                        slots.push(Slot { key: &touch.key, before, origin: None });
                    }
                    (Access::Read, Some(before)) => links.reads.push((&touch.key, before)),
                    (Access::Read, None) => {}
                }
                let above = above.of(&keys, &touch.key).iter();
                links.above.extend(above.filter_map(|key| latest(&last, Some(*key))));
            }
            links.writes.end = slots.len();
            for (key, slot) in own.drain(..) {
                if let Some(last) = last.get_mut(key) {
                    *last = Some(Link { writer: position, slot });
                }
            }
            all.push(links);
        }
        for position in 0..groups.len() {
            let first = first_of(&groups, position);
            if let Some(group) = groups.get_mut(position) {
                *group = first;
            }
        }
        Self { links: all, slots, groups }
    }

    /// Nodes that write the same things, directly or through others; only those of more than one.
    pub fn groups(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (position, first) in self.groups.iter().enumerate() {
            if *first != position {
                members.entry(*first).or_insert_with(|| vec![*first]).push(position);
            }
        }
        members
    }

    /// The group of a node, named by its first member.
    pub fn group_of(&self, position: usize) -> usize {
        self.groups.get(position).copied().unwrap_or(position)
    }

    fn slots_of(&self, position: usize) -> &[Slot<'g>] {
        let range = self.links.get(position).map(|links| links.writes.clone()).unwrap_or_default();
        self.slots.get(range).unwrap_or_default()
    }

    /// The keys that a node writes, sorted.
    pub fn keys(&self, position: usize) -> impl Iterator<Item = &'g str> + '_ {
        self.slots_of(position).iter().map(|slot| slot.key)
    }

    /// Positions whose outcome must be known before the node can be asked about.
    pub fn waits_for(&self, position: usize) -> BTreeSet<usize> {
        let Some(links) = self.links.get(position) else { return BTreeSet::new() };
        let own = self.slots_of(position).iter().filter_map(|slot| slot.before.map(|link| link.writer));
        own.chain(links.above.iter().map(|link| link.writer)).collect()
    }

    /// Notes whether a node changes something. Its predecessors have been settled before.
    pub fn settle(&mut self, position: usize, changes: bool) {
        let range = self.links.get(position).map(|links| links.writes.clone()).unwrap_or_default();
        for slot in range {
            let before = self.slots.get(slot).and_then(|slot| slot.before);
            let origin = if changes { Some(position) } else { before.and_then(|link| self.origin(link)) };
            if let Some(slot) = self.slots.get_mut(slot) {
                slot.origin = origin;
            }
        }
    }

    fn origin(&self, link: Link) -> Option<usize> {
        self.slots.get(link.slot)?.origin
    }

    /// Keys that a node only reads and that an earlier step changes, with that step.
    pub fn changed_reads(&self, position: usize) -> impl Iterator<Item = (&'g str, usize)> + '_ {
        let reads = self.links.get(position).map(|links| links.reads.as_slice()).unwrap_or_default();
        reads.iter().filter_map(|(key, link)| Some((*key, self.origin(*link)?)))
    }

    /// The earlier steps that change directories above what a node touches, nearest first.
    pub fn changed_above(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        let above = self.links.get(position).map(|links| links.above.as_slice()).unwrap_or_default();
        above.iter().filter_map(|link| self.origin(*link))
    }

    /// What the node's answer has to stand on. `proposals` gives the proposal of a changing step.
    pub fn basis<'p>(
        &self,
        target: &TargetNodes<'_>,
        position: usize,
        proposals: impl Fn(usize) -> Option<&'p Proposal>,
    ) -> Basis {
        let Some(here) = target.nodes.get(position) else { return Basis::Live };
        // The state of an action is that of its guards, and a probe has none: neither is chained.
        if here.facts.kind != TypeKind::Resource {
            return Basis::Live;
        }
        for origin in self.changed_above(position) {
            if !proposals(origin).is_some_and(leaves_directory) {
                return Basis::Unknown(origin, Why::Above);
            }
        }
        let origins = || {
            self.slots_of(position).iter().filter_map(|slot| slot.before.and_then(|link| self.origin(link)))
        };
        let Some(last) = origins().max() else { return Basis::Live };
        let (Some(before), Some(proposal)) = (target.nodes.get(last), proposals(last)) else {
            return Basis::Unknown(last, Why::Undecided);
        };
        if before.facts.kind != TypeKind::Resource {
            return Basis::Unknown(last, Why::Runs);
        }
        if answer::prediction(before.facts, proposal) == Prediction::Opaque {
            return Basis::Unknown(last, Why::Opaque);
        }
        if origins().any(|origin| origin != last) || !self.same_things(before, last, here, position) {
            return Basis::Unknown(last, Why::Part);
        }
        Basis::Result(last)
    }

    /// Whether two nodes are of one provider and write the same keys.
    pub fn same_things(&self, a: &Indexed<'_>, at_a: usize, b: &Indexed<'_>, at_b: usize) -> bool {
        a.node.type_name.provider() == b.node.type_name.provider() && self.keys(at_a).eq(self.keys(at_b))
    }
}

/// All keys that are written, sorted. Nodes are often in this order, so sorting is cheap.
struct Keys<'g> {
    written: Vec<&'g str>,
}

impl<'g> Keys<'g> {
    fn new(target: &TargetNodes<'g>) -> Self {
        let touches = target.nodes.iter().flat_map(|node| node.node.touches.iter());
        let writes = touches.filter(|touch| touch.access == Access::Write);
        let mut written: Vec<&str> = writes.map(|touch| touch.key.as_str()).collect();
        written.sort_unstable();
        written.dedup();
        Self { written }
    }

    fn place(&self, key: &str) -> Option<usize> {
        self.written.binary_search(&key).ok()
    }
}

/// The written directories above a path. Neighbours often share theirs, so the last ones are kept.
#[derive(Default)]
struct Above<'g> {
    parent: &'g str,
    keys: Vec<usize>,
}

impl<'g> Above<'g> {
    /// Places of the directories above, nearest first.
    fn of(&mut self, keys: &Keys<'_>, key: &'g str) -> &[usize] {
        let parent = ancestors(key).next().unwrap_or_default();
        if parent != self.parent {
            self.parent = parent;
            self.keys = ancestors(key).filter_map(|key| keys.place(key)).collect();
        }
        &self.keys
    }
}

/// The first member of a node's group, as far as groups are joined.
fn first_of(groups: &[usize], position: usize) -> usize {
    let mut here = position;
    while let Some(next) = groups.get(here).copied().filter(|next| *next != here) {
        here = next;
    }
    here
}

/// Joins two groups under the earlier first member.
fn join(groups: &mut [usize], a: usize, b: usize) {
    let (a, b) = (first_of(groups, a), first_of(groups, b));
    let (first, other) = (a.min(b), a.max(b));
    if let Some(group) = groups.get_mut(other) {
        *group = first;
    }
}

/// Whether a proposal leaves a directory in the place of a directory, or where nothing was.
pub(crate) fn leaves_directory(proposal: &Proposal) -> bool {
    let is_directory =
        |state: &Value| state.get("kind").and_then(Value::as_str).is_some_and(|kind| kind == "directory");
    proposal.planned.as_ref().is_some_and(is_directory) && proposal.prior.as_ref().is_none_or(is_directory)
}

/// The directories above a path, nearest first, as touch keys. None for other kinds of things.
pub(crate) fn ancestors(key: &str) -> impl Iterator<Item = &str> {
    let is_path = key.starts_with(PATH);
    let mut rest = key;
    std::iter::from_fn(move || {
        let (parent, _) = rest.rsplit_once('/').filter(|_| is_path)?;
        rest = parent;
        (parent.len() > PATH.len()).then_some(parent)
    })
}
