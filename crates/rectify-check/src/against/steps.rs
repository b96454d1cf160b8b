//! Each step against its node and what was observed of it.

use super::{Case, Fate};
use crate::{Invariant, notes::Notes, value};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use rectify_base::{TargetName, fingerprint::fingerprint};
use rectify_model::{
    grade::{Prediction, TypeKind},
    graph::{Access, EdgeKind, Node, TypeFacts},
    observation::{Answer, Proposal},
    plan::{Action, Change, Step},
};
use serde_json::Value;

pub(super) fn run(case: &Case<'_>, notes: &mut Notes) {
    let mut written = Written::new();
    for node in &case.graph.nodes {
        let Some(Fate::Step(at, step)) = case.fate(&node.target, &node.address) else { continue };
        let place = |field: &str| format!("/steps/{at}{field}");
        as_node(node, step, &place, notes);
        let Some(facts) = case.graph.types.get(&node.type_name) else { continue };
        if let Some(Answer::Changed(proposal)) = case.answer(node) {
            let same = step.resolved == proposal.resolved;
            let message = "the provider said otherwise";
            notes.require(same, Invariant::Resolved, || place("/resolved"), message);
            as_observed(facts, proposal, step, &place, notes);
            let reason = match step.prediction {
                _ if step.prediction >= proposal.prediction.min(facts.prediction) => true,
                Prediction::Opaque => facts.kind == TypeKind::Action && proposal.planned.is_none(),
                Prediction::Conditional | Prediction::Exact => doubted(case, step, &written),
            };
            let message = "it is less sure than the provider's answer, without a reason";
            notes.require(reason, Invariant::Prediction, || place("/prediction"), message);
        }
        for touch in step.touches.iter().filter(|touch| touch.access == Access::Write) {
            *written.entry((&step.target, &touch.key)).or_default() |= step.prediction < Prediction::Exact;
        }
    }
    chains(case, notes);
}

/// The things that earlier steps write, and whether one of those steps is not certain.
type Written<'a> = BTreeMap<(&'a TargetName, &'a str), bool>;

/// Whether something that a step stands on is not certain: a trigger, an earlier step on the same
/// thing, or a thing that it reads and an earlier step changes.
fn doubted(case: &Case<'_>, step: &Step, written: &Written<'_>) -> bool {
    let trigger = step.edges.iter().any(|edge| {
        let source =
            case.reach.places.get(&(&edge.from, &step.target)).and_then(|at| case.plan.steps.get(*at));
        edge.kind == EdgeKind::OnChange && source.is_some_and(|source| source.prediction < Prediction::Exact)
    });
    let touch = step.touches.iter().any(|touch| {
        let uncertain = written.get(&(&step.target, touch.key.as_str()));
        uncertain.is_some_and(|uncertain| *uncertain || touch.access == Access::Read)
    });
    trigger || touch
}

fn as_node(node: &Node, step: &Step, place: &dyn Fn(&str) -> String, notes: &mut Notes) {
    let same = [
        ("/type", node.type_name == step.type_name),
        ("/desired", node.desired == step.desired),
        ("/touches", node.touches == step.touches),
    ];
    for (field, same) in same {
        notes.require(same, Invariant::Node, || place(field), "it differs from the graph's");
    }
}

fn as_observed(
    facts: &TypeFacts,
    proposal: &Proposal,
    step: &Step,
    place: &dyn Fn(&str) -> String,
    notes: &mut Notes,
) {
    let prior = proposal.prior.as_ref();
    let expect = fingerprint(&step.type_name, facts.version, prior, &facts.volatile);
    let message = "it is not the fingerprint of the state that was observed";
    notes.require(expect == Ok(step.expect), Invariant::Expect, || place("/expect"), message);

    let message = "the states before and after ask for another action";
    notes.require(follows(facts, proposal, step), Invariant::Action, || place("/action"), message);

    let best = proposal.prediction.min(facts.prediction);
    let sure = step.prediction <= best;
    let message = "it is surer than the provider's answer or its type";
    notes.require(sure, Invariant::Prediction, || place("/prediction"), message);

    let graded = step.undo.grade <= proposal.undo.grade && step.undo.grade <= facts.undo;
    let message = "it is better than the provider's answer or its type";
    notes.require(graded, Invariant::UndoGrade, || place("/undo/grade"), message);

    let same = step.disruption == proposal.disruption;
    notes.require(same, Invariant::Disruption, || place("/disruption"), "the provider said otherwise");

    if step.prediction == Prediction::Opaque {
        return;
    }
    let planned = value::same(step.planned.as_ref(), proposal.planned.as_ref(), &facts.volatile);
    notes.require(planned, Invariant::Planned, || place("/planned"), "the provider predicted another state");
    changes(facts, proposal, step, place, notes);
}

