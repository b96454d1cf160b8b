//! The valid plan is sound; each damaged one breaks the one invariant that its case names.

use crate::{
    damage::{self, Case},
    fixture::{Documents, valid},
};
use rectify_base::FileDigests;
use rectify_check::{Invariant, Note, check, check_alone};
use rectify_model::{Observation, Plan};
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

#[test]
fn the_valid_plan_is_sound() {
    let documents = valid();
    let plan = documents.plan().unwrap().plan;
    assert_eq!(check(&plan, &documents.graph, &documents.observations, documents.graph_digests), []);
    assert_eq!(check_alone(&plan), []);
}

/// Runs a case. Digests stay those of the valid documents, so that a damaged one is not found by
/// its digest alone.
fn run(documents: &Documents, plan: &Plan, case: &Case) -> Vec<Note> {
    let mut plan = serde_json::to_value(plan).unwrap();
    let mut graph = serde_json::to_value(&documents.graph).unwrap();
    let mut observations: Vec<(Value, FileDigests)> =
        documents.observations.iter().map(|(o, d)| (serde_json::to_value(o).unwrap(), *d)).collect();
    for damage in &case.damage {
        match damage.document.as_str() {
            "plan" => damage.apply(&mut plan),
            "graph" => damage.apply(&mut graph),
            other => {
                let target = other.strip_prefix("observation:").expect("a document");
                let found = observations.iter_mut().find(|(o, _)| o["target"] == target);
                damage.apply(&mut found.expect("an observed target").0);
            }
        }
    }
    let plan: Plan = serde_json::from_value(plan).expect("a plan");
    match case.verb.as_str() {
        "check-alone" => check_alone(&plan),
        _ => {
            let observations: Vec<(Observation, FileDigests)> = observations
                .into_iter()
                .map(|(o, digests)| (serde_json::from_value(o).expect("an observation"), digests))
                .collect();
            let graph = serde_json::from_value(graph).expect("a graph");
            check(&plan, &graph, &observations, documents.graph_digests)
        }
    }
}

#[test]
fn each_damage_breaks_one_invariant() {
    let documents = valid();
    let plan = documents.plan().unwrap().plan;
    let cases = damage::cases(&["check", "check-alone"]);
    assert!(cases.len() >= Invariant::ALL.len(), "only {} cases", cases.len());
    let mut wrong = Vec::new();
    let mut covered = BTreeSet::new();
    for (name, case, expect) in &cases {
        let notes = run(&documents, &plan, case);
        covered.extend(notes.iter().map(|note| note.invariant));
        let right = matches!(notes.as_slice(), [note]
            if note.invariant.code().as_str() == expect.code && note.place == expect.place);
        if !right {
            let found: Vec<String> = notes.iter().map(ToString::to_string).collect();
            wrong.push(format!(
                "{name}: {} at {}, found:\n  {}",
                expect.code,
                expect.place,
                found.join("\n  ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<_> = Invariant::ALL.iter().filter(|invariant| !covered.contains(invariant)).collect();
    assert!(missing.is_empty(), "no case breaks {missing:?}");
}

#[test]
fn numbers_and_codes_are_distinct_and_every_code_has_a_page() {
    let codes: BTreeSet<_> = Invariant::ALL.iter().map(|invariant| invariant.code()).collect();
    assert_eq!(codes.len(), Invariant::ALL.len());
    assert_eq!(codes, rectify_check::codes::ALL.iter().copied().collect());
    for (at, invariant) in Invariant::ALL.iter().enumerate() {
        assert_eq!(invariant.to_string(), format!("I{:02}", at + 1));
        assert!(invariant.sentence().ends_with('.'));
    }
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in rectify_check::codes::ALL {
        let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap_or_default();
        assert!(page.starts_with(&format!("# {code}\n\n")), "{code} has no page");
        assert!(page.contains("\n## Why\n") && page.contains("\n## What to do\n"), "{code}");
    }
}

/// A graph that no compiler makes must be noted, not trip the checker.
#[test]
fn a_graph_with_an_address_twice_is_noted() {
    let mut documents = valid();
    let plan = documents.plan().unwrap().plan;
    let mut twice = documents.graph.nodes[9].clone();
    twice.edges.clear();
    documents.graph.nodes.insert(10, twice);
    let notes = check(&plan, &documents.graph, &documents.observations, documents.graph_digests);
    assert!(notes.iter().any(|note| note.invariant == Invariant::GraphOrder), "{notes:#?}");
}
