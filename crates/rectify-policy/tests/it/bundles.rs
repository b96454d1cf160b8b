//! Bundles that are refused, and lookalikes that are not.

use crate::fixture::{bundle, harmless, refusal, rules};
use rectify_policy::{PolicyError, check, codes, evaluate, limits};

const ALLOW: &str = "package rectify\n\ndefault allow := false\n\nallow if count(deny) == 0\n";

/// `ALLOW`, more rules from line 1 of `p.rego`, and tests from line 3 of `p_test.rego`.
fn with_tests(more: &str, tests: &str) -> Result<usize, PolicyError> {
    let rules = format!("package rectify {more}\n");
    let tests = format!("package rectify_test\nimport data.rectify\n{tests}\n");
    let bundle = bundle([("a.rego", ALLOW), ("p.rego", &rules), ("p_test.rego", &tests)]);
    check(&bundle).map(|checked| checked.tests)
}

fn code_and_place(error: &PolicyError) -> (&str, &str) {
    (error.code.as_str(), error.place.as_str())
}

#[test]
fn a_rule_on_one_line_counts_as_tested_only_if_it_fired() {
    let rule = "deny contains \"x\" if input.deferred > 0";
    assert_eq!(with_tests(rule, "test_x if count(rectify.deny) == 1 with input as {\"deferred\": 1}"), Ok(1));
    let looked_at = "test_x if count(rectify.deny) == 0 with input as {\"deferred\": 0}";
    let error = with_tests(rule, looked_at).unwrap_err();
    assert_eq!(code_and_place(&error), ("policy-rule-untested", "p.rego:1:17"));
}

#[test]
fn each_definition_of_a_rule_must_fire() {
    let rule = "deny contains \"x\" if input.deferred > 0\ndeny contains \"y\" if {\n\tinput.deferred > 1\n}";
    let test = "test_x if rectify.deny with input as {\"deferred\": 1}";
    assert_eq!(code_and_place(&with_tests(rule, test).unwrap_err()), ("policy-rule-untested", "p.rego:2:1"));
    let both = "test_x if count(rectify.deny) == 2 with input as {\"deferred\": 2}";
    assert_eq!(with_tests(rule, both), Ok(1));
}

#[test]
fn every_branch_of_an_else_must_fire() {
    let rule = "warn := {\"a\"} if input.deferred > 9\nelse := {\"b\"} if input.deferred > 1\ndeny contains 1 if false";
    let test = "test_x if rectify.warn == {\"a\"} with input as {\"deferred\": 10}";
    let error = with_tests(rule, test).unwrap_err();
    assert_eq!(error.code, codes::POLICY_RULE_UNTESTED);
    assert!(error.place.starts_with("p.rego:2:"), "{error}");
}

#[test]
fn tests_must_be_true() {
    let rule = "deny contains \"x\" if input.deferred > 0";
    for test in [
        "test_x if false",
        "test_x := 1",
        "test_x if rectify.nothing",
        "test_x := \"true\"",
        "test_x := 1 / 0",
    ] {
        let error = with_tests(rule, test).unwrap_err();
        assert_eq!(error.code, codes::POLICY_TEST_FAILED, "{test}: {error}");
        assert!(error.place.starts_with("p_test.rego:3:"), "{test}: {error}");
    }
}

#[test]
fn tests_take_no_part_in_decisions() {
    let bundle = bundle([
        ("p.rego", "package rectify\n\ndefault allow := false\n"),
        ("p_test.rego", "package rectify\n\nallow := true\n\ntest_x if true\n"),
    ]);
    // In the test run `allow` conflicts with nothing, as its default gives way.
    assert!(!evaluate(&bundle, &harmless()).unwrap().allowed);
}

