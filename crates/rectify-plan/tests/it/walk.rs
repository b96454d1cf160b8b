//! The observe walk: what is asked when, and on which state.

use crate::fixture::{changed, file, graph, node, runs, unchanged, undecided};
use rectify_base::{Digest, TargetName};
use rectify_model::{
    Graph, Observation,
    observation::{Answer, Identity},
};
use rectify_plan::{Walk, codes};
use serde_json::{Value, json};

fn target() -> TargetName {
    TargetName::new("t").unwrap()
}

fn at(address: &str, type_name: &str, path: &str, edges: &[(&str, &str)]) -> Value {
    node("t", address, type_name, json!({"path": path}), edges)
}

fn one_graph(nodes: &[Value]) -> Graph {
    graph(&["t"], nodes, &[])
}

fn finish(walk: Walk<'_>) -> Observation {
    let digest = Digest::of_bytes(b"graph");
    walk.finish(Identity::Machine(digest), digest).unwrap()
}

/// Addresses and prior states that are handed out.
fn ready(graph: &Graph, walk: &mut Walk<'_>) -> Vec<(String, Option<Option<Value>>)> {
    walk.ready()
        .into_iter()
        .map(|item| (graph.nodes[item.node].address.step().to_owned(), item.prior.map(|p| p.state)))
        .collect()
}

fn state(text: &str) -> Value {
    file("/a", "0644", text)
}

fn update(before: &str, after: &str) -> Answer {
    changed(state(before), state(after), &Value::Null)
}

fn code_of(answer: &Answer) -> &str {
    match answer {
        Answer::Undecided { code, .. } => code,
        Answer::Changed(_) | Answer::Unchanged { .. } => "",
    }
}

#[test]
fn independent_nodes_are_ready_at_once_and_once() {
    let graph = one_graph(&[
        at("r/a", "file.content", "/a", &[]),
        at("r/b", "file.content", "/b", &[("after", "r/a")]),
        at("r/c", "file.content", "/c", &[("on_change", "r/b")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    assert_eq!(walk.ready().len(), 3);
    assert!(walk.ready().is_empty() && !walk.is_finished());
}

#[test]
fn a_chain_is_predicted_link_by_link() {
    let graph = one_graph(&[
        at("r/a", "file.content", "/a", &[]),
        at("r/b", "file.line", "/a", &[("implied", "r/a")]),
        at("r/c", "file.line", "/a", &[("implied", "r/b")]),
        at("r/d", "file.line", "/a", &[("implied", "r/c")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("a".into(), None)]);
    walk.record(0, update("0", "1")).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("b".into(), Some(Some(state("1"))))]);
    walk.record(1, update("1", "2")).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("c".into(), Some(Some(state("2"))))]);
    // Nothing to do there: the last result is still that of `b`.
    walk.record(2, unchanged(state("2"))).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("d".into(), Some(Some(state("2"))))]);
    walk.record(3, update("2", "3")).unwrap();
    assert!(walk.is_finished());
    let observation = finish(walk);
    // Text is only for display: it is kept where something changes.
    let Answer::Unchanged { state: Some(kept), .. } = &observation.entries[2].answer else { panic!() };
    assert_eq!(kept.pointer("/content/text"), None);
}

