//! How plans read.

use crate::fixture::{changed, file, graph, node, observe, runs, unchanged, valid_plan};
use insta::assert_snapshot;
use rectify_model::Plan;
use rectify_review::{Judgement, Options, markdown, text};
use serde_json::{Value, json};

const DETAILS: Options = Options { details: true, width: 100, size_max_chars: 60_000 };

/// Six web servers: one is as desired, one differs, one has another text.
fn fleet() -> Plan {
    let targets = ["web-1", "web-2", "web-3", "web-4", "web-5", "web-6"];
    let nodes: Vec<Value> = targets
        .iter()
        .flat_map(|target| {
            [
                node(target, "app/conf", "file.content", json!({"path": "/etc/app.conf"}), &[]),
                node(
                    target,
                    "app/restart",
                    "command.run",
                    json!({"argv": ["systemctl", "restart", "my app"]}),
                    &[("on_change", "app/conf")],
                ),
            ]
        })
        .collect();
    let documents = observe(graph(&targets, &nodes, &[]), |node, _| {
        let state = |mode: &str, text: &str| file("/etc/app.conf", mode, text);
        match (node.address.step(), node.target.as_str()) {
            ("restart", _) => runs(&json!(["restart"])),
            (_, "web-3") => unchanged(state("0640", "a = 1\n")),
            (_, "web-5") => changed(state("0600", "a = 2\n"), state("0640", "a = 1\n"), &Value::Null),
            _ => changed(state("0644", "a = 1\n"), state("0640", "a = 1\n"), &Value::Null),
        }
    });
    documents.plan().unwrap().plan
}

/// Everything that a hostile author or machine could put before a reader.
fn hostile() -> Plan {
    let path = "/etc/\u{202e}fdp.exe`|<b>\n+ fake";
    let nodes = [
        node("t", "r/a", "file.content", json!({"path": path}), &[]),
        node("t", "r/b", "command.run", json!({"argv": ["echo", "a b", "\u{1b}[2J", "@all"]}), &[]),
    ];
    let documents = observe(graph(&["t"], &nodes, &[]), |node, _| match node.address.step() {
        "a" => changed(
            file(path, "0644", "one\n```\ntwo\r+ three\n"),
            file(path, "0644", "one\n````\n</details>\ntwo\u{200b}\n"),
            &json!({"undo": {"grade": "lossy", "note": "see [here](http://example.org) \u{7}"}}),
        ),
        _ => runs(&json!([])),
    });
    documents.plan().unwrap().plan
}

fn nothing() -> Plan {
    let nodes = [node("t", "r/a", "file.content", json!({"path": "/a"}), &[])];
    let documents = observe(graph(&["t"], &nodes, &[]), |_, _| unchanged(file("/a", "0644", "x\n")));
    documents.plan().unwrap().plan
}

#[test]
fn text_of_a_rich_plan() {
    assert_snapshot!(text(&valid_plan(), &Options::default()));
}

#[test]
fn text_of_a_rich_plan_with_details() {
    assert_snapshot!(text(&valid_plan(), &DETAILS));
}

#[test]
fn text_is_folded_over_equal_targets() {
    assert_snapshot!(text(&fleet(), &Options::default()));
}

#[test]
fn text_of_nothing() {
    assert_snapshot!(text(&nothing(), &Options::default()));
}

#[test]
fn text_shows_hidden_characters() {
    assert_snapshot!(text(&hostile(), &DETAILS));
}

#[test]
fn text_is_cut_to_a_width() {
    let narrow = text(&valid_plan(), &Options { width: 60, ..Options::default() });
    assert!(narrow.contains('…'));
    // Names are never cut.
    assert!(narrow.contains("base/swap  file.content"));
}

#[test]
fn markdown_of_a_rich_plan() {
    assert_snapshot!(markdown(&valid_plan(), Judgement::NotAsked, &DETAILS));
}

#[test]
fn markdown_is_folded_over_equal_targets() {
    assert_snapshot!(markdown(&fleet(), Judgement::NotAsked, &Options::default()));
}

#[test]
fn markdown_neutralizes_what_is_hostile() {
    assert_snapshot!(markdown(&hostile(), Judgement::NotAsked, &DETAILS));
}

#[test]
fn markdown_says_what_it_leaves_out() {
    let plan = valid_plan();
    let page = markdown(&plan, Judgement::NotAsked, &Options { size_max_chars: 3_000, ..DETAILS });
    assert!(crate::page::length(&page) <= 3_000);
    let note = page.lines().last().unwrap();
    assert!(
        note.starts_with("**This page is not all of it.** Left out to keep it under 3000 characters: "),
        "{note}"
    );
    assert!(note.contains("the details of "), "{note}");
    // Everything that must not be overlooked is still there.
    assert!(page.contains("Cannot be taken back") && page.contains("not covered by this plan"));
}

#[test]
fn a_content_that_must_not_be_shown_is_named_by_digest_only() {
    let secret = |digit: &str| {
        json!({"path": "/key", "kind": "file", "mode": "0600",
            "content": {"blake3": format!("blake3:{}", digit.repeat(64)), "size": 9}})
    };
    let nodes = [node("t", "r/key", "file.content", json!({"path": "/key"}), &[])];
    let documents =
        observe(graph(&["t"], &nodes, &[]), |_, _| changed(secret("a"), secret("b"), &Value::Null));
    let plan = documents.plan().unwrap().plan;
    assert_snapshot!(text(&plan, &DETAILS));
}
