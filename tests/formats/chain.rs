//! What the real executable writes.

use crate::schema::{valid, yaml};
use base64::{Engine, engine::general_purpose::STANDARD};
use rectify_store::{Journal, SqliteJournal};
use rectify_tests::{Scratch, remediation};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

const STEPS: &str = "  banner:
    file.content: {path: /etc/issue.net, content: \"Authorised users only.\\n\", mode: \"0644\"}
  grace:
    file.line: {path: /etc/sshd_config, match: '^#?LoginGraceTime', line: LoginGraceTime 0}
    after: [banner]
  note:
    command.run: {argv: [/bin/sh, -c, 'echo x >> \"$RECTIFY_ROOT/count\"']}
    on_change: [grace]
  there:
    file.directory: {path: /etc}
verify:
  - file.matches: {path: /etc/sshd_config, pattern: '(?m)^LoginGraceTime 0$'}
";

fn document(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Validates the envelopes of a plan and what they hold; answers with the kinds that were there.
fn envelopes(scratch: &Scratch, plan: &str) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for entry in fs::read_dir(scratch.path(plan)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let what = path.display().to_string();
        let envelope = document(&path);
        valid("envelope", &what, &envelope);
        let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        let statement: Value = serde_json::from_slice(&payload).unwrap();
        valid("statement", &what, &statement);
        let kind = statement["predicateType"].as_str().unwrap().split(':').nth(2).unwrap().to_owned();
        valid(&kind, &what, &statement["predicate"]);
        kinds.insert(kind);
    }
    kinds
}

#[test]
fn everything_that_a_run_leaves_is_as_its_schema_says() {
    let scratch = Scratch::new();
    scratch.write("root/etc/sshd_config", "Port 22\n#LoginGraceTime 120\n");
    scratch.write("project/remediations/grace.yaml", &remediation("grace", STEPS));
    scratch.trust(1);
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);

    for (kind, path) in [
        ("project", "project/rectify.yaml"),
        ("inventory", "project/inventory/local.yaml"),
        ("remediation", "project/remediations/grace.yaml"),
        ("trust", "trust.yaml"),
    ] {
        valid(kind, path, &yaml(&scratch.read(path)).unwrap());
    }
    for (kind, path) in [
        ("plan", "a.plan.json"),
        ("graph", "a.plan.d/evidence/graph.json"),
        ("observation", "a.plan.d/evidence/observations/scratch.json"),
        ("report", "a.plan.d/evidence/report.json"),
        ("source-map", "a.plan.d/evidence/sources.json"),
    ] {
        valid(kind, path, &document(&scratch.path(path)));
    }
    let kinds = envelopes(&scratch, "a.plan.d");
    for kind in ["decision", "seal", "approval"] {
        assert!(kinds.contains(kind), "{kinds:?}");
    }
    journal(&scratch);
}

/// The journal of the one run.
fn journal(scratch: &Scratch) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (run, loaded) = runtime.block_on(async {
        let path = fs::read_dir(scratch.path("state"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .find(|p| p.extension().is_some_and(|e| e == "db" || e == "sqlite"))
            .unwrap();
        let journal = SqliteJournal::open(&path).await.unwrap();
        let runs = journal.list_runs(10).await.unwrap();
        assert_eq!(runs.len(), 1);
        let loaded = journal.load_run(&runs[0].run.run).await.unwrap();
        (runs[0].run.clone(), loaded)
    });
    valid("journal", "the run", &serde_json::to_value(run).unwrap());
    assert!(loaded.entries.len() >= 8, "{}", loaded.entries.len());
    for entry in loaded.entries {
        valid("journal", "a record", &serde_json::to_value(&entry.record).unwrap());
        valid("journal", "a record in its place", &serde_json::to_value(entry).unwrap());
    }
    valid("journal", "the outcome", &serde_json::to_value(loaded.outcome.unwrap()).unwrap());
    let receipt: Value = serde_json::from_slice(&loaded.receipt.unwrap()).unwrap();
    valid("envelope", "the receipt", &receipt);
    let payload = STANDARD.decode(receipt["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    valid("statement", "the receipt", &statement);
    valid("receipt", "the receipt", &statement["predicate"]);
}

#[test]
fn the_project_that_init_writes_is_as_the_schemas_say() {
    let scratch = Scratch::new();
    scratch.ok(&["init", "new"]);
    let mut seen = 0;
    for (kind, directory) in [("project", ""), ("inventory", "inventory"), ("remediation", "remediations")] {
        let Ok(entries) = fs::read_dir(scratch.path("new").join(directory)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "yaml") {
                let text = fs::read_to_string(&path).unwrap();
                valid(kind, &path.display().to_string(), &yaml(&text).unwrap());
                seen += 1;
            }
        }
    }
    assert!(seen >= 2, "{seen}");
}

#[test]
fn the_manifests_of_the_built_in_providers() {
    let scratch = Scratch::new();
    for name in ["account", "facts", "file", "command", "package", "probe", "service", "sysctl"] {
        let text = scratch.ok(&["provider", "manifest", name]).stdout;
        valid("manifest", name, &serde_json::from_str(&text).unwrap());
    }
}
