//! Overrides: they let a rule pass that the bundle lists, and nothing else.

use proptest::prelude::*;
use rectify_model::Decision;
use rectify_policy::{Bundle, Clock, codes, evaluate, standard};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const AWARE: &str = "package rectify\n\ndefault allow := false\n\nallow if {\n\tevery finding in deny {\n\t\tfinding.rule in input.overrides\n\t}\n}\n\ndeny contains {\"rule\": change.address, \"message\": \"no\"} if some change in input.changes\n";
const UNAWARE: &str = "package rectify\n\ndefault allow := false\n\nallow if count(deny) == 0\n\ndeny contains {\"rule\": change.address, \"message\": \"no\"} if some change in input.changes\n";
const TRUSTING: &str = "package rectify\n\nallow := true\n\ndeny contains {\"rule\": change.address, \"message\": \"no\"} if some change in input.changes\n";
const TESTS: &str = "package rectify_test\n\nimport data.rectify\n\ntest_it if count(rectify.deny) == 1 with input as {\"changes\": [{\"address\": \"x\"}]}\n";

/// A bundle whose rules are `a` to `d`, of which `a` and `b` may be overridden.
fn bundle(rules: &str) -> Bundle {
    let data = json!({"rules": {
        "a": {"overridable": true}, "b": {"overridable": true},
        "c": {"overridable": false}, "d": {"overridable": "true"},
    }});
    let files =
        [("p.rego", rules.to_owned()), ("p_test.rego", TESTS.to_owned()), ("data.json", data.to_string())];
    Bundle { files: files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect() }
}

fn decide(rules: &str, denying: &[&str], overrides: &Value) -> Decision {
    evaluate(&bundle(rules), &input(denying, overrides)).unwrap()
}

fn input(denying: &[&str], overrides: &Value) -> Value {
    let changes: Vec<Value> = denying.iter().map(|rule| json!({"address": rule})).collect();
    json!({"now": Clock::utc(0), "changes": changes, "overrides": overrides})
}

fn rules<'a>(findings: impl IntoIterator<Item = &'a rectify_model::decision::Finding>) -> Vec<&'a str> {
    findings.into_iter().map(|finding| finding.rule.as_str()).collect()
}

#[test]
fn a_denial_that_is_overridden_is_named_and_denies_no_more() {
    let decision = decide(AWARE, &["a"], &json!(["a"]));
    assert!(decision.allowed);
    assert_eq!((rules(&decision.deny), rules(&decision.overridden)), (vec![], vec!["a"]));
}

#[test]
fn a_bundle_that_knows_nothing_of_overrides_denies_as_before() {
    let decision = decide(UNAWARE, &["a"], &json!(["a"]));
    assert!(!decision.allowed);
    let mut silent = bundle(UNAWARE);
    silent.files.remove("data.json");
    let decision = evaluate(&silent, &input(&["a"], &json!(["a"]))).unwrap();
    assert!(!decision.allowed);
    assert_eq!((rules(&decision.deny), rules(&decision.overridden)), (vec!["a"], vec![]));
}

#[test]
fn overrides_that_are_no_list_of_ids_are_an_error() {
    for wrong in [json!("a"), json!({"a": true}), json!([1]), Value::Null] {
        let error = evaluate(&bundle(TRUSTING), &input(&["a"], &wrong)).unwrap_err();
        assert_eq!(error.code, codes::POLICY_EVALUATION, "{wrong}");
    }
}

#[test]
fn the_standard_bundle_says_of_each_rule_whether_it_may_be_overridden() {
    let data: Value = serde_json::from_str(&standard().files["data.json"]).unwrap();
    let all = data["rules"].as_object().unwrap();
    let may: Vec<&str> = all
        .iter()
        .filter(|(_, rule)| rule["overridable"].as_bool().expect("said of each rule"))
        .map(|(id, _)| id.as_str())
        .collect();
    assert_eq!(may, ["blast_radius", "change_rate", "disruption", "freeze", "too_many_changes"]);
}

proptest! {
    /// Whatever denies and whatever is overridden: what is overridden is listed in both, nothing is lost,
    /// and what denies still denies.
    #[test]
    fn nothing_passes_but_what_both_name(
        denying in prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..=5),
        overrides in prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..=5),
    ) {
        let passes = passes_all(&overrides);
        let expected: Vec<&str> = denying.iter().copied().filter(&passes).collect();
        for rules_of in [AWARE, UNAWARE, TRUSTING] {
            let decision = decide(rules_of, &denying, &json!(overrides));
            prop_assert_eq!(rules(&decision.overridden), expected.clone());
            let all: BTreeSet<&str> = rules(decision.overridden.iter().chain(&decision.deny)).into_iter().collect();
            prop_assert_eq!(all, denying.iter().copied().collect::<BTreeSet<_>>());
            if decision.allowed {
                prop_assert!(decision.deny.is_empty());
            }
        }
        let aware = decide(AWARE, &denying, &json!(overrides));
        prop_assert_eq!(aware.allowed, denying.iter().all(passes));
    }
}

fn passes_all<'a>(overrides: &'a [&'a str]) -> impl Fn(&&str) -> bool + 'a {
    move |rule| ["a", "b"].contains(rule) && overrides.contains(rule)
}
