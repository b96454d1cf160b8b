//! The compiler: a project of some files, and one expression.

use crate::{Target, sections, seeds};
use rectify_base::{Label, canonical};
use rectify_compile::{Input, Output, SourceFile, compile, compile_with};
use rectify_model::{Graph, fact::Fact};
use rectify_protocol::Manifest;
use rectify_sdk::Provider as _;
use std::{collections::BTreeSet, sync::LazyLock};

/// The project around a text that is no project by itself.
const PROJECT: &str = include_str!("../../../../conformance/cases/base/rectify.yaml");
const HOSTS: &str = include_str!("../../../../conformance/cases/base/inventory/hosts.yaml");

static MANIFESTS: LazyLock<[Manifest; 4]> = LazyLock::new(|| {
    [
        rectify_provider_facts::provider().manifest(),
        rectify_provider_file::provider().manifest(),
        rectify_provider_command::provider().manifest(),
        rectify_provider_probe::provider().manifest(),
    ]
});

pub(super) const TARGET: Target = Target {
    name: "compile",
    holds: "any files give a graph or errors, the same in any order; places lie in the files",
    check,
    seeds: |conformance| {
        let mut all = seeds::cases(conformance, "yaml");
        all.extend(seeds::cases(conformance, "graphs"));
        // One project that compiles, of which everything is used.
        all.push(include_bytes!("compile.seed").to_vec());
        all
    },
    max_bytes: 8192,
    replays: 2,
};

pub(super) const EXPRESSION: Target = Target {
    name: "expression",
    holds: "any expression is evaluated or refused, within its bounds and always alike",
    check: |data| {
        if let Ok(text) = std::str::from_utf8(data) {
            check_files(&around(text));
        }
    },
    seeds: |conformance| {
        let mut all: BTreeSet<Vec<u8>> = BTreeSet::new();
        for case in seeds::cases(conformance, "expressions") {
            let text = String::from_utf8_lossy(&case).into_owned();
            let found = text.split("${{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim()));
            all.extend(found.map(|expression| expression.as_bytes().to_vec()));
        }
        let more = [
            "params.list.map(x, int(x) * 2).filter(y, y > 2).exists(z, z == 4)",
            "target.labels.role == 'web' ? target.variables.port + 1 : size(params.word)",
            "{'a': [1, 2u, null], 'b': \"\\u00e9\"}.b.matches('^.+$') && !has(target.labels.zone)",
            "has(facts.os.id) && \"list\" in facts.os ? facts.os.version.major : size(facts.mounts)",
            "target.name.startsWith('a') || 'x' in target.labels || int('7') % 2 == 1",
        ];
        all.extend(more.map(|expression| expression.as_bytes().to_vec()));
        all.into_iter().collect()
    },
    max_bytes: 600,
    replays: 8,
};

fn check(data: &[u8]) {
    let sections = sections::split(data);
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for (name, body) in sections.into_iter().take(12) {
        let Ok(name) = std::str::from_utf8(name) else { return };
        let name = if name.is_empty() { "remediations/a.yaml" } else { name };
        if names.insert(name) {
            files.push((name.to_owned(), body.to_vec()));
        }
    }
    check_files(&fill(files));
}

/// A project that evaluates an expression.
fn around(expression: &str) -> Vec<SourceFile> {
    let text = serde_json::Value::from(format!("${{{{ {expression} }}}}"));
    let remediation = format!(
        "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {{name: a}}\nparameters:\n  \
         list: {{type: list, default: [3, 1, 2]}}\n  \
         word: {{type: string, default: w}}\ntargets: {{select: 'true'}}\nsteps:\n  one:\n    \
         file.content: {{path: /etc/one, content: {text}}}\n"
    );
    fill(vec![("remediations/a.yaml".into(), remediation.into_bytes())])
}

/// Adds project and inventory where there is none.
fn fill(mut files: Vec<(String, Vec<u8>)>) -> Vec<SourceFile> {
    for (name, text) in [("rectify.yaml", PROJECT), ("inventory/hosts.yaml", HOSTS)] {
        if !files.iter().any(|(other, _)| other == name) {
            files.push((name.into(), text.into()));
        }
    }
    files.into_iter().map(|(path, bytes)| SourceFile { path, bytes }).collect()
}

/// Compiles; with facts, if that is what is missing.
fn run(files: &[SourceFile]) -> Output {
    let input =
        Input { files, manifests: &*MANIFESTS, locked: &std::collections::BTreeMap::new(), select: None };
    let output = compile(&input);
    if output.graph.is_some() || output.asked.is_empty() || has_errors(&output) {
        return output;
    }
    let told = Fact::Value(serde_json::json!({"id": "x", "list": ["a"], "version": {"major": 1}}));
    let facts =
        |groups: &BTreeSet<String>| groups.iter().map(|group| (group.clone(), told.clone())).collect();
    let facts = output.asked.iter().map(|(target, groups)| (target.clone(), facts(groups))).collect();
    compile_with(&input, &facts)
}

fn has_errors(output: &Output) -> bool {
    output.diagnostics.iter().any(|d| d.severity == rectify_base::Severity::Error)
}

fn check_files(files: &[SourceFile]) {
    let output = run(files);
    assert_eq!(output.graph.is_none(), has_errors(&output), "{:?}", output.diagnostics);
    for diagnostic in &output.diagnostics {
        assert!(!diagnostic.message.is_empty());
        diagnostic.labels.iter().for_each(|label| lies_within(label, files));
        diagnostic.fixes.iter().for_each(|fix| lies_within(&fix.at, files));
    }
    for place in output.source_map.places.values() {
        let Some(file) = files.iter().find(|file| file.path == place.file) else { panic!("{place:?}") };
        assert!(place.start <= place.end && place.end <= file.bytes.len(), "{place:?}");
    }
    if let Some(graph) = &output.graph {
        let bytes = canonical::file_bytes(graph).expect("a graph is canonical");
        assert_eq!(canonical::read_file::<Graph>(&bytes).as_ref(), Ok(graph));
        let locator = output.locator(files);
        for node in &graph.nodes {
            let place = locator.place(&node.address, None).expect("each node has a place");
            assert!(files.iter().any(|file| file.path == place.file));
        }
    }
    let backwards: Vec<SourceFile> = files.iter().rev().cloned().collect();
    let again = run(&backwards);
    assert_eq!(again.graph, output.graph);
    assert_eq!(again.diagnostics, output.diagnostics);
    assert_eq!(again.source_map, output.source_map);
}

fn lies_within(label: &Label, files: &[SourceFile]) {
    let Some(file) = files.iter().find(|file| file.path == label.file) else { panic!("no file: {label:?}") };
    assert!(label.start <= label.end && label.end <= file.bytes.len(), "{label:?}");
    if let Ok(text) = std::str::from_utf8(&file.bytes) {
        assert!(text.is_char_boundary(label.start) && text.is_char_boundary(label.end), "{label:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_to_begin_with_compiles() {
        let sections = sections::split(include_bytes!("compile.seed"));
        let files = sections.iter().map(|(name, body)| (String::from_utf8_lossy(name).into(), body.to_vec()));
        let output = run(&fill(files.collect()));
        assert_eq!(output.graph.expect("compiles").nodes.len(), 3, "{:?}", output.diagnostics);
    }

    #[test]
    fn an_expression_is_evaluated() {
        let output = run(&around("params.word + target.labels.role + string(params.list.map(x, x + x)[0])"));
        let graph = output.graph.unwrap_or_else(|| panic!("{:?}", output.diagnostics));
        assert_eq!(graph.nodes[0].desired["content"], "wweb33");
    }
}
