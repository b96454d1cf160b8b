//! Facts: which are asked for, what they decide, and what is noted of that.

use crate::types::{INVENTORY, PROJECT, compile_files, file, manifests, node};
use rectify_base::TargetName;
use rectify_compile::{Input, Output, SourceFile, compile_with};
use rectify_model::{
    Graph,
    fact::{Assumption, Facts},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn project(steps: &str, more: &[(&str, &str)]) -> Vec<SourceFile> {
    let head = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\ntargets: {select: 'true'}\n";
    let mut files = vec![
        file("rectify.yaml", PROJECT),
        file("inventory/hosts.yaml", INVENTORY),
        file("remediations/a.yaml", format!("{head}steps:\n{steps}")),
    ];
    files.extend(more.iter().map(|(path, text)| file(path, *text)));
    files
}

/// Facts by target: `alpha` is a Debian with packages, `beta` a Fedora without a database of dpkg.
fn facts() -> BTreeMap<TargetName, Facts> {
    let told = json!({
        "alpha": {
            "os": {"value": {"id": "debian", "version_id": "12"}},
            "packages": {"value": {"nginx": "1.22", "openssl": "3.0"}},
            "mounts": {"value": [{"target": "/", "type": "ext4"}]},
        },
        "beta": {
            "os": {"value": {"id": "fedora"}},
            "packages": {"absent": "there is no /var/lib/dpkg/status"},
            "mounts": {"value": []},
        },
    });
    serde_json::from_value(told).unwrap()
}

fn with(files: &[SourceFile], facts: &BTreeMap<TargetName, Facts>) -> Output {
    compile_with(
        &Input { files, manifests: &manifests(), locked: &std::collections::BTreeMap::new(), select: None },
        facts,
    )
}

fn compiled(steps: &str) -> Graph {
    crate::types::graph(with(&project(steps, &[]), &facts()))
}

/// What is assumed of a target: place, what was found, and what that decided.
fn assumed(graph: &Graph, target: &str) -> Vec<(String, Value, Vec<String>)> {
    let one = |a: &Assumption| {
        let decides = a.decides.iter().map(ToString::to_string).collect();
        (a.fact.as_str().to_owned(), serde_json::to_value(&a.is).unwrap(), decides)
    };
    graph.targets[&target.parse::<TargetName>().unwrap()].assumptions.iter().map(one).collect()
}

fn one(fact: &str, is: Value, decides: &[&str]) -> (String, Value, Vec<String>) {
    (fact.to_owned(), is, decides.iter().map(ToString::to_string).collect())
}

/// The first problem: its code, message and help.
fn refused(steps: &str) -> (String, String, String) {
    let output = with(&project(steps, &[]), &facts());
    assert!(output.graph.is_none());
    assert_eq!(output.diagnostics.len(), 1, "{:#?}", output.diagnostics);
    let diagnostic = &output.diagnostics[0];
    (diagnostic.code.to_string(), diagnostic.message.clone(), diagnostic.help.clone().unwrap_or_default())
}

const WHEN: &str = "  one:
    file.content: {path: /etc/a, content: x}
    when: facts.os.id == \"debian\"
  two:
    file.content: {path: /etc/b, content: x}
";

#[test]
fn what_a_fact_leaves_out_is_assumed_too() {
    let graph = compiled(WHEN);
    assert_eq!(graph.nodes.len(), 3);
    assert_eq!(assumed(&graph, "alpha"), [one("/os/id", json!({"value": "debian"}), &["a/one"])]);
    assert_eq!(assumed(&graph, "beta"), [one("/os/id", json!({"value": "fedora"}), &["a/one"])]);
    assert!(graph.types.contains_key(&"facts.os".parse().unwrap()));
    assert!(!graph.types.contains_key(&"facts.packages".parse().unwrap()));
}

#[test]
fn a_target_that_facts_leave_nothing_of_is_named_all_the_same() {
    let steps = "  one:\n    file.content: {path: /etc/a, content: x}\n    when: facts.os.id == \"debian\"\n";
    let graph = compiled(steps);
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(assumed(&graph, "beta"), [one("/os/id", json!({"value": "fedora"}), &["a/one"])]);
    let without = steps.replace("facts.os.id == \"debian\"", "target.name == \"alpha\"");
    assert_eq!(compiled(&without).targets.len(), 1);
}

#[test]
fn facts_are_asked_for_before_they_are_read() {
    let files = project(
        &format!("{WHEN}  three:\n    file.content: {{path: /etc/c, content: {{template: templates/c}}}}\n"),
        &[("templates/c", "${{ facts.packages.nginx }}")],
    );
    let output = compile_files(&files);
    assert!(output.graph.is_none() && output.diagnostics.is_empty(), "{:#?}", output.diagnostics);
    let asked = serde_json::to_value(&output.asked).unwrap();
    assert_eq!(asked, json!({"alpha": ["os", "packages"], "beta": ["os", "packages"]}));
}

#[test]
fn what_needs_no_fact_is_refused_before_one_is_read() {
    let steps = "  one:
    file.content: {path: /etc/a, content: '${{ facts.os.id }}${{ parms.x }}'}
  two:
    file.content: {pth: /etc/a, content: x}
    when: facts.os.id == \"x\"
";
    let codes: Vec<_> =
        compile_files(&project(steps, &[])).diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["expr-unknown-name", "type-unknown-property"]);
}

