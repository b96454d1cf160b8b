//! Documents to plan from, as large as asked for.

use rectify_base::{Digest, FileDigests, canonical};
use rectify_model::{Graph, Observation};
use serde_json::json;

fn digest(index: usize) -> Digest {
    Digest::of_bytes(&index.to_le_bytes())
}

/// `size` files of which every tenth changes, in chains of ten.
pub fn documents(size: usize) -> (Graph, FileDigests, Observation, FileDigests) {
    let nodes: Vec<_> = (0..size)
        .map(|index| {
            let edges = if index % 10 == 0 {
                json!([])
            } else {
                json!([{"from": format!("files/f{:06}", index - 1), "kind": "after"}])
            };
            let path = format!("/etc/many/{index:06}");
            let mut node = json!({
                "target": "one", "address": format!("files/f{index:06}"), "type": "file.content",
                "desired": {"path": path, "content": "x".repeat(200), "mode": "0640"},
                "touches": [{"key": format!("path:{path}"), "access": "write"}],
            });
            if index % 10 != 0 {
                node["edges"] = edges;
            }
            node
        })
        .collect();
    let graph: Graph = serde_json::from_value(json!({
        "format": "rectify.graph/v1", "project": "bench",
        "limits": {"parallel_steps": 4, "changes_max": size},
        "remediations": {"files": {"undo": "manual"}},
        "targets": {"one": {"environment": "dev"}},
        "types": {"file.content": {
            "version": 1, "manifest": digest(0), "kind": "resource", "prediction": "exact",
            "retry": "converge", "undo": "exact", "volatile": ["/content/text"],
        }},
        "nodes": nodes, "gates": [],
    }))
    .expect("a graph");
    let graph_digests = FileDigests::of_bytes(&canonical::file_bytes(&graph).expect("canonical"));
    let state = |index: usize, content: usize| {
        json!({
            "path": format!("/etc/many/{index:06}"), "kind": "file", "mode": "0640", "owner": "root",
            "group": "root", "content": {"blake3": digest(content), "size": 200},
        })
    };
    let entries: Vec<_> = (0..size)
        .map(|index| {
            let answer = if index % 10 == 0 {
                json!({"changed": {
                    "prior": state(index, index), "planned": state(index, index + 1),
                    "prediction": "exact", "undo": {"grade": "exact"},
                }})
            } else {
                json!({"unchanged": {"state": state(index, index)}})
            };
            json!({"address": format!("files/f{index:06}"), "answer": answer})
        })
        .collect();
    let observation: Observation = serde_json::from_value(json!({
        "format": "rectify.observation/v1", "target": "one", "graph": graph_digests.blake3,
        "identity": {"root": digest(1)}, "entries": entries,
    }))
    .expect("an observation");
    let digests = FileDigests::of_bytes(&canonical::file_bytes(&observation).expect("canonical"));
    (graph, graph_digests, observation, digests)
}
