//! The bundle that comes with Rectify.

use crate::fixture::{command, harmless, input_of, plan, step};
use rectify_model::Plan;
use rectify_policy::{Bundle, PolicyError, check, evaluate, standard};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn it_passes_its_own_check() {
    let checked = check(&standard()).unwrap();
    assert_eq!(checked.rules, 33);
    assert!(checked.tests >= 60, "only {} tests", checked.tests);
}

#[test]
fn a_harmless_plan_is_allowed_without_a_word() {
    let mut input = harmless();
    input["deferred"] = json!(0);
    let decision = evaluate(&standard(), &input).unwrap();
    assert!(decision.allowed && decision.deny.is_empty() && decision.warn.is_empty());
    assert_eq!(decision.approvals(), 0);
    assert_eq!(decision.bundle, standard().digest());
}

#[test]
fn one_decision_in_full() {
    let plan = plan(
        "prod",
        vec![
            step("web-1", "ssh/config", "/etc/ssh/sshd_config", json!({})),
            step("web-1", "ssh/reload", "/", command()),
            step("web-2", "motd/kernel", "/boot/vmlinuz", json!({"action": "delete"})),
            step("web-2", "motd/odd", "/srv/../etc/shadow", json!({"undo": {"grade": "lossy"}})),
        ],
    );
    let mut decision = serde_json::to_value(evaluate(&standard(), &input_of(&plan)).unwrap()).unwrap();
    decision["bundle"] = json!("[bundle]");
    insta::assert_json_snapshot!(decision);
}

#[test]
fn an_approval_is_asked_for_in_production_only() {
    for (environment, approvals) in [("prod", 1), ("production", 1), ("test", 0)] {
        let plan = plan(environment, vec![step("web-1", "ssh/config", "/etc/ssh/sshd_config", json!({}))]);
        let decision = evaluate(&standard(), &input_of(&plan)).unwrap();
        assert!(decision.allowed);
        assert_eq!(decision.approvals(), approvals, "{environment}");
    }
}

/// The demands of the rule on commands.
fn asked(bundle: &Bundle, plan: &Plan) -> Vec<String> {
    let decision = evaluate(bundle, &input_of(plan)).unwrap();
    assert!(decision.allowed, "{decision:?}");
    let demands = decision.require_approval.into_iter();
    demands.filter(|demand| demand.rule == "commands").map(|demand| demand.message).collect()
}

/// One step with these properties, as sure as a guard makes it.
fn step_with(type_name: &str, desired: Value) -> Plan {
    let action = if type_name == "command.run" { "run" } else { "update" };
    let with = json!({"type": type_name, "action": action, "desired": desired, "prediction": "conditional"});
    plan("test", vec![step("web-1", "ssh/it", "/etc/x", with)])
}

#[test]
fn whatever_is_executed_needs_an_approval() {
    for (desired, type_name) in [
        (json!({"argv": ["curl", "x"], "creates": "/x"}), "command.run"),
        (json!({"script": "curl x | sh", "creates": "/x"}), "command.run"),
        (json!({"path": "/etc/x", "validate": ["/bin/sh", "-c", "curl x | sh; true %s"]}), "file.content"),
        (json!({"query": "drop table users"}), "command.run"),
        (json!({"argv": "not even an array"}), "command.run"),
    ] {
        assert_eq!(asked(&standard(), &step_with(type_name, desired.clone())).len(), 1, "{desired}");
    }
    let guarded = json!({"argv": ["a"], "unless": ["b"], "only_if": ["c"], "undo": ["d"], "user": "app"});
    assert_eq!(
        asked(&standard(), &step_with("command.run", guarded)),
        [
            "ssh/it on web-1 executes [\"a\"] as app (run)",
            "ssh/it on web-1 executes [\"b\"] as app (guard)",
            "ssh/it on web-1 executes [\"c\"] as app (guard)",
            "ssh/it on web-1 executes [\"d\"] as app (undo)",
        ]
    );
    let known = json!({"path": "/etc/ssh/sshd_config", "validate": ["/usr/sbin/sshd", "-t", "-f", "%s"]});
    assert!(asked(&standard(), &step_with("file.line", known)).is_empty());

    let mut gated = plan("test", Vec::new());
    gated.gates = serde_json::from_value(json!([
        {"target": "web-1", "address": "ssh/verify:0", "type": "tcp.connect", "desired": {"port": 22}, "within_s": 9},
        {"target": "web-1", "address": "ssh/verify:1", "type": "command.succeeds",
            "desired": {"argv": ["/bin/x"], "exit_codes": [0]}, "within_s": 0},
    ]))
    .unwrap();
    assert_eq!(asked(&standard(), &gated), ["ssh/verify:1 on web-1 executes [\"/bin/x\"] (gate)"]);
}

