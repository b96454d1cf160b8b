//! One rich, valid project: every kind of change, a chain, triggers, deferrals, gates, two targets.

use rectify_base::{Digest, FileDigests, TargetName, canonical};
use rectify_model::{
    Graph, Observation, Plan,
    fact::{Assumption, Facts, Found},
    graph::{Edge, Node},
    observation::{Answer, Identity},
};
use rectify_plan::{Input, ObservedDocument, PlanError, Planned, Walk, plan};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The documents of a plan, with the digests of their files.
#[derive(Clone)]
pub struct Documents {
    pub graph: Graph,
    pub graph_digests: FileDigests,
    pub observations: Vec<(Observation, FileDigests)>,
}

impl Documents {
    pub fn plan(&self) -> Result<Planned, PlanError> {
        let observations: Vec<_> = self
            .observations
            .iter()
            .map(|(observation, digests)| ObservedDocument { observation, digests: *digests })
            .collect();
        plan(&Input { graph: &self.graph, graph_digests: self.graph_digests, observations: &observations })
    }
}

pub fn digests<T: serde::Serialize>(document: &T) -> FileDigests {
    FileDigests::of_bytes(&canonical::file_bytes(document).unwrap())
}

pub fn content(text: &str) -> Value {
    json!({"blake3": Digest::of_bytes(text.as_bytes()).to_string(), "size": text.len(), "text": text})
}

pub fn file(path: &str, mode: &str, text: &str) -> Value {
    json!({"path": path, "kind": "file", "mode": mode, "owner": "root", "group": "root",
        "content": content(text)})
}

pub fn changed(prior: Value, planned: Value, rest: &Value) -> Answer {
    let mut proposal = json!({"prediction": "exact", "undo": {"grade": "exact"}});
    for (name, state) in [("prior", prior), ("planned", planned)] {
        if !state.is_null() {
            proposal[name] = state;
        }
    }
    if let Some(rest) = rest.as_object() {
        for (name, value) in rest {
            proposal[name] = value.clone();
        }
    }
    serde_json::from_value(json!({"changed": proposal})).unwrap()
}

pub fn unchanged(state: Value) -> Answer {
    serde_json::from_value(json!({"unchanged": {"state": state}})).unwrap()
}

pub fn undecided(code: &str, message: &str) -> Answer {
    serde_json::from_value(json!({"undecided": {"code": code, "message": message}})).unwrap()
}

/// A command's answer: it runs, and what it changes is not known.
pub fn runs(disruption: &Value) -> Answer {
    changed(
        json!({}),
        Value::Null,
        &json!({"prediction": "opaque", "undo": {"grade": "none"}, "disruption": disruption}),
    )
}

pub fn types() -> Value {
    let manifest = |name: &str| Digest::of_bytes(name.as_bytes()).to_string();
    let resource = |undo: &str| {
        json!({"version": 1, "manifest": manifest("file"), "kind": "resource", "prediction": "exact",
            "retry": "converge", "undo": undo, "volatile": ["/content/text"]})
    };
    json!({
        "file.absent": resource("exact"),
        "file.content": resource("exact"),
        "file.directory": resource("exact"),
        "file.line": resource("exact"),
        "command.run": {"version": 1, "manifest": manifest("command"), "kind": "action",
            "prediction": "conditional", "retry": "once", "undo": "lossy"},
        "tcp.connect": {"version": 1, "manifest": manifest("probe"), "kind": "probe", "prediction": "exact",
            "retry": "converge", "undo": "none", "volatile": ["/detail"]},
        "file.matches": {"version": 1, "manifest": manifest("probe"), "kind": "probe",
            "prediction": "exact", "retry": "converge", "undo": "none", "volatile": ["/detail"]},
        "facts.os": {"version": 1, "manifest": manifest("facts"), "kind": "fact",
            "prediction": "exact", "retry": "converge", "undo": "none"},
        "facts.packages": {"version": 1, "manifest": manifest("facts"), "kind": "fact",
            "prediction": "exact", "retry": "converge", "undo": "none"},
    })
}

