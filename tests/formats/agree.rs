//! Schema and reader hold together: over every systematic damage of a valid document, the schema
//! takes what the reader takes.

use crate::{
    damage::systematically,
    schema::{json, takes, valid},
};
use rectify_base::canonical;
use rectify_model::{Graph, Observation, Plan, journal};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Whether a document is what we write: canonical, read without loss.
fn reads<T: Serialize + DeserializeOwned>(document: &Value) -> bool {
    let Ok(bytes) = canonical::file_bytes(document) else { return false };
    canonical::read_file::<T>(&bytes)
        .is_ok_and(|value| canonical::file_bytes(&value).is_ok_and(|again| again == bytes))
}

/// The schema takes nothing that the reader refuses; what it refuses beyond that is in `stricter`, by
/// the beginning of the damage's description.
fn hold_together<T: Serialize + DeserializeOwned>(
    schema: &str,
    document: &Value,
    at_least: usize,
    stricter: &[&str],
) {
    valid(schema, schema, document);
    assert!(reads::<T>(document), "{schema}: the reader refuses the valid document");
    let (mut count, mut refused) = (0, 0);
    let mut wrong = Vec::new();
    for damaged in systematically(document) {
        count += 1;
        let (by_schema, by_reader) = (takes(schema, &damaged.document), reads::<T>(&damaged.document));
        refused += usize::from(!by_schema);
        let known = stricter.iter().any(|place| damaged.what.contains(place));
        if by_schema != by_reader && !(by_reader && known) {
            wrong.push(format!("{}: schema {by_schema}, reader {by_reader}", damaged.what));
        }
    }
    assert!(wrong.is_empty(), "{schema}, {} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= at_least && refused * 3 > count, "{schema}: {refused} of {count} refused");
}

/// What serde leaves to a later check: the format's name.
const FORMAT: &str = "/format := ";

#[test]
fn graph() {
    let document = json("conformance/cases/plans/valid/graph.json");
    hold_together::<Graph>("graph", &document, 500, &[FORMAT, "/volatile/0 := \"x\"", "/fact := \"x\""]);
}

#[test]
fn plan() {
    let document = json("conformance/cases/plans/valid/plan.json");
    let stricter = [FORMAT, "/volatile/0 := \"x\"", "/path := \"x\"", "/fact := \"x\""];
    hold_together::<Plan>("plan", &document, 1000, &stricter);
}

#[test]
fn observation() {
    for target in ["app-1", "app-2"] {
        let document = json(&format!("conformance/cases/plans/valid/observation.{target}.json"));
        hold_together::<Observation>("observation", &document, 100, &[FORMAT]);
    }
}

#[test]
fn report() {
    let document = json("conformance/cases/plans/valid/report.json");
    hold_together::<rectify_plan::Report>("report", &document, 300, &[FORMAT]);
}

#[test]
fn comparison() {
    let document = json("conformance/cases/plans/valid/plan.json");
    let before: Plan = serde_json::from_value(document.clone()).unwrap();
    let mut after = before.clone();
    after.targets.values_mut().for_each(|target| target.environment = "dev".into());
    let digests = |plan: &Plan| rectify_base::FileDigests::of_bytes(&canonical::file_bytes(plan).unwrap());
    let comparison = rectify_review::compare::compare((&before, digests(&before)), (&after, digests(&after)));
    let document = serde_json::to_value(comparison).unwrap();
    hold_together::<rectify_review::compare::Comparison>(
        "comparison",
        &document,
        30,
        &[FORMAT, "/path := \"x\""],
    );
}

#[test]
fn source_map() {
    let document = json!({
        "format": "rectify.source-map/v1",
        "places": {"web/motd": {"file": "remediations/a.yaml", "start": 10, "end": 20, "line": 2, "column": 3}},
    });
    hold_together::<rectify_compile::SourceMap>("source-map", &document, 50, &[FORMAT]);
}

#[test]
fn diagnostics() {
    let place = json!({
        "file": "remediations/a.yaml", "start": 10, "end": 20, "start_line": 2, "start_column": 3,
        "end_line": 2, "end_column": 13, "text": "here",
    });
    let document = json!({
        "format": "rectify.diagnostics/v1",
        "diagnostics": [{
            "code": "yaml-tag", "severity": "error", "message": "m", "places": [place], "help": "h",
            "fixes": [{"at": place, "replacement": "r"}],
        }],
    });
    let stricter = [FORMAT, "/code := "];
    hold_together::<rectify_compile::render::Diagnostics>("diagnostics", &document, 100, &stricter);
}

#[test]
fn journal() {
    let digest = format!("blake3:{}", "0".repeat(64));
    let sha256 = format!("sha256:{}", "0".repeat(64));
    let node = json!({"target": "alpha", "address": "web/motd"});
    let failure = json!({"code": "FAILED", "message": "no", "mutated": "maybe"});
    let run = json!({
        "format": "rectify.journal/v1",
        "run": "0".repeat(64),
        "use": "0".repeat(32),
        "plan": {"blake3": digest, "sha256": sha256},
        "targets": ["alpha"],
        "admission": {"seal": digest, "approvals": [digest], "bundle": digest},
        "providers": {"file": {"version": "0.1.0", "manifest": digest, "executable": "builtin:file@0.1.0"}},
        "fence": 1,
        "started_at_ms": 1,
        "expires_at_ms": 2,
    });
    hold_together::<journal::RunRecord>("journal", &run, 100, &[FORMAT]);
    let states = [
        json!({"intent": {
            "attempt": 1, "op_id": "0", "retry": "once", "expect": digest, "before_image": digest, "fence": 1,
            "deadline_ms": 1000,
        }}),
        json!({"succeeded": {"how": "applied", "fingerprint": digest, "owes": ["web/reload"]}}),
        json!({"failed": failure}),
        json!({"unknown": failure}),
        json!({"stale": {"found": digest}}),
        json!({"skipped": {"because": {"dependency": "web/motd"}}}),
        json!({"skipped": {"because": "not_triggered"}}),
    ];
    let mut records: Vec<Value> =
        states.iter().map(|state| json!({"step": {"node": node, "state": state}})).collect();
    records.push(json!({"target": {"target": "alpha", "state": {"verified": {"root": digest}}}}));
    records.push(json!({"target": {"target": "alpha", "state": {"refused": failure}}}));
    records.push(json!({"gate": {"node": node, "attempts": 2, "state": "passed"}}));
    records.push(json!({"gate": {"node": node, "attempts": 2, "state": {"failed": failure}}}));
    for record in records {
        let entry = json!({"seq": 1, "at_ms": 5, "record": record});
        hold_together::<journal::Entry>("journal", &entry, 50, &[]);
    }
}

#[test]
fn predicates() {
    use rectify_attest::{Approval, DecisionRecord, Receipt, Seal};
    let digest = format!("blake3:{}", "0".repeat(64));
    let use_id = "0".repeat(32);
    let finding = json!({"rule": "r", "message": "m"});
    let decision = json!({"evaluated_at": 1, "decision": {
        "bundle": digest, "allowed": true, "deny": [finding], "warn": [finding],
        "require_approval": [{"rule": "r", "message": "m", "count": 2}],
    }});
    hold_together::<DecisionRecord>("decision", &decision, 50, &[]);
    let seal = json!({
        "scope": "demo", "generation": 1, "use": use_id, "not_before": 1, "expires_at": 2, "author": "alice",
        "requester": "bob@example.org", "sources": digest, "policy": digest, "decision": digest,
    });
    hold_together::<Seal>("seal", &seal, 50, &[]);
    let approval = json!({
        "use": use_id, "approver": "alice", "expires_at": 2, "verdict": "no", "reason": "later", "rendering": digest,
    });
    hold_together::<Approval>("approval", &approval, 50, &[]);
    let result = json!({
        "result": "succeeded", "changed": 1, "already": 0, "failed": 0, "skipped": 0, "undone": 0,
    });
    let receipt = json!({
        "run": "0".repeat(64), "use": use_id, "targets": {"alpha": result}, "started_at": 1, "ended_at": 2,
        "providers": {"file": "builtin:file@0.1.0"}, "result": "partially_applied",
    });
    hold_together::<Receipt>("receipt", &receipt, 50, &[]);
}

#[test]
fn manifest() {
    let digest = json!({"max": "1.0", "min": "1.0"});
    let document = json!({
        "format": "rectify.manifest/v1", "name": "file", "version": "0.1.0", "protocol": digest,
        "types": [{
            "name": "file.content", "version": 1, "kind": "resource", "summary": "A file.",
            "schema": {"type": "object"}, "volatile": ["/text"],
            "touches": [{"property": "/path", "kind": "path", "access": "write"}],
            "prediction": "exact", "retry": "converge", "undo": "exact", "compare_and_swap": true,
            "read_timeout_ms": 1000, "apply_timeout_ms": 1000,
        }],
    });
    let stricter = [FORMAT, "/volatile/0 := \"x\"", "/property := \"x\""];
    hold_together::<rectify_protocol::Manifest>("manifest", &document, 100, &stricter);
}
