//! Random projects, observed by a small simulated provider.

use crate::fixture::{Documents, changed, content, file, graph, node, observe, runs, unchanged, undecided};
use proptest::prelude::*;
use rectify_base::fingerprint::fingerprint;
use rectify_model::{Plan, graph::Node, observation::Answer, plan::Action};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const PATHS: [&str; 7] = ["/d", "/d/x", "/d/x/y", "/e", "/f", "/link/f", "/link/d/x"];

/// What a path is in truth: `/link` leads to the root.
fn real(path: &str) -> &str {
    path.strip_prefix("/link").unwrap_or(path)
}

/// What is there on one target, by path; and which guarded commands ran, by step.
pub type World = BTreeMap<String, Value>;

/// A world in which half of the paths are there.
pub fn world() -> World {
    let state = |path: &str| match path.len() % 2 {
        0 if path == "/d" => Some(directory(path)),
        0 => Some(file(path, "0644", "found\n")),
        _ => None,
    };
    PATHS[..5].iter().filter_map(|path| Some(((*path).to_owned(), state(path)?))).collect()
}

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

/// Seeds of projects that end: everything can be decided, commands run once, and a step that others
/// trigger is the only one on its thing and has nothing below it (else a step that was triggered
/// once and is not again leaves the thing to the others), and a path that others lie below is a
/// directory.
pub fn ending(mut seeds: Vec<Vec<Seed>>) -> Vec<Vec<Seed>> {
    for seeds in &mut seeds {
        let mut writers: BTreeMap<usize, u32> = BTreeMap::new();
        for seed in seeds.iter_mut() {
            seed.mood %= 22;
            if seed.path > 4 {
                seed.path = 4;
            }
            if seed.path < 2 && type_of(*seed) != "command.run" && type_of(*seed) != "file.matches" {
                seed.kind = 6;
            }
            if type_of(*seed) == "command.run" || type_of(*seed) == "file.matches" {
                seed.value = 2;
            } else {
                *writers.entry(seed.path).or_default() += 1;
            }
        }
        for seed in seeds.iter_mut() {
            let writes = type_of(*seed) != "command.run" && type_of(*seed) != "file.matches";
            if writes && (writers[&seed.path] > 1 || seed.path < 2) {
                seed.triggers = 0;
            }
        }
    }
    seeds
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
fn answer(node: &Node, seed: Seed, prior: Option<Option<Value>>, world: &World) -> Answer {
    let path = PATHS[seed.path];
    if seed.mood == 23 {
        return undecided("FAILED", "it cannot be read");
    }
    match node.type_name.as_str() {
        "command.run" if seed.value == 0 => runs(&json!(["restart"])),
        "command.run" if seed.value == 1 => unchanged(json!({"creates": {"path": "/x", "exists": true}})),
        "command.run" => {
            let guard = |exists: bool| json!({"creates": {"path": node.address.step(), "exists": exists}});
            if world.contains_key(node.address.step()) {
                return unchanged(guard(true));
            }
            let rest = json!({"prediction": "conditional", "undo": {"grade": "none"}});
            changed(guard(false), guard(true), &rest)
        }
        "file.matches" if seed.value == 0 => undecided("FAILED", "it does not match"),
        "file.matches" => unchanged(json!({"ok": true, "detail": "matches"})),
        type_name => {
            let found = prior.unwrap_or_else(|| {
                let mut state = world.get(real(path)).cloned()?;
                state["path"] = path.into();
                Some(state)
            });
            let resolved: Vec<String> =
                (path != real(path)).then(|| format!("path:{}", real(path))).into_iter().collect();
            let text =
                found.as_ref().and_then(|state| state.pointer("/content/text")).and_then(Value::as_str);
            let line = format!("value {}\n", seed.value);
            let wanted = match (type_name, text) {
                ("file.absent", _) => None,
                ("file.directory", _) => {
                    let mut state = directory(path);
                    state["mode"] = json!(["0755", "0750", "0700"][usize::from(seed.value)]);
                    Some(state)
                }
                ("file.line", Some(text)) if text.contains(&line) => found.clone(),
                ("file.line", Some(text)) => Some(file(path, "0640", &format!("{text}{line}"))),
                _ => Some(file(path, "0640", &format!("value {}\n", seed.value))),
            };
            if found.as_ref().map(reduced) == wanted.as_ref().map(reduced) {
                let mut answer = json!({"resolved": resolved});
                if let Some(state) = found {
                    answer["state"] = state;
                }
                return serde_json::from_value(json!({"unchanged": answer})).unwrap();
            }
            let prior = found.unwrap_or(Value::Null);
            if seed.mood == 22 {
                return changed(
                    prior,
                    Value::Null,
                    &json!({"prediction": "opaque", "undo": {"grade": "lossy"}, "resolved": resolved}),
                );
            }
            let grade = ["exact", "lossy", "none"][usize::from(seed.mood) % 3];
            changed(
                prior,
                wanted.unwrap_or(Value::Null),
                &json!({"undo": {"grade": grade}, "resolved": resolved}),
            )
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

/// The project of these seeds, observed in the first world.
pub fn documents(seeds: &[Vec<Seed>]) -> Documents {
    documents_in(seeds, &vec![world(); seeds.len()])
}

/// Carries a plan out, one step after the other, in the worlds of its targets. Each step must find
/// what it expects, and leaves what its provider predicted.
pub fn carry_out(documents: &Documents, plan: &Plan, worlds: &mut [World]) {
    for step in &plan.steps {
        let world = &mut worlds[step.target.as_str()[1..].parse::<usize>().unwrap()];
        let observation = documents.observations.iter().find(|(o, _)| o.target == step.target).unwrap();
        let entry = observation.0.entries.iter().find(|entry| entry.address == step.address).unwrap();
        let Answer::Changed(proposal) = &entry.answer else { panic!("{} was unchanged", step.address) };
        if step.action == Action::Run {
            world.insert(step.address.step().to_owned(), Value::Null);
            continue;
        }
        let path = step.desired["path"].as_str().unwrap();
        let facts = &plan.types[&step.type_name];
        let state = world.get(real(path)).cloned().map(|mut state| {
            state["path"] = path.into();
            state
        });
        let found = fingerprint(&step.type_name, facts.version, state.as_ref(), &facts.volatile).unwrap();
        assert_eq!(found, step.expect, "{} does not find what it expects", step.address);
        match &proposal.planned {
            Some(state) => drop(world.insert(real(path).to_owned(), state.clone())),
            None => drop(world.remove(real(path))),
        }
    }
}

/// The project of these seeds, observed in a world for each target.
pub fn documents_in(seeds: &[Vec<Seed>], worlds: &[World]) -> Documents {
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
        answer(node, seeds[target][position], prior, &worlds[target])
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
