//! What expressions evaluate to.

use crate::types::{compile_bodies, file, graph};
use serde_json::json;

const HEAD: &str = "\
parameters:
  n: {type: integer, default: 41}
  s: {type: string, default: hello}
  flag: {type: boolean, default: true}
  list: {type: list, default: [b, a]}
targets: {select: 'target.environment in [\"prod\", \"test\"]'}
";

/// The value of `content` on `alpha` and `beta`.
fn content(value: &str) -> Vec<serde_json::Value> {
    let body = format!("{HEAD}steps:\n  one:\n    file.content:\n      path: /x\n      content: {value}\n");
    let graph = graph(compile_bodies(&[&body]));
    graph.nodes.iter().map(|n| n.desired["content"].clone()).collect()
}

#[test]
fn text_around_expressions() {
    assert_eq!(content("'n=${{ params.n + 1 }} ${{params.flag}} ${{ params.s }}'"), ["n=42 true hello"; 2]);
    assert_eq!(content("'$${{ params.n }}'"), ["${{ params.n }}"; 2]);
    assert_eq!(content("${{ target.name + '.' + target.environment }}"), ["alpha.prod", "beta.test"]);
    assert_eq!(content("\"${{ string(target.variables.port) }}\""), ["8080", "5432"]);
}

#[test]
fn maps_are_walked_in_the_order_of_their_keys() {
    let value = "'${{ target.labels.map(k, k + \"=\" + target.labels[k]).exists(x, x == \"zone=north\") }}!'";
    assert_eq!(content(value), ["false!", "true!"]);
    let first = "\"${{ {'z': 1, 'b': 2, 'k': 3, 'a': 4, 'y': 5, 'm': 6}.map(k, k)[0] }}\"";
    assert_eq!(content(first), ["a", "a"]);
}

#[test]
fn functions_that_there_are() {
    let value =
        "'${{ params.s.matches(\"^h.*o$\") && params.s.startsWith(\"he\") && size(params.list) == 2 }} '";
    assert_eq!(content(value), ["true "; 2]);
    assert_eq!(
        content("'${{ has(target.labels.zone) ? target.labels.zone : \"none\" }}'"),
        ["none", "north"]
    );
    assert_eq!(content("'${{ params.n % 2 == 1 ? -params.n : 0 }} '"), ["-41 "; 2]);
}

#[test]
fn an_expression_alone_keeps_its_type() {
    let body = format!(
        "{HEAD}steps:\n  one:\n    command.run:\n      argv: ${{{{ ['a'] + params.list.filter(x, x != 'b') + target.variables.hosts }}}}\n\
         \x20     timeout_s: ${{{{ params.n + 1 }}}}\n      env: \"${{{{ {{'K': params.s}} }}}}\"\n"
    );
    let graph = graph(compile_bodies(&[&body]));
    assert_eq!(
        serde_json::Value::Object(graph.nodes[0].desired.clone()),
        json!({"argv": ["a", "a", "a", "b"], "timeout_s": 42, "env": {"K": "hello"}})
    );
    assert_eq!(graph.nodes[1].desired["argv"], json!(["a", "a", "c"]));
}

