//! How properties are read: as the schema directs.

use crate::types::{compile_bodies, compile_files, file, node, steps};
use rectify_compile::Connection;
use serde_json::json;

#[test]
fn texts_are_taken_as_written() {
    let graph = steps(
        "  one:\n    file.content: {path: /x, content: yes, mode: 0640, owner: root, group: 1.10}\n\
         \x20 two:\n    file.content: {path: /y, content: null, mode: \"0600\", owner: 0}\n",
    );
    assert_eq!(
        serde_json::Value::Object(node(&graph, "r0/one").desired.clone()),
        json!({"path": "/x", "content": "yes", "mode": "0640", "owner": "root", "group": "1.10"})
    );
    assert_eq!(
        serde_json::Value::Object(node(&graph, "r0/two").desired.clone()),
        json!({"path": "/y", "content": "null", "mode": "0600", "owner": 0})
    );
}

#[test]
fn defaults_are_filled_in() {
    let graph =
        steps("  one:\n    file.line: {path: /x, line: hi}\n  two:\n    command.run: {argv: [a, 1, true]}\n");
    assert_eq!(
        serde_json::Value::Object(node(&graph, "r0/one").desired.clone()),
        json!({"path": "/x", "line": "hi", "create": false, "where": "end"})
    );
    assert_eq!(
        serde_json::Value::Object(node(&graph, "r0/two").desired.clone()),
        json!({"argv": ["a", "1", "true"], "timeout_s": 60})
    );
}

#[test]
fn several_problems_are_found_in_one_go() {
    let output = compile_bodies(&["undo: never\ntargets: {select: 'true'}\nsteps:\n\
         \x20 one:\n    file.content: {pth: /x, mode: 99}\n\
         \x20 two:\n    file.nothing: {}\n    after: [oen]\n\
         \x20 three:\n    command.run: {argv: [a], timeout_s: 0}\n"]);
    let mut codes: Vec<_> = output.diagnostics.iter().map(|d| d.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            "graph-unknown-step",
            "project-value",
            "type-invalid",
            "type-pattern",
            "type-range",
            "type-unknown",
            "type-unknown-property",
        ]
    );
    let helps: Vec<_> = output.diagnostics.iter().filter_map(|d| d.help.as_deref()).collect();
    assert!(helps.contains(&"did you mean `path`?"), "{helps:#?}");
    assert!(helps.contains(&"did you mean `one`?"), "{helps:#?}");
    let fixes: Vec<_> = output.diagnostics.iter().flat_map(|d| &d.fixes).collect();
    assert_eq!(fixes.len(), 2);
}

