//! Idempotency and parity: every type of every built-in provider × {create, update, unchanged, delete, undo},
//! through the whole chain, with the machine's own tools as the judge. The cases are files in
//! `conformance/hosts`; `cargo xtask fleet matrix` brings them here and fetches the results.

mod chain;

use crate::case::{self, CELLS, CHANGES, Case};
use chain::{Chain, sh};
use rectify_tests::rectify;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

/// Where the cases are on a node.
const CASES: &str = "/usr/local/share/rectify-hosts";
/// Where the results are left.
const RESULTS: &str = "/run/rectify-matrix.json";

const PASS: &str = "pass";

#[test]
fn every_cell_of_the_matrix_holds() {
    assert!(Path::new("/etc/rectify-fleet-node").exists(), "this machine is not ours to change");
    let cases = case::all(Path::new(CASES));
    let tested: BTreeSet<&str> = cases.values().map(|case| case.type_name.as_str()).collect();
    let types = types();
    let missing: Vec<&String> = types.iter().filter(|name| !tested.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "types without a case in conformance/hosts: {missing:?}");
    let only = env::var("RECTIFY_HOSTS_ONLY").unwrap_or_default();
    let (mut results, mut failed) = (Map::new(), Vec::new());
    for (name, case) in cases.iter().filter(|(name, _)| name.starts_with(&only)) {
        let cells = line(case);
        for (cell, result) in &cells {
            println!("{name} {cell}: {result}");
            if result.as_str().is_some_and(|result| result.starts_with("fail")) {
                failed.push(format!("{name} {cell}: {result}"));
            }
        }
        results.insert(name.clone(), cells.into());
    }
    fs::write(RESULTS, serde_json::to_vec(&results).unwrap()).unwrap();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The types of all built-in providers, as the executable itself lists them.
fn types() -> Vec<String> {
    let ask = |words: &[&str]| {
        let output = Command::new(rectify()).args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let list = ask(&["provider", "list"]);
    let names = list.lines().filter_map(|line| line.strip_prefix("builtin:")?.split('@').next());
    let mut types = Vec::new();
    for name in names {
        let manifest: Value = serde_json::from_str(&ask(&["provider", "manifest", name])).unwrap();
        let descriptors = manifest["types"].as_array().unwrap();
        types.extend(descriptors.iter().map(|found| found["name"].as_str().unwrap().to_owned()));
    }
    assert!(!types.is_empty(), "{list}");
    types
}

/// What came of each cell of a line.
fn line(case: &Case) -> Map<String, Value> {
    let chain = Chain::new(case);
    let mut cells = Map::new();
    let mut set = |name: &str, outcome: Result<(), String>| {
        let text = match outcome {
            Ok(()) => PASS.to_owned(),
            Err(reason) => format!("fail: {}", shortened(&reason)),
        };
        cells.insert(name.to_owned(), text.into());
    };
    let mut undone = Ok(());
    for name in CHANGES {
        let Some(cell) = case.cell(name) else { continue };
        let forth = chain.forth(name, cell);
        if case.undone() && undone.is_ok() {
            undone = match &forth {
                Ok(done) => chain.back(cell, done).map_err(|reason| format!("of {name}: {reason}")),
                Err(_) => Err(format!("of {name}: it did not come about")),
            };
        }
        set(name, forth.map(drop));
    }
    if let Some(cell) = case.cell("unchanged") {
        set("unchanged", chain.unchanged(cell));
    }
    if case.undone() {
        set("undo", undone);
    }
    for (name, reason) in &case.none {
        cells.insert(name.clone(), format!("none: {reason}").into());
    }
    drop(sh(&case.end, false));
    assert_eq!(cells.len(), CELLS.len());
    cells
}

/// One line for a table.
fn shortened(reason: &str) -> String {
    let text: String = reason.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/");
    text.chars().take(600).collect()
}
