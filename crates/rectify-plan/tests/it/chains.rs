//! Steps on one thing, together: chains that come to nothing, and things with two names.

use crate::fixture::{Documents, changed, file, graph, node, observe, runs, unchanged, undecided};
use rectify_model::{
    graph::Node,
    observation::Answer,
    plan::{DeferredCause, Idle},
};
use rectify_plan::{Planned, Reason, codes};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Files by path; a step `content` writes its text, a step `line` adds it if it is not there.
struct Files(BTreeMap<&'static str, &'static str>);

fn text_of(state: &Value) -> &str {
    state.pointer("/content/text").and_then(Value::as_str).expect("a text")
}

impl Files {
    fn new(files: &[(&'static str, &'static str)]) -> Self {
        Self(files.iter().copied().collect())
    }

    fn answer(&self, node: &Node, prior: Option<Option<Value>>) -> Answer {
        let wanted = node.desired.get("text").and_then(Value::as_str);
        let Some(wanted) = wanted else {
            return match node.desired.get("code") {
                Some(code) => undecided(code.as_str().unwrap(), "no"),
                None => runs(&json!([])),
            };
        };
        let path = node.desired["path"].as_str().unwrap();
        let found = prior.unwrap_or_else(|| self.0.get(path).map(|text| file(path, "0644", text)));
        let after = match (&found, node.type_name.as_str()) {
            (Some(found), LINE) if text_of(found).contains(wanted) => found.clone(),
            (Some(found), LINE) => file(path, "0644", &format!("{}{wanted}", text_of(found))),
            _ => file(path, "0644", wanted),
        };
        let rest = node.desired.get("rest").cloned().unwrap_or_default();
        match found {
            Some(found) if found == after => {
                let resolved = rest.get("resolved").cloned().unwrap_or_else(|| json!([]));
                serde_json::from_value(json!({"unchanged": {"state": found, "resolved": resolved}})).unwrap()
            }
            found => changed(found.unwrap_or_default(), after, &rest),
        }
    }

    fn observe(&self, nodes: &[Value]) -> Documents {
        observe(graph(&["t"], nodes, &[]), |node, prior| self.answer(node, prior))
    }

    fn plan(&self, nodes: &[Value]) -> Planned {
        self.observe(nodes).plan().unwrap()
    }
}

fn write(name: &str, type_name: &str, path: &str, text: &str, edges: &[(&str, &str)]) -> Value {
    node("t", &format!("r/{name}"), type_name, json!({"path": path, "text": text}), edges)
}

fn command(name: &str, edges: &[(&str, &str)]) -> Value {
    node("t", &format!("r/{name}"), "command.run", json!({"argv": ["x"]}), edges)
}

fn steps(planned: &Planned) -> Vec<&str> {
    planned.plan.steps.iter().map(|step| step.address.step()).collect()
}

fn idle(planned: &Planned) -> Vec<(&str, Idle)> {
    planned.plan.unchanged.iter().map(|entry| (entry.address.step(), entry.why)).collect()
}

fn deferred(planned: &Planned) -> Vec<(&str, &str, DeferredCause)> {
    let entries = planned.plan.deferred.iter();
    entries.map(|entry| (entry.address.step(), entry.code.as_str(), entry.cause)).collect()
}

const CONTENT: &str = "file.content";
const LINE: &str = "file.line";

/// `a\n`, and then the line `b\n`.
fn pair() -> Vec<Value> {
    vec![
        write("a", CONTENT, "/c", "a\n", &[]),
        write("b", LINE, "/c", "b\n", &[("after", "r/a")]),
        command("reload", &[("on_change", "r/a")]),
    ]
}

#[test]
fn a_chain_that_comes_to_nothing_is_unchanged_with_all_that_it_triggers() {
    let planned = Files::new(&[("/c", "a\nb\n")]).plan(&pair());
    assert_eq!(steps(&planned), [""; 0]);
    assert_eq!(
        idle(&planned),
        [("a", Idle::Converged), ("b", Idle::Converged), ("reload", Idle::NotTriggered)]
    );
    let counts = planned.plan.counts;
    assert_eq!((counts.unchanged, counts.not_triggered, counts.changes()), (2, 1, 0));
    // Both say what was found, each under its own type.
    assert_ne!(planned.plan.unchanged[0].fingerprint, planned.plan.unchanged[1].fingerprint);
    let why = planned.report.why(None, &"r/b".parse().unwrap());
    assert_eq!(
        why,
        "t:r/b: nothing to do: converged by its chain; the 2 steps on it from `r/a` to `r/b` leave it as it \
         was found\n"
    );
}

