//! Things that steps write in truth, where links lead elsewhere than a name says.

use crate::{Invariant, notes::Notes, reach::Reach, value::above};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    vec::Vec,
};
use rectify_base::TargetName;
use rectify_model::{
    Plan,
    graph::Access,
    plan::{Action, Step},
};

/// The keys that a step says it writes.
fn named(step: &Step) -> impl Iterator<Item = &str> {
    step.touches.iter().filter(|touch| touch.access == Access::Write).map(|touch| touch.key.as_str())
}

pub(super) fn run(plan: &Plan, reach: &Reach<'_>, notes: &mut Notes) {
    for (at, step) in plan.steps.iter().enumerate() {
        let sorted = step.resolved.is_sorted_by(|a, b| a < b);
        let twice = named(step).any(|key| step.resolved.iter().any(|resolved| resolved == key));
        let message = "not sorted, or it repeats what the step says it writes";
        notes.require(sorted && !twice, Invariant::Resolved, || format!("/steps/{at}/resolved"), message);
    }
    if plan.steps.iter().all(|step| step.resolved.is_empty()) {
        return;
    }
    // Each thing, with the steps that write it, and whether they call it so.
    let mut writers: BTreeMap<(&TargetName, &str), Vec<(usize, bool)>> = BTreeMap::new();
    for (at, step) in plan.steps.iter().enumerate() {
        for key in named(step) {
            writers.entry((&step.target, key)).or_default().push((at, true));
        }
        for key in &step.resolved {
            writers.entry((&step.target, key)).or_default().push((at, false));
        }
    }
    let mut noted = BTreeSet::new();
    for ((_, key), writers) in &writers {
        let Some(((first, by_name), rest)) = writers.split_first() else { continue };
        let names = |at: usize| plan.steps.get(at).map(|step| named(step).collect::<Vec<_>>());
        for (at, other) in rest {
            let one_name = if *by_name || *other { by_name == other } else { names(*first) == names(*at) };
            if at != first && !one_name && noted.insert(*at) {
                let message = format!("`{key}` is written by an earlier step, under another name");
                notes.add(Invariant::Names, format!("/steps/{at}"), message);
            }
        }
    }
    for ((target, key), inner) in &writers {
        for directory in above(key).filter_map(|key| writers.get(&(*target, key))) {
            for (at, inner_named) in inner {
                for (outer, outer_named) in directory {
                    let seen = (*inner_named && *outer_named) || knows(plan, *at, *outer);
                    if at != outer && !seen && !in_order(plan, reach, *outer, *at) && noted.insert(*at) {
                        let message = "it lies in what another step changes, under another name";
                        notes.add(Invariant::Names, format!("/steps/{at}"), message);
                    }
                }
            }
        }
    }
}

/// Whether one step's names lie below the other's, so that the graph orders them.
fn knows(plan: &Plan, inner: usize, outer: usize) -> bool {
    let (Some(inner), Some(outer)) = (plan.steps.get(inner), plan.steps.get(outer)) else { return false };
    named(inner).any(|key| above(key).any(|directory| named(outer).any(|name| name == directory)))
}

/// Whether a step surely comes first and leaves a directory for the other one.
fn in_order(plan: &Plan, reach: &Reach<'_>, outer: usize, inner: usize) -> bool {
    let kind = |step: &Step| {
        let kind = step.planned.as_ref().and_then(|planned| planned.get("kind"));
        kind.and_then(serde_json::Value::as_str).is_some_and(|kind| kind == "directory")
    };
    plan.steps
        .get(outer)
        .is_some_and(|step| kind(step) && matches!(step.action, Action::Create | Action::Update))
        && outer < inner
        && reach.missing(inner, BTreeSet::from([outer])).is_empty()
}