/// A node; `edges` are `(kind, source)`.
pub fn node(target: &str, address: &str, type_name: &str, desired: Value, edges: &[(&str, &str)]) -> Value {
    let mut touches = Vec::new();
    if let Some(path) = desired.get("path").and_then(Value::as_str) {
        let access = if type_name == "file.matches" { "read" } else { "write" };
        touches.push(json!({"key": format!("path:{path}"), "access": access}));
    }
    let mut edges: Vec<Value> = edges
        .iter()
        .map(|(kind, from)| match *kind {
            "implied" => {
                json!({"from": from, "kind": kind, "reason": format!("both touch what `{from}` writes")})
            }
            _ => json!({"from": from, "kind": kind}),
        })
        .collect();
    edges.sort_by_key(|edge| edge["from"].to_string());
    json!({"target": target, "address": address, "type": type_name, "desired": desired,
        "edges": edges, "touches": touches})
}

/// A graph of these nodes, sorted as the compiler sorts them.
pub fn graph(targets: &[&str], nodes: &[Value], gates: &[Value]) -> Graph {
    let mut nodes: Vec<Node> =
        nodes.iter().map(|node| serde_json::from_value(node.clone()).unwrap()).collect();
    canonical_order(&mut nodes);
    let names: BTreeSet<String> = nodes.iter().map(|node| node.address.remediation().to_owned()).collect();
    let remediations: BTreeMap<String, Value> =
        names.into_iter().map(|name| (name, json!({"undo": "auto"}))).collect();
    let targets: BTreeMap<&str, Value> = targets
        .iter()
        .map(|name| (*name, json!({"environment": "prod", "labels": {"role": "web"}})))
        .collect();
    let mut graph: Graph = serde_json::from_value(json!({
        "format": "rectify.graph/v1", "project": "demo",
        "limits": {"parallel_steps": 4, "changes_max": 50_000},
        "remediations": remediations, "targets": targets, "types": types(),
        "nodes": [], "gates": gates,
    }))
    .unwrap();
    graph.nodes = nodes;
    graph
}

/// Kahn's algorithm, the smallest address first, for each target.
fn canonical_order(nodes: &mut Vec<Node>) {
    let mut rest: BTreeMap<(TargetName, String), Node> =
        nodes.drain(..).map(|node| ((node.target.clone(), node.address.to_string()), node)).collect();
    let mut done: BTreeSet<(TargetName, String)> = BTreeSet::new();
    while !rest.is_empty() {
        let target = rest.keys().next().unwrap().0.clone();
        let free =
            |edges: &[Edge]| edges.iter().all(|edge| done.contains(&(target.clone(), edge.from.to_string())));
        let key = rest
            .iter()
            .find(|((at, _), node)| at == &target && free(&node.edges))
            .map(|(key, _)| key.clone())
            .expect("no cycle");
        nodes.push(rest.remove(&key).unwrap());
        done.insert(key);
    }
}

/// Walks a graph, asking `answer` for each node; the second argument is the prior state, if the walk
/// gives one.
pub fn observe(graph: Graph, answer: impl FnMut(&Node, Option<Option<Value>>) -> Answer) -> Documents {
    observe_with(graph, &Facts::new(), answer)
}

/// The same, where every target has these facts.
pub fn observe_with(
    graph: Graph,
    facts: &Facts,
    mut answer: impl FnMut(&Node, Option<Option<Value>>) -> Answer,
) -> Documents {
    let graph_digests = digests(&graph);
    let mut observations = Vec::new();
    for target in graph.targets.keys() {
        let mut walk = Walk::new(&graph, target).unwrap();
        loop {
            let ready = walk.ready();
            if ready.is_empty() {
                break;
            }
            for item in ready {
                let prior = item.prior.map(|prior| prior.state);
                walk.record(item.node, answer(&graph.nodes[item.node], prior)).unwrap();
            }
        }
        let identity = Identity::Root(Digest::of_bytes(target.as_str().as_bytes()));
        let mut observation = walk.finish(identity, graph_digests.blake3).unwrap();
        observation.facts.clone_from(facts);
        let digests = digests(&observation);
        observations.push((observation, digests));
    }
    Documents { graph, graph_digests, observations }
}