/// Else one plan had two byte forms.
#[test]
fn as_desired_is_never_written_nor_read() {
    let planned = Files::new(&[("/c", "a\n")]).plan(&pair()[..1]);
    let mut entry = serde_json::to_value(&planned.plan.unchanged[0]).unwrap();
    assert_eq!(entry.get("why"), None);
    entry["why"] = json!("as_desired");
    assert!(serde_json::from_value::<rectify_model::plan::Unchanged>(entry).is_err());
}

#[test]
fn a_chain_that_changes_something_is_done_whole() {
    for found in ["a\nb\nc\n", "z\n"] {
        let planned = Files::new(&[("/c", found)]).plan(&pair());
        assert_eq!(steps(&planned), ["a", "b", "reload"], "{found:?}");
    }
    // The first one is as it should be; only the second one is done.
    let planned = Files::new(&[("/c", "a\n")]).plan(&pair());
    assert_eq!(steps(&planned), ["b"]);
    assert_eq!(idle(&planned), [("a", Idle::AsDesired), ("reload", Idle::NotTriggered)]);
}

#[test]
fn a_chain_stays_where_something_is_done_between_its_steps() {
    let nodes = |between: Value| {
        let name = between["address"].as_str().unwrap().to_owned();
        vec![
            write("a", CONTENT, "/c", "a\n", &[]),
            between,
            write("b", LINE, "/c", "b\n", &[("after", &name), ("implied", "r/a")]),
        ]
    };
    let files = Files::new(&[("/c", "a\nb\n"), ("/x", "0\n")]);
    let drifted = files.plan(&nodes(write("ab", CONTENT, "/x", "1\n", &[("after", "r/a")])));
    assert_eq!(steps(&drifted), ["a", "ab", "b"]);
    let ordered = files.plan(&nodes(write("ab", CONTENT, "/x", "0\n", &[("after", "r/a")])));
    assert_eq!(steps(&ordered), [""; 0]);
    // What the chain alone triggers is no reason; what is done anyway is one.
    let triggered = files.plan(&nodes(command("ab", &[("on_change", "r/a")])));
    assert_eq!(steps(&triggered), [""; 0]);
    let always = files.plan(&nodes(command("ab", &[("after", "r/a")])));
    assert_eq!(steps(&always), ["a", "ab", "b"]);
    // Not surely between them.
    let beside = files.plan(&nodes(command("ab", &[])));
    assert_eq!(steps(&beside), ["ab"]);
}

#[test]
fn chains_between_each_others_steps_come_to_nothing_together() {
    let nodes = [
        write("a1", CONTENT, "/a", "a\n", &[]),
        write("b1", CONTENT, "/b", "a\n", &[("after", "r/a1")]),
        write("c1", LINE, "/a", "b\n", &[("after", "r/b1"), ("implied", "r/a1")]),
        write("d1", LINE, "/b", "b\n", &[("after", "r/c1"), ("implied", "r/b1")]),
    ];
    assert_eq!(steps(&Files::new(&[("/a", "a\nb\n"), ("/b", "a\nb\n")]).plan(&nodes)), [""; 0]);
    // One that is done takes the other one with it, which has a step between.
    assert_eq!(steps(&Files::new(&[("/a", "a\nb\n"), ("/b", "z\n")]).plan(&nodes)), ["a1", "b1", "c1", "d1"]);
}

#[test]
fn what_only_waits_does_not_break_a_chain_and_what_is_undecided_does() {
    let nodes = |code: Value| {
        vec![
            write("a", CONTENT, "/c", "a\n", &[]),
            node("t", "r/ask", "command.run", code, &[]),
            write("b", LINE, "/c", "b\n", &[("after", "r/ask"), ("implied", "r/a")]),
        ]
    };
    let planned = Files::new(&[("/c", "a\nb\n")]).plan(&nodes(json!({"code": "PERMISSION"})));
    assert_eq!(steps(&planned), [""; 0]);
    assert_eq!(idle(&planned), [("a", Idle::Converged)]);
    assert_eq!(
        deferred(&planned),
        [("ask", "PERMISSION", DeferredCause::Undecided), ("b", "plan-after-deferred", DeferredCause::Waits)]
    );
    assert_eq!(planned.plan.undecided().count(), 1);
    // Its own answer is missing: what the whole comes to is not known.
    let nodes = [
        write("a", CONTENT, "/c", "a\n", &[]),
        node("t", "r/b", LINE, json!({"path": "/c", "code": "UNSUPPORTED"}), &[("implied", "r/a")]),
    ];
    let planned = Files::new(&[("/c", "a\nb\n")]).plan(&nodes);
    assert_eq!(steps(&planned), ["a"]);
    assert_eq!(deferred(&planned), [("b", "UNSUPPORTED", DeferredCause::Undecided)]);
}

