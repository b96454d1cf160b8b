//! Steps that are the same on many targets, folded into one; what differs is kept apart.

use super::step::unlike;
use rectify_base::{Address, TargetName};
use rectify_model::{
    Plan,
    plan::{Idle, Step},
};
use std::collections::{BTreeMap, BTreeSet};

/// Most targets that are named in one line.
const NAMES_MAX: usize = 6;

/// Everything that happens under one address.
pub(super) struct Block<'p> {
    pub address: &'p Address,
    /// Steps of one shape, the most frequent first.
    pub groups: Vec<Group<'p>>,
    /// Targets of the plan where the address is there, but needs nothing.
    pub unchanged: Vec<&'p TargetName>,
    /// Targets of the plan where nothing triggers the address.
    pub not_triggered: Vec<&'p TargetName>,
    /// Targets of the plan where the address is deferred.
    pub deferred: Vec<&'p TargetName>,
}

impl Block<'_> {
    /// How a step that is not of the most frequent shape differs from it, beyond what its line shows.
    pub fn difference(&self, step: &Step) -> Option<String> {
        let first = self.groups.first()?.step;
        let difference = unlike(first, step);
        (!difference.is_empty()).then_some(difference)
    }
}

/// Equal steps on some targets.
pub(super) struct Group<'p> {
    pub step: &'p Step,
    pub targets: Vec<&'p TargetName>,
}

/// Folds the steps of a plan, in the order in which their addresses first appear.
pub(super) fn fold(plan: &Plan) -> Vec<Block<'_>> {
    let mut order: Vec<&Address> = Vec::new();
    let mut shapes: BTreeMap<&Address, Vec<Group<'_>>> = BTreeMap::new();
    let mut known: BTreeMap<(&Address, String), usize> = BTreeMap::new();
    for step in &plan.steps {
        let groups = shapes.entry(&step.address).or_insert_with(|| {
            order.push(&step.address);
            Vec::new()
        });
        let at = *known.entry((&step.address, shape(step))).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.targets.push(&step.target),
            None => groups.push(Group { step, targets: vec![&step.target] }),
        }
    }
    let idle = |triggered: bool| {
        let entries =
            plan.unchanged.iter().filter(move |entry| (entry.why != Idle::NotTriggered) == triggered);
        by_address(entries.map(|entry| (&entry.address, &entry.target)))
    };
    let (mut unchanged, mut not_triggered) = (idle(true), idle(false));
    let mut deferred = by_address(plan.deferred.iter().map(|entry| (&entry.address, &entry.target)));
    order
        .into_iter()
        .map(|address| {
            let mut groups = shapes.remove(address).unwrap_or_default();
            groups.sort_by_key(|group| std::cmp::Reverse(group.targets.len()));
            Block {
                address,
                groups,
                unchanged: unchanged.remove(address).unwrap_or_default(),
                not_triggered: not_triggered.remove(address).unwrap_or_default(),
                deferred: deferred.remove(address).unwrap_or_default(),
            }
        })
        .collect()
}

fn by_address<'p>(
    entries: impl Iterator<Item = (&'p Address, &'p TargetName)>,
) -> BTreeMap<&'p Address, Vec<&'p TargetName>> {
    let mut map: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (address, target) in entries {
        map.entry(address).or_default().push(target);
    }
    map
}

/// Everything of a step that a reader sees; equal for steps that can share a line.
fn shape(step: &Step) -> String {
    let parts = (
        &step.type_name,
        step.action,
        &step.desired,
        &step.changes,
        step.prediction,
        (step.undo.grade, &step.undo.note),
        &step.disruption,
        &step.edges,
        &step.touches,
        &step.resolved,
    );
    // A plan can always be written as JSON; if not, each step stands alone.
    serde_json::to_string(&parts).unwrap_or_else(|_| format!("{}:{}", step.target, step.address))
}

/// Groups equal texts about targets, keeping the order in which the texts first appear.
pub(super) fn same<'p>(
    entries: impl Iterator<Item = (String, &'p TargetName)>,
) -> Vec<(String, Vec<&'p TargetName>)> {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut out: Vec<(String, Vec<&TargetName>)> = Vec::new();
    for (text, target) in entries {
        let at = *known.entry(text.clone()).or_insert(out.len());
        match out.get_mut(at) {
            Some((_, targets)) => targets.push(target),
            None => out.push((text, vec![target])),
        }
    }
    out
}

/// Says where something happens: nothing where the plan has one target only.
pub(super) fn place(plan: &Plan, targets: &[&TargetName]) -> String {
    let all = plan.targets.len();
    if all == 1 {
        return String::new();
    }
    let inside: BTreeSet<&TargetName> = targets.iter().copied().collect();
    if inside.len() == all {
        return format!("on all {all} targets");
    }
    let outside: Vec<&TargetName> = plan.targets.keys().filter(|target| !inside.contains(target)).collect();
    if outside.len() <= NAMES_MAX && inside.len() > outside.len() {
        return format!("on {} of {all} targets, not on {}", inside.len(), names(&outside));
    }
    let inside: Vec<&TargetName> = inside.into_iter().collect();
    format!("on {}", names(&inside))
}

/// Names of targets, every one.
pub(super) fn every_name(targets: &[&TargetName]) -> String {
    targets.iter().map(|target| target.as_str()).collect::<Vec<_>>().join(", ")
}

/// Names of targets: all of a few, else the first ones and how many more there are.
pub(super) fn names(targets: &[&TargetName]) -> String {
    let shown: Vec<&str> = targets.iter().take(NAMES_MAX).map(|target| target.as_str()).collect();
    match targets.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
