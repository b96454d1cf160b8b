//! What is shown to readers is true.

use crate::fixture::{bundle, harmless, input_of, plan, step};
use rectify_model::{Decision, decision::Finding};
use rectify_policy::{Clock, INPUT_SCHEMA, codes, evaluate, input, standard};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf};

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[test]
fn the_example_of_the_guide_works() {
    let guide = fs::read_to_string(docs().join("policy.md")).unwrap();
    let blocks: Vec<&str> =
        guide.split("```rego\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [rules, tests] = blocks[..] else { panic!("{} examples", blocks.len()) };
    let data = "{\"zones\": [\"Europe/Berlin\"]}";
    let bundle = bundle([("p.rego", rules), ("p_test.rego", tests), ("data.json", data)]);
    let plan = plan("prod", vec![step("web-1", "ssh/config", "/etc/x", json!({}))]);
    // A second before midnight on a Thursday in UTC: in Berlin it is Friday.
    let clock = Clock::utc(crate::fixture::NOW_UNIX_S).with_zone("Europe/Berlin", 3600);
    let decision = evaluate(&bundle, &input(&plan, &clock.into())).unwrap();
    assert_eq!(decision.deny.len(), 1);
    assert!(!decision.allowed);
    // Without the zone it is not asked at all, rather than undefined.
    assert_eq!(evaluate(&bundle, &input_of(&plan)).unwrap_err().code, codes::POLICY_EVALUATION);
}

/// An input with the fields of an example, and otherwise what is usual.
fn completed(example: &Value) -> Value {
    let mut input = harmless();
    let usual = input["changes"][0].clone();
    input["targets"] = json!({"web-1": {"environment": "test", "labels": {}}});
    input["changes"] = json!([]);
    input["deferred"] = json!(0);
    for (field, value) in example.as_object().unwrap() {
        input[field] = value.clone();
    }
    for change in input["changes"].as_array_mut().unwrap() {
        let mut whole = usual.clone();
        whole["target"] = json!("web-1");
        for (field, value) in change.as_object().unwrap() {
            whole[field] = value.clone();
        }
        whole.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        *change = whole;
    }
    for holder in ["changes", "gates"] {
        for entry in input[holder].as_array_mut().unwrap() {
            for command in entry["commands"].as_array_mut().unwrap() {
                let mut whole = json!({"environment": {}, "stdin": false});
                whole.as_object_mut().unwrap().extend(command.as_object().unwrap().clone());
                *command = whole;
            }
        }
    }
    input
}

/// What a rule says, a line each.
fn said(decision: &Decision, rule: &str) -> Vec<String> {
    let of = |findings: &BTreeSet<Finding>, word: &str| -> Vec<String> {
        let found = findings.iter().filter(|finding| finding.rule == rule);
        found.map(|finding| format!("{word}: {}", finding.message)).collect()
    };
    let demands = decision.require_approval.iter().filter(|demand| demand.rule == rule);
    let mut lines: Vec<String> = demands.map(|demand| format!("approval: {}", demand.message)).collect();
    lines.extend(of(&decision.deny, "deny"));
    lines.extend(of(&decision.warn, "warn"));
    lines
}

#[test]
fn the_rules_of_the_standard_bundle_say_what_the_guide_shows() {
    let guide = fs::read_to_string(docs().join("policy.md")).unwrap();
    let bundle = guide.split("## The standard bundle\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut shown = BTreeSet::new();
    for section in bundle.split("\n### ").skip(1) {
        let rule = section.split('`').nth(1).unwrap();
        for pair in section.split("```json\n").skip(1) {
            let (example, rest) = pair.split_once("```").unwrap();
            let example: Value = serde_json::from_str(example).unwrap();
            let Some(expected) = rest.strip_prefix("\n```text\n") else { continue };
            let expected: Vec<&str> = expected.split("```").next().unwrap().lines().collect();
            let decision = evaluate(&standard(), &completed(&example)).unwrap();
            assert_eq!(said(&decision, rule), expected, "{example}");
            shown.insert(rule);
        }
    }
    assert_eq!(
        shown.into_iter().collect::<Vec<_>>(),
        [
            "blast_radius",
            "change_rate",
            "commands",
            "dangerous_modes",
            "deferred_steps",
            "disruption",
            "forbidden_paths",
            "irreversible",
            "minimum_prediction",
            "missing_because",
            "opaque_commands",
            "production",
            "protected_users",
        ]
    );
    // These would be long examples; their words are those of tests beside the rules.
    assert!(bundle.contains("deny: 501 changes on web-1, but at most 500 are accepted on one target"));
    assert!(
        bundle
            .contains("deny: 26 steps delete or replace, but at most 25 are accepted in one plan; the first")
    );
    for path in
        standard().files.keys().filter(|path| path.ends_with(".rego") && !path.ends_with("_test.rego"))
    {
        let rule = path.trim_end_matches(".rego");
        assert!(
            rule == "allow" || bundle.contains(&format!("\n### `{rule}`\n")),
            "{rule} is not in the guide"
        );
    }
}

/// Every rule has an entry in the table of the guide with its severity, and an id that its findings
/// carry.
#[test]
fn every_rule_has_a_severity() {
    let guide = fs::read_to_string(docs().join("policy.md")).unwrap();
    let data: Value = serde_json::from_str(&standard().files["data.json"]).unwrap();
    let rules = data["rules"].as_object().unwrap();
    for (rule, entry) in rules {
        let severity = entry["severity"].as_str().unwrap();
        assert!(["low", "medium", "high", "critical"].contains(&severity), "{rule}");
        assert!(guide.contains(&format!("| [`{rule}`](#{rule}) | {severity} | ")), "{rule}");
    }
    let explanation =
        rectify_policy::explain(&standard(), &harmless(), &rectify_policy::freeze::UtcOnly).unwrap();
    let said: BTreeSet<String> = explanation.rules.iter().map(|rule| rule.definition.rule.clone()).collect();
    assert_eq!(said, rules.keys().cloned().collect());
    assert!(said.len() >= 12);
    assert!(explanation.rules.iter().all(|rule| rule.severity.is_some()));
}

#[test]
fn the_change_in_the_guide_is_one_of_the_schema() {
    let guide = fs::read_to_string(docs().join("policy.md")).unwrap();
    let change = guide.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let mut input = harmless();
    input["changes"] = json!([serde_json::from_str::<Value>(change).unwrap()]);
    let schema: Value = serde_json::from_str(INPUT_SCHEMA).unwrap();
    jsonschema::validator_for(&schema).unwrap().validate(&input).unwrap();
    // And the list that the guide shows lists it.
    let data =
        guide.split("```json\n").find(|block| block.starts_with("{\"commands\": {\"allowed\"")).unwrap();
    let mut bundle = standard();
    bundle.files.insert("ours/data.json".into(), data.split("```").next().unwrap().into());
    assert_eq!(said(&evaluate(&bundle, &input).unwrap(), "commands"), Vec::<String>::new());
    assert_eq!(said(&evaluate(&standard(), &input).unwrap(), "commands").len(), 1);
}

#[test]
fn every_code_has_a_page() {
    for code in codes::ALL {
        let page = fs::read_to_string(docs().join(format!("errors/{code}.md"))).unwrap();
        assert!(page.starts_with(&format!("# {code}\n\n")), "{code}");
        assert!(page.contains("\n## Why\n") && page.contains("\n## What to do\n"), "{code}");
    }
}