#[test]
fn a_chain_that_is_not_certain_is_done() {
    let mut nodes = pair();
    nodes[0]["desired"]["rest"] = json!({"prediction": "conditional"});
    assert_eq!(steps(&Files::new(&[("/c", "a\nb\n")]).plan(&nodes)), ["a", "b", "reload"]);
    // Its trigger is not certain to change anything.
    let mut nodes = pair();
    nodes.push(command("0", &[]));
    nodes[0]["edges"] = json!([{"from": "r/0", "kind": "on_change"}]);
    assert_eq!(steps(&Files::new(&[("/c", "a\nb\n")]).plan(&nodes)), ["0", "a", "b", "reload"]);
}

#[test]
fn a_chain_stays_where_another_answer_stands_on_what_it_triggers() {
    // `t` is triggered by the chain and was asked for; `u` was predicted on its result.
    let mut nodes = pair();
    nodes.push(write("t", CONTENT, "/t", "1\n", &[("on_change", "r/a")]));
    nodes.push(write("u", LINE, "/t", "2\n", &[("implied", "r/t")]));
    let planned = Files::new(&[("/c", "a\nb\n"), ("/t", "0\n")]).plan(&nodes);
    assert_eq!(steps(&planned), ["a", "b", "reload", "t", "u"]);
    // Once that is done, nothing is left to do.
    let planned = Files::new(&[("/c", "a\nb\n"), ("/t", "1\n2\n")]).plan(&nodes);
    assert_eq!(steps(&planned), [""; 0]);
    assert_eq!(
        idle(&planned).iter().map(|(_, why)| *why).collect::<Vec<_>>(),
        [Idle::Converged, Idle::Converged, Idle::NotTriggered, Idle::Converged, Idle::Converged]
    );
}

#[test]
fn steps_that_write_several_things_converge_only_on_all_of_them() {
    let two = |name: &str, edges: &[(&str, &str)], keys: &[&str]| {
        let mut node = write(name, CONTENT, "/c", name, edges);
        node["touches"] = keys.iter().map(|key| json!({"key": key, "access": "write"})).collect();
        node
    };
    let both = ["path:/c", "path:/d"];
    let files = Files::new(&[("/c", "b")]);
    let planned = files.plan(&[two("a", &[], &both), two("b", &[("implied", "r/a")], &both)]);
    assert_eq!(idle(&planned), [("a", Idle::Converged), ("b", Idle::Converged)]);
    // Only one of the things is written by both: what comes of it is not known.
    let planned = files.plan(&[two("a", &[], &both), two("b", &[("implied", "r/a")], &["path:/c"])]);
    assert_eq!(steps(&planned), ["a"]);
    assert_eq!(deferred(&planned), [("b", "plan-prior-unknown", DeferredCause::Waits)]);
}

#[test]
fn a_directory_may_be_opened_and_closed_around_what_lies_in_it() {
    let dir = |mode: &str| json!({"path": "/d", "kind": "directory", "mode": mode});
    let nodes = [
        node("t", "r/a", "file.directory", json!({"path": "/d", "mode": "0755"}), &[]),
        node("t", "r/b", CONTENT, json!({"path": "/d/x"}), &[("implied", "r/a")]),
        node(
            "t",
            "r/c",
            "file.directory",
            json!({"path": "/d", "mode": "0700"}),
            &[("after", "r/b"), ("implied", "r/a")],
        ),
    ];
    let planned = |file_changes: bool| {
        observe(graph(&["t"], &nodes, &[]), |node, prior| match node.address.step() {
            "b" if file_changes => changed(Value::Null, file("/d/x", "0644", "x"), &Value::Null),
            "b" => unchanged(file("/d/x", "0644", "x")),
            _ => {
                let found = prior.map_or(dir("0700"), Option::unwrap);
                let wanted = dir(node.desired["mode"].as_str().unwrap());
                if found == wanted { unchanged(found) } else { changed(found, wanted, &Value::Null) }
            }
        })
        .plan()
        .unwrap()
    };
    assert_eq!(steps(&planned(false)), [""; 0]);
    assert_eq!(steps(&planned(true)), ["a", "b", "c"]);
}

