//! `layers`: dependencies point down. One table says which crate may see which, and why; an edge that
//! is allowed but no longer used fails like one that is used but not allowed.

use crate::run::{Outcome, cargo, output};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Crates of ours that a crate may name, with the reason for each.
const ALLOWED: &[(&str, &[(&str, &str)])] = &[
    ("rectify-base", &[]),
    ("rectify-model", &[("rectify-base", "names, digests")]),
    ("rectify-protocol", &[("rectify-base", "names, digests, canonical manifests")]),
    (
        "rectify-attest",
        &[
            ("rectify-base", "digests"),
            ("rectify-model", "plan and decision"),
            ("rectify-protocol", "what a release says of its manifest"),
        ],
    ),
    (
        "rectify-compile",
        &[
            ("rectify-base", "names, diagnostics"),
            ("rectify-model", "graph"),
            ("rectify-protocol", "manifests"),
        ],
    ),
    (
        "rectify-plan",
        &[
            ("rectify-base", "fingerprints"),
            ("rectify-model", "graph in, plan out"),
            ("rectify-protocol", "the prior state of chained steps"),
        ],
    ),
    (
        "rectify-review",
        &[
            ("rectify-base", "names, digests"),
            ("rectify-model", "what is shown"),
            ("rectify-plan", "the planning report"),
        ],
    ),
    (
        "rectify-check",
        &[("rectify-base", "fingerprints"), ("rectify-model", "what is checked; never the planner")],
    ),
    ("rectify-scaffold", &[]),
    ("rectify-policy", &[("rectify-base", "digests"), ("rectify-model", "plan in, decision out")]),
    ("rectify-apply", &[("rectify-base", "names, digests"), ("rectify-model", "plan and journal")]),
    (
        "rectify-audit",
        &[
            ("rectify-base", "names, digests, canonical records"),
            ("rectify-model", "what the journal records, and its grammar"),
            ("rectify-attest", "the keys and signers of checkpoints"),
        ],
    ),
    (
        "rectify-store",
        &[
            ("rectify-base", "names, digests"),
            ("rectify-model", "journal records"),
            ("rectify-audit", "the log beside the journal"),
            ("rectify-attest", "the key that an export names"),
        ],
    ),
    (
        "rectify-host",
        &[
            ("rectify-base", "digests, limits"),
            ("rectify-model", "decision of the policy child"),
            ("rectify-protocol", "the wire"),
            ("rectify-policy", "what the confined child evaluates"),
        ],
    ),
    (
        "rectify-keys",
        &[("rectify-base", "digests"), ("rectify-attest", "signers and the trust file's types")],
    ),
    (
        "rectify-engine",
        &[
            ("rectify-base", "names, digests"),
            ("rectify-model", "documents"),
            ("rectify-protocol", "manifests and items"),
            ("rectify-attest", "seal, approve, admit"),
            ("rectify-compile", "YAML to graph"),
            ("rectify-plan", "observations to plan"),
            ("rectify-check", "second opinion"),
            ("rectify-policy", "bundles"),
            ("rectify-apply", "the step function"),
            ("rectify-store", "the journal"),
            ("rectify-audit", "checkpoints, verifying the log"),
            ("rectify-host", "provider sessions"),
            ("rectify-keys", "signers from files"),
        ],
    ),
    (
        "rectify-cli",
        &[
            ("rectify-audit", "verifying an export"),
            ("rectify-base", "diagnostics"),
            ("rectify-model", "documents to show"),
            ("rectify-protocol", "manifests to list"),
            ("rectify-attest", "what verify says"),
            ("rectify-engine", "the use cases"),
            ("rectify-host", "the confined children that this executable also is"),
            ("rectify-keys", "key files"),
            ("rectify-review", "what a reviewer reads"),
            ("rectify-scaffold", "what a new provider begins with"),
            ("rectify-policy", "the standard bundle"),
            ("rectify-compile", "source files under diagnostics"),
            ("rectify-conform", "the kit behind `provider check`"),
            ("rectify-store", "errors that have exit codes of their own"),
            ("rectify-provider-account", "built in"),
            ("rectify-provider-facts", "built in"),
            ("rectify-provider-file", "built in"),
            ("rectify-provider-command", "built in"),
            ("rectify-provider-package", "built in"),
            ("rectify-provider-probe", "built in"),
            ("rectify-provider-service", "built in"),
            ("rectify-provider-sysctl", "built in"),
            ("rectify-sdk", "serves the built-in providers"),
        ],
    ),
    (
        "rectify-sdk",
        &[
            ("rectify-base", "fingerprints, schemas of properties"),
            ("rectify-protocol", "the wire"),
            ("rectify-sdk-derive", "`derive(Properties)`"),
        ],
    ),
    ("rectify-sdk-derive", &[]),
    ("rectify-provider-account", &[("rectify-sdk", "the only thing a provider sees")]),
    (
        "rectify-conform",
        &[
            ("rectify-base", "fingerprints, redaction"),
            ("rectify-protocol", "the wire"),
            ("rectify-sdk", "the misbehaving provider of its tests; the kit judges SDKs and uses none"),
            ("rectify-attest", "signed verdicts"),
            ("rectify-keys", "the key that signs one"),
        ],
    ),
    ("rectify-provider-facts", &[("rectify-sdk", "the only thing a provider sees")]),
    ("rectify-provider-file", &[("rectify-sdk", "the only thing a provider sees")]),
    ("rectify-provider-command", &[("rectify-sdk", "the only thing a provider sees")]),
    ("rectify-provider-package", &[("rectify-sdk", "the only thing a provider sees")]),
    ("rectify-provider-probe", &[("rectify-sdk", "the only thing a provider sees")]),
    ("rectify-provider-service", &[("rectify-sdk", "the only thing a provider sees")]),
    ("rectify-provider-sysctl", &[("rectify-sdk", "the only thing a provider sees")]),
    ("rectify-tests", &[]),
    (
        "rectify-fuzz",
        &[
            ("rectify-base", "canonical JSON, names, fingerprints"),
            ("rectify-model", "documents and records"),
            ("rectify-protocol", "frames and messages"),
            ("rectify-attest", "envelopes and the gate"),
            ("rectify-audit", "exports and checkpoints"),
            ("rectify-compile", "sources"),
            ("rectify-plan", "what the checker is asked about"),
            ("rectify-review", "what readers see"),
            ("rectify-check", "the second opinion"),
            ("rectify-policy", "bundles, and answers of the policy child"),
            ("rectify-apply", "the step function"),
            ("rectify-host", "sessions, calendars' zones, what the kernel tells"),
            ("rectify-keys", "keys and the trust file"),
            ("rectify-provider-facts", "manifests to compile against"),
            ("rectify-provider-file", "edits and accounts; manifests to compile against"),
            ("rectify-provider-command", "manifests to compile against"),
            ("rectify-provider-probe", "manifests to compile against"),
            ("rectify-sdk", "users, and sessions as providers serve them"),
        ],
    ),
    ("xtask", &[]),
];

