//! Edges between changing steps, with the nodes that need nothing taken out.

use crate::fixture::{Documents, changed, file, graph, node, observe, unchanged};
use rectify_model::{
    Plan,
    graph::{Edge, EdgeKind},
};
use rectify_plan::Reason;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A project of files; those whose name begins with `u` need nothing.
fn documents(nodes: &[(String, Vec<String>)]) -> Documents {
    let values: Vec<Value> = nodes
        .iter()
        .map(|(name, sources)| {
            let sources: Vec<String> = sources.iter().map(|source| format!("r/{source}")).collect();
            let edges: Vec<(&str, &str)> = sources.iter().map(|source| ("after", source.as_str())).collect();
            node("t", &format!("r/{name}"), "file.content", json!({"path": format!("/{name}")}), &edges)
        })
        .collect();
    observe(graph(&["t"], &values, &[]), |node, _| {
        let state = file(node.desired["path"].as_str().unwrap(), "0644", "x\n");
        if node.address.step().starts_with('u') {
            unchanged(state)
        } else {
            changed(Value::Null, state, &Value::Null)
        }
    })
}

fn named(nodes: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    nodes.iter().map(|(n, s)| ((*n).to_owned(), s.iter().map(|s| (*s).to_owned()).collect())).collect()
}

fn edges<'p>(plan: &'p Plan, step: &str) -> Vec<&'p Edge> {
    plan.steps.iter().filter(|s| s.address.step() == step).flat_map(|s| &s.edges).collect()
}

/// Everything that surely comes before each step.
fn closure(plan: &Plan) -> BTreeMap<String, BTreeSet<String>> {
    let mut before: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for step in &plan.steps {
        let mut all = BTreeSet::new();
        for edge in &step.edges {
            let source = edge.from.step().to_owned();
            all.extend(before[&source].iter().cloned());
            all.insert(source);
        }
        before.insert(step.address.step().to_owned(), all);
    }
    before
}

#[test]
fn order_is_kept_through_nodes_that_need_nothing() {
    let planned =
        documents(&named(&[("a", &[]), ("u1", &["a"]), ("u2", &["u1"]), ("z", &["u2"])])).plan().unwrap();
    let [edge] = edges(&planned.plan, "z")[..] else { panic!("one edge") };
    assert_eq!((edge.from.as_str(), edge.kind), ("r/a", EdgeKind::Implied));
    assert_eq!(edge.reason.as_deref(), Some("through `r/u2`, which needs nothing"));
    let z = planned.plan.steps[1].address.clone();
    assert_eq!(
        planned.report.why(None, &z),
        "t:r/z: in the plan: create, prediction exact\n\
         t:r/z: waits for `r/a`, because `r/u2` stands between them and needs nothing\n"
    );
}

#[test]
fn a_direct_edge_says_more_than_one_through() {
    let plan = documents(&named(&[("a", &[]), ("u1", &["a"]), ("z", &["a", "u1"])])).plan().unwrap().plan;
    let [edge] = edges(&plan, "z")[..] else { panic!("one edge") };
    assert_eq!((edge.from.as_str(), edge.kind), ("r/a", EdgeKind::After));
}

#[test]
fn a_hub_that_needs_nothing_costs_a_linear_number_of_edges() {
    let count = 300;
    let before: Vec<String> = (0..count).map(|at| format!("a{at:03}")).collect();
    let mut nodes: Vec<(String, Vec<String>)> =
        before.iter().map(|name| (name.clone(), Vec::new())).collect();
    nodes.push(("u-hub".into(), before.clone()));
    nodes.extend((0..count).map(|at| (format!("z{at:03}"), vec!["u-hub".to_owned()])));
    let planned = documents(&nodes).plan().unwrap();
    let total: usize = planned.plan.steps.iter().map(|step| step.edges.len()).sum();
    assert!(total <= 2 * count, "{total} edges");
    let closure = closure(&planned.plan);
    for at in 0..count {
        assert!(before.iter().all(|name| closure[&format!("z{at:03}")].contains(name)));
    }
    assert!(planned.report.entries.iter().any(|entry| matches!(entry.reason, Reason::Queued { .. })));
}
