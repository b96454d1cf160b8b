//! `when` and `for_each`: which steps there are, what they are called, and how they are ordered.

use crate::types::{compile_bodies, graph, node};
use rectify_compile::{Output, WhyLeftOut, codes, limits};
use rectify_model::graph::EdgeKind;

/// A remediation with these steps, on `alpha` (prod, web) and `beta` (test, db). `RUN` stands for a
/// command.
fn both(steps: &str) -> Output {
    let head = "parameters: {on: {type: boolean, default: true}, names: {type: list, default: [b, a]}}\n\
                targets: {select: 'true'}\nsteps:\n";
    compile_bodies(&[&format!("{head}{}", steps.replace("RUN", "command.run: {argv: [a]}"))])
}

/// `target:address < from from` for each step; `!` marks a trigger, `?` an implied edge.
fn nodes(output: &Output) -> Vec<String> {
    assert!(output.diagnostics.is_empty(), "{:#?}", output.diagnostics);
    let nodes = &output.graph.as_ref().unwrap().nodes;
    let line = |n: &rectify_model::graph::Node| {
        let mut line = format!("{}:{} <", n.target, n.address.step());
        for edge in &n.edges {
            line.push_str(match edge.kind {
                EdgeKind::OnChange => " !",
                EdgeKind::After => " ",
                EdgeKind::Implied => " ?",
            });
            line.push_str(edge.from.step());
        }
        line
    };
    nodes.iter().map(line).collect()
}

fn left_out(output: &Output) -> Vec<(String, WhyLeftOut)> {
    output.left_out.iter().map(|l| (format!("{}:{}", l.target, l.address.step()), l.why)).collect()
}

fn found(output: &Output) -> Vec<&'static str> {
    output.diagnostics.iter().map(|d| d.code.as_str()).collect()
}

#[test]
fn a_condition_decides_on_each_target() {
    let output = both(
        "
  a:
    RUN
    when: target.labels.role == \"web\"
  b:
    RUN
    when: params.on && 'x' != target.name
",
    );
    assert_eq!(nodes(&output), ["alpha:a <", "alpha:b <", "beta:b <"]);
    assert_eq!(left_out(&output), [("beta:a".to_owned(), WhyLeftOut::Condition)]);
}

#[test]
fn what_a_left_out_step_stood_between_stays_in_order() {
    let output = both(
        "
  z:
    RUN
  m:
    RUN
    after: [z]
    when: target.name == \"beta\"
  l:
    RUN
    after: [m]
    when: target.name == \"beta\"
  a:
    RUN
    after: [l]
",
    );
    assert_eq!(
        nodes(&output),
        ["alpha:z <", "alpha:a < z", "beta:z <", "beta:m < z", "beta:l < m", "beta:a < l"]
    );
}

#[test]
fn what_nothing_can_trigger_is_left_out() {
    let output = both(
        "
  config:
    RUN
    when: target.name == \"beta\"
  other:
    RUN
  reload:
    RUN
    on_change: [config]
  last:
    RUN
    on_change: [reload]
  either:
    RUN
    on_change: [config, other]
  note:
    RUN
    after: [last, other]
",
    );
    assert_eq!(
        nodes(&output),
        [
            "alpha:other <",
            "alpha:either < !other",
            "alpha:note < other",
            "beta:config <",
            "beta:other <",
            "beta:either < !config !other",
            "beta:reload < !config",
            "beta:last < !reload",
            "beta:note < last other",
        ]
    );
    assert_eq!(
        left_out(&output),
        [
            ("alpha:config".to_owned(), WhyLeftOut::Condition),
            ("alpha:last".to_owned(), WhyLeftOut::NoTrigger),
            ("alpha:reload".to_owned(), WhyLeftOut::NoTrigger),
        ]
    );
}

#[test]
fn elements_have_addresses_of_their_own_and_no_order() {
    let output = both(
        "
  first:
    RUN
    for_each: {y: 1, x: 2}
    when: each.value > 1 || target.name == \"beta\"
  files:
    file.content: {path: '${{ each.key }}', content: '${{ each.value }}'}
    for_each: [/etc/issue, /etc/a/b]
    after: [first]
    when: target.name == \"alpha\"
  last:
    RUN
    on_change: [files]
",
    );
    assert_eq!(
        nodes(&output),
        [
            "alpha:first[\"x\"] <",
            "alpha:files[\"/etc/a/b\"] < first[\"x\"]",
            "alpha:files[\"/etc/issue\"] < first[\"x\"]",
            "alpha:last < !files[\"/etc/a/b\"] !files[\"/etc/issue\"]",
            "beta:first[\"x\"] <",
            "beta:first[\"y\"] <",
        ]
    );
    let graph = output.graph.as_ref().unwrap();
    assert_eq!(node(graph, "r0/files[\"/etc/issue\"]").desired["content"], "/etc/issue");
    // Each address leads to the step as written.
    let place = |a: &str| output.source_map.get(&a.parse().unwrap()).unwrap();
    assert_eq!(place("r0/first[\"x\"]"), place("r0/first"));
}

#[test]
fn an_expression_may_give_the_elements() {
    let output = both(
        "
  users:
    command.run: {argv: [adduser, '${{ each.key }}', '${{ each.value }}']}
    for_each: '${{ params.names + target.variables.hosts.filter(h, h != \"a\" && h != \"b\") }}'
  ports:
    command.run: {argv: [open, '${{ string(each.value.port) }}']}
    for_each: '${{ {target.name: target.variables} }}'
",
    );
    assert_eq!(
        nodes(&output),
        [
            "alpha:ports[\"alpha\"] <",
            "alpha:users[\"a\"] <",
            "alpha:users[\"b\"] <",
            "beta:ports[\"beta\"] <",
            "beta:users[\"a\"] <",
            "beta:users[\"b\"] <",
            "beta:users[\"c\"] <",
        ]
    );
}