/// Whether the action is the one that the states ask for.
fn follows(facts: &TypeFacts, proposal: &Proposal, step: &Step) -> bool {
    if facts.kind == TypeKind::Action {
        return step.action == Action::Run;
    }
    let (prior, planned) = (&proposal.prior, &proposal.planned);
    let same_kind =
        prior.as_ref().and_then(|s| s.get("kind")) == planned.as_ref().and_then(|s| s.get("kind"));
    match step.action {
        Action::Create => prior.is_none(),
        Action::Delete => prior.is_some() && planned.is_none() && step.prediction > Prediction::Opaque,
        Action::Replace => prior.is_some() && planned.is_some() && !same_kind,
        Action::Update if step.prediction == Prediction::Opaque => prior.is_some(),
        Action::Update => prior.is_some() && planned.is_some() && same_kind,
        Action::Run => false,
    }
}

/// The changes, carried out on what was observed, give the planned state; and each shows the values
/// that the provider gave.
fn changes(
    facts: &TypeFacts,
    proposal: &Proposal,
    step: &Step,
    place: &dyn Fn(&str) -> String,
    notes: &mut Notes,
) {
    let (prior, planned) = (proposal.prior.as_ref(), proposal.planned.as_ref());
    let truthful = |change: &Change| {
        let is = |state: Option<&Value>, shown: Option<&Value>| {
            state.and_then(|state| change.path.get(state)) == shown
        };
        is(prior, change.before.as_ref()) && is(planned, change.after.as_ref())
    };
    for (index, change) in step.changes.iter().enumerate() {
        let shown = truthful(change);
        let message = "before or after is not what the provider answered";
        notes.require(shown, Invariant::ChangesMatch, || place(&format!("/changes/{index}")), message);
    }
    let after = value::carried_out(prior, &step.changes);
    let nothing = Value::Object(serde_json::Map::new());
    let message = "they do not lead from the observed state to the planned one";
    let complete = value::same(Some(&after), step.planned.as_ref().or(Some(&nothing)), &facts.volatile);
    // A wrong value is noted above; here a change is missing or too many.
    let listed: BTreeSet<_> = step.changes.iter().map(|change| &change.path).collect();
    let reported = listed.len() == step.changes.len() && step.changes.iter().any(|change| !truthful(change));
    notes.require(complete || reported, Invariant::ChangesMatch, || place("/changes"), message);
}

/// Of steps of one provider on the same things, the later one starts from the earlier one's result.
fn chains<'a>(case: &Case<'a>, notes: &mut Notes) {
    let mut last: BTreeMap<(&TargetName, Vec<&str>), &'a Node> = BTreeMap::new();
    for node in &case.graph.nodes {
        let (Some(Fate::Step(at, step)), Some(facts)) =
            (case.fate(&node.target, &node.address), case.graph.types.get(&node.type_name))
        else {
            continue;
        };
        if facts.kind != TypeKind::Resource {
            continue;
        }
        let keys: Vec<&str> =
            node.touches.iter().filter(|t| t.access == Access::Write).map(|t| t.key.as_str()).collect();
        if keys.is_empty() {
            continue;
        }
        let Some(before) = last.insert((&node.target, keys), node) else { continue };
        let (Some(Answer::Changed(earlier)), Some(Answer::Changed(later))) =
            (case.answer(before), case.answer(node))
        else {
            continue;
        };
        let starts = value::same(later.prior.as_ref(), earlier.planned.as_ref(), &facts.volatile);
        if !starts || before.type_name.provider() != node.type_name.provider() {
            let message = format!("it does not start from what `{}` leaves behind", before.address);
            notes.add(Invariant::Chain, format!("/steps/{at}/expect"), message);
        }
        let sure = match case.fate(&before.target, &before.address) {
            Some(Fate::Step(_, earlier)) => earlier.prediction,
            Some(Fate::Unchanged(..) | Fate::Deferred(..)) | None => Prediction::Exact,
        };
        let message = "it starts from a result that is not certain";
        let place = || format!("/steps/{at}/prediction");
        notes.require(step.prediction <= sure.max(Prediction::Conditional), Invariant::Chain, place, message);
    }
}