/// Crates that know no clock, file, environment, process, thread, network or random order.
const PURE: &[&str] = &[
    "rectify-base",
    "rectify-model",
    "rectify-attest",
    "rectify-compile",
    "rectify-plan",
    "rectify-review",
    "rectify-check",
    "rectify-policy",
    "rectify-apply",
    "rectify-audit",
];

/// What must not be anywhere below a pure crate.
const IMPURE: &[&str] = &[
    "tokio",
    "sqlx",
    "nix",
    "rustix",
    "landlock",
    "seccompiler",
    "tempfile",
    "openssh",
    "kube",
    "axum",
    "jiff",
];

/// Never in the graph at all: second crypto stacks, and features that change JSON for everybody.
const BANNED: &[&str] = &["openssl-sys", "aws-lc-sys", "native-tls", "serde_yaml", "serde_yml", "chrono"];
const BANNED_FEATURES: &[(&str, &str)] =
    &[("serde_json", "preserve_order"), ("serde_json", "arbitrary_precision")];

/// Checks the table against `cargo metadata`.
pub fn check() -> Outcome {
    let text = output(cargo(&["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_slice(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let graph = Graph::read(&metadata);
    let problems = problems(&graph);
    if problems.is_empty() {
        println!("layers: {} crates of ours, {} edges, as the table says", ALLOWED.len(), graph.own_edges());
        return Ok(());
    }
    Err(format!("layers:\n  {}", problems.join("\n  ")))
}

fn problems(graph: &Graph) -> Vec<String> {
    let mut problems = Vec::new();
    let table: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(from, to)| (*from, to.iter().map(|(name, _)| *name).collect())).collect();
    for name in &graph.members {
        let Some(allowed) = table.get(name.as_str()) else {
            problems.push(format!("{name} is not in the table of xtask/src/layers.rs"));
            continue;
        };
        if name == "rectify-tests" || name == "xtask" {
            continue;
        }
        let used: BTreeSet<&str> = graph
            .edges
            .get(name)
            .into_iter()
            .flatten()
            .filter(|to| graph.members.contains(*to))
            .map(String::as_str)
            .collect();
        problems.extend(used.difference(allowed).map(|to| format!("{name} must not depend on {to}")));
        problems.extend(
            allowed
                .difference(&used)
                .map(|to| format!("{name} -> {to} is allowed but not used: remove it from the table")),
        );
    }
    for pure in PURE {
        for below in graph.closure(pure) {
            if IMPURE.contains(&below.as_str()) {
                problems.push(format!("{pure} is pure but reaches {below}"));
            }
        }
    }
    for (package, features) in &graph.features {
        if BANNED.contains(&package.as_str()) {
            problems.push(format!("{package} is banned"));
        }
        for (name, feature) in BANNED_FEATURES {
            if package == name && features.contains(*feature) {
                problems.push(format!("feature {feature} of {name} is on; it changes JSON for every crate"));
            }
        }
    }
    problems
}

/// The resolved graph of normal dependencies, by package name.
struct Graph {
    members: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
    features: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let names: BTreeMap<String, String> =
            list(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
        let name = |id: &Value| names.get(&text(id)).cloned().unwrap_or_default();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut features: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let from = name(&node["id"]);
            features.entry(from.clone()).or_default().extend(list(&node["features"]).iter().map(&text));
            for dependency in list(&node["deps"]) {
                if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                    edges.entry(from.clone()).or_default().insert(name(&dependency["pkg"]));
                }
            }
        }
        Self { members: list(&metadata["workspace_members"]).iter().map(name).collect(), edges, features }
    }

    fn own_edges(&self) -> usize {
        self.edges
            .iter()
            .filter(|(from, _)| self.members.contains(*from))
            .map(|(_, to)| to.iter().filter(|name| self.members.contains(*name)).count())
            .sum()
    }

    fn closure(&self, from: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from.to_owned()];
        while let Some(name) = open.pop() {
            for to in self.edges.get(&name).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            all.entry((*from).into()).or_default().insert((*to).into());
        }
        Graph { members: ["rectify-base".into()].into(), edges: all, features: BTreeMap::new() }
    }

    #[test]
    fn a_pure_crate_that_reaches_a_clock_or_a_file_is_named() {
        assert!(problems(&graph(&[])).is_empty());
        let found = problems(&graph(&[("rectify-base", "harmless"), ("harmless", "tokio")]));
        assert_eq!(found.first().map(String::as_str), Some("rectify-base is pure but reaches tokio"));
    }

    #[test]
    fn features_that_change_json_are_named() {
        let mut graph = graph(&[]);
        graph.features.insert("serde_json".into(), ["preserve_order".to_owned()].into());
        assert_eq!(problems(&graph).len(), 1);
    }
}