#[test]
fn unknown_fields_are_found_wherever_they_hide() {
    for (line, place) in [
        ("allow if input.chnages", "p.rego:3:16"),
        ("allow if input[\"chnages\"]", "p.rego:3:17"),
        ("allow if input.changes[_].adress", "p.rego:3:27"),
        ("allow if { some c in input.changes; c.adress }", "p.rego:3:39"),
        ("allow if { some i, c in input.changes; c.paths[i].x }", "p.rego:3:51"),
        ("allow if { c := input.changes[0]; c.adress }", "p.rego:3:37"),
        ("allow if { every c in input.changes { c.adress } }", "p.rego:3:41"),
        ("allow if input.targets.web.enviroment", "p.rego:3:28"),
        ("allow if input.targets[\"web\"].enviroment", "p.rego:3:31"),
        ("allow if input.changes.target", "p.rego:3:24"),
        ("allow if input.project.name", "p.rego:3:24"),
        ("allow if object.get(input, \"chnages\", []) == []", "p.rego:3:29"),
        ("allow if { i := input; i.chnages }", "p.rego:3:26"),
        ("allow if count([1 | some c in input.changes; c.adress]) == 0", "p.rego:3:48"),
        ("allow if input.now.zones.UTC.houer > 3", "p.rego:3:30"),
    ] {
        let error = refusal(&rules(&format!("package rectify\n\n{line}\n")));
        assert_eq!(code_and_place(&error), ("policy-unknown-input-field", place), "{line}: {error}");
    }
    let imported = "package rectify\nimport input.chnages\nallow if chnages\n";
    assert_eq!(code_and_place(&refusal(&rules(imported))), ("policy-unknown-input-field", "p.rego:2:14"));
    let imported = "package rectify\nimport input.changes as all\nallow if all[0].adress\n";
    assert_eq!(code_and_place(&refusal(&rules(imported))), ("policy-unknown-input-field", "p.rego:3:17"));
}

#[test]
fn inputs_of_tests_are_held_to_the_schema_too() {
    let rule = "deny contains \"x\" if input.deferred > 0";
    let test = "test_x if count(rectify.deny) == 1 with input as {\"deferred\": 1, \"changes\": [{\"adress\": \"a\"}]}";
    let error = with_tests(rule, test).unwrap_err();
    assert_eq!(code_and_place(&error), ("policy-unknown-input-field", "p_test.rego:3:80"));
}

#[test]
fn fields_that_exist_are_not_in_the_way() {
    for line in [
        "allow if { some name, t in input.targets; t.labels[name] == \"x\" } else := true",
        "allow if { some c in input.changes; c.because.id != input.targets[c.target].labels.anything } else := true",
        "allow if { c := input.changes[_]; d := c; d.labels.severity == \"critical\" }",
        "allow if input.now.zones[\"UTC\"].hour == 23",
        "allow if { some c in [{\"adress\": 1}]; c.adress == 1 }",
        "allow if object.get(input, [\"targets\", \"x\"], 1) == 1",
    ] {
        let decision = evaluate(&rules(&format!("package rectify\n\n{line}\n")), &harmless());
        assert!(decision.as_ref().is_ok_and(|decision| decision.allowed), "{line}: {decision:?}");
    }
}

#[test]
fn recursion_is_found_without_running_it() {
    for (text, place) in [
        ("allow if f(1)\nf(x) := f(x)", "p.rego:4:1"),
        ("allow if f(1)\nf(x) := g(x)\ng(x) := data.rectify.f(x)", "p.rego:4:1"),
        ("allow if b\nb if c\nc if not allow", "p.rego:3:1"),
        ("allow if data.rectify", "p.rego:3:1"),
        ("allow if count([x | x := data.rectify[_]]) == 0", "p.rego:3:1"),
    ] {
        let error = refusal(&rules(&format!("package rectify\n\n{text}\n")));
        assert_eq!(code_and_place(&error), ("policy-recursion", place), "{text}: {error}");
    }
    let across = bundle([
        ("a.rego", "package rectify\nimport data.lib\nallow if lib.f(1)\n"),
        ("b.rego", "package lib\nf(x) := data.rectify.allow\n"),
    ]);
    assert_eq!(code_and_place(&refusal(&across)), ("policy-recursion", "b.rego:2:1"));
}

#[test]
fn a_local_name_is_not_the_rule_of_that_name() {
    let text = "package rectify\n\nallow if { some change in input.changes; change.target == \"web-2\"; limit > 0 }\n\nlimit := n if { change := 3; n := change }\n";
    assert!(evaluate(&rules(text), &harmless()).unwrap().allowed);
}

