//! The YAML documents: schemas for editors and the compiler hold together over all cases.

use crate::schema::{errors, root, valid, yaml};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Codes of damages that stand in one document and that a schema can see.
const SEEN: &[&str] = &[
    "project-api-version",
    "project-kind",
    "project-missing-field",
    "project-name",
    "project-not-available",
    "project-unknown-field",
    "project-value",
    "project-wrong-type",
    "inventory-root",
    "remediation-gate-type",
    "remediation-parameter",
    "remediation-parameter-value",
    "remediation-probe-step",
    "remediation-step-type",
    "expr-not-here",
    "graph-path",
    "text-file-path",
    "type-enum",
    "type-invalid",
    "type-length",
    "type-mismatch",
    "type-missing-property",
    "type-pattern",
    "type-range",
    "type-unknown-property",
];
/// Cases of these codes that only the compiler sees, and why.
const UNSEEN: &[(&str, &str)] = &[
    ("yaml/two-types", "a schema cannot count the keys that match a pattern"),
    ("yaml/parameter-minimum", "two members are compared"),
    ("yaml/property-octal-integer", "an editor reads a leading zero as it likes"),
    ("yaml/pattern", "an editor takes a mode without quotes for a number"),
    ("expressions/integer-as-text", "an expression is evaluated"),
    ("language/element-property-wrong", "an expression is evaluated"),
    ("language/module-property-wrong", "an expression is evaluated"),
];
/// Cases of other codes that a schema sees all the same, and how.
const SEEN_TOO: &[(&str, &str)] = &[
    ("graphs/implied-cycle", "the built-in type has no property `reads`, the one of the cases has"),
    ("language/for-each-text", "no expression, and no list or mapping"),
    ("language/secret-marked-by-hand", "a content is a text"),
    ("language/for-each-nested-list", "a list holds texts only"),
];

fn kind_of(path: &str) -> Option<&'static str> {
    match path.split_once('/') {
        None => (path == "rectify.yaml").then_some("project"),
        Some(("remediations", name)) => {
            (!name.contains('/') && name.ends_with(".yaml")).then_some("remediation")
        }
        Some(("modules", name)) => (!name.contains('/') && name.ends_with(".yaml")).then_some("module"),
        Some(("inventory", name)) => (!name.contains('/') && name.ends_with(".yaml")).then_some("inventory"),
        Some(_) => None,
    }
}

/// The YAML files below a directory, by path relative to it.
fn files(top: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(here) = open.pop() {
        for entry in fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A source file as an editor reads it, unless it is no YAML.
fn document(bytes: &[u8]) -> Option<Value> {
    yaml(std::str::from_utf8(bytes).ok()?)
}

#[test]
fn files_without_damage_are_valid() {
    let mut seen = BTreeSet::new();
    for (path, bytes) in files(&root().join("conformance/cases/base")) {
        let kind = kind_of(&path).unwrap();
        valid(kind, &path, &document(&bytes).unwrap());
        seen.insert(kind);
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn the_cases_of_the_compiler() {
    let unseen: BTreeMap<&str, &str> = UNSEEN.iter().copied().collect();
    let seen_too: BTreeMap<&str, &str> = SEEN_TOO.iter().copied().collect();
    let (mut valid, mut refused, mut wrong) = (0, 0, Vec::new());
    let mut exceptions = BTreeSet::new();
    for area in ["yaml", "expressions", "graphs", "language"] {
        for entry in fs::read_dir(root().join("conformance/cases").join(area)).unwrap() {
            let path = entry.unwrap().path();
            let case = format!("{area}/{}", path.file_name().unwrap().to_str().unwrap());
            let expect: Value = serde_json::from_slice(&fs::read(path.join("expect.json")).unwrap()).unwrap();
            let (code, place) = (expect["code"].as_str().unwrap(), expect["place"].as_str().unwrap());
            for (file, bytes) in files(&path) {
                let Some(kind) = kind_of(&file) else { continue };
                let damaged = place.split(':').next() == Some(&file);
                // What is no YAML, or YAML that we do not allow, is the YAML reader's to refuse.
                if damaged && code.starts_with("yaml-") {
                    continue;
                }
                let document = document(&bytes).unwrap_or_else(|| panic!("{case}: {file} is no YAML"));
                let found = errors(kind, &document);
                let listed = unseen.contains_key(case.as_str()) || seen_too.contains_key(case.as_str());
                let expected = damaged && (SEEN.contains(&code) != listed);
                if found.is_empty() == expected {
                    wrong.push(format!("{case} ({code}), {file}: {found:?}"));
                }
                if damaged && listed {
                    exceptions.insert(case.clone());
                }
                *(if found.is_empty() { &mut valid } else { &mut refused }) += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(exceptions.len(), UNSEEN.len() + SEEN_TOO.len(), "{exceptions:?}");
    assert!(valid >= 50 && refused >= 35, "{valid} valid, {refused} refused");
}
