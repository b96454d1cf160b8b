//! Everything that belongs to no node: project, targets, types, gates and digests.

use crate::{Invariant, notes::Notes};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::ToString,
};
use rectify_base::{Address, Digest, FileDigests, TargetName, canonical, digest};
use rectify_model::{
    Graph, Observation, Plan,
    fact::{Assumption, Fact, Facts, Found},
    graph::{self, Node},
    observation::{self, Answer},
};

pub(super) fn run(
    plan: &Plan,
    graph: &Graph,
    observations: &[(Observation, FileDigests)],
    graph_digests: FileDigests,
    notes: &mut Notes,
) {
    project(plan, graph, notes);
    notes.require(
        plan.graph == graph_digests,
        Invariant::GraphDigest,
        || "/graph".into(),
        "the plan names another graph than the one at hand",
    );
    targets(plan, graph, observations, graph_digests, notes);
    types(plan, graph, notes);
    providers(plan, graph, notes);
    gates(plan, graph, notes);
}

fn project(plan: &Plan, graph: &Graph, notes: &mut Notes) {
    let same = [
        ("/project", plan.project == graph.project),
        ("/limits", plan.limits == graph.limits),
        ("/remediations", plan.remediations == graph.remediations),
    ];
    for (place, same) in same {
        notes.require(same, Invariant::Project, || place.into(), "it differs from the graph's");
    }
    let format = graph.format == graph::FORMAT;
    notes.require(
        format,
        Invariant::Format,
        || "graph:/format".into(),
        "this is not the format of this version",
    );
}

fn targets(
    plan: &Plan,
    graph: &Graph,
    observations: &[(Observation, FileDigests)],
    graph_digests: FileDigests,
    notes: &mut Notes,
) {
    let mut observed: BTreeMap<&TargetName, (&Observation, FileDigests)> = BTreeMap::new();
    for (observation, digests) in observations {
        let target = &observation.target;
        let place = |field: &str| format!("observation:{target}:/{field}");
        let once = observed.insert(target, (observation, *digests)).is_none();
        let expected = once && plan.targets.contains_key(target);
        let message = "it is of no target of the plan, or the second one of its target";
        notes.require(expected, Invariant::ObservationDigest, || place("target"), message);
        let format = observation.format == observation::FORMAT;
        let message = "this is not the format of this version";
        notes.require(format, Invariant::Format, || place("format"), message);
        let graph = observation.graph == graph_digests.blake3;
        notes.require(graph, Invariant::GraphDigest, || place("graph"), "it was made from another graph");
    }
    for (name, target) in &plan.targets {
        let place = |field: &str| format!("/targets/{name}{field}");
        let facts = graph
            .targets
            .get(name)
            .is_some_and(|info| info.environment == target.environment && info.labels == target.labels);
        notes.require(facts, Invariant::TargetFacts, || place(""), "the graph does not say so");
        let assumed = graph.targets.get(name).is_none_or(|info| info.assumptions == target.assumptions);
        let message = "the graph assumes something else";
        notes.require(assumed, Invariant::Assumed, || place("/assumptions"), message);
        let Some((observation, digests)) = observed.get(name) else {
            notes.add(Invariant::ObservationDigest, place("/observation"), "the observation is not at hand");
            continue;
        };
        let same = *digests == target.observation;
        let message = "it names another observation than the one at hand";
        notes.require(same, Invariant::ObservationDigest, || place("/observation"), message);
        let identity = observation.identity == target.identity;
        notes.require(identity, Invariant::Identity, || place("/identity"), "another identity was observed");
        for (at, assumption) in target.assumptions.iter().enumerate() {
            let place = || place(&format!("/assumptions/{at}/is"));
            let truly = observed_so(assumption, &observation.facts);
            notes.require(truly, Invariant::AssumedTruly, place, "something else was observed");
        }
    }
    for name in graph.targets.keys().filter(|name| !plan.targets.contains_key(name)) {
        notes.add(Invariant::TargetFacts, "/targets", format!("`{name}` of the graph is not in the plan"));
    }
}

