//! Each step by itself: what it leaves behind, what it says that it changes, and its inverse.

use crate::{Invariant, notes::Notes, value};
use alloc::{format, string::String, vec::Vec};
use rectify_base::{Digest, Pointer, fingerprint::fingerprint};
use rectify_model::{
    Plan,
    grade::{Prediction, UndoGrade},
    plan::{Action, Change, PlanType, Step},
};
use serde_json::Value;

pub(super) fn run(plan: &Plan, notes: &mut Notes) {
    for (at, step) in plan.steps.iter().enumerate() {
        let place = |field: &str| format!("/steps/{at}/{field}");
        changes(step, &place, notes);
        let facts = plan.types.get(&step.type_name);
        undo(step, facts, &place, notes);
        let known = known(step, &place, notes);
        if let Some(facts) = facts {
            if known {
                result(step, facts, &place, notes);
                before(step, facts, &place, notes);
            }
            display(step, facts, &place, notes);
        }
    }
}

/// Whether result and planned state are there where they should be.
fn known(step: &Step, place: &dyn Fn(&str) -> String, notes: &mut Notes) -> bool {
    let opaque = step.prediction == Prediction::Opaque;
    let result = step.result.is_some() != opaque;
    let planned = step.planned.is_some() == (!opaque && step.action != Action::Delete);
    notes.require(
        result,
        Invariant::Known,
        || place("result"),
        "it must be there unless the prediction is opaque",
    );
    notes.require(
        planned,
        Invariant::Known,
        || place("planned"),
        "it must be there unless the prediction is opaque or nothing remains",
    );
    result && planned
}

fn result(step: &Step, facts: &PlanType, place: &dyn Fn(&str) -> String, notes: &mut Notes) {
    let Some(result) = step.result else { return };
    let computed = fingerprint(&step.type_name, facts.version, step.planned.as_ref(), &facts.volatile);
    notes.require(
        computed == Ok(result),
        Invariant::Result,
        || place("result"),
        "it is not the fingerprint of the planned state",
    );
}

/// What is only for display: not in the planned state, and true where it is shown.
fn display(step: &Step, facts: &PlanType, place: &dyn Fn(&str) -> String, notes: &mut Notes) {
    if let Some(planned) = &step.planned {
        // Only members of objects can be left out of a fingerprint: a pointer to anything else, such
        // as to an item of a list, names nothing that is volatile.
        let holds = |pointer: &Pointer| {
            pointer.get(planned).is_some() && {
                let mut rest = planned.clone();
                pointer.remove(&mut rest);
                rest != *planned
            }
        };
        let clean = !facts.volatile.iter().any(holds);
        let message = "it holds a member that takes no part in fingerprints";
        notes.require(clean, Invariant::PlannedVolatile, || place("planned"), message);
    }
    for content in value::shown_contents(&facts.volatile) {
        for (index, change) in step.changes.iter().enumerate() {
            for (side, value) in [("before", &change.before), ("after", &change.after)] {
                let shown = value.as_ref().and_then(|value| within(change, value, content.as_str()));
                notes.require(
                    shown.is_none_or(truthful),
                    Invariant::Shown,
                    || place(&format!("changes/{index}/{side}")),
                    "the text shown is not the content that the digest names",
                );
            }
        }
    }
}

/// The value at a place of the state, as far as a change holds it.
fn within<'v>(change: &Change, value: &'v Value, pointer: &str) -> Option<&'v Value> {
    value.pointer(pointer.strip_prefix(change.path.as_str())?)
}

fn truthful(content: &Value) -> bool {
    let text = content.get("text").and_then(Value::as_str);
    let digest = content.get("blake3").and_then(Value::as_str);
    match (text, digest.map(str::parse::<Digest>)) {
        (Some(text), Some(Ok(digest))) => Digest::of_bytes(text.as_bytes()) == digest,
        (Some(_), Some(Err(_))) => false,
        (Some(_), None) | (None, _) => true,
    }
}

fn changes(step: &Step, place: &dyn Fn(&str) -> String, notes: &mut Notes) {
    let shape = Invariant::ChangesShape;
    let opaque = step.prediction == Prediction::Opaque;
    let some = !step.changes.is_empty();
    notes.require(
        some || opaque || step.action == Action::Run,
        shape,
        || place("changes"),
        "nothing changes",
    );
    notes.require(!(some && opaque), shape, || place("changes"), "an opaque step cannot know what changes");
    for (index, change) in step.changes.iter().enumerate() {
        let differs = change.before != change.after;
        notes.require(differs, shape, || place(&format!("changes/{index}")), "before and after are equal");
    }
    let sorted = step.changes.is_sorted_by(|a, b| a.path < b.path);
    notes.require(sorted, shape, || place("changes"), "the changes are not sorted by place, each once");
}

fn undo(step: &Step, facts: Option<&PlanType>, place: &dyn Fn(&str) -> String, notes: &mut Notes) {
    let mirrored = match &step.undo.inverse {
        None => step.undo.grade == UndoGrade::None,
        Some(inverse) => {
            let action = match step.action {
                Action::Create => Action::Delete,
                Action::Delete => Action::Create,
                Action::Update | Action::Replace | Action::Run => step.action,
            };
            let states = match (step.result, inverse.result) {
                (Some(left), Some(back)) => left == inverse.expect && step.expect == back,
                // Nothing can be seen of it, neither before nor after.
                (None, None) => {
                    step.action == Action::Run
                        && step.expect == inverse.expect
                        && facts.is_none_or(|facts| says_nothing(step, facts))
                }
                (Some(_), None) | (None, Some(_)) => false,
            };
            step.undo.grade != UndoGrade::None && action == inverse.action && states
        }
    };
    notes.require(mirrored, Invariant::Undo, || place("undo"), "the inverse does not mirror the step");
    let said = step.undo.grade == UndoGrade::Exact || step.undo.note.is_some();
    notes.require(said, Invariant::Undo, || place("undo/note"), "it does not say what is lost");
    let modest = step.action != Action::Run || step.undo.grade <= UndoGrade::Lossy;
    let message = "what an action did is not seen whole, so it is not taken back exactly";
    notes.require(modest, Invariant::Undo, || place("undo/grade"), message);
}

/// Whether the state that a step expects is there without a member, or not there at all.
fn says_nothing(step: &Step, facts: &PlanType) -> bool {
    let empty = Value::Object(serde_json::Map::new());
    [None, Some(&empty)]
        .into_iter()
        .any(|state| fingerprint(&step.type_name, facts.version, state, &facts.volatile) == Ok(step.expect))
}

/// What an inverse brings back can be read from the step: every change, turned back on the planned
/// state, gives a state with the fingerprint that the step expects to find.
fn before(step: &Step, facts: &PlanType, place: &dyn Fn(&str) -> String, notes: &mut Notes) {
    if step.undo.inverse.is_none() || step.result.is_none() {
        return;
    }
    let turned = |change: &Change| Change {
        path: change.path.clone(),
        before: change.after.clone(),
        after: change.before.clone(),
    };
    let changes: Vec<Change> = step.changes.iter().map(turned).collect();
    let state = value::carried_out(step.planned.as_ref(), &changes);
    let state = (step.action != Action::Create).then_some(&state);
    let found = fingerprint(&step.type_name, facts.version, state, &facts.volatile);
    let message = "turned back, they do not give the state that the step expects to find";
    notes.require(found == Ok(step.expect), Invariant::Before, || place("changes"), message);
}
