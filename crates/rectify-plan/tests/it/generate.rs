//! Random projects, observed by a small simulated provider.

use crate::fixture::{Documents, changed, content, file, graph, node, observe, runs, unchanged, undecided};
use proptest::prelude::*;
use rectify_model::{graph::Node, observation::Answer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PATHS: [&str; 5] = ["/d", "/d/x", "/d/x/y", "/e", "/f"];

/// What one node is made of.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    kind: u8,
    path: usize,
    value: u8,
    sources: u16,
    triggers: u16,
    mood: u8,
}

/// Nodes for one to three targets.
pub fn seeds() -> impl Strategy<Value = Vec<Vec<Seed>>> {
    let seed = (0..12_u8, 0..PATHS.len(), 0..3_u8, any::<u16>(), any::<u16>(), 0..24_u8).prop_map(
        |(kind, path, value, sources, triggers, mood)| Seed { kind, path, value, sources, triggers, mood },
    );
    prop::collection::vec(prop::collection::vec(seed, 0..16), 1..4)
}

fn address(position: usize) -> String {
    // Sorted by position, so that the order of positions is the canonical one.
    format!("{}/n{position:02}", if position < 7 { "first" } else { "second" })
}

fn type_of(seed: Seed) -> &'static str {
    match seed.kind {
        0..=4 => "file.content",
        5 => "file.absent",
        6..=7 => "file.directory",
        8..=9 => "command.run",
        10 => "file.matches",
        _ => "file.line",
    }
}

/// The nodes of one target, with the edges that a compiler would imply.
fn nodes(target: &str, seeds: &[Seed]) -> Vec<Value> {
    let mut writers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut out = Vec::new();
    for (position, seed) in seeds.iter().enumerate() {
        let path = PATHS[seed.path];
        let touches = type_of(*seed) != "command.run";
        let mut edges: BTreeMap<usize, &str> = BTreeMap::new();
        if touches {
            let above = PATHS.iter().filter(|other| path.starts_with(&format!("{other}/")));
            for key in above.chain([&path]) {
                if let Some(writer) = writers.get(key) {
                    edges.insert(*writer, "implied");
                }
            }
        }
        // Sparse, and only to near ones, so that much stays unordered.
        for source in position.saturating_sub(5)..position {
            let bit = 1 << (source % 16);
            if seed.sources & bit != 0 && seed.value != 1 {
                edges.insert(source, "after");
            }
            if seed.triggers & bit != 0 && seed.mood % 3 == 0 {
                edges.insert(source, "on_change");
            }
        }
        let desired = match type_of(*seed) {
            "command.run" => json!({"argv": ["run", seed.value], "seed": seed.kind}),
            _ => json!({"path": path, "value": seed.value}),
        };
        let named: Vec<(&str, String)> =
            edges.iter().map(|(source, kind)| (*kind, address(*source))).collect();
        let edges: Vec<(&str, &str)> = named.iter().map(|(kind, source)| (*kind, source.as_str())).collect();
        out.push(node(target, &address(position), type_of(*seed), desired, &edges));
        if touches && type_of(*seed) != "file.matches" {
            writers.insert(path, position);
        }
    }
    out
}

