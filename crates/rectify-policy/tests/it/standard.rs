//! The bundle that comes with Rectify.

use crate::fixture::{command, harmless, input_of, plan, step};
use rectify_policy::{check, evaluate, standard};
use serde_json::json;

#[test]
fn it_passes_its_own_check() {
    let checked = check(&standard()).unwrap();
    assert_eq!(checked.rules, 10);
    assert!(checked.tests >= 20, "only {} tests", checked.tests);
}

#[test]
fn a_harmless_plan_is_allowed_without_a_word() {
    let decision = evaluate(&standard(), &harmless()).unwrap();
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
