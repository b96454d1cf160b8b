//! Every code has a page and a test.

use crate::{
    cases::cases,
    types::{PROJECT, compile_bodies, compile_files, file, manifests},
};
use rectify_base::limits::SOURCE_MAX_BYTES;
use rectify_compile::{Input, codes, compile, limits};
use std::{collections::BTreeSet, fs, path::Path};

/// Codes whose inputs are too large for a file, or are not files; they are tested here.
const ELSEWHERE: [&str; 10] = [
    "fact-not-read",
    "graph-too-large",
    "yaml-too-large",
    "yaml-too-many-nodes",
    "yaml-scalar-too-long",
    "project-too-many-problems",
    "remediation-unknown",
    "type-claimed-twice",
    "type-manifest",
    "text-file-too-large",
];

#[test]
fn every_code_has_a_case() {
    let mut tested: BTreeSet<String> = ELSEWHERE.iter().map(|c| (*c).to_owned()).collect();
    for area in ["yaml", "expressions", "graphs", "language"] {
        tested.extend(cases(area).into_iter().map(|(_, expected, _)| expected.code));
    }
    let all: BTreeSet<String> = codes::ALL.iter().map(|c| c.as_str().to_owned()).collect();
    assert_eq!(tested, all);
}

#[test]
fn every_code_has_a_page() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    for code in codes::ALL {
        let page = fs::read_to_string(directory.join(format!("{code}.md"))).unwrap_or_default();
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines.first().copied(), Some(format!("# {code}").as_str()), "{code}");
        assert!(lines.get(2).is_some_and(|l| l.ends_with('.')), "{code} has no summary");
        assert!(lines.contains(&"## Why") && lines.contains(&"## What to do"), "{code}");
    }
}

fn only_code(output: &rectify_compile::Output) -> &'static str {
    assert!(output.graph.is_none());
    assert_eq!(output.diagnostics.len(), 1, "{:#?}", output.diagnostics);
    output.diagnostics[0].code.as_str()
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let big = vec![b' '; SOURCE_MAX_BYTES + 1];
    let output = compile_files(&[file("rectify.yaml", PROJECT), file("remediations/a.yaml", big)]);
    assert_eq!(only_code(&output), "yaml-too-large");
}

#[test]
fn a_scalar_beyond_the_limit_is_refused() {
    let text = "x".repeat(limits::SCALAR_MAX_BYTES + 1);
    let output = compile_bodies(&[&format!("because: {{text: {text}}}\n")]);
    assert_eq!(only_code(&output), "yaml-scalar-too-long");
}

#[test]
fn more_values_than_allowed_are_refused() {
    let list = "a,".repeat(limits::YAML_NODES_MAX);
    let output = compile_bodies(&[&format!("because: [{list}]\n")]);
    assert_eq!(only_code(&output), "yaml-too-many-nodes");
}