/// The documents under `conformance/cases/plans/valid`.
pub fn valid() -> Documents {
    let (one, two) = ("app-1", "app-2");
    let dir = json!({"path": "/srv/www", "mode": "0755"});
    let run = |words: &[&str]| json!({"argv": words});
    let nodes = [
        node(one, "base/aaa", "file.content", json!({"path": "/etc/aaa"}), &[("after", "web/still")]),
        node(one, "base/dir", "file.directory", dir.clone(), &[]),
        node(one, "base/motd", "file.content", json!({"path": "/etc/motd"}), &[]),
        node(one, "base/old", "file.absent", json!({"path": "/etc/old.conf"}), &[]),
        node(one, "base/swap", "file.content", json!({"path": "/etc/alt"}), &[]),
        node(one, "web/after-ask", "command.run", run(&["/bin/true"]), &[("after", "web/ask")]),
        node(one, "web/ask", "file.content", json!({"path": "/root/private"}), &[]),
        node(one, "web/conf", "file.content", json!({"path": "/etc/web.conf"}), &[("after", "base/motd")]),
        node(one, "web/idle", "command.run", run(&["motd", "--again"]), &[("on_change", "base/motd")]),
        node(
            one,
            "web/init",
            "command.run",
            json!({"argv": ["init"], "creates": "/var/lib/web", "undo": ["uninit"]}),
            &[],
        ),
        node(
            one,
            "web/line",
            "file.line",
            json!({"path": "/etc/web.conf", "line": "port 80"}),
            &[("implied", "web/conf")],
        ),
        node(
            one,
            "web/marker",
            "file.content",
            json!({"path": "/run/migrated"}),
            &[("on_change", "web/migrate")],
        ),
        node(
            one,
            "web/migrate",
            "command.run",
            json!({"argv": ["web", "migrate"], "undo": ["web", "back"]}),
            &[("after", "web/line")],
        ),
        node(
            one,
            "web/reload",
            "command.run",
            run(&["systemctl", "reload", "web"]),
            &[("on_change", "web/line")],
        ),
        node(one, "web/still", "file.content", json!({"path": "/etc/still"}), &[("after", "base/dir")]),
        node(one, "web/through", "file.content", json!({"path": "/etc/through"}), &[("after", "web/still")]),
        // Steps on one file, which leave it as they find it; what only they trigger; and steps on
        // another one, which do not.
        node(one, "web/zone", "file.content", json!({"path": "/etc/zone"}), &[]),
        node(one, "web/zone-line", "file.line", json!({"path": "/etc/zone"}), &[("implied", "web/zone")]),
        node(
            one,
            "web/zone-mark",
            "file.line",
            json!({"path": "/etc/zone"}),
            &[("implied", "web/zone-line")],
        ),
        node(one, "web/zone-reload", "command.run", run(&["zone"]), &[("on_change", "web/zone")]),
        node(one, "web/zz-a", "file.content", json!({"path": "/etc/zz"}), &[]),
        node(one, "web/zz-b", "file.content", json!({"path": "/etc/zz"}), &[("implied", "web/zz-a")]),
        // The provider follows a link to what it writes.
        node(one, "web/zzz", "file.content", json!({"path": "/var/run/web"}), &[]),
        node(two, "base/dir", "file.directory", dir, &[]),
        node(two, "base/motd", "file.content", json!({"path": "/etc/motd"}), &[]),
        node(two, "web/conf", "file.content", json!({"path": "/etc/web.conf"}), &[("after", "base/motd")]),
    ];
    let gate = |target: &str, address: &str| {
        json!({"target": target, "address": address, "type": "tcp.connect",
            "desired": {"port": 80}, "within_s": 30})
    };
    let gates = [
        gate(one, "base/verify:0"),
        gate(one, "web/verify:0"),
        gate(two, "base/verify:0"),
        gate(two, "web/verify:0"),
    ];
    let mut graph = graph(&[one, two], &nodes, &gates);
    let facts: Facts = serde_json::from_value(json!({
        "os": {"value": {"id": "debian", "version_id": "12", "like": "x".repeat(300)}},
        "packages": {"absent": "there is no /var/lib/dpkg/status"},
    }))
    .unwrap();
    let assumed = |fact: &str, asks: bool, decides: &[&str]| Assumption {
        fact: fact.into(),
        is: Found::at(&facts, &fact.into(), asks),
        decides: decides.iter().map(|address| address.parse().unwrap()).collect(),
    };
    // One decided a step that is not there.
    graph.targets.get_mut(&one.parse().unwrap()).unwrap().assumptions = vec![
        assumed("/os/id", false, &["base/motd", "web/verify:0"]),
        assumed("/os/like", false, &["web/conf"]),
        assumed("/os/version_id", true, &["web/conf"]),
        assumed("/packages", true, &["web/package"]),
    ];
    observe_with(graph, &facts, |node, prior| answer_of(node.target.as_str(), node.address.as_str(), prior))
}

