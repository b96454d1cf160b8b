//! `fleet matrix`: every type of every built-in provider × {create, update, unchanged, delete, undo}, and the
//! conformance kit on what needs a host, on a host of each release. What comes of it is kept in
//! `conformance/hosts/results`, and told in docs/hosts.md and docs/conformance.md.

use super::{
    Fleet, Node, Release, Wish,
    nodetests::{RECTIFY, build, rectify},
};
use crate::{
    codegen,
    run::{self, Outcome},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the test's executable lies on a node.
const PROGRAM: &str = "/usr/local/bin/rectify-node-test";
/// Where a node has the cases; tests/node/matrix.rs reads them there.
const CASES: &str = "/usr/local/share/rectify-hosts";
/// What the tests leave.
const CELLS: &str = "/run/rectify-matrix.json";
const KIT: &str = "/run/rectify-kit.json";

/// Runs it on hosts of these releases, one after the other. With `only`, those cases alone are run that begin so,
/// and nothing is kept.
pub fn run(releases: &[Release], only: Option<&str>) -> Outcome {
    let rectify = rectify()?;
    let programs = build(&["rectify-tests"])?;
    let (_, program, _) = programs.first().ok_or("no tests were built")?;
    let mut problems = Vec::new();
    for release in releases {
        let fleet = Fleet::up(&Wish { nodes: 1, release: *release, packages: &[] })?;
        let node = fleet.node()?;
        prepare(node, &rectify, program)?;
        println!("cells on {release}");
        let ran = tests(node, "matrix::", only);
        let cells = fetch(node, CELLS);
        if only.is_some() {
            problems.extend(ran.err());
            fleet.down()?;
            continue;
        }
        println!("conformance on {release}");
        let conform = tests(node, "conform::", None);
        let kit = fetch(node, KIT);
        fleet.down()?;
        problems.extend([ran, conform].into_iter().filter_map(Result::err));
        keep(*release, &cells?, &kit?)?;
    }
    if only.is_none() {
        codegen::hosts()?;
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Brings a node what it needs.
fn prepare(node: &Node, rectify: &Path, program: &Path) -> Outcome {
    node.put(rectify, RECTIFY, "0755")?;
    node.put(program, PROGRAM, "0755")?;
    node.run(&["mkdir", "-p", CASES])?;
    let directory = run::root().join("conformance/hosts");
    for path in paths(&directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        node.put(&path, &format!("{CASES}/{name}"), "0644")?;
    }
    Ok(())
}

/// The files of a directory that are cases.
fn paths(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let told = |e: std::io::Error| format!("{}: {e}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(told)? {
        let path = entry.map_err(told)?.path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn tests(node: &Node, module: &str, only: Option<&str>) -> Outcome {
    let only = format!("RECTIFY_HOSTS_ONLY={}", only.unwrap_or_default());
    run::run(node.ssh(&["env", &only, PROGRAM, "--test-threads=1", "--nocapture", module]))
}

fn fetch(node: &Node, path: &str) -> Result<Value, String> {
    serde_json::from_str(&node.run(&["cat", path])?).map_err(|e| format!("{path}: {e}"))
}

/// Writes down what a release gave. No time is in it: the same code gives the same file.
fn keep(release: Release, cells: &Value, kit: &Value) -> Outcome {
    let results = json!({
        "format": "rectify.hosts/v1",
        "release": release.to_string(),
        "cells": cells,
        "kit": kit,
    });
    let text = serde_json::to_string_pretty(&results).map_err(|e| e.to_string())?;
    let path = run::root().join(format!("conformance/hosts/results/{release}.json"));
    run::write(&path, &format!("{text}\n"))
}