#[test]
fn the_number_of_problems_is_bounded() {
    let steps: String = (0..300).map(|i| format!("  s{i}:\n    file.content: {{pth: /x}}\n")).collect();
    let bodies: Vec<String> =
        (0..5).map(|_| format!("targets: {{select: 'true'}}\nsteps:\n{steps}")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let output = compile_bodies(&bodies);
    assert_eq!(output.diagnostics.len(), limits::PROBLEMS_MAX + 1);
    assert_eq!(output.diagnostics.last().unwrap().code, codes::PROJECT_TOO_MANY_PROBLEMS);
}

#[test]
fn a_remediation_that_is_not_there_cannot_be_selected() {
    let files = [
        file("rectify.yaml", PROJECT),
        file("inventory/hosts.yaml", crate::types::INVENTORY),
        file(
            "remediations/a.yaml",
            "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: logging}\ntargets: {select: 'true'}\n\
             steps:\n  one:\n    command.run: {argv: [a]}\n",
        ),
    ];
    let select = BTreeSet::from(["loging".parse().unwrap()]);
    let output = compile(&Input {
        files: &files,
        manifests: &manifests(),
        locked: &std::collections::BTreeMap::new(),
        select: Some(&select),
    });
    assert_eq!(only_code(&output), "remediation-unknown");
    assert_eq!(output.diagnostics[0].help.as_deref(), Some("did you mean `logging`?"));
}

#[test]
fn manifests_that_contradict_themselves_are_refused() {
    let body = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\ntargets: {select: 'true'}\n\
                steps:\n  one:\n    command.run: {argv: [a]}\n";
    let files = [
        file("rectify.yaml", PROJECT),
        file("inventory/hosts.yaml", crate::types::INVENTORY),
        file("remediations/a.yaml", body),
    ];
    let damage: [fn(&mut Vec<rectify_protocol::Manifest>); 4] = [
        |all| all[0].types[0].kind = "thing".into(),
        |all| all[0].types[0].touches[0].access = "look".into(),
        |all| all[2].types[0].undo = "perhaps".into(),
        |all| all[1].types[0].schema["properties"]["argv"]["type"] = "lst".into(),
    ];
    for (index, damage) in damage.iter().enumerate() {
        let mut manifests = manifests();
        damage(&mut manifests);
        let output = compile(&Input {
            files: &files,
            manifests: &manifests,
            locked: &std::collections::BTreeMap::new(),
            select: None,
        });
        assert!(output.graph.is_none(), "{index}");
        assert!(
            output.diagnostics.iter().all(|d| d.code == codes::TYPE_MANIFEST),
            "{index}: {:#?}",
            output.diagnostics
        );
    }
}

#[test]
fn a_type_belongs_to_one_provider() {
    let body = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\ntargets: {select: 'true'}\n\
                steps:\n  one:\n    command.run: {argv: [a]}\n";
    let files = [
        file("rectify.yaml", PROJECT),
        file("inventory/hosts.yaml", crate::types::INVENTORY),
        file("remediations/a.yaml", body),
    ];
    let mut manifests = manifests();
    let (first, type_name) = (manifests[1].name.clone(), manifests[1].types[0].name.clone());
    let again = rectify_protocol::Manifest { name: "acme".into(), ..manifests[1].clone() };
    manifests.push(again);
    let messages = |manifests: &[rectify_protocol::Manifest]| {
        let locked = std::collections::BTreeMap::new();
        let output = compile(&Input { files: &files, manifests, locked: &locked, select: None });
        assert!(output.graph.is_none());
        let twice = output.diagnostics.iter().filter(|d| d.code == codes::TYPE_CLAIMED_TWICE);
        twice.map(|d| d.message.clone()).collect::<Vec<_>>()
    };
    let forward = messages(&manifests);
    let expected = format!("the providers `acme` and `{first}` both have the type `{type_name}`");
    assert!(forward.contains(&expected), "{forward:?}");
    manifests.reverse();
    assert_eq!(messages(&manifests), forward);
}

#[test]
fn a_graph_names_the_locked_providers_of_its_types() {
    let body = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\ntargets: {select: 'true'}\n\
                steps:\n  one:\n    command.run: {argv: [a]}\n";
    let files = [
        file("rectify.yaml", PROJECT),
        file("inventory/hosts.yaml", crate::types::INVENTORY),
        file("remediations/a.yaml", body),
    ];
    let manifests = manifests();
    let of = |type_name: &str| {
        let name = type_name.parse().unwrap();
        manifests.iter().find(|manifest| manifest.descriptor(&name).is_some()).unwrap().digest().unwrap()
    };
    let provider = |manifest| rectify_model::provider::LockedProvider {
        version: "1".into(),
        manifest,
        release: manifest,
        publisher: None,
        interpreter: None,
    };
    let locked = [
        ("commands".to_owned(), provider(of("command.run"))),
        ("unused".to_owned(), provider(of("file.content"))),
    ];
    let locked = locked.into();
    let output = compile(&Input { files: &files, manifests: &manifests, locked: &locked, select: None });
    let graph = output.graph.unwrap();
    assert_eq!(graph.providers.keys().collect::<Vec<_>>(), ["commands"]);
}