/// As a project that lists `standard` and a directory of its own puts them together.
#[test]
fn a_project_can_list_commands_beside_the_standard_bundle() {
    let with = |data: &str| {
        let mut files: BTreeMap<String, String> =
            standard().files.into_iter().map(|(path, text)| (format!("standard/{path}"), text)).collect();
        files.insert("policies/ours/data.json".into(), data.into());
        Bundle { files }
    };
    let ours = with(r#"{"commands": {"allowed": [{"argv": ["/usr/bin/certs", "renew"], "user": "app"}]}}"#);
    let renew = |user: &str| {
        step_with(
            "command.run",
            json!({"argv": ["/usr/bin/certs", "renew"], "user": user, "environment": {}, "creates": "/x"}),
        )
    };
    assert!(asked(&ours, &renew("app")).is_empty());
    assert_eq!(asked(&ours, &renew("root")).len(), 1);
    // Nobody moves the limits of the standard bundle in passing.
    let moved = check_data(&with(r#"{"limits": {"changes_total": 9999}}"#));
    assert_eq!((moved.code.as_str(), moved.place.as_str()), ("policy-data", "standard/data.json"));
}

/// A bundle of the project's beside the standard one.
fn beside(data: &str) -> Bundle {
    let mut files: BTreeMap<String, String> =
        standard().files.into_iter().map(|(path, text)| (format!("standard/{path}"), text)).collect();
    files.insert("policies/ours/data.json".into(), data.into());
    Bundle { files }
}

#[test]
fn a_project_can_move_limits_on_purpose() {
    let three = || {
        let steps = (0..3).map(|i| step("web-1", &format!("ssh/s{i}"), &format!("/srv/{i}"), json!({})));
        input_of(&plan("test", steps.collect()))
    };
    let decide = |data: &str| evaluate(&beside(data), &three());
    assert!(decide("{}").unwrap().allowed);
    let denied = decide(r#"{"override": {"limits": {"changes_total": 2}}}"#).unwrap();
    let said: Vec<_> = denied.deny.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(said, ["3 changes, but at most 2 are accepted in one plan"]);
    for wrong in [
        r#"{"override": {"limits": {"changes_totl": 2}}}"#,
        r#"{"override": {"limits": {"changes_total": "2"}}}"#,
        r#"{"override": {"limits": 2}}"#,
        r#"{"override": []}"#,
    ] {
        let error = decide(wrong).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.place.as_str()),
            ("policy-data", "policies/ours/data.json"),
            "{wrong}"
        );
    }
    // Two that move one limit must agree.
    let mut two = beside(r#"{"override": {"limits": {"changes_total": 2}}}"#);
    two.files.insert(
        "policies/theirs/data.json".into(),
        r#"{"override": {"limits": {"changes_total": 3}}}"#.into(),
    );
    let error = evaluate(&two, &three()).unwrap_err();
    assert_eq!((error.code.as_str(), error.place.as_str()), ("policy-data", "policies/theirs/data.json"));
}

/// Coverage of the engine itself, beside the check that each head fires: every line of every rule is
/// reached by the tests of the bundle.
#[test]
fn its_tests_reach_every_line() {
    let mut engine = regorus::Engine::new();
    let mut tests = Vec::new();
    for (path, text) in &standard().files {
        if path.ends_with(".rego") {
            engine.add_policy(path.clone(), text.clone()).unwrap();
            tests.extend(text.lines().filter_map(|line| {
                let name = line.split([' ', '(']).next()?;
                name.starts_with("test_").then(|| format!("data.rectify_test.{name}"))
            }));
        } else {
            engine.add_data_json(text).unwrap();
        }
    }
    engine.set_enable_coverage(true);
    for test in tests {
        engine.eval_rule(test).unwrap();
    }
    let report = engine.get_coverage_report().unwrap();
    let missed: Vec<_> = report
        .files
        .iter()
        .filter(|file| !file.not_covered.is_empty())
        .map(|file| (file.path.clone(), file.not_covered.clone()))
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
    assert!(report.files.len() >= 30);
}

#[test]
fn links_do_not_lead_around_forbidden_paths() {
    for (action, resolved, refused) in [
        ("update", "path:/etc/shadow", true),
        ("update", "path:/srv/real", false),
        ("delete", "path:/etc", true),
    ] {
        let with = json!({"action": action, "resolved": [resolved]});
        let decision =
            evaluate(&standard(), &input_of(&plan("test", vec![step("web-1", "ssh/it", "/srv/link", with)])))
                .unwrap();
        assert_eq!(!decision.allowed, refused, "{action} {resolved}");
    }
}

fn check_data(bundle: &Bundle) -> PolicyError {
    evaluate(bundle, &harmless()).unwrap_err()
}

#[test]
fn the_limits_are_exact() {
    let many = |n: usize, targets: &[&str]| {
        let steps = (0..n)
            .map(|i| step(targets[i % targets.len()], &format!("ssh/s{i}"), &format!("/srv/{i}"), json!({})));
        evaluate(&standard(), &input_of(&plan("test", steps.collect()))).unwrap()
    };
    assert!(many(500, &["web-1"]).allowed);
    let denied = many(501, &["web-1"]);
    assert!(!denied.allowed);
    assert_eq!(
        denied.deny.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>(),
        ["501 changes on web-1, but at most 500 are accepted on one target"]
    );
    assert!(many(1000, &["web-1", "web-2"]).allowed);
    assert_eq!(many(1001, &["web-1", "web-2"]).deny.len(), 2);
}

#[test]
fn its_digest_depends_on_every_byte_and_path() {
    let digest = standard().digest();
    for path in standard().files.keys() {
        let mut bundle = standard();
        bundle.files.get_mut(path).unwrap().push('\n');
        assert_ne!(bundle.digest(), digest, "{path}");
        let mut bundle = standard();
        let text = bundle.files.remove(path).unwrap();
        bundle.files.insert(format!("x/{path}"), text);
        assert_ne!(bundle.digest(), digest, "{path}");
    }
}
