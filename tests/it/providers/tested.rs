//! `provider check` with the conformance kit, and a policy that demands its verdict.

use super::{lock, sdks};
use rectify_tests::{Scratch, remediation};
use std::{fs, path::Path};

const POLICY: &str = include_str!("../../../examples/providers/policy/rectify.rego");
const TESTS: &str = include_str!("../../../examples/providers/policy/rectify_test.rego");
const UNTESTED: &str = "lines: nobody whom we believe has tested it";

fn plan(scratch: &Scratch) -> String {
    scratch.ok(&["-C", "project", "plan"]).stderr
}

fn verdicts(scratch: &Scratch) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(scratch.path("project/conformance")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn policy_can_demand_a_verdict() {
    let scratch = sdks::project(&sdks::GO);
    scratch.write("project/policies/rectify.rego", POLICY);
    scratch.write("project/policies/rectify_test.rego", TESTS);
    scratch.write(
        "project/rectify.yaml",
        "apiVersion: rectify/v1\nkind: Project\nmetadata: {name: demo}\npolicies: [policies]\n",
    );
    scratch.trust(1);
    scratch.ok(&["-C", "project", "policy", "test"]);
    let steps = "  write:\n    lines.file: {path: /etc/motd, lines: [hello]}\n";
    scratch.write("project/remediations/write.yaml", &remediation("write", steps));
    assert!(plan(&scratch).contains(UNTESTED));
    scratch.ok(&["-C", "project", "plan", "--out", "denied.plan.json"]);
    scratch.expect(3, &["-C", "project", "seal", "denied.plan.json", "--key", "keys-author"]);

    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/providers/go-lines/conform.yaml");
    let fixtures = fixtures.to_str().unwrap();
    let check = ["-C", "project", "provider", "check", "lines", "--fixtures", fixtures];
    let signed = |key: &str| scratch.ok(&[&check[..], &["--key", key]].concat()).stdout;
    // Somebody else's word does not count, though it is kept.
    let said = signed("keys-author");
    assert!(said.contains("lines 0.1.0 conforms to protocol 1.0: "), "{said}");
    let kept = verdicts(&scratch);
    assert_eq!(kept.len(), 1);
    assert!(said.contains("wrote project/conformance/lines-"), "{said}");
    assert!(plan(&scratch).contains(UNTESTED));
    // That of a believed one does, and nothing else is needed; the executor asks again.
    signed("keys-reviewer");
    assert_eq!(verdicts(&scratch), kept);
    assert!(!plan(&scratch).contains(UNTESTED));
    scratch.seal("a.plan.json");
    let envelope = fs::read(&kept[0]).unwrap();
    fs::remove_file(&kept[0]).unwrap();
    let refused = scratch.expect(3, &["-C", "project", "apply", "a.plan.json"]);
    assert!(refused.stderr.contains(UNTESTED), "{refused:?}");
    // One changed byte, and it is nobody's word.
    let mut changed = envelope.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&kept[0], changed).unwrap();
    assert!(plan(&scratch).contains(UNTESTED));
    fs::write(&kept[0], envelope).unwrap();
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/motd"), "hello\n");

    // Another program under the same name and version was not tested.
    let mut program = fs::read(scratch.path("lines")).unwrap();
    program.push(0);
    fs::write(scratch.path("lines"), program).unwrap();
    scratch.ok(&["provider", "pack", "lines", "--unsigned", "--out", "another"]);
    lock(&scratch, &["another", "--unsigned"]);
    fs::remove_file(scratch.path("root/etc/motd")).unwrap();
    assert!(plan(&scratch).contains(UNTESTED));
}

#[test]
fn what_does_not_conform_or_cannot_be_tested_is_said() {
    let scratch = sdks::project(&sdks::GO);
    // What is said to be invalid is not.
    let fixtures = "format: rectify.fixtures/v1\nprovider: lines\nuntested: {lines.note: \"not here\"}\ntypes:\n  lines.file:\n    a: {path: /a, lines: [x], state: present}\n    invalid: [{properties: {path: /b, lines: [x]}}]\n";
    scratch.write("fixtures.yaml", fixtures);
    let check = ["-C", "project", "provider", "check", "lines", "--fixtures", "fixtures.yaml"];
    let said = scratch.expect(1, &check);
    assert!(said.stdout.contains("FAIL  S02  lines.file"), "{said:?}");
    assert!(said.stdout.contains("skip  I02  lines.note          not here"), "{said:?}");
    assert!(said.stdout.contains("lines 0.1.0 does not conform to protocol 1.0"), "{said:?}");
    assert!(verdicts(&scratch).is_empty());
    scratch.write("fixtures.yaml", &fixtures.replace("provider: lines", "provider: other"));
    let other = scratch.expect(64, &check);
    assert!(other.stderr.contains("the fixtures are for the provider `other`"), "{other:?}");
    let mut check = check;
    check[4] = "other";
    let unknown = scratch.expect(1, &check);
    assert!(unknown.stderr.contains("error[provider-not-locked]"), "{unknown:?}");
    let usage = scratch.expect(64, &["-C", "project", "provider", "check", "--fixtures", "fixtures.yaml"]);
    assert!(usage.stderr.contains("NAME"), "{usage:?}");
}