#[test]
fn rules_that_nobody_asks_for_are_refused() {
    let text = "package rectify\n\nallow := true\n\ndenny contains \"x\" if input.deferred > 0\n";
    assert_eq!(code_and_place(&refusal(&rules(text))), ("policy-unused-rule", "p.rego:5:1"));
    let library = bundle([
        ("a.rego", "package rectify\nimport data.lib as l\nallow if l.used(1)\n"),
        ("b.rego", "package lib\nused(x) if x == 1\nunused(x) if x == 2\n"),
    ]);
    assert!(evaluate(&library, &harmless()).unwrap().allowed);
}

#[test]
fn chains_of_rules_have_a_length() {
    let chain = |n: usize| {
        let mut text = String::from("package rectify\n\nallow if r0\n");
        for i in 0..n {
            text.push_str(&format!("r{i} if r{}\n", i + 1));
        }
        rules(&(text + &format!("r{n} if true\n")))
    };
    // `allow`, r0 … rn: n + 2 storeys.
    assert!(evaluate(&chain(limits::RULE_CHAIN_MAX - 2), &harmless()).unwrap().allowed);
    assert_eq!(refusal(&chain(limits::RULE_CHAIN_MAX)).code, codes::POLICY_TOO_DEEP);
}

#[test]
fn brackets_have_a_depth_where_they_are_brackets() {
    let nested =
        |n: usize| rules(&format!("package rectify\nallow if 1 != {}{}\n", "[".repeat(n), "]".repeat(n)));
    assert_eq!(code_and_place(&refusal(&nested(65))), ("policy-too-deep", "p.rego:2:79"));
    let quoted = "[\\\"[`".repeat(30);
    let text =
        format!("package rectify\n# {}\nallow if \"{quoted}\" != `{}`\n", "[".repeat(99), "[\"".repeat(99));
    assert!(evaluate(&rules(&text), &harmless()).unwrap().allowed);
}

#[test]
fn members_of_sets_are_held_to_their_type() {
    for (rule, member) in [
        ("deny", "1"),
        ("warn", "{\"rule\": \"x\"}"),
        ("warn", "{\"rule\": \"x\", \"message\": \"y\", \"more\": 1}"),
        ("require_approval", "\"x\""),
        ("require_approval", "{\"rule\": \"x\", \"message\": \"y\", \"count\": 0}"),
        ("require_approval", "{\"rule\": \"x\", \"message\": \"y\", \"count\": 65}"),
        ("require_approval", "{\"rule\": \"x\", \"message\": \"y\", \"count\": 1.5}"),
        ("require_approval", "{\"rule\": \"x\", \"message\": \"y\", \"count\": \"1\"}"),
    ] {
        let text = format!("package rectify\nallow := true\n{rule} contains {member}\n");
        let test = format!("package t\ntest_x if count(data.rectify.{rule}) == 1\n");
        let error = refusal(&bundle([("p.rego", &text), ("p_test.rego", &test)]));
        assert_eq!(error.code, codes::POLICY_WRONG_TYPE, "{rule} {member}: {error}");
        assert_eq!(error.place, format!("data.rectify.{rule}"));
    }
}

#[test]
fn strings_and_objects_become_findings() {
    let text = "package rectify\nallow := true\nwarn contains \"plain\"\nwarn contains {\"rule\": \"r\", \"message\": \"m\"}\n";
    let test = "package t\ntest_x if count(data.rectify.warn) == 2\n";
    let decision = evaluate(&bundle([("p.rego", text), ("p_test.rego", test)]), &harmless()).unwrap();
    let warn: Vec<_> =
        decision.warn.iter().map(|finding| (finding.rule.as_str(), finding.message.as_str())).collect();
    assert_eq!(warn, [("r", "m"), ("warn", "plain")]);
}

#[test]
fn a_refusal_wins_over_allow() {
    let text = "package rectify\nallow := true\ndeny contains \"no\"\n";
    let test = "package t\ntest_x if count(data.rectify.deny) == 1\n";
    let decision = evaluate(&bundle([("p.rego", text), ("p_test.rego", test)]), &harmless()).unwrap();
    assert!(!decision.allowed);
    assert_eq!(decision.deny.len(), 1);
}