#[test]
fn an_unchanged_writer_leaves_what_is_there() {
    let graph = one_graph(&[
        at("r/a", "file.content", "/a", &[]),
        at("r/b", "file.line", "/a", &[("implied", "r/a")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    walk.ready();
    walk.record(0, unchanged(state("0"))).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("b".into(), None)]);
}

#[test]
fn a_deleted_thing_is_predicted_as_absent() {
    let graph = one_graph(&[
        at("r/a", "file.absent", "/a", &[]),
        at("r/b", "file.content", "/a", &[("implied", "r/a")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    walk.ready();
    walk.record(0, changed(state("0"), Value::Null, &Value::Null)).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("b".into(), Some(None))]);
}

#[test]
fn what_cannot_be_predicted_is_not_asked() {
    let graph = one_graph(&[
        at("r/a", "file.content", "/a", &[]),
        at("r/b", "file.line", "/a", &[("implied", "r/a")]),
        at("r/c", "file.line", "/a", &[("implied", "r/b")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    walk.ready();
    let opaque = json!({"prediction": "opaque", "undo": {"grade": "none"}});
    walk.record(0, changed(state("0"), Value::Null, &opaque)).unwrap();
    assert!(walk.ready().is_empty() && walk.is_finished());
    let observation = finish(walk);
    let unknown = codes::PLAN_PRIOR_UNKNOWN.as_str();
    assert_eq!(code_of(&observation.entries[1].answer), unknown);
    assert_eq!(code_of(&observation.entries[2].answer), unknown);
}

#[test]
fn after_an_undecided_writer_nothing_is_asked() {
    let graph = one_graph(&[
        at("r/a", "file.content", "/a", &[]),
        at("r/b", "file.line", "/a", &[("implied", "r/a")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    walk.ready();
    walk.record(0, undecided("PERMISSION", "no")).unwrap();
    assert!(walk.is_finished());
}

#[test]
fn a_command_on_the_same_thing_hides_its_state() {
    let mut command = node("t", "r/a", "command.run", json!({"argv": ["x"]}), &[]);
    command["touches"] = json!([{"key": "path:/a", "access": "write"}]);
    let graph = one_graph(&[command, at("r/b", "file.content", "/a", &[("implied", "r/a")])]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("a".into(), None)]);
    walk.record(0, runs(&json!([]))).unwrap();
    assert!(walk.is_finished());
    assert_eq!(code_of(&finish(walk).entries[1].answer), "plan-prior-unknown");
}

#[test]
fn a_writer_that_is_not_triggered_changes_nothing() {
    let graph = one_graph(&[
        at("r/a", "file.content", "/t", &[]),
        at("r/b", "file.content", "/a", &[("on_change", "r/a")]),
        at("r/c", "file.line", "/a", &[("implied", "r/b")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("a".into(), None), ("b".into(), None)]);
    // The answer alone does not say whether it will be done.
    walk.record(1, update("0", "1")).unwrap();
    assert!(walk.ready().is_empty());
    walk.record(0, unchanged(state("t"))).unwrap();
    assert_eq!(ready(&graph, &mut walk), [("c".into(), None)]);
}

#[test]
fn below_a_new_directory_nothing_is_there_yet() {
    let dir = |mode: &str| json!({"path": "/d", "kind": "directory", "mode": mode});
    let graph = one_graph(&[
        at("r/a", "file.directory", "/d", &[]),
        at("r/b", "file.content", "/d/x", &[("implied", "r/a")]),
    ]);
    for (prior, planned, asked) in [
        (Value::Null, dir("0755"), true),
        (dir("0700"), dir("0755"), true),
        (dir("0700"), Value::Null, false),
        (json!({"path": "/d", "kind": "link", "target": "/e"}), dir("0755"), false),
    ] {
        let mut walk = Walk::new(&graph, &target()).unwrap();
        walk.ready();
        walk.record(0, changed(prior, planned, &Value::Null)).unwrap();
        assert_eq!(walk.ready().len(), usize::from(asked));
    }
}

#[test]
fn what_earlier_steps_make_above_is_told_unless_a_command_may_make_more() {
    let dir = |path: &str| json!({"path": path, "kind": "directory", "mode": "0755"});
    let graph = one_graph(&[
        at("r/a", "file.directory", "/d", &[]),
        at("r/b", "file.directory", "/d/e", &[("implied", "r/a")]),
        at("r/c", "file.content", "/d/e/x", &[("implied", "r/b")]),
        at("r/d", "file.content", "/other", &[]),
        node("t", "r/run", "command.run", json!({"argv": ["x"]}), &[]),
        at("r/z", "file.content", "/d/z", &[("after", "r/run"), ("implied", "r/a")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    let mut told = std::collections::BTreeMap::new();
    loop {
        let ready = walk.ready();
        if ready.is_empty() {
            break;
        }
        for item in ready {
            let node = &graph.nodes[item.node];
            told.insert(node.address.step().to_owned(), item.directories);
            let answer = match node.type_name.as_str() {
                "file.directory" => {
                    changed(Value::Null, dir(node.desired["path"].as_str().unwrap()), &Value::Null)
                }
                "command.run" => runs(&json!([])),
                _ => changed(Value::Null, state("x"), &Value::Null),
            };
            walk.record(item.node, answer).unwrap();
        }
    }
    assert_eq!(told["a"], Some(vec![]));
    assert_eq!(told["b"], Some(vec![dir("/d")]));
    assert_eq!(told["c"], Some(vec![dir("/d/e"), dir("/d")]));
    assert_eq!((&told["d"], &told["z"]), (&Some(vec![]), &None));
}

#[test]
fn invalid_answers_are_recorded_as_undecided() {
    let graph = one_graph(&[
        at("r/a", "file.content", "/a", &[]),
        at("r/b", "file.line", "/a", &[("implied", "r/a")]),
        at("r/p", "file.matches", "/p", &[]),
    ]);
    let invalid = codes::PLAN_ANSWER_INVALID.as_str();
    let answers = [
        // Claims a change where only the display differs.
        changed(json!({"content": {"text": "a"}}), json!({"content": {"text": "b"}}), &Value::Null),
        // A float.
        changed(Value::Null, json!({"size": 1.5}), &Value::Null),
        // Not an object.
        unchanged(json!("text")),
        // Neither before nor after.
        changed(Value::Null, Value::Null, &Value::Null),
        undecided("", "no code"),
    ];
    for answer in answers {
        let mut walk = Walk::new(&graph, &target()).unwrap();
        walk.ready();
        walk.record(2, changed(json!({"ok": false}), json!({"ok": true}), &Value::Null)).unwrap();
        walk.record(0, answer).unwrap();
        let observation = finish(walk);
        assert_eq!(code_of(&observation.entries[0].answer), invalid);
        assert_eq!(code_of(&observation.entries[2].answer), invalid);
    }
    // An answer that does not start from the state that was given.
    let mut walk = Walk::new(&graph, &target()).unwrap();
    walk.ready();
    walk.record(0, update("0", "1")).unwrap();
    walk.record(2, unchanged(json!({"ok": true, "detail": ""}))).unwrap();
    walk.ready();
    walk.record(1, update("0", "2")).unwrap();
    assert_eq!(code_of(&finish(walk).entries[1].answer), invalid);
}

#[test]
fn the_walk_refuses_what_was_not_asked() {
    let graph = one_graph(&[
        at("r/a", "file.content", "/a", &[]),
        at("r/b", "file.line", "/a", &[("implied", "r/a")]),
    ]);
    let mut walk = Walk::new(&graph, &target()).unwrap();
    let early = walk.record(0, unchanged(state("0"))).unwrap_err();
    assert_eq!((early.code, early.place.as_str()), (codes::PLAN_WALK_ORDER, "graph:/nodes/0"));
    walk.ready();
    walk.record(0, unchanged(state("0"))).unwrap();
    assert_eq!(walk.record(0, unchanged(state("0"))).unwrap_err().code, codes::PLAN_WALK_ORDER);
    assert_eq!(walk.record(7, unchanged(state("0"))).unwrap_err().code, codes::PLAN_WALK_ORDER);
    let digest = Digest::of_bytes(b"graph");
    let unfinished = walk.finish(Identity::Machine(digest), digest).unwrap_err();
    assert_eq!((unfinished.code, unfinished.place.as_str()), (codes::PLAN_WALK_UNFINISHED, "observation:t"));
}

#[test]
fn a_target_that_is_not_there_cannot_be_walked() {
    let graph = one_graph(&[]);
    let other = TargetName::new("other").unwrap();
    assert_eq!(Walk::new(&graph, &other).err().map(|error| error.code), Some(codes::PLAN_GRAPH_INVALID));
}