#[test]
fn only_selected_targets_are_asked() {
    let mut files = project(WHEN, &[]);
    let text =
        String::from_utf8(files[2].bytes.clone()).unwrap().replace("'true'", "target.name == \"beta\"");
    files[2] = file("remediations/a.yaml", text);
    assert_eq!(serde_json::to_value(compile_files(&files).asked).unwrap(), json!({"beta": ["os"]}));
}

#[test]
fn each_element_is_decided_by_what_made_it() {
    let steps = "  one:
    file.content: {path: '/etc/${{ each.key }}', content: '${{ each.key == \"y\" ? facts.os.id : \"\" }}'}
    for_each: '${{ has(facts.packages) ? [\"x\", \"y\"] : [] }}'
    when: each.key == \"x\" || facts.mounts.size() == 1
";
    let graph = compiled(steps);
    let (x, y) = ("a/one[\"x\"]", "a/one[\"y\"]");
    assert_eq!(
        assumed(&graph, "alpha"),
        [
            one("/mounts", json!({"value": [{"target": "/", "type": "ext4"}]}), &[x, y]),
            one("/os/id", json!({"value": "debian"}), &[x, y]),
            one("/packages", json!("present"), &[x, y]),
        ]
    );
    assert_eq!(assumed(&graph, "beta"), [one("/packages", json!("absent"), &["a/one"])]);
}

#[test]
fn what_is_given_to_a_module_decides_its_steps_and_what_it_tells_who_reads_that() {
    let module = "apiVersion: rectify/v1\nkind: Module\nmetadata: {name: m}\n\
                  parameters: {text: {type: string}}\nsteps:\n  s:\n    file.content:\n\
                  \x20     path: /etc/m\n      content: '${{ params.text }}'\n\
                  outputs: {version: '${{ facts.os.id == \"debian\" ? facts.os.version_id : \"\" }}'}\n";
    let steps = "  call:
    use: {module: m, with: {text: '${{ \"nginx\" in facts.packages ? \"n\" : \"\" }}'}}
    when: has(facts.packages)
  reader:
    file.content: {path: /etc/r, content: '${{ has(outputs.call) ? outputs.call.version : \"\" }}'}
  plain:
    file.content: {path: /etc/p, content: x}
";
    let output = with(&project(steps, &[("modules/m.yaml", module)]), &facts());
    let graph = crate::types::graph(output);
    assert_eq!(
        assumed(&graph, "alpha"),
        [
            one("/os/id", json!({"value": "debian"}), &["a/reader"]),
            one("/os/version_id", json!({"value": "12"}), &["a/reader"]),
            one("/packages", json!("present"), &["a/call/s", "a/reader"]),
            one("/packages/nginx", json!("present"), &["a/call/s", "a/reader"]),
        ]
    );
    assert_eq!(assumed(&graph, "beta"), [one("/packages", json!("absent"), &["a/call", "a/reader"])]);
    assert_eq!(node(&graph, "a/reader").desired["content"], "12");
}

