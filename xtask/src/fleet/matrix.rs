//! `fleet matrix`: every type of every built-in provider × {create, update, unchanged, delete, undo}, and `fleet
//! conform`: the conformance kit on what needs a host, each on a host of each release. What comes of them is kept
//! in `conformance/hosts/results`, and told in docs/hosts.md and docs/conformance.md.

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
/// What is run, and kept.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Member of the results.
    name: &'static str,
    /// Module of the tests.
    module: &'static str,
    /// What they leave on a node.
    left: &'static str,
}

/// The cells of the matrix.
pub const MATRIX: Part = Part { name: "cells", module: "matrix::", left: "/run/rectify-matrix.json" };
/// The conformance kit.
pub const CONFORM: Part = Part { name: "kit", module: "conform::", left: "/run/rectify-kit.json" };

/// Runs a part on hosts of these releases, one after the other. With `only`, those cases alone are run that begin
/// so, and nothing is kept.
pub fn run(part: Part, releases: &[Release], only: Option<&str>) -> Outcome {
    let rectify = rectify()?;
    let programs = build(&["rectify-tests"])?;
    let (_, program, _) = programs.first().ok_or("no tests were built")?;
    let mut problems = Vec::new();
    for release in releases {
        let fleet = Fleet::up(&Wish { nodes: 1, release: *release, packages: &[] })?;
        let node = fleet.node()?;
        prepare(node, &rectify, program)?;
        println!("{} on {release}", part.name);
        problems.extend(tests(node, part.module, only).err());
        let left = node.run(&["cat", part.left]);
        fleet.down()?;
        if only.is_none() {
            let found = serde_json::from_str(&left?).map_err(|e| format!("{}: {e}", part.left))?;
            keep(*release, part, found)?;
        }
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

/// Writes down what a release gave; the other part stays. No time is in it: the same code gives the same file.
fn keep(release: Release, part: Part, found: Value) -> Outcome {
    let path = run::root().join(format!("conformance/hosts/results/{release}.json"));
    let mut results = if path.exists() {
        serde_json::from_str(&run::read(&path)?).map_err(|e| format!("{}: {e}", path.display()))?
    } else {
        json!({"format": "rectify.hosts/v1", "release": release.to_string(), "cells": {}, "kit": {}})
    };
    if let Some(member) = results.get_mut(part.name) {
        *member = found;
    }
    let text = serde_json::to_string_pretty(&results).map_err(|e| e.to_string())?;
    run::write(&path, &format!("{text}\n"))
}