/// Whether the facts are as it is assumed: what is short as it is, what is long by its digest.
fn observed_so(assumption: &Assumption, facts: &Facts) -> bool {
    let tokens = assumption.fact.tokens();
    let group = tokens.first().and_then(|group| facts.get(group));
    let found = match group {
        Some(Fact::Value(value)) => tokens.iter().skip(1).try_fold(value, |here, token| here.get(token)),
        Some(Fact::Absent(_)) | None => None,
    };
    match (&assumption.is, found) {
        (Found::Absent, None) => group.is_some(),
        (Found::Present, Some(_)) => true,
        (Found::Value(said), Some(found)) => said == found,
        (Found::Digest(said), Some(found)) => canonical::compact_value(found)
            .is_ok_and(|bytes| Digest::derive(digest::context::FACT, &[&bytes]) == *said),
        _ => false,
    }
}

fn types(plan: &Plan, graph: &Graph, notes: &mut Notes) {
    for (name, said) in &plan.types {
        let same = graph.types.get(name).is_some_and(|facts| {
            (facts.version, facts.manifest, facts.kind, facts.retry)
                == (said.version, said.manifest, said.kind, said.retry)
                && facts.volatile == said.volatile
        });
        notes.require(same, Invariant::TypeFacts, || format!("/types/{name}"), "the graph does not say so");
    }
}

fn providers(plan: &Plan, graph: &Graph, notes: &mut Notes) {
    let used: BTreeSet<&Digest> = plan.types.values().map(|known| &known.manifest).collect();
    for (name, said) in &plan.providers {
        let same = graph.providers.get(name) == Some(said);
        let place = || format!("/providers/{}", name.replace('~', "~0").replace('/', "~1"));
        notes.require(same, Invariant::Providers, place, "the graph does not say so");
    }
    for (name, _) in graph.providers.iter().filter(|(_, provider)| used.contains(&provider.manifest)) {
        let there = plan.providers.contains_key(name);
        notes.require(
            there,
            Invariant::Providers,
            || "/providers".into(),
            "a locked provider of a type is missing",
        );
    }
}

fn gates(plan: &Plan, graph: &Graph, notes: &mut Notes) {
    let changed: BTreeSet<(&TargetName, &str)> =
        plan.steps.iter().map(|step| (&step.target, step.address.remediation())).collect();
    let wanted =
        graph.gates.iter().filter(|gate| changed.contains(&(&gate.target, gate.address.remediation())));
    let mut held: BTreeMap<(&TargetName, &Address), usize> =
        plan.gates.iter().enumerate().map(|(at, gate)| ((&gate.target, &gate.address), at)).collect();
    for gate in wanted {
        let Some(at) = held.remove(&(&gate.target, &gate.address)) else {
            let message = format!("`{}` on `{}` is missing", gate.address, gate.target);
            notes.add(Invariant::Gates, "/gates", message);
            continue;
        };
        let same = plan.gates.get(at).is_some_and(|held| {
            held.type_name == gate.type_name && held.desired == gate.desired && held.within_s == gate.within_s
        });
        notes.require(same, Invariant::Gates, || format!("/gates/{at}"), "it differs from the graph's");
    }
    for at in held.values() {
        notes.add(Invariant::Gates, format!("/gates/{at}"), "the graph asks for no such gate here");
    }
}

/// The answers by node, of those targets whose entries are their nodes.
pub(super) fn answers<'a>(
    graph: &'a Graph,
    observations: &'a [(Observation, FileDigests)],
    notes: &mut Notes,
) -> BTreeMap<(&'a Address, &'a TargetName), &'a Answer> {
    let mut nodes: BTreeMap<&TargetName, alloc::vec::Vec<&Node>> = BTreeMap::new();
    for node in &graph.nodes {
        nodes.entry(&node.target).or_default().push(node);
    }
    let mut answers = BTreeMap::new();
    for (observation, _) in observations {
        let expected = nodes.get(&observation.target).map(alloc::vec::Vec::as_slice).unwrap_or_default();
        let differs =
            expected.iter().zip(&observation.entries).position(|(node, entry)| node.address != entry.address);
        let at = match differs {
            Some(at) => Some(at.to_string()),
            None if expected.len() != observation.entries.len() => {
                Some(expected.len().min(observation.entries.len()).to_string())
            }
            None => None,
        };
        if let Some(at) = at {
            let place = format!("observation:{}:/entries/{at}", observation.target);
            notes.add(Invariant::Entries, place, "the entries are not the nodes of the target, in order");
            continue;
        }
        for entry in &observation.entries {
            answers.insert((&entry.address, &observation.target), &entry.answer);
        }
    }
    answers
}