/// What the simulated provider says of a node, from the state that it is given or finds.
fn answer(node: &Node, seed: Seed, prior: Option<Option<Value>>) -> Answer {
    let path = PATHS[seed.path];
    if seed.mood == 23 {
        return undecided("FAILED", "it cannot be read");
    }
    match node.type_name.as_str() {
        "command.run" if seed.value == 0 => runs(&json!(["restart"])),
        "command.run" if seed.value == 1 => unchanged(json!({"creates": {"path": "/x", "exists": true}})),
        "command.run" => changed(
            json!({"creates": {"path": "/x", "exists": false}}),
            json!({"creates": {"path": "/x", "exists": true}}),
            &json!({"prediction": "conditional", "undo": {"grade": "none"}}),
        ),
        "file.matches" if seed.value == 0 => undecided("FAILED", "it does not match"),
        "file.matches" => unchanged(json!({"ok": true, "detail": "matches"})),
        type_name => {
            // A world in which half of the paths are there.
            let found = prior.unwrap_or_else(|| match path.len() % 2 {
                0 if path == "/d" => Some(directory(path)),
                0 => Some(file(path, "0644", "found\n")),
                _ => None,
            });
            let wanted = match type_name {
                "file.absent" => None,
                "file.directory" => Some(directory(path)),
                _ => Some(file(path, "0640", &format!("value {}\n", seed.value))),
            };
            if found.as_ref().map(reduced) == wanted.as_ref().map(reduced) {
                return match found {
                    Some(state) => unchanged(state),
                    None => serde_json::from_value(json!({"unchanged": {}})).unwrap(),
                };
            }
            let prior = found.unwrap_or(Value::Null);
            if seed.mood == 22 {
                return changed(
                    prior,
                    Value::Null,
                    &json!({"prediction": "opaque", "undo": {"grade": "lossy"}}),
                );
            }
            let grade = ["exact", "lossy", "none"][usize::from(seed.mood) % 3];
            changed(prior, wanted.unwrap_or(Value::Null), &json!({"undo": {"grade": grade}}))
        }
    }
}

fn directory(path: &str) -> Value {
    json!({"path": path, "kind": "directory", "mode": "0755"})
}

fn reduced(state: &Value) -> Value {
    let mut state = state.clone();
    if let Some(content) = state.get_mut("content").and_then(Value::as_object_mut) {
        content.remove("text");
    }
    state
}

/// The project of these seeds, observed.
pub fn documents(seeds: &[Vec<Seed>]) -> Documents {
    let targets: Vec<String> = (0..seeds.len()).map(|at| format!("t{at}")).collect();
    let names: Vec<&str> = targets.iter().map(String::as_str).collect();
    let all: Vec<Value> =
        targets.iter().zip(seeds).flat_map(|(target, seeds)| nodes(target, seeds)).collect();
    let gates: Vec<Value> = targets
        .iter()
        .filter(|target| all.iter().any(|node| node["target"] == target.as_str()))
        .map(|target| {
            json!({"target": target, "address": "first/verify:0", "type": "tcp.connect",
                "desired": {"port": 80}, "within_s": 0})
        })
        .collect();
    observe(graph(&names, &all, &gates), |node, prior| {
        let target: usize = node.target.as_str()[1..].parse().unwrap();
        let position: usize = node.address.step()[1..].parse().unwrap();
        answer(node, seeds[target][position], prior)
    })
}

/// A long flat project: each node writes its own file, and waits for nothing or for the one before.
pub fn large(count: usize, chained: bool, changes: bool) -> Documents {
    let addresses: Vec<String> = (0..count).map(|at| format!("large/n{at:06}")).collect();
    let all: Vec<Value> = addresses
        .iter()
        .enumerate()
        .map(|(at, address)| {
            let before = at.checked_sub(1).filter(|_| chained).map(|at| ("after", addresses[at].as_str()));
            let edges: Vec<(&str, &str)> = before.into_iter().collect();
            node("t0", address, "file.content", json!({"path": format!("/srv/{at:06}")}), &edges)
        })
        .collect();
    let mut model = graph(&["t0"], &[], &[]);
    model.nodes = all.into_iter().map(|node| serde_json::from_value(node).unwrap()).collect();
    model.remediations = serde_json::from_value(json!({"large": {"undo": "manual"}})).unwrap();
    observe(model, |node, _| {
        let path = node.desired["path"].as_str().unwrap();
        let state = json!({"path": path, "kind": "file", "mode": "0640", "content": content("a\n")});
        if changes { changed(Value::Null, state, &Value::Null) } else { unchanged(state) }
    })
}
