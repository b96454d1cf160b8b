//! Tests that change the machine they run on: they are built here, and run on a node that is thrown away.

use super::{Fleet, Release, Wish};
use crate::run::{Outcome, cargo, output};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

/// Packages whose tests called `node` run on one.
const TESTED: &[&str] = &[
    "rectify-provider-account",
    "rectify-provider-package",
    "rectify-provider-service",
    "rectify-provider-sysctl",
    "rectify-tests",
];
/// Where a test's executable lies on a node.
const PROGRAM: &str = "/usr/local/bin/rectify-node-test";
/// Where the executable that is tested as a whole lies on a node.
pub(super) const RECTIFY: &str = "/usr/local/bin/rectify";
/// Tests that `fleet matrix` and `fleet conform` run, and keep the results of.
const OF_THE_MATRIX: &[&str] = &["--skip=matrix::", "--skip=conform::"];

/// Builds them, and runs them on a node of a release.
pub fn test(release: Release, filter: &[&str]) -> Outcome {
    let programs = build(TESTED)?;
    let rectify = rectify()?;
    let fleet = Fleet::up(&Wish { nodes: 1, release, packages: &[] })?;
    let node = fleet.node()?;
    node.put(&rectify, RECTIFY, "0755")?;
    for (name, path, provider) in programs {
        node.put(&path, PROGRAM, "0755")?;
        if let Some(provider) = provider {
            // For tests that kill it.
            node.put(&provider, &format!("/usr/local/bin/rectify-provider-{name}"), "0755")?;
        }
        println!("{name} on {release}");
        // One after the other: they change the same few files.
        let argv: Vec<&str> =
            [PROGRAM, "--test-threads=1"].iter().chain(OF_THE_MATRIX).chain(filter).copied().collect();
        crate::run::run(node.ssh(&argv))?;
    }
    fleet.down()
}

/// Builds what is tested as a whole.
pub(super) fn rectify() -> Result<PathBuf, String> {
    let words = ["build", "--locked", "--quiet", "--package", "rectify-cli", "--message-format=json"];
    let text = output(cargo(&words))?;
    let messages = text.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let ours = |message: &Value| message.pointer("/target/name") == Some(&"rectify".into());
    let executable = |message: Value| message.get("executable").and_then(Value::as_str).map(PathBuf::from);
    messages.filter(ours).find_map(executable).ok_or_else(|| "rectify was not built".into())
}

/// A package, the executable of its tests, and that of the provider itself.
pub(super) type Program = (String, PathBuf, Option<PathBuf>);

/// Executables of the tests.
pub(super) fn build(packages: &[&str]) -> Result<Vec<Program>, String> {
    let mut words =
        vec!["test", "--locked", "--quiet", "--no-run", "--test", "node", "--message-format=json"];
    for package in packages {
        words.extend(["--package", package]);
    }
    let text = output(cargo(&words))?;
    let mut executables = BTreeMap::new();
    for line in text.split(|b| *b == b'\n') {
        let Ok(message) = serde_json::from_slice::<Value>(line) else { continue };
        let is_program = message.pointer("/target/kind/0") == Some(&"bin".into());
        let is_test = message.pointer("/target/name") == Some(&"node".into());
        if let Some(path) =
            message.get("executable").and_then(Value::as_str).filter(|_| is_test || is_program)
        {
            let package = message.get("manifest_path").and_then(Value::as_str).map(PathBuf::from);
            let package = package.as_deref().and_then(|path| path.parent()).and_then(|path| path.file_name());
            let package = package.unwrap_or_default().to_string_lossy().into_owned();
            executables.insert((package, is_test), PathBuf::from(path));
        }
    }
    let found: Vec<Program> = executables
        .iter()
        .filter(|((_, is_test), _)| *is_test)
        .map(|((name, _), path)| {
            (name.clone(), path.clone(), executables.get(&(name.clone(), false)).cloned())
        })
        .collect();
    if found.len() == packages.len() { Ok(found) } else { Err(format!("tests were built: {found:?}")) }
}
