//! The valid documents are on disk byte for byte, and each damaged one is refused as its case says.

use crate::{
    damage::{self, Damage},
    fixture::{Documents, valid},
};
use rectify_base::canonical;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Set to write the files of `valid/` anew instead of comparing them.
const BLESS: &str = "RECTIFY_BLESS";

fn compare<T: Serialize>(path: &Path, document: &T) {
    let bytes = canonical::file_bytes(document).unwrap();
    if std::env::var_os(BLESS).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &bytes).unwrap();
    }
    let found = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(found == bytes, "{} is not what is computed", path.display());
}

#[test]
fn valid_documents_are_on_disk_byte_for_byte() {
    let documents = valid();
    let planned = documents.plan().unwrap();
    let directory = damage::directory().join("valid");
    compare(&directory.join("graph.json"), &documents.graph);
    for (observation, _) in &documents.observations {
        compare(&directory.join(format!("observation.{}.json", observation.target)), observation);
    }
    compare(&directory.join("plan.json"), &planned.plan);
    compare(&directory.join("report.json"), &planned.report);
}

fn damaged(documents: &Documents, damage: &[Damage]) -> Documents {
    let mut graph = serde_json::to_value(&documents.graph).unwrap();
    let mut observations: Vec<Value> =
        documents.observations.iter().map(|(o, _)| serde_json::to_value(o).unwrap()).collect();
    for damage in damage {
        match damage.document.split_once(':') {
            None if damage.document == "graph" => damage.apply(&mut graph),
            None if damage.document == "observations" => {
                let mut list = Value::Array(std::mem::take(&mut observations));
                damage.apply(&mut list);
                observations = serde_json::from_value(list).unwrap();
            }
            Some(("observation", target)) => {
                let found = observations.iter_mut().find(|o| o["target"] == target);
                damage.apply(found.expect("an observed target"));
            }
            _ => panic!("no document `{}`", damage.document),
        }
    }
    let digests = documents.observations[0].1;
    Documents {
        graph: serde_json::from_value(graph).unwrap(),
        graph_digests: documents.graph_digests,
        observations: observations
            .into_iter()
            .map(|observation| (serde_json::from_value(observation).unwrap(), digests))
            .collect(),
    }
}

#[test]
fn each_damaged_input_is_refused_with_its_code_and_place() {
    let documents = valid();
    let cases = damage::cases(&["plan"]);
    assert!(cases.len() >= 18, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (name, case, expect) in &cases {
        match damaged(&documents, &case.damage).plan() {
            Ok(_) => wrong.push(format!("{name}: it was planned")),
            Err(error) if error.code.as_str() == expect.code && error.place == expect.place => {}
            Err(error) => wrong.push(format!("{name}: {} at {}: {error}", error.code, error.place)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_page() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in rectify_plan::codes::ALL {
        let page = std::fs::read_to_string(pages.join(format!("{code}.md"))).unwrap_or_default();
        assert!(page.starts_with(&format!("# {code}\n\n")), "{code} has no page");
        assert!(page.contains("\n## Why\n") && page.contains("\n## What to do\n"), "{code}");
    }
}