#[test]
fn no_element_is_the_same_as_left_out() {
    let output = both(
        "
  a:
    RUN
  b:
    RUN
    for_each: []
    after: [a]
  c:
    RUN
    after: [b]
  d:
    RUN
    on_change: [b]
",
    );
    assert_eq!(nodes(&output), ["alpha:a <", "alpha:c < a", "beta:a <", "beta:c < a"]);
    let why: Vec<_> = left_out(&output).into_iter().map(|(_, why)| why).collect();
    let each = [WhyLeftOut::NoElements, WhyLeftOut::NoTrigger];
    assert_eq!(why, [each, each].concat());
}

#[test]
fn a_target_without_steps_takes_no_part_and_is_not_verified() {
    let step = "steps:\n  a:\n    command.run: {argv: [a]}\n    when:";
    let some = format!(
        "targets: {{select: 'true'}}\n{step} target.name == \"alpha\"\nverify:\n  - tcp.connect: {{port: 22}}\n"
    );
    let none = format!("targets: {{select: 'true'}}\n{step} 'false'\n");
    let graph = graph(compile_bodies(&[&some, &none]));
    assert_eq!(graph.targets.keys().map(|t| t.as_str()).collect::<Vec<_>>(), ["alpha"]);
    assert_eq!(graph.gates.iter().map(|g| g.target.as_str()).collect::<Vec<_>>(), ["alpha"]);
    assert_eq!(graph.remediations.keys().map(|r| r.as_str()).collect::<Vec<_>>(), ["r0"]);
}

#[test]
fn a_step_of_another_remediation_passes_its_order_on() {
    let alpha = "targets: {select: 'target.name == \"alpha\"'}\nsteps:\n";
    let run = "command.run: {argv: [a]}";
    let graph = graph(compile_bodies(&[
        &format!("{alpha}  a:\n    {run}\n  b:\n    {run}\n    after: [a]\n    when: 'false'\n"),
        &format!("{alpha}  c:\n    {run}\n    after: [r0/b]\n"),
    ]));
    assert_eq!(node(&graph, "r1/c").edges[0].from.as_str(), "r0/a");
}

#[test]
fn an_element_that_is_added_leaves_the_others_as_they_were() {
    let with = |elements: &str| {
        let step = "  a:\n    file.content: {path: '/etc/${{ each.key }}', content: x}\n    for_each: ";
        both(&format!("{step}[{elements}]\n")).graph.unwrap().nodes
    };
    let (before, after) = (with("m, z"), with("z, a, m"));
    assert!(before.iter().all(|n| after.contains(n)));
    assert_eq!(after.len(), before.len() + 2);
}

#[test]
fn many_problems_at_once_each_once() {
    let output = both(
        "
  a:
    RUN
    when: params.of
  b:
    RUN
    for_each: [x, x]
    after: [cc]
  c:
    RUN
    when: size(params.names)
  d:
    command.run: {argv: ['${{ each.key }}']}
  e:
    command.run: {argv: ['${{ each.kex }}']}
    for_each: [x, y]
",
    );
    assert_eq!(
        found(&output),
        [
            "expr-unknown-name",
            "remediation-for-each",
            "graph-unknown-step",
            "expr-not-bool",
            "expr-unknown-name",
            "expr-unknown-key",
        ],
        "{:#?}",
        output.diagnostics
    );
}

#[test]
fn what_is_taken_nowhere_is_looked_over_all_the_same() {
    let output = both(
        "
  a:
    command.run: {argvv: [a]}
    when: 'false'
  b:
    command.run: {argv: ['${{ params.nome }}']}
    when: 'false'
  c:
    command.run: {argv: ['${{ 1 + }}']}
    for_each: []
  d:
    RUN
",
    );
    let codes = found(&output);
    assert_eq!(codes, ["type-unknown-property", "expr-unknown-name", "expr-syntax"]);
}

#[test]
fn a_wrong_selection_hides_nothing_of_the_steps() {
    let body = "targets: {select: target.labels.rol == \"web\"}\nsteps:\n  a:\n    command.run: {argvv: [a]}\n  \
                b:\n    command.rum: {argv: [a]}\n";
    let output = compile_bodies(&[body]);
    assert_eq!(found(&output), ["expr-unknown-key", "type-unknown-property", "type-unknown"]);
}

#[test]
fn elements_and_edges_are_bounded() {
    let many = |n: usize| (0..n).map(|i| format!("e{i}")).collect::<Vec<_>>().join(", ");
    let output = both(&format!("  a:\n    RUN\n    for_each: [{}]\n", many(limits::ELEMENTS_MAX + 1)));
    assert_eq!(found(&output), [codes::GRAPH_TOO_LARGE.as_str()]);

    // A thousand times a thousand, twice on each of two targets.
    let list = many(limits::ELEMENTS_MAX);
    let mut steps = format!("  a:\n    RUN\n    for_each: [{list}]\n");
    for name in ["b", "c"] {
        steps += &format!("  {name}:\n    RUN\n    for_each: [{list}]\n    after: [a]\n");
    }
    assert_eq!(found(&both(&steps)), [codes::GRAPH_TOO_LARGE.as_str()]);
}
