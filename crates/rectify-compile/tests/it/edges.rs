//! Edges and order.

use crate::types::{compile_bodies, graph, node, order, steps};
use rectify_model::graph::{Edge, EdgeKind};

fn edges<'g>(graph: &'g rectify_model::Graph, address: &str) -> Vec<(&'g str, EdgeKind)> {
    node(graph, address).edges.iter().map(|e| (e.from.step(), e.kind)).collect()
}

#[test]
fn smallest_address_first_where_nothing_orders() {
    let graph = steps(
        "  c:\n    command.run: {argv: [a]}\n  a:\n    command.run: {argv: [a]}\n    after: [c]\n\
         \x20 b:\n    command.run: {argv: [a]}\n",
    );
    assert_eq!(order(&graph), ["b", "c", "a"]);
}

#[test]
fn a_trigger_wins_over_a_plain_edge() {
    let graph = steps(
        "  a:\n    command.run: {argv: [a]}\n  b:\n    command.run: {argv: [a]}\n    after: [a, a]\n    on_change: [a]\n",
    );
    assert_eq!(edges(&graph, "r0/b"), [("a", EdgeKind::OnChange)]);
}

#[test]
fn a_reader_comes_after_the_last_writer() {
    let graph = steps(
        "  a-read:\n    command.run: {argv: [a], reads: /x}\n  one:\n    file.content: {path: /x, content: a}\n\
         \x20 two:\n    file.line: {path: /x, line: b}\n    after: [one]\n",
    );
    assert_eq!(order(&graph), ["one", "two", "a-read"]);
    assert_eq!(
        node(&graph, "r0/a-read").edges,
        [Edge {
            from: "r0/two".parse().unwrap(),
            kind: EdgeKind::Implied,
            reason: Some("`r0/two` writes `/x`, which this step reads".into()),
        }]
    );
}

#[test]
fn a_reader_that_is_ordered_between_writers_stays_there() {
    let graph = steps(
        "  one:\n    file.content: {path: /x, content: a}\n  read:\n    command.run: {argv: [a], reads: /x}\n    after: [one]\n\
         \x20 two:\n    file.content: {path: /x, content: b}\n    after: [read]\n",
    );
    assert_eq!(order(&graph), ["one", "read", "two"]);
    assert_eq!(edges(&graph, "r0/read"), [("one", EdgeKind::After)]);
}

#[test]
fn what_lies_in_a_directory_comes_after_it() {
    let graph = steps(
        "  a:\n    file.content: {path: /srv/app/etc/x, content: a}\n  b:\n    file.directory: {path: /srv/app}\n\
         \x20 c:\n    file.directory: {path: /srv}\n  d:\n    command.run: {argv: [a], reads: /srv/app/log}\n\
         \x20 e:\n    file.content: {path: /srv-other, content: a}\n",
    );
    assert_eq!(order(&graph), ["c", "b", "a", "d", "e"]);
    assert_eq!(edges(&graph, "r0/a"), [("b", EdgeKind::Implied)]);
    assert_eq!(edges(&graph, "r0/e"), []);
    assert_eq!(
        node(&graph, "r0/d").edges[0].reason.as_deref(),
        Some("`r0/b` writes the directory `/srv/app`, in which `/srv/app/log` lies")
    );
}

#[test]
fn the_root_directory_is_above_everything() {
    let graph =
        steps("  a:\n    file.content: {path: /x, content: a}\n  b:\n    file.directory: {path: /}\n");
    assert_eq!(order(&graph), ["b", "a"]);
}

#[test]
fn an_order_over_others_suffices_for_two_writers() {
    let graph = steps(
        "  z:\n    file.content: {path: /x, content: a}\n  m:\n    command.run: {argv: [a]}\n    after: [z]\n\
         \x20 a:\n    file.content: {path: /x, content: b}\n    after: [m]\n",
    );
    assert_eq!(order(&graph), ["z", "m", "a"]);
    assert_eq!(edges(&graph, "r0/a"), [("m", EdgeKind::After)]);
}

