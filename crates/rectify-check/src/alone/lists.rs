//! The lists of a plan as lists: who is in them, how often, in which order, and how many.

use super::assumptions;
use crate::{Invariant, notes::Notes};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
};
use rectify_base::{Address, RemediationName, TargetName, TypeName, canonical};
use rectify_model::{
    Plan,
    fact::Found,
    grade::TypeKind,
    plan::{self, Action, Counts, Idle},
};
use serde_json::{Map, Value};

pub(super) fn run(plan: &Plan, notes: &mut Notes) {
    notes.require(
        plan.format == plan::FORMAT,
        Invariant::Format,
        || "/format".into(),
        "this is not the format of this version",
    );
    names(plan, notes);
    counts(plan, notes);
    waves(plan, notes);
    let told = assumptions::run(plan, notes);
    types(plan, &told, notes);
    providers(plan, notes);
    profile(plan, notes);
    identities(plan, notes);
    notes.require(
        plan.counts.changes() <= u64::from(plan.limits.changes_max),
        Invariant::Limits,
        || "/limits/changes_max".into(),
        "the plan changes more than it allows",
    );
    notes.require(
        plan.limits.parallel_steps > 0,
        Invariant::Limits,
        || "/limits/parallel_steps".into(),
        "no step may ever run",
    );
}

/// A provider that no type is of would be vouched for, and not used.
fn providers(plan: &Plan, notes: &mut Notes) {
    for (name, provider) in &plan.providers {
        let used = plan.types.values().any(|known| known.manifest == provider.manifest);
        let place = || format!("/providers/{}", name.replace('~', "~0").replace('/', "~1"));
        notes.require(used, Invariant::Providers, place, "no type of the plan is of this provider");
    }
}

/// Every entry of the four lists, with its place.
fn entries(plan: &Plan) -> impl Iterator<Item = (&'static str, usize, &TargetName, &Address)> {
    let steps = plan.steps.iter().enumerate().map(|(at, e)| ("steps", at, &e.target, &e.address));
    let unchanged = plan.unchanged.iter().enumerate().map(|(at, e)| ("unchanged", at, &e.target, &e.address));
    let deferred = plan.deferred.iter().enumerate().map(|(at, e)| ("deferred", at, &e.target, &e.address));
    let gates = plan.gates.iter().enumerate().map(|(at, e)| ("gates", at, &e.target, &e.address));
    steps.chain(unchanged).chain(deferred).chain(gates)
}

fn names(plan: &Plan, notes: &mut Notes) {
    notes.require(!plan.targets.is_empty(), Invariant::Targets, || "/targets".into(), "there is no target");
    let remediations: BTreeSet<&str> = plan.remediations.keys().map(RemediationName::as_str).collect();
    let mut seen = BTreeSet::new();
    let mut before: Option<(&str, &TargetName, &Address)> = None;
    for (list, at, target, address) in entries(plan) {
        let place = |field: &str| format!("/{list}/{at}/{field}");
        if !plan.targets.contains_key(target) {
            notes.add(Invariant::Targets, place("target"), format!("`{target}` is not a target of the plan"));
        }
        if !remediations.contains(address.remediation()) {
            notes.add(Invariant::Remediations, place("address"), "its remediation is not in the plan");
        }
        if !seen.insert((address, target)) {
            notes.add(
                Invariant::Once,
                place("address"),
                format!("`{address}` on `{target}` is there before"),
            );
        }
        if address.is_gate() != (list == "gates") {
            notes.add(Invariant::Kind, place("address"), "a gate is not a step, and a step is no gate");
        }
        let sorted = before.is_none_or(|(other, target_before, address_before)| {
            other != list
                || target_before < target
                || (target_before == target && (list != "gates" || address_before < address))
        });
        notes.require(
            sorted,
            Invariant::Sorted,
            || place("target"),
            "it stands after what should come later",
        );
        before = Some((list, target, address));
    }
}

fn counts(plan: &Plan, notes: &mut Notes) {
    let of = |action: Action| plan.steps.iter().filter(|step| step.action == action).count() as u64;
    let idle = |not_triggered: bool| {
        let entries = plan.unchanged.iter();
        entries.filter(|entry| (entry.why == Idle::NotTriggered) == not_triggered).count() as u64
    };
    let counted = Counts {
        create: of(Action::Create),
        update: of(Action::Update),
        replace: of(Action::Replace),
        delete: of(Action::Delete),
        run: of(Action::Run),
        unchanged: idle(false),
        not_triggered: idle(true),
        deferred: plan.deferred.len() as u64,
    };
    notes.require(
        counted == plan.counts,
        Invariant::Counts,
        || "/counts".into(),
        "the lists count otherwise",
    );
}

