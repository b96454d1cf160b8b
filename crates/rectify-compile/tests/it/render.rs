//! Diagnostics for programs: every case that the compiler refuses, in both forms, against the schemas.

use crate::{
    cases::cases,
    types::{INVENTORY, PROJECT, compile_files, file},
};
use jsonschema::Validator;
use rectify_base::{Diagnostic, canonical};
use rectify_compile::{
    SourceFile,
    render::{Diagnostics, Tool, sarif},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A project of one remediation, given as what follows its targets.
fn project(path: &str, steps: &str) -> Vec<SourceFile> {
    let head = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\n";
    let targets = "targets: {select: 'target.name == \"alpha\"'}\n";
    vec![
        file("rectify.yaml", PROJECT),
        file("inventory/hosts.yaml", INVENTORY),
        file(path, format!("{head}{targets}{steps}")),
    ]
}

fn pages() -> Vec<(String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let mut pages: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    pages.sort();
    pages
}

fn log(diagnostics: &[Diagnostic], files: &[SourceFile]) -> Value {
    let pages = pages();
    let pages: Vec<(&str, &str)> = pages.iter().map(|(code, page)| (code.as_str(), page.as_str())).collect();
    sarif(diagnostics, files, &Tool { version: "0.1.0", pages: &pages })
}

/// The official schema, as the crate `serde-sarif` carries it.
fn official() -> Validator {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == "serde-sarif").unwrap();
    let path = PathBuf::from(found["manifest_path"].as_str().unwrap()).with_file_name("src/schema.json");
    let mut schema: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert!(schema["title"].as_str().unwrap().contains("2.1.0"), "{}", schema["title"]);
    // Its pattern for languages is no regular expression. We write no language.
    for owner in ["run", "toolComponent"] {
        let language = schema["definitions"][owner]["properties"]["language"].as_object_mut().unwrap();
        assert_eq!(language.remove("pattern").unwrap(), "^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$");
    }
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn ours() -> Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/diagnostics.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    jsonschema::draft202012::options().build(&schema).unwrap()
}

#[track_caller]
fn valid(validator: &Validator, name: &str, document: &Value) {
    let wrong: Vec<String> =
        validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{name}: {}\n{document:#}", wrong.join("\n"));
}

/// The place that a case expects, from a result of SARIF.
fn place(result: &Value) -> String {
    match result.get("locations") {
        None => String::new(),
        Some(locations) => {
            let place = &locations[0]["physicalLocation"];
            let (uri, region) = (place["artifactLocation"]["uri"].as_str().unwrap(), &place["region"]);
            format!("{uri}:{}:{}", region["startLine"], region["startColumn"])
        }
    }
}

#[test]
fn every_case_in_both_forms() {
    let (official, ours) = (official(), ours());
    let (mut seen, mut fixes, mut related) = (0, 0, 0);
    for area in ["yaml", "language", "expressions", "graphs"] {
        for (name, expected, files) in cases(area) {
            let found = compile_files(&files).diagnostics;
            let document = Diagnostics::new(&found, &files);
            let bytes = canonical::file_bytes(&document).unwrap();
            assert_eq!(canonical::read_file::<Diagnostics>(&bytes).unwrap(), document, "{name}");
            valid(&ours, &name, &serde_json::from_slice(&bytes).unwrap());
            let log = log(&found, &files);
            valid(&official, &name, &log);
            canonical::check(&log).unwrap();
            let run = &log["runs"][0];
            let [result] = run["results"].as_array().unwrap().as_slice() else {
                panic!("{name}: {run:#}");
            };
            assert_eq!(result["ruleId"], expected.code.as_str(), "{name}");
            assert_eq!(place(result), expected.place, "{name}");
            let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
            assert_eq!(rules.len(), 1, "{name}");
            assert_eq!(rules[0]["id"], expected.code.as_str(), "{name}");
            for member in ["shortDescription", "help"] {
                assert!(rules[0][member]["text"].as_str().unwrap().len() > 10, "{name}: no {member}");
            }
            let member = |name: &str| result.get(name).and_then(Value::as_array).map_or(0, Vec::len);
            fixes += member("fixes");
            related += member("relatedLocations");
            seen += 1;
        }
    }
    assert!(seen >= 190 && fixes >= 10 && related >= 10, "{seen} cases, {fixes} fixes, {related} related");
}

#[test]
fn the_schema_that_judges_does_refuse() {
    let (_, _, files) = cases("yaml").into_iter().find(|(name, ..)| name == "yaml/unknown-field").unwrap();
    let sound = log(&compile_files(&files).diagnostics, &files);
    let official = official();
    valid(&official, "sound", &sound);
    let damages: &[(&str, Value)] = &[
        ("/version", "2.0.0".into()),
        ("/runs/0/columnKind", "bytes".into()),
        ("/runs/0/results/0/level", "fatal".into()),
        ("/runs/0/results/0/message", Value::Null),
        ("/runs/0/results/0/ruleIndex", (-2).into()),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", 0.into()),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", "a b".into()),
        ("/runs/0/tool/driver/rules/0/id", 1.into()),
    ];
    for (pointer, value) in damages {
        let mut damaged = sound.clone();
        *damaged.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
        assert!(!official.is_valid(&damaged), "{pointer}");
    }
}

#[test]
fn columns_count_code_points_and_names_become_uris() {
    let files = project(
        "remediations/über uns.yaml",
        "steps:\n  one:\n    file.content: {path: /etc/one, content: 'größe 😀', modus: '0644'}\n",
    );
    let found = compile_files(&files).diagnostics;
    let document = Diagnostics::new(&found, &files);
    insta::assert_json_snapshot!("columns_json", document);
    insta::assert_json_snapshot!("columns_sarif", log(&found, &files));
    let text = std::str::from_utf8(&files.iter().find(|f| f.path.contains("über")).unwrap().bytes).unwrap();
    let at = &document.diagnostics[0].places[0];
    assert_eq!(&text[at.start..at.end], "modus");
    let line = text.lines().nth(at.start_line as usize - 1).unwrap();
    let (from, to) = (at.start_column as usize - 1, at.end_column as usize - 1);
    assert_eq!(line.chars().skip(from).take(to - from).collect::<String>(), "modus");
}

#[test]
fn the_same_bytes_whatever_the_order_of_files() {
    for (name, _, mut files) in cases("language") {
        let forward = log(&compile_files(&files).diagnostics, &files);
        files.reverse();
        let backward = log(&compile_files(&files).diagnostics, &files);
        assert_eq!(forward.to_string(), backward.to_string(), "{name}");
    }
}

#[test]
fn each_rule_once_and_sorted() {
    let files = project(
        "remediations/a.yaml",
        "steps:\n  one:\n    file.content: {path: /etc/one, cntent: a, modus: b}\n  two:\n    file.contnt: {path: /etc/two}\n",
    );
    let log = log(&compile_files(&files).diagnostics, &files);
    let run = &log["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["id"].as_str().unwrap())
        .collect();
    let sorted: BTreeSet<&str> = rules.iter().copied().collect();
    assert_eq!(rules, sorted.into_iter().collect::<Vec<_>>());
    let results = run["results"].as_array().unwrap();
    assert!(results.len() > rules.len(), "{run:#}");
    for result in results {
        assert_eq!(rules[result["ruleIndex"].as_u64().unwrap() as usize], result["ruleId"]);
    }
}