fn answer_of(target: &str, address: &str, prior: Option<Option<Value>>) -> Answer {
    let web = |port: &str| file("/etc/web.conf", "0644", &format!("# web\nport {port}\nroot /srv\n"));
    let plain = Value::Null;
    match (target, address) {
        (_, "base/dir") => changed(
            Value::Null,
            json!({"path": "/srv/www", "kind": "directory", "mode": "0755", "owner": "root", "group": "root"}),
            &plain,
        ),
        ("app-2", "base/motd") => {
            changed(file("/etc/motd", "0600", "hello\n"), file("/etc/motd", "0644", "hello\n"), &plain)
        }
        (_, "base/motd") => unchanged(file("/etc/motd", "0644", "hello\n")),
        (_, "base/old") => changed(file("/etc/old.conf", "0644", "gone\n"), Value::Null, &plain),
        (_, "base/swap") => changed(
            json!({"path": "/etc/alt", "kind": "link", "target": "../usr/alt", "owner": "root", "group": "root"}),
            file("/etc/alt", "0644", "alt\n"),
            &plain,
        ),
        (_, "web/after-ask") => runs(&json!([])),
        (_, "web/ask") => undecided("PERMISSION", "cannot read /root/private"),
        ("app-2", "web/conf") => unchanged(web("8080")),
        (_, "web/conf") => changed(
            web("1"),
            web("8080"),
            &json!({"undo": {"grade": "lossy", "note": "the file has another name"}}),
        ),
        (_, "web/idle") => runs(&json!([])),
        // Its author said how it is taken back.
        (_, "web/migrate") => changed(
            json!({}),
            Value::Null,
            &json!({"prediction": "opaque", "undo": {"grade": "lossy", "note": "by `web back`"}}),
        ),
        (_, "web/init") => changed(
            json!({"creates": {"path": "/var/lib/web", "exists": false}}),
            json!({"creates": {"path": "/var/lib/web", "exists": true}}),
            &json!({"prediction": "conditional", "undo": {"grade": "lossy", "note": "by `uninit`"}}),
        ),
        (_, "web/line") => changed(prior.flatten().expect("the result of web/conf"), web("80"), &plain),
        (_, "web/marker") => changed(Value::Null, file("/run/migrated", "0600", "yes\n"), &plain),
        (_, "web/reload") => runs(&json!(["reload"])),
        (_, "web/through") => {
            changed(file("/etc/through", "0644", "a\n"), file("/etc/through", "0644", "b\n"), &plain)
        }
        (_, "web/zone") => {
            changed(file("/etc/zone", "0644", "a\nb\n"), file("/etc/zone", "0644", "a\n"), &plain)
        }
        (_, "web/zone-line") => changed(
            prior.flatten().expect("the result of web/zone"),
            file("/etc/zone", "0644", "a\nb\n"),
            &plain,
        ),
        (_, "web/zone-mark") => unchanged(prior.flatten().expect("the result of web/zone-line")),
        (_, "web/zone-reload") => runs(&json!([])),
        (_, "web/zz-a") => changed(file("/etc/zz", "0644", "0\n"), file("/etc/zz", "0644", "1\n"), &plain),
        (_, "web/zz-b") => {
            changed(prior.flatten().expect("the result of web/zz-a"), file("/etc/zz", "0644", "2\n"), &plain)
        }
        (_, "web/zzz") => {
            changed(Value::Null, file("/var/run/web", "0644", "1\n"), &json!({"resolved": ["path:/run/web"]}))
        }
        (_, name) => unchanged(file(&format!("/etc/{name}"), "0644", "as it is\n")),
    }
}

/// The plan of the valid documents.
pub fn valid_plan() -> Plan {
    valid().plan().unwrap().plan
}