#[test]
fn one_thing_under_two_names_is_not_decided() {
    let at = |name: &str, path: &str, text: &str, resolved: &[&str], edges: &[(&str, &str)]| {
        let mut node = write(name, CONTENT, path, text, edges);
        node["desired"]["rest"] = json!({"resolved": resolved});
        node
    };
    let (real, other) = (at("a", "/run/f", "1", &[], &[]), at("b", "/var/run/f", "2", &["path:/run/f"], &[]));
    let two = [
        ("a", "plan-two-names", DeferredCause::Undecided),
        ("b", "plan-two-names", DeferredCause::Undecided),
    ];
    for files in [Files::new(&[]), Files::new(&[("/run/f", "1"), ("/var/run/f", "1")])] {
        let planned = files.plan(&[real.clone(), other.clone()]);
        assert_eq!(deferred(&planned), two);
        assert!(
            planned.plan.deferred[1].message.contains("path:/run/f, which `r/a` writes under another name")
        );
    }
    // An order does not make it one name: neither was predicted on the other.
    let ordered = at("b", "/var/run/f", "2", &["path:/run/f"], &[("after", "r/a")]);
    assert_eq!(deferred(&Files::new(&[]).plan(&[real.clone(), ordered])), two);
    // Both find what they want.
    let agreed = at("b", "/var/run/f", "1", &["path:/run/f"], &[]);
    let planned = Files::new(&[("/run/f", "1"), ("/var/run/f", "1")]).plan(&[real, agreed]);
    assert_eq!((deferred(&planned).len(), planned.plan.unchanged.len()), (0, 2));
    // One name for both: a chain as usual, and the step says where it writes.
    let nodes = [
        at("a", "/var/run/f", "1", &["path:/run/f"], &[]),
        at("b", "/var/run/f", "2", &["path:/run/f"], &[("implied", "r/a")]),
    ];
    let planned = Files::new(&[]).plan(&nodes);
    assert_eq!(steps(&planned), ["a", "b"]);
    assert_eq!(planned.plan.steps[0].resolved, ["path:/run/f"]);
}

#[test]
fn a_directory_under_another_name_is_made_before_what_lies_in_it() {
    let dir = json!({"path": "/run/d", "kind": "directory", "mode": "0755"});
    let planned = |edges: &[(&str, &str)], made: &Value| {
        let nodes = [
            node("t", "r/a", "file.directory", json!({"path": "/run/d"}), &[]),
            node("t", "r/b", CONTENT, json!({"path": "/var/run/d/x"}), edges),
        ];
        observe(graph(&["t"], &nodes, &[]), |node, _| match node.address.step() {
            "a" => changed(Value::Null, made.clone(), &Value::Null),
            _ => changed(
                Value::Null,
                file("/var/run/d/x", "0644", "x"),
                &json!({"resolved": ["path:/run/d/x"]}),
            ),
        })
        .plan()
        .unwrap()
    };
    assert_eq!(steps(&planned(&[("after", "r/a")], &dir)), ["a", "b"]);
    assert_eq!(deferred(&planned(&[], &dir)).len(), 2);
    // No directory is left there.
    let link = json!({"path": "/run/d", "kind": "link", "target": "/etc"});
    assert_eq!(deferred(&planned(&[("after", "r/a")], &link)).len(), 2);
}

#[test]
fn a_provider_cannot_claim_to_wait() {
    let nodes = [node("t", "r/a", CONTENT, json!({"path": "/c", "code": "plan-prior-unknown"}), &[])];
    let planned = Files::new(&[]).plan(&nodes);
    assert_eq!(deferred(&planned), [("a", "plan-answer-invalid", DeferredCause::Undecided)]);
    // Nor can an observation that no walk made.
    let mut documents = Files::new(&[]).observe(&nodes);
    documents.observations[0].0.entries[0].answer = undecided("plan-prior-unknown", "it waits");
    assert_eq!(documents.plan().unwrap_err().code, codes::PLAN_ANSWER_INVALID);
}

#[test]
fn the_report_names_each_reason_once() {
    let planned = Files::new(&[("/c", "a\nb\n")]).plan(&pair());
    let converged = |entry: &&rectify_plan::Entry| matches!(entry.reason, Reason::Converged { steps: 2, .. });
    assert_eq!(planned.report.entries.iter().filter(converged).count(), 2);
    assert_eq!(planned.report.entries.len(), 3);
}