#[test]
fn a_gate_that_is_asked_is_decided_too() {
    let steps = format!(
        "{}verify:\n  - tcp.connect: {{port: '${{{{ facts.os.id == \"debian\" ? 80 : 81 }}}}'}}\n",
        WHEN.replace("facts.os.id == \"debian\"", "target.name == \"alpha\"")
    );
    let graph = compiled(&steps);
    assert_eq!(assumed(&graph, "beta"), [one("/os/id", json!({"value": "fedora"}), &["a/verify:0"])]);
    assert_eq!(graph.gates[0].desired["port"], 80);
}

#[test]
fn a_long_fact_is_assumed_by_its_digest() {
    let mut facts = facts();
    let mounts: Vec<Value> = (0..20).map(|n| json!({"target": format!("/mnt/{n}")})).collect();
    let alpha = facts.get_mut(&"alpha".parse::<TargetName>().unwrap()).unwrap();
    *alpha = serde_json::from_value(json!({"mounts": {"value": mounts}})).unwrap();
    let steps = "  one:\n    file.content: {path: /etc/a, content: x}\n    when: facts.mounts.size() > 1\n";
    let graph = crate::types::graph(with(&project(steps, &[]), &facts));
    let (fact, is, _) = &assumed(&graph, "alpha")[0];
    assert_eq!(fact, "/mounts");
    assert!(is["digest"].as_str().unwrap().starts_with("blake3:"));
}

#[test]
fn facts_that_nothing_asks_for_mean_nothing() {
    let mut more = facts();
    for facts in more.values_mut() {
        facts.insert("os".into(), serde_json::from_value(json!({"value": {"id": "other"}})).unwrap());
    }
    let steps = "  one:\n    file.content: {path: /etc/a, content: x}\n    when: has(facts.packages)\n";
    assert_eq!(crate::types::graph(with(&project(steps, &[]), &more)), compiled(steps));
    let plain = "  one:\n    file.content: {path: /etc/a, content: x}\n";
    assert_eq!(compiled(plain), crate::types::graph(compile_files(&project(plain, &[]))));
}

#[test]
fn a_fact_that_is_not_there_is_an_error_where_it_is_used() {
    let content = |expression: &str| {
        format!("  one:\n    file.content: {{path: /etc/a, content: '${{{{ {expression} }}}}'}}\n")
    };
    let (code, message, help) = refused(&content("facts.packages.nginx"));
    assert_eq!(code, "expr-unknown-key");
    assert_eq!(message, "there is no `facts.packages` on `beta`: there is no /var/lib/dpkg/status");
    assert_eq!(help, "ask first: `has(facts.packages)`");
    let (code, message, help) = refused(&content("facts.os.version_id"));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("expr-unknown-key", "`facts.os` has no `version_id` on `beta`")
    );
    assert_eq!(help, "ask first: `has(facts.os.version_id)`");
    let (code, message, _) = refused(&content("facts.packges.nginx"));
    assert_eq!((code.as_str(), message.as_str()), ("expr-unknown-name", "there are no facts `packges`"));
}

#[test]
fn what_was_not_read_is_not_guessed() {
    let output = with(&project(WHEN, &[]), &BTreeMap::new());
    assert!(output.graph.is_none());
    assert_eq!(output.diagnostics[0].code.as_str(), "fact-not-read");
}

#[test]
fn a_type_of_facts_is_no_step() {
    let (code, message, help) = refused("  one:\n    facts.os: {}\n");
    assert_eq!(code, "remediation-probe-step");
    assert_eq!(message, "`facts.os` tells facts, so it cannot be a step");
    assert!(help.contains("has(facts.os)"), "{help}");
}
