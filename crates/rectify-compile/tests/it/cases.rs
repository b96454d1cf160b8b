//! The cases under `conformance/cases`: each is a project with one damage, its code and its place.

use crate::types::compile_files;
use rectify_compile::{LineIndex, SourceFile};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    pub code: String,
    pub place: String,
    #[allow(dead_code)]
    why: String,
    /// Whether files of `base` stand in for those that the case does not have.
    #[serde(default = "yes")]
    base: bool,
}

fn yes() -> bool {
    true
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance/cases")
}

/// The files below a directory, by path relative to it.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(here) = open.pop() {
        for entry in fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// All cases of an area, by name.
pub fn cases(area: &str) -> Vec<(String, Expected, Vec<SourceFile>)> {
    let base = files(&root().join("base"));
    let mut names: Vec<_> = fs::read_dir(root().join(area)).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let case = |path: &PathBuf| {
        let mut found = files(path);
        let expected: Expected = serde_json::from_slice(&found.remove("expect.json").unwrap()).unwrap();
        if expected.base {
            for (name, bytes) in &base {
                found.entry(name.clone()).or_insert_with(|| bytes.clone());
            }
        }
        let files = found.into_iter().map(|(path, bytes)| SourceFile { path, bytes }).collect();
        (format!("{area}/{}", path.file_name().unwrap().to_str().unwrap()), expected, files)
    };
    names.iter().map(case).collect()
}

fn check(area: &str, at_least: usize) {
    let cases = cases(area);
    assert!(cases.len() >= at_least, "{area} has only {} cases", cases.len());
    let mut wrong = Vec::new();
    for (name, expected, files) in &cases {
        let output = compile_files(files);
        assert!(output.graph.is_none(), "{name} compiles");
        let place = |d: &rectify_base::Diagnostic| match d.labels.first() {
            None => String::new(),
            Some(label) => {
                let bytes = &files.iter().find(|f| f.path == label.file).unwrap().bytes;
                let text = String::from_utf8_lossy(bytes);
                let (line, column) = LineIndex::new(&text).locate(label.start);
                format!("{}:{line}:{column}", label.file)
            }
        };
        let got: Vec<_> = output.diagnostics.iter().map(|d| (d.code.as_str(), place(d))).collect();
        if got != [(expected.code.as_str(), expected.place.clone())] {
            let messages: Vec<_> = output.diagnostics.iter().map(|d| &d.message).collect();
            wrong.push(format!(
                "{name}: expected {} at {}, got {got:?} {messages:?}",
                expected.code, expected.place
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn yaml_cases() {
    check("yaml", 75);
}

#[test]
fn expression_cases() {
    check("expressions", 45);
}

#[test]
fn language_cases() {
    check("language", 80);
}

#[test]
fn graph_cases() {
    check("graphs", 12);
}
