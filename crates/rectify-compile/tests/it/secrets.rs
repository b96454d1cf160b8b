//! Secrets in graphs: by name, with the sources that each target sees.

use crate::types::compile_files;
use rectify_compile::{Output, SourceFile};
use serde_json::json;

const PROJECT: &str = "apiVersion: rectify/v1\nkind: Project\nmetadata: {name: web-fleet}\nsecrets:\n  \
    db: {from: {file: 'secrets/${{ target.name }}/db'}, keep_newline: true}\n  \
    token: {from: {env: TOKEN}}\n  \
    unused: {from: {command: [/usr/bin/pass, show, unused]}}\n";
const HOSTS: &str = "apiVersion: rectify/v1\nkind: Inventory\ntargets:\n  \
    web1: {environment: prod}\n  web2: {environment: test}\n";

fn compile(steps: &str, module: Option<&str>) -> Output {
    let file = |path: &str, text: String| SourceFile { path: path.into(), bytes: text.into_bytes() };
    let head = "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: a}\ntargets: {select: 'true'}\n";
    let mut files = vec![
        file("rectify.yaml", PROJECT.into()),
        file("inventory/hosts.yaml", HOSTS.into()),
        file("remediations/a.yaml", format!("{head}{steps}")),
    ];
    files.extend(module.map(|text| file("modules/m.yaml", text.into())));
    compile_files(&files)
}

fn content(output: &Output, node: usize) -> serde_json::Value {
    assert_eq!(output.diagnostics, []);
    output.graph.as_ref().unwrap().nodes[node].desired["content"].clone()
}

#[test]
fn they_are_named_and_their_sources_are_those_of_the_target() {
    let output = compile(
        "steps:\n  one:\n    file.content:\n      path: /etc/one\n      content: |\n        \
         user = ${{ target.name }}\n        password = ${{ secrets.db }}:${{ \"t-\" + secrets.token }}\n",
        None,
    );
    let expected = json!({"$secret": [
        "user = web1\npassword = ", {"name": "db"}, ":t-", {"name": "token"}, "\n"
    ]});
    assert_eq!(content(&output, 0), expected);
    let graph = output.graph.unwrap();
    let secrets = serde_json::to_value(&graph.targets.values().last().unwrap().secrets).unwrap();
    assert_eq!(
        secrets,
        json!({
            "db": {"from": {"file": "secrets/web2/db"}, "keep_newline": true},
            "token": {"from": {"env": "TOKEN"}},
        })
    );
}

#[test]
fn a_choice_between_secrets_is_made_by_what_is_known() {
    let output = compile(
        "steps:\n  one:\n    file.content:\n      path: /etc/one\n      content: \
         '${{ target.environment == \"prod\" ? secrets.db : \"none\" }}'\n",
        None,
    );
    assert_eq!(content(&output, 0), json!({"$secret": [{"name": "db"}]}));
    assert_eq!(content(&output, 1), json!("none"));
    let graph = output.graph.unwrap();
    let counts: Vec<usize> = graph.targets.values().map(|target| target.secrets.len()).collect();
    assert_eq!(counts, [1, 0]);
}

#[test]
fn a_module_takes_them_as_parameters() {
    let module = "apiVersion: rectify/v1\nkind: Module\nmetadata: {name: m}\n\
        parameters: {password: {type: secret}}\nsteps:\n  file:\n    \
        file.content: {path: /etc/one, content: 'p=${{ params.password }}'}\n";
    let steps = "steps:\n  one:\n    use: {module: m, with: {password: '${{ \"x\" + secrets.db }}'}}\n";
    assert_eq!(content(&compile(steps, Some(module)), 0), json!({"$secret": ["p=x", {"name": "db"}]}));
}

#[test]
fn a_project_whose_secrets_nobody_uses_names_none() {
    let output = compile("steps:\n  one:\n    file.content: {path: /etc/one, content: x}\n", None);
    assert_eq!(content(&output, 0), json!("x"));
    assert!(output.graph.unwrap().targets.values().all(|target| target.secrets.is_empty()));
}
