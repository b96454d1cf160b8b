//! Edges, and what follows from the order that they make.

use super::names;
use crate::{Invariant, notes::Notes, reach::Reach};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
};
use rectify_model::{
    Plan,
    grade::Prediction,
    graph::{Access, EdgeKind},
};

pub(super) fn run(plan: &Plan, reach: &Reach<'_>, notes: &mut Notes) {
    edges(plan, reach, notes);
    writers(plan, reach, notes);
    names::run(plan, reach, notes);
}

fn edges(plan: &Plan, reach: &Reach<'_>, notes: &mut Notes) {
    for (at, step) in plan.steps.iter().enumerate() {
        let sorted = step.edges.is_sorted_by(|a, b| a.from < b.from);
        notes.require(sorted, Invariant::Edges, || format!("/steps/{at}/edges"), "not sorted, one a source");
        for (index, edge) in step.edges.iter().enumerate() {
            let source = reach.places.get(&(&edge.from, &step.target)).copied().filter(|source| *source < at);
            let Some(source) = source.and_then(|source| plan.steps.get(source)) else {
                let message = format!("`{}` is not an earlier step of this target", edge.from);
                notes.add(Invariant::Edges, format!("/steps/{at}/edges/{index}"), message);
                continue;
            };
            let sure = edge.kind != EdgeKind::OnChange
                || source.prediction == Prediction::Exact
                || step.prediction < Prediction::Exact;
            notes.require(
                sure,
                Invariant::TriggerPrediction,
                || format!("/steps/{at}/prediction"),
                "what triggers it is not certain to change",
            );
        }
    }
}

fn writers(plan: &Plan, reach: &Reach<'_>, notes: &mut Notes) {
    let mut last = BTreeMap::new();
    for (at, step) in plan.steps.iter().enumerate() {
        for (index, touch) in step.touches.iter().enumerate() {
            if touch.access != Access::Write {
                continue;
            }
            if let Some(before) = last.insert((&step.target, touch.key.as_str()), at)
                && before != at
                && !reach.missing(at, BTreeSet::from([before])).is_empty()
            {
                let message =
                    format!("`{}` is written by an earlier step that it does not wait for", touch.key);
                notes.add(Invariant::Writers, format!("/steps/{at}/touches/{index}"), message);
            }
        }
    }
}