#[test]
fn files_that_would_be_ignored_are_refused() {
    for path in [
        "policy.yaml",
        "sub/other.json",
        "../p.rego",
        "a//b.rego",
        "/p.rego",
        "p.rego\n",
        "a:1.rego",
        "a\\b.rego",
    ] {
        let error = check(&bundle([("a.rego", ALLOW), (path, "{}")])).unwrap_err();
        assert_eq!(code_and_place(&error), ("policy-file", path));
    }
}

#[test]
fn data_is_an_object_that_leaves_the_package_alone() {
    for data in ["[]", "{", "{\"rectify\": {\"allow\": true}}", "null"] {
        let error = refusal(&bundle([("data.json", data), ("p.rego", "package rectify\nallow := true\n")]));
        assert_eq!(code_and_place(&error), ("policy-data", "data.json"), "{data}");
    }
    let below = bundle([("sub/data.json", "[]"), ("p.rego", "package rectify\nallow := true\n")]);
    assert_eq!(code_and_place(&refusal(&below)), ("policy-data", "sub/data.json"));
    let bundle = bundle([("data.json", "{\"n\": 3}"), ("p.rego", "package rectify\nallow if data.n == 3\n")]);
    assert!(evaluate(&bundle, &harmless()).unwrap().allowed);
}

#[test]
fn data_of_several_bundles_makes_one_and_must_agree() {
    let with = |other: &str| {
        let rule = "package rectify\nallow if data.a.n + data.a.m == 3\n";
        let data = "{\"a\": {\"n\": 1}, \"zones\": [\"UTC\"]}";
        bundle([("one/data.json", data), ("two/data.json", other), ("one/p.rego", rule)])
    };
    assert!(evaluate(&with("{\"a\": {\"m\": 2}}"), &harmless()).unwrap().allowed);
    assert!(evaluate(&with("{\"a\": {\"n\": 1, \"m\": 2}}"), &harmless()).unwrap().allowed);
    let error = refusal(&with("{\"a\": {\"n\": 2, \"m\": 1}}"));
    assert_eq!(code_and_place(&error), ("policy-data", "two/data.json"));
    assert_eq!(with("{\"zones\": [\"Europe/Berlin\"]}").zones(), ["UTC", "Europe/Berlin"]);
}

#[test]
fn a_bundle_names_the_zones_it_wants() {
    assert_eq!(bundle([("data.json", "{\"zones\": [\"Europe/Berlin\", 3]}")]).zones(), ["Europe/Berlin"]);
    assert!(bundle([]).zones().is_empty());
}

#[test]
fn a_zone_that_nobody_knows_is_an_error_and_not_undefined() {
    let bundle = |zone: &str| {
        let data = format!("{{\"zones\": [\"{zone}\"]}}");
        bundle([("data.json", &data), ("p.rego", "package rectify\nallow := true\n")])
    };
    assert!(evaluate(&bundle("UTC"), &harmless()).unwrap().allowed);
    let error = refusal(&bundle("Europe/Atlantis"));
    assert_eq!(code_and_place(&error), ("policy-evaluation", "data.json"));
}

#[test]
fn sizes_have_bounds() {
    let long_line =
        format!("package rectify\nallow := true # {}\n", "x".repeat(limits::BUNDLE_LINE_MAX_BYTES));
    assert_eq!(code_and_place(&refusal(&rules(&long_line))), ("policy-too-large", "p.rego:2:1024"));
    let lines = format!("package rectify\nallow := true\n{}", "\n".repeat(limits::BUNDLE_FILE_MAX_LINES));
    assert_eq!(code_and_place(&refusal(&rules(&lines))), ("policy-too-large", "p.rego"));
    let names: Vec<String> = (0..=limits::BUNDLE_FILES_MAX).map(|i| format!("{i}.rego")).collect();
    let many =
        rectify_policy::Bundle { files: names.into_iter().map(|name| (name, String::new())).collect() };
    assert_eq!(refusal(&many).code, codes::POLICY_TOO_LARGE);
}