#[test]
fn what_a_misspelling_is_told() {
    let output = compile_bodies(&[
        "targets: {select: 'true'}\nsteps:\n  one:\n    file.content: {path: /x, content: a, mod: '0644'}\n",
    ]);
    insta::assert_json_snapshot!(output.diagnostics, @r##"
    [
      {
        "code": "type-unknown-property",
        "severity": "error",
        "message": "`file.content` has no property `mod`",
        "labels": [
          {
            "file": "remediations/r0.yaml",
            "start": 143,
            "end": 146,
            "text": ""
          }
        ],
        "help": "did you mean `mode`?",
        "fixes": [
          {
            "at": {
              "file": "remediations/r0.yaml",
              "start": 143,
              "end": 146,
              "text": ""
            },
            "replacement": "mode"
          }
        ]
      }
    ]
    "##);
}

#[test]
fn the_project_file_and_connections() {
    let project = "apiVersion: rectify/v1\nkind: Project\nmetadata: {name: demo}\n\
                   limits: {parallel_steps: 2, changes_max: 7}\npolicies: [standard, policies/mine]\n";
    let inventory = "apiVersion: rectify/v1\nkind: Inventory\ntargets:\n\
                     \x20 here: {environment: dev, connection: local, root: sandbox/one}\n  box: {environment: dev}\n";
    let remediation = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a, labels: {severity: high}}\n\
                       because: {id: CVE-1, text: a race}\nundo: auto\ntargets: {select: target.name == \"box\"}\n\
                       steps:\n  one:\n    command.run: {argv: [a]}\n";
    let output = compile_files(&[
        file("rectify.yaml", project),
        file("inventory/i.yaml", inventory),
        file("remediations/a.yaml", remediation),
        file("policies/mine/x.rego", "not read here"),
    ]);
    assert!(output.diagnostics.is_empty(), "{:#?}", output.diagnostics);
    let settings = output.settings.unwrap();
    assert_eq!((settings.limits.parallel_steps, settings.limits.changes_max), (2, 7));
    assert_eq!(settings.policies, ["standard", "policies/mine"]);
    let roots: Vec<_> = output.connections.values().collect();
    assert_eq!(
        roots,
        [&Connection::Local { root: None }, &Connection::Local { root: Some("sandbox/one".into()) }]
    );
    let place = output.source_map.get(&"a/one".parse().unwrap()).unwrap();
    assert_eq!((place.file.as_str(), place.line, place.column), ("remediations/a.yaml", 8, 3));
    let graph = output.graph.unwrap();
    let info = &graph.remediations[&"a".parse().unwrap()];
    insta::assert_json_snapshot!(info, @r##"
    {
      "because": {
        "id": "CVE-1",
        "text": "a race"
      },
      "labels": {
        "severity": "high"
      },
      "undo": "auto"
    }
    "##);
    assert_eq!(graph.targets.len(), 1);
    assert_eq!(graph.types.keys().map(|t| t.as_str()).collect::<Vec<_>>(), ["command.run"]);
}

#[test]
fn what_follows_from_a_problem_is_not_reported_beside_it() {
    let one_each: [(&str, &[&str]); 7] = [
        (
            "parameters: {2n: {type: integer, default: 1}, m: {type: number, default: 1}}\ntargets: {select: 'true'}\n\
             steps:\n  one:\n    file.content: {path: /x, content: '${{ params.m }}${{ params[\"2n\"] }}'}\n",
            &["project-name", "project-value"],
        ),
        (
            "parameters: [n]\ntargets: {select: 'true'}\n\
             steps:\n  one:\n    file.content: {path: /x, content: '${{ params.n }}'}\n",
            &["project-wrong-type"],
        ),
        (
            "parameters: {n: {type: integer}}\ntargets: {select: 'true'}\n\
             steps:\n  one:\n    file.content: {path: /x, content: '${{ params.map(k, k) }}'}\n",
            &["remediation-parameter-value"],
        ),
        (
            "targets: {select: 'true'}\nsteps:\n  One:\n    command.run: {argv: [a]}\n  two:\n    command.run: {argv: [a]}\n    \
             after: [One]\n",
            &["project-name"],
        ),
        (
            "targets: {selct: 'true'}\nsteps:\n  one:\n    command.run: {argv: [a]}\n",
            &["project-unknown-field"],
        ),
        (
            "targets: {select: 'true'}\nsteps:\n  one:\n    command.run: {argvv: [a]}\n",
            &["type-unknown-property"],
        ),
        (
            "targets: {select: 'true'}\nsteps:\n  one:\n    file.content: {path: /x, contnet: a}\n",
            &["type-unknown-property"],
        ),
    ];
    for (body, expected) in one_each {
        let output = compile_bodies(&[body]);
        let codes: Vec<_> = output.diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, expected, "{body}\n{:#?}", output.diagnostics);
    }
}

#[test]
fn a_wrong_inventory_is_not_also_an_empty_selection() {
    let remediation = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\n\
                       targets: {select: 'target.environment == \"prod\" && target.labels.role == \"web\"'}\n\
                       steps:\n  one:\n    command.run: {argv: [a]}\n";
    for (target, code) in [
        ("{enviroment: prod, labels: {role: web}}", "project-unknown-field"),
        ("{labels: {role: web}}", "project-missing-field"),
        ("{environment: prod, labels: {role: [web]}}", "project-wrong-type"),
        ("{environment: prod, labels: role}", "project-wrong-type"),
        ("[prod]", "project-wrong-type"),
    ] {
        let inventory = format!(
            "apiVersion: rectify/v1\nkind: Inventory\ntargets:\n  x: {target}\n  y: {{environment: test, labels: {{role: db}}}}\n"
        );
        let files = [
            file("rectify.yaml", crate::types::PROJECT),
            file("inventory/i.yaml", inventory),
            file("remediations/a.yaml", remediation),
        ];
        let output = compile_files(&files);
        let codes: Vec<_> = output.diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, [code], "{target}\n{:#?}", output.diagnostics);
    }
}
