//! Texts from files beside the YAML: templates and plain files.

use crate::types::{INVENTORY, PROJECT, compile_files, file, graph, node};
use rectify_compile::{Output, SourceFile, limits};

fn project(steps: &str, beside: &[(&str, &str)]) -> Vec<SourceFile> {
    let text = format!(
        "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {{name: a}}\n\
         parameters: {{n: {{type: integer, default: 1}}, port: {{type: integer, default: 80}}}}\n\
         targets: {{select: 'target.name == \"alpha\"'}}\nsteps:\n{steps}"
    );
    let mut files = vec![
        file("rectify.yaml", PROJECT),
        file("inventory/hosts.yaml", INVENTORY),
        file("remediations/a.yaml", text),
    ];
    files.extend(beside.iter().map(|(path, text)| file(path, *text)));
    files
}

fn compiled(steps: &str, beside: &[(&str, &str)]) -> Output {
    compile_files(&project(steps, beside))
}

const CONTENT: &str = "  one:\n    file.content: {path: /etc/a, content: {template: templates/a}}\n";

#[test]
fn a_template_sees_what_the_property_sees() {
    let steps = "  one:
    file.content: {path: '/etc/${{ each.key }}', content: {template: templates/etc/a.conf}}
    for_each: {x: {most: 5}}
";
    let text = "# ${{ target.name }}, not $${{ this }}\nn = ${{ params.n }}\r\nmost = ${{ each.value.most }}";
    let graph = graph(compiled(steps, &[("templates/etc/a.conf", text)]));
    let content = &node(&graph, "a/one[\"x\"]").desired["content"];
    assert_eq!(content, "# alpha, not ${{ this }}\nn = 1\r\nmost = 5");
}

#[test]
fn what_a_template_gives_is_a_text_whatever_stands_in_it() {
    let graph = graph(compiled(CONTENT, &[("templates/a", "${{ params.n }}")]));
    assert_eq!(node(&graph, "a/one").desired["content"], "1");
}

#[test]
fn a_plain_file_is_taken_as_it_is() {
    let text = "\u{1b}[1m$${{ ${{ no expression\u{1b}[0m\n";
    let steps = "  one:\n    file.content: {path: /etc/a, content: {file: files/logo}}\n";
    let graph = graph(compiled(steps, &[("files/logo", text)]));
    assert_eq!(node(&graph, "a/one").desired["content"], text);
}

#[test]
fn wherever_a_text_is_expected_it_may_come_from_a_file() {
    let steps = "  one:
    command.run:
      argv: [a, {file: files/argument}]
      env: {A: {template: templates/a}}
    when: 'true'
  call:
    use: {module: m, with: {text: {file: files/argument}}}
";
    let module = "apiVersion: rectify/v1\nkind: Module\nmetadata: {name: m}\n\
                  parameters: {text: {type: string}}\nsteps:\n  s:\n    file.content:\n\
                  \x20     path: /etc/m\n      content: '${{ params.text }}'\n";
    let beside =
        [("files/argument", "--x"), ("templates/a", "<${{ params.n }}>"), ("modules/m.yaml", module)];
    let graph = graph(compiled(steps, &beside));
    let desired = &node(&graph, "a/one").desired;
    assert_eq!(desired["argv"][1], "--x");
    assert_eq!(desired["env"]["A"], "<1>");
    assert_eq!(node(&graph, "a/call/s").desired["content"], "--x");
}

#[test]
fn where_a_mapping_may_stand_it_is_a_mapping() {
    let steps = "  one:\n    command.run:\n      argv: [a]\n      env: {template: templates/a, file: x}\n  \
                 two:\n    command.run:\n      argv: [a]\n      env: {template: templates/a}\n    after: [one]\n";
    let graph = graph(compiled(steps, &[("templates/a", "no")]));
    assert_eq!(node(&graph, "a/one").desired["env"]["template"], "templates/a");
    assert_eq!(node(&graph, "a/two").desired["env"]["template"], "templates/a");
}

#[test]
fn a_template_may_ask_for_what_a_call_tells() {
    let steps = "  call:\n    use: {module: m}\n  one:\n    file.content: {path: /etc/a, content: {template: templates/a}}\n";
    let module = "apiVersion: rectify/v1\nkind: Module\nmetadata: {name: m}\nsteps:\n  s:\n    file.directory: {path: /srv}\n\
                  outputs: {home: /srv}\n";
    let beside = [("templates/a", "home = ${{ outputs.call.home }}\n"), ("modules/m.yaml", module)];
    assert_eq!(node(&graph(compiled(steps, &beside)), "a/one").desired["content"], "home = /srv\n");
}

#[test]
fn files_that_nothing_names_may_hold_anything() {
    let steps = "  one:\n    file.content: {path: /etc/a, content: x}\n";
    let plain = graph(compiled(steps, &[]));
    let mut files = project(steps, &[("templates/a", "${{")]);
    files.push(file("files/b.png", vec![0xff; 10]));
    assert_eq!(graph(compile_files(&files)), plain);
}

#[test]
fn a_problem_is_shown_in_the_template_and_where_it_was_taken() {
    let output = compiled(CONTENT, &[("templates/a", "x\n${{ params.prt }}\n")]);
    let labels = &output.diagnostics[0].labels;
    assert_eq!(
        labels.iter().map(|l| l.file.as_str()).collect::<Vec<_>>(),
        ["templates/a", "remediations/a.yaml"]
    );
    assert_eq!((labels[0].start, labels[1].text.as_str()), (13, "taken here"));
    assert_eq!(output.diagnostics[0].fixes[0].at.file, "templates/a");
}

#[test]
fn what_one_template_becomes_is_bounded() {
    let parameter = "x".repeat(50_000);
    let steps = format!(
        "  one:\n    file.content: {{path: /etc/a, content: {{template: templates/a}}}}\n    for_each: {{x: {parameter}}}\n"
    );
    let text = "${{ each.value }}".repeat(limits::TEXT_MAX_BYTES / parameter.len() + 1);
    let output = compiled(&steps, &[("templates/a", &text)]);
    assert_eq!(output.diagnostics[0].code.as_str(), "expr-work", "{:#?}", output.diagnostics);
    let fitting = "${{ each.value }}".repeat(limits::TEXT_MAX_BYTES / parameter.len());
    graph(compiled(&steps, &[("templates/a", &fitting)]));
}

#[test]
fn a_file_beyond_the_limit_is_not_taken() {
    let output = compiled(CONTENT, &[("templates/a", &"x".repeat(limits::TEXT_FILE_MAX_BYTES + 1))]);
    assert_eq!(output.diagnostics[0].code.as_str(), "text-file-too-large");
}
