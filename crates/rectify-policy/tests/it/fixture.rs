//! Plans and bundles to test with.

use rectify_model::Plan;
use rectify_policy::{Bundle, Clock, PolicyError, evaluate, input};
use serde_json::{Value, json};

/// A Thursday in February, a second before midnight UTC.
pub const NOW_UNIX_S: i64 = 1_709_251_199;

fn file_digests() -> Value {
    json!({"blake3": digest(), "sha256": format!("sha256:{}", "0".repeat(64))})
}

fn digest() -> String {
    format!("blake3:{}", "0".repeat(64))
}

/// One step that writes `path` on `target`, changed as `with` says.
pub fn step(target: &str, address: &str, path: &str, with: Value) -> Value {
    let mut step = json!({
        "target": target, "address": address, "type": "file.content", "action": "update",
        "desired": {"path": path}, "changes": [], "expect": digest(), "result": digest(),
        "touches": [{"key": format!("path:{path}"), "access": "write"}, {"key": "path:/etc", "access": "read"}],
        "prediction": "exact", "undo": {"grade": "exact"},
    });
    for (key, value) in with.as_object().unwrap() {
        step[key] = value.clone();
    }
    step
}

/// What makes a step an unguarded command.
pub fn command() -> Value {
    json!({
        "type": "command.run", "action": "run", "desired": {"argv": ["systemctl", "reload", "ssh.service"]},
        "touches": [], "prediction": "opaque", "undo": {"grade": "none", "note": "a command"},
        "disruption": ["reload"],
    })
}

/// A plan for `web-1` in `environment` and `web-2` in `test`.
pub fn plan(environment: &str, steps: Vec<Value>) -> Plan {
    let target = |environment: &str, id: char| {
        json!({
            "environment": environment, "labels": {"role": "web"},
            "identity": {"root": format!("blake3:{}", id.to_string().repeat(64))}, "observation": file_digests(),
        })
    };
    let kind =
        |kind: &str, retry: &str| json!({"version": 1, "manifest": digest(), "kind": kind, "retry": retry});
    let counts = steps.iter().fold(
        json!({"create": 0, "update": 0, "replace": 0, "delete": 0, "run": 0, "unchanged": 7, "not_triggered": 1, "deferred": 2}),
        |mut counts, step| {
            let action = step["action"].as_str().unwrap();
            counts[action] = json!(counts[action].as_u64().unwrap() + 1);
            counts
        },
    );
    serde_json::from_value(json!({
        "format": "rectify.plan/v1", "project": "fleet", "graph": file_digests(),
        "limits": {"parallel_steps": 4, "changes_max": 100_000},
        "remediations": {
            "ssh": {"because": {"id": "CVE-2024-6387"}, "labels": {"severity": "critical"}, "undo": "auto"},
            "motd": {"undo": "manual"},
        },
        "targets": {"web-1": target(environment, '1'), "web-2": target("test", '2')},
        "types": {"file.content": kind("resource", "converge"), "command.run": kind("action", "once")},
        "steps": steps, "unchanged": [], "deferred": [], "gates": [],
        "waves": [["web-1", "web-2"]], "counts": counts,
    }))
    .unwrap()
}

/// The input of a plan, at the usual moment.
pub fn input_of(plan: &Plan) -> Value {
    input(plan, &Clock::utc(NOW_UNIX_S).into())
}

/// A plan with one harmless step.
pub fn harmless() -> Value {
    input_of(&plan("test", vec![step("web-2", "ssh/config", "/etc/ssh/sshd_config", json!({}))]))
}

/// A bundle of some files.
pub fn bundle<const N: usize>(files: [(&str, &str); N]) -> Bundle {
    Bundle { files: files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect() }
}

/// A bundle of one file, `p.rego`.
pub fn rules(text: &str) -> Bundle {
    bundle([("p.rego", text)])
}

/// The refusal of a bundle, over a harmless input.
pub fn refusal(bundle: &Bundle) -> PolicyError {
    evaluate(bundle, &harmless()).expect_err("a refusal")
}
