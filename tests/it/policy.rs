//! Policy through the command line: trying a bundle, explaining a decision, and what the executor
//! decides by its own journal and calendars.

use rectify_tests::{Scratch, remediation};

/// A project whose policy is the standard bundle and one of its own with these files.
fn with_policy(files: &[(&str, &str)]) -> Scratch {
    let scratch = Scratch::new();
    scratch.write(
        "project/rectify.yaml",
        "apiVersion: rectify/v1\nkind: Project\nmetadata: {name: demo}\npolicies: [standard, policies/ours]\n",
    );
    for (name, text) in files {
        scratch.write(&format!("project/policies/ours/{name}"), text);
    }
    scratch.trust(1);
    scratch
}

fn write(scratch: &Scratch, content: &str) {
    let step = format!("  a:\n    file.content: {{path: /etc/a, content: \"{content}\\n\"}}\n");
    scratch.write("project/remediations/one.yaml", &remediation("one", &step));
}

#[test]
fn a_bundle_is_tried() {
    let scratch = with_policy(&[("data.json", "{}")]);
    let ran = scratch.ok(&["-C", "project", "policy", "test", "--coverage"]);
    assert!(
        ran.stdout.contains("ok    data.rectify_test.test_forbidden_paths_are_refused\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("standard/freeze.rego: "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("0 failed; 0 rules without a test that fires it\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("not:"), "every line of the standard bundle is reached: {}", ran.stdout);

    scratch.write(
        "ours/p.rego",
        "package rectify\n\nallow := true\n\nwarn contains \"x\" if input.deferred > 0\n",
    );
    let ran = scratch.expect(1, &["-C", "project", "policy", "test", "ours"]);
    assert_eq!(
        ran.stdout,
        "FAIL  no passing test fires this definition of `warn`\n      at p.rego:5:1\n0 tests: 0 passed, 0 failed; 1 rule without a test that fires it\n"
    );
    scratch.write(
        "ours/p_test.rego",
        "package t\n\ntest_x if count(data.rectify.warn) == 1 with input as {\"deferred\": 1}\n",
    );
    let ran = scratch.ok(&["-C", "project", "policy", "test", "ours", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["tests"][0]["name"], "data.t.test_x");
    scratch.write("ours/p_test.rego", "package t\n\ntest_x if {\n");
    let ran = scratch.expect(3, &["-C", "project", "policy", "test", "ours"]);
    assert!(ran.stderr.contains("error[policy-syntax]"), "{}", ran.stderr);
}

#[test]
fn a_decision_is_explained() {
    let scratch = with_policy(&[("data.json", "{}")]);
    write(&scratch, "1");
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    let ran = scratch.ok(&["-C", "project", "policy", "explain", "a.plan.json"]);
    assert!(ran.stdout.starts_with("allowed\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("  deny deletions, high (standard/deletions.rego:4:1)\n    nothing got past line 6: number > data.limits.deletions\n    data.limits.deletions = 25\n"),
        "{}",
        ran.stdout
    );
    scratch.write("project/policies/ours/data.json", "{\"override\": {\"limits\": {\"changes_total\": 0}}}");
    let ran = scratch.expect(3, &["-C", "project", "policy", "explain", "a.plan.json", "--format", "json"]);
    let explanation: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(explanation["decision"]["deny"][0]["rule"], "too_many_changes");
    let fired =
        explanation["rules"].as_array().unwrap().iter().filter(|rule| rule["said"] != serde_json::json!([]));
    assert_eq!(fired.count(), 1);
}

#[test]
fn the_executor_counts_its_own_runs() {
    let scratch =
        with_policy(&[("data.json", "{\"override\": {\"change_rate\": {\"default\": {\"hour\": 1}}}}")]);
    write(&scratch, "1");
    scratch.seal("a.plan.json");
    // A second plan, sealed before the first one ran, is refused when its turn comes.
    scratch.seal("b.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    let ran = scratch.expect(3, &["-C", "project", "apply", "b.plan.json"]);
    let said = "change_rate: scratch was changed by 1 runs within the last hour, and at most 1 are accepted";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn a_calendar_of_the_project_freezes_it() {
    let always = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:always\nDTSTART;TZID=Europe/Berlin:20200101T000000\nDURATION:P1D\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n";
    let scratch = with_policy(&[("freeze.ics", always)]);
    write(&scratch, "1");
    let planned = scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    assert!(
        planned.stderr.contains("deny  freeze: policies/ours/freeze.ics: dev is frozen until "),
        "{}",
        planned.stderr
    );
    let ran = scratch.expect(3, &["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    assert!(ran.stderr.contains("no opening within 400 days"), "{}", ran.stderr);
}