#[test]
fn a_target_without_the_label_is_taken_or_left_as_the_selection_says() {
    let selected = |select: &str| {
        let body = format!("targets: {{select: {select}}}\nsteps:\n  one:\n    command.run: {{argv: [a]}}\n");
        let graph = graph(compile_bodies(&[&body]));
        graph.targets.keys().map(|t| t.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(selected("has(target.labels.zone) && target.labels.zone == \"north\""), ["beta"]);
    assert_eq!(selected("'!has(target.labels.zone) || target.labels.zone == \"north\"'"), ["alpha", "beta"]);
    assert_eq!(selected("'\"zone\" in target.labels && target.labels.zone != \"south\"'"), ["beta"]);
    assert_eq!(selected("target.name == \"alpha\" || target.labels.zone == \"south\""), ["alpha"]);
}

#[test]
fn a_selection_that_cannot_be_decided_names_the_targets_and_the_question() {
    let inventory = "apiVersion: rectify/v1\nkind: Inventory\ntargets:\n\
                     \x20 one: {environment: prod, labels: {cost-centre: a, exempt: 'yes'}}\n\
                     \x20 two: {environment: prod, labels: {cost-centre: b}}\n\
                     \x20 three: {environment: prod}\n  four: {environment: prod}\n";
    let found = |select: &str| {
        let files = [
            file("rectify.yaml", crate::types::PROJECT),
            file("inventory/i.yaml", inventory),
            file(
                "remediations/a.yaml",
                format!(
                    "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {{name: a}}\n\
                     targets: {{select: '{select}'}}\nsteps:\n  s:\n    command.run: {{argv: [a]}}\n"
                ),
            ),
        ];
        let output = crate::types::compile_files(&files);
        assert_eq!(output.diagnostics.len(), 1, "{:#?}", output.diagnostics);
        let first = &output.diagnostics[0];
        assert_eq!(first.code.as_str(), "graph-undecided-selection");
        assert_eq!(first.labels.len(), 2);
        format!("{}; {}", first.message, first.help.as_deref().unwrap())
    };
    assert_eq!(
        found("target.labels.exempt != \"yes\""),
        "whether `four` and 2 more targets are selected cannot be decided: they have no `exempt`; ask first: \
         `has(target.labels.exempt) && …` leaves such targets out, `!has(target.labels.exempt) || …` takes them; \
         or give the label or variable to each target"
    );
    assert_eq!(
        found("target.labels[\"cost-centre\"] == \"a\""),
        "whether `four` and one more target are selected cannot be decided: they have no `cost-centre`; ask \
         first: `\"cost-centre\" in target.labels && …` leaves such targets out, `!(\"cost-centre\" in \
         target.labels) || …` takes them; or give the label or variable to each target"
    );
}

#[test]
fn gates_see_parameters_and_take_defaults() {
    let body = format!(
        "{HEAD}steps:\n  one:\n    command.run: {{argv: [a]}}\nverify:\n  - tcp.connect: {{port: '${{{{ target.variables.port }}}}'}}\n    within: 2m\n"
    );
    let graph = graph(compile_bodies(&[&body]));
    assert_eq!(graph.gates.len(), 2);
    assert_eq!(graph.gates[0].address.as_str(), "r0/verify:0");
    assert_eq!(graph.gates[0].within_s, 120);
    assert_eq!(
        serde_json::Value::Object(graph.gates[1].desired.clone()),
        json!({"host": "127.0.0.1", "port": 5432})
    );
}

#[test]
fn one_wrong_expression_is_reported_once_for_all_targets() {
    let body = format!("{HEAD}steps:\n  one:\n    file.content: {{path: /x, content: '${{{{ 1 / 0 }}}}'}}\n");
    let output = compile_bodies(&[&body]);
    assert_eq!(output.diagnostics.len(), 1, "{:#?}", output.diagnostics);
}

#[test]
fn groups_are_seen_sorted_whatever_file_names_them() {
    let head = "apiVersion: rectify/v1\nkind: Inventory\n";
    let files = [
        file("rectify.yaml", crate::types::PROJECT),
        file("inventory/a.yaml", format!("{head}groups: {{web: [y, x], all: [x, y, z]}}\n")),
        file(
            "inventory/b.yaml",
            format!(
                "{head}targets: {{x: {{environment: a}}, y: {{environment: a}}, z: {{environment: a}}}}\n\
                 groups: {{first: [y]}}\n"
            ),
        ),
        file(
            "remediations/a.yaml",
            "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\n\
             targets: {select: '\"web\" in target.groups'}\n\
             steps:\n  one:\n    command.run: {argv: '${{ target.groups }}'}\n",
        ),
    ];
    let graph = graph(crate::types::compile_files(&files));
    let seen: Vec<_> = graph.nodes.iter().map(|n| (n.target.as_str(), &n.desired["argv"])).collect();
    assert_eq!(seen, [("x", &json!(["all", "web"])), ("y", &json!(["all", "first", "web"]))]);
}
