//! From a graph and observations to a plan, and the second opinion on it.

use crate::{Target, sections, seeds};
use rectify_base::{FileDigests, canonical};
use rectify_check::Invariant;
use rectify_model::{Graph, Observation, Plan};
use rectify_plan::{Input, ObservedDocument, Planned, Walk, codes};
use std::path::Path;

pub(super) const TARGET: Target = Target {
    name: "planning",
    holds: "a plan of any graph and observations passes the checker; what a walk records can be planned",
    check,
    seeds,
    max_bytes: 65_536,
    replays: 150,
};

/// Reads a document that need not be canonical: mutations mostly are not.
fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Option<T> {
    serde_json::from_value(canonical::parse_strict(body).ok()?).ok()
}

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let Some(graph) = sections::find(&sections, "graph").and_then(read::<Graph>) else { return };
    let Ok(bytes) = canonical::file_bytes(&graph) else { return };
    let graph_digests = FileDigests::of_bytes(&bytes);
    let mut observations = Vec::new();
    for (_, body) in sections.iter().filter(|(name, _)| *name == b"observation").take(4) {
        let Some(mut observation) = read::<Observation>(body) else { return };
        observation.graph = graph_digests.blake3;
        observations.push(observation);
    }
    if let Some(planned) = plan(&graph, graph_digests, &observations) {
        let backwards: Vec<Observation> = observations.iter().rev().cloned().collect();
        let again = plan(&graph, graph_digests, &backwards).expect("planned in any order");
        assert_eq!(again.plan, planned.plan);
    }
    let walked: Option<Vec<Observation>> =
        observations.iter().map(|observation| walk(&graph, observation)).collect();
    if let Some(walked) = walked.filter(|walked| !walked.is_empty()) {
        let documents = documents(&walked);
        if let Err(error) =
            rectify_plan::plan(&Input { graph: &graph, graph_digests, observations: &documents })
        {
            let about_answers = [codes::PLAN_ANSWER_INVALID, codes::PLAN_ENTRIES_MISMATCH];
            assert!(
                !about_answers.contains(&error.code),
                "a walk recorded what cannot be planned: {error:?}"
            );
        } else {
            plan(&graph, graph_digests, &walked);
        }
    }
}

fn documents(observations: &[Observation]) -> Vec<ObservedDocument<'_>> {
    let document = |observation| {
        let bytes = canonical::file_bytes(observation).unwrap_or_default();
        ObservedDocument { observation, digests: FileDigests::of_bytes(&bytes) }
    };
    observations.iter().map(document).collect()
}

/// The plan, which is checked here.
fn plan(graph: &Graph, graph_digests: FileDigests, observations: &[Observation]) -> Option<Planned> {
    let documents = documents(observations);
    let input = Input { graph, graph_digests, observations: &documents };
    let planned = rectify_plan::plan(&input).ok()?;
    let observed: Vec<_> =
        documents.iter().map(|document| (document.observation.clone(), document.digests)).collect();
    let mut notes = rectify_check::check(&planned.plan, graph, &observed, graph_digests);
    // What the planner takes on trust, and the checker does not: that a text is the content that its
    // digest names (a provider could lie), and that the compiler put nodes into the canonical order and
    // an edge between two that write one thing (a graph could be written by another tool). That there is
    // a second opinion on these is the point.
    notes.retain(|note| {
        !matches!(note.invariant, Invariant::Shown | Invariant::GraphOrder | Invariant::Writers)
    });
    assert!(notes.is_empty(), "the checker differs: {notes:?}");
    let bytes = canonical::file_bytes(&planned.plan).expect("a plan is canonical");
    assert_eq!(canonical::read_file::<Plan>(&bytes).as_ref(), Ok(&planned.plan));
    Some(planned)
}

/// Walks a target, and answers as the observation does. None where the graph cannot be walked.
fn walk(graph: &Graph, observation: &Observation) -> Option<Observation> {
    let mut walk = Walk::new(graph, &observation.target).ok()?;
    loop {
        let items = walk.ready();
        if items.is_empty() {
            break;
        }
        for item in items {
            let address = &graph.nodes[item.node].address;
            let entry = observation.entries.iter().find(|entry| entry.address == *address)?;
            walk.record(item.node, entry.answer.clone()).expect("a node that was handed out");
            assert!(walk.record(item.node, entry.answer.clone()).is_err(), "answered twice");
        }
    }
    assert!(walk.is_finished(), "nothing more to ask, and not finished");
    Some(walk.finish(observation.identity.clone(), observation.graph).expect("finished"))
}

fn seeds(conformance: &Path) -> Vec<Vec<u8>> {
    let files = seeds::files(&conformance.join("cases/plans/valid"));
    let named = |(name, bytes): &(String, Vec<u8>)| {
        let kind = name.split('.').next().unwrap_or_default().to_owned();
        (kind == "graph" || kind == "observation").then(|| (kind, bytes.clone()))
    };
    let valid: Vec<(String, Vec<u8>)> = files.iter().filter_map(named).collect();
    vec![sections::join(&valid)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_to_begin_with_are_planned() {
        let input = seeds(&crate::conformance()).remove(0);
        let sections = sections::split(&input);
        let graph: Graph = sections::find(&sections, "graph").and_then(read).unwrap();
        let digests = FileDigests::of_bytes(&canonical::file_bytes(&graph).unwrap());
        let observations: Vec<Observation> =
            sections.iter().filter(|s| s.0 == b"observation").map(|s| read(s.1).unwrap()).collect();
        assert_eq!(observations.len(), 2);
        assert!(plan(&graph, digests, &observations).unwrap().plan.steps.len() > 10);
        let walked = walk(&graph, &observations[0]).unwrap();
        assert_eq!(walked.entries.len(), observations[0].entries.len());
    }
}