fn waves(plan: &Plan, notes: &mut Notes) {
    let mut seen = BTreeSet::new();
    for (at, wave) in plan.waves.iter().enumerate() {
        notes.require(
            !wave.is_empty(),
            Invariant::Waves,
            || format!("/waves/{at}"),
            "a wave without a target",
        );
        for (index, target) in wave.iter().enumerate() {
            let fine = plan.targets.contains_key(target) && seen.insert(target);
            let place = || format!("/waves/{at}/{index}");
            notes.require(fine, Invariant::Waves, place, "not a target of the plan, or there before");
        }
    }
    // A plan that is bad everywhere must be seen to be bad on one target first.
    if let (Some(first), true) = (plan.waves.first(), plan.targets.len() > 1) {
        let changing: BTreeSet<&TargetName> = plan.steps.iter().map(|step| &step.target).collect();
        let alone =
            first.len() == 1 && (changing.is_empty() || first.iter().all(|target| changing.contains(target)));
        let message = "the first wave is not one target that changes";
        notes.require(alone, Invariant::Waves, || "/waves/0".into(), message);
    }
    for target in plan.targets.keys().filter(|target| !seen.contains(target)) {
        notes.add(Invariant::Waves, "/waves", format!("`{target}` is in no wave"));
    }
}

fn types(plan: &Plan, told: &[(TypeName, String)], notes: &mut Notes) {
    let mut used: BTreeMap<&TypeName, String> =
        told.iter().map(|(name, place)| (name, place.clone())).collect();
    for (at, step) in plan.steps.iter().enumerate() {
        used.entry(&step.type_name).or_insert_with(|| format!("/steps/{at}/type"));
        let Some(facts) = plan.types.get(&step.type_name) else { continue };
        let fits = match facts.kind {
            TypeKind::Resource => step.action != Action::Run,
            TypeKind::Action => step.action == Action::Run,
            TypeKind::Probe | TypeKind::Fact => false,
        };
        notes.require(
            fits,
            Invariant::Kind,
            || format!("/steps/{at}/action"),
            "a step of this kind of type does not do that",
        );
    }
    for (at, gate) in plan.gates.iter().enumerate() {
        used.entry(&gate.type_name).or_insert_with(|| format!("/gates/{at}/type"));
        let probe = plan.types.get(&gate.type_name).is_none_or(|facts| facts.kind == TypeKind::Probe);
        notes.require(probe, Invariant::Kind, || format!("/gates/{at}/type"), "a gate is a probe");
    }
    for (name, place) in &used {
        if !plan.types.contains_key(*name) {
            notes.add(Invariant::TypesUsed, place.clone(), format!("`{name}` is not in the table of types"));
        }
    }
    for name in plan.types.keys().filter(|name| !used.contains_key(name)) {
        notes.add(Invariant::TypesUsed, format!("/types/{name}"), "nothing in the plan uses this type");
    }
}

fn profile(plan: &Plan, notes: &mut Notes) {
    let mut look = |value: &Value, place: String| {
        if let Err(error) = canonical::check(value) {
            notes.add(Invariant::Profile, place, format!("{error}"));
        }
    };
    let mut members = |map: &Map<String, Value>, place: String| {
        for (name, value) in map {
            look(value, format!("{place}{}", rectify_base::Pointer::root().child(name)));
        }
    };
    for (at, step) in plan.steps.iter().enumerate() {
        members(&step.desired, format!("/steps/{at}/desired"));
    }
    for (at, gate) in plan.gates.iter().enumerate() {
        members(&gate.desired, format!("/gates/{at}/desired"));
    }
    for (at, step) in plan.steps.iter().enumerate() {
        if let Some(planned) = &step.planned {
            look(planned, format!("/steps/{at}/planned"));
        }
        for (index, change) in step.changes.iter().enumerate() {
            for value in change.before.iter().chain(&change.after) {
                look(value, format!("/steps/{at}/changes/{index}"));
            }
        }
    }
    for (name, target) in &plan.targets {
        for (at, assumption) in target.assumptions.iter().enumerate() {
            if let Found::Value(value) = &assumption.is {
                look(value, format!("/targets/{name}/assumptions/{at}/is/value"));
            }
        }
    }
}

fn identities(plan: &Plan, notes: &mut Notes) {
    let mut seen = BTreeMap::new();
    for (name, target) in &plan.targets {
        if let Some(other) = seen.insert(&target.identity, name) {
            let place = format!("/targets/{name}/identity");
            notes.add(Invariant::IdentityShared, place, format!("it is the identity of `{other}` too"));
        }
    }
}