#[test]
fn remediations_on_one_target_take_part_alike() {
    let alpha = "targets: {select: target.name == \"alpha\"}\nsteps:\n";
    let graph = graph(compile_bodies(&[
        &format!("{alpha}  read:\n    command.run: {{argv: [a], reads: /x/y}}\n"),
        &format!("{alpha}  dir:\n    file.directory: {{path: /x}}\n"),
        &format!("{alpha}  last:\n    command.run: {{argv: [a]}}\n    after: [r0/read]\n"),
    ]));
    assert_eq!(order(&graph), ["dir", "read", "last"]);
    assert_eq!(edges(&graph, "r0/read"), [("dir", EdgeKind::Implied)]);
    assert_eq!(edges(&graph, "r2/last"), [("read", EdgeKind::After)]);
}

#[test]
fn steps_of_different_targets_do_not_meet() {
    let graph = graph(compile_bodies(&[
        "targets: {select: target.name == \"alpha\"}\nsteps:\n  a:\n    file.content: {path: /x, content: a}\n",
        "targets: {select: target.name == \"beta\"}\nsteps:\n  a:\n    file.content: {path: /x, content: b}\n",
    ]));
    assert_eq!(graph.nodes.len(), 2);
    assert!(graph.nodes.iter().all(|n| n.edges.is_empty()));
}

#[test]
fn a_cycle_is_shown_as_the_path_that_closes() {
    let output = compile_bodies(&[
        "targets: {select: 'true'}\nsteps:\n  a:\n    command.run: {argv: [a]}\n    after: [c]\n\
         \x20 b:\n    command.run: {argv: [a]}\n    after: [a]\n  c:\n    command.run: {argv: [a]}\n    after: [b]\n\
         \x20 d:\n    command.run: {argv: [a]}\n    after: [c]\n",
    ]);
    assert_eq!(output.diagnostics.len(), 1, "{:#?}", output.diagnostics);
    let found = &output.diagnostics[0];
    assert_eq!(found.message, "steps wait for each other: `r0/a` before `r0/b` before `r0/c` before `r0/a`");
    let texts: Vec<_> = found.labels.iter().map(|l| l.text.as_str()).collect();
    assert_eq!(texts, ["`r0/a` waits for `r0/c`", "`r0/b` waits for `r0/a`", "`r0/c` waits for `r0/b`"]);
}

#[test]
fn each_group_of_waiting_steps_is_shown_once_and_short() {
    let mut body = String::from("targets: {select: 'true'}\nsteps:\n");
    // A ring of 300 steps with a shortcut that closes after three, and a pair beside it.
    for index in 0..300 {
        let before = (index + 299) % 300;
        let also = if index == 0 { ", s002" } else { "" };
        body.push_str(&format!(
            "  s{index:03}:\n    command.run: {{argv: [a]}}\n    after: [s{before:03}{also}]\n"
        ));
    }
    body.push_str("  x:\n    command.run: {argv: [a]}\n    after: [y]\n");
    body.push_str("  y:\n    command.run: {argv: [a]}\n    after: [x]\n");
    let output = compile_bodies(&[&body]);
    let messages: Vec<_> = output.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "steps wait for each other: `r0/s000` before `r0/s001` before `r0/s002` before `r0/s000`",
            "steps wait for each other: `r0/x` before `r0/y` before `r0/x`",
        ]
    );
}

#[test]
fn a_conflict_names_both_places() {
    let output = compile_bodies(&[
        "targets: {select: 'true'}\nsteps:\n  a:\n    file.content: {path: /x, content: a}\n",
        "targets: {select: 'true'}\nsteps:\n  a:\n    file.line: {path: /x, line: a}\n",
    ]);
    let found = &output.diagnostics[0];
    let files: Vec<_> = found.labels.iter().map(|l| l.file.as_str()).collect();
    assert_eq!(files, ["remediations/r1.yaml", "remediations/r0.yaml"]);
    assert_eq!(found.message, "`r0/a` and `r1/a` both write `/x`, and nothing orders them");
}
