//! What works: from a release to a step that is taken back.

use super::{Motd, clean, greeting, lock, locked, released, stored};
use rectify_tests::{Scratch, ran, remediation};
use serde_json::Value;
use std::fs;

#[test]
fn from_a_release_to_a_step_that_is_taken_back() {
    let scratch = locked();
    let plan = scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    insta::assert_snapshot!("plan", clean(&scratch, plan.stdout.split("\nplan blake3:").next().unwrap()));
    let document: Value = serde_json::from_str(&scratch.read("a.plan.json")).unwrap();
    let provider = &document["providers"]["acme"];
    assert_eq!(provider["interpreter"], "/usr/bin/env python3");
    assert_eq!(provider["manifest"], document["types"]["acme.motd"]["manifest"]);
    let program = fs::read(scratch.path(&stored(&scratch, false))).unwrap();
    let program = rectify_base::Digest::of_bytes(&program);
    assert!(!scratch.read("a.plan.json").contains(&program.hex()), "the plan names an executable");
    scratch.ok(&["verify", "a.plan.json", "--reproduce", "--source", "project"]);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/motd"), "hello");
    // Which program acted stands in the receipt.
    let verified = scratch.run(&["-C", "project", "verify", "a.plan.json", "--format", "json"]).stdout;
    let verified: Value = serde_json::from_str(&verified).unwrap();
    let acted = &verified["receipts"][0]["verified"]["providers"];
    assert_eq!(acted, &serde_json::json!({"acme": program.to_string()}), "{verified}");
    // It is there, and comes back as it was.
    scratch.expect(0, &["-C", "project", "plan", "--detailed-exitcode"]);
    let run = scratch.ok(&["history"]).stdout.split_whitespace().nth(1).unwrap().to_owned();
    scratch.ok(&["-C", "project", "undo", &run, "--out", "back.plan.json"]);
    assert!(scratch.read("back.plan.json").contains("\"providers\""));
    scratch.ok(&["-C", "project", "seal", "back.plan.json", "--key", "keys-author"]);
    scratch.ok(&["approve", "back.plan.json", "--key", "keys-reviewer"]);
    scratch.ok(&["-C", "project", "apply", "back.plan.json"]);
    assert!(!scratch.path("root/etc/motd").exists());
}

#[test]
fn locking_shows_the_signer_and_what_changes() {
    let scratch = released();
    let first = lock(&scratch, &["release"]);
    insta::assert_snapshot!("lock", clean(&scratch, &first));
    let text = scratch.read("project/rectify.lock");
    assert!(text.contains("\"source\": \"file:../release\""), "{text}");
    insta::assert_snapshot!("again", clean(&scratch, &lock(&scratch, &["release"])));
    assert_eq!(scratch.read("project/rectify.lock"), text);
    let newer = Motd { version: "1.1.0", type_version: 2, ..Motd::default() };
    newer.pack(&scratch, "newer", Some("keys-acme"));
    insta::assert_snapshot!("newer", clean(&scratch, &lock(&scratch, &["newer"])));
    insta::assert_snapshot!(
        "info",
        clean(&scratch, &scratch.ok(&["-C", "project", "provider", "info", "acme"]).stdout)
    );
    let listed = scratch.ok(&["-C", "project", "provider", "list"]).stdout;
    let listed = &listed[listed.find("acme").unwrap()..];
    insta::assert_snapshot!("list", clean(&scratch, listed));
    let removed = scratch.ok(&["-C", "project", "provider", "lock", "--remove", "acme", "--yes"]).stdout;
    insta::assert_snapshot!("removed", clean(&scratch, &removed));
    assert_eq!(scratch.read("project/rectify.lock"), "{\n  \"format\": \"rectify.lock/v1\"\n}\n");
    // Nobody is at the terminal, and nobody said yes.
    let asked = scratch.expect(64, &["-C", "project", "provider", "lock", "release"]);
    assert!(asked.stderr.contains("nobody can be asked here"), "{asked:?}");
    assert!(!scratch.read("project/rectify.lock").contains("acme"));
}

#[test]
fn another_signer_is_named_or_refused() {
    let scratch = locked();
    scratch.ok(&["keys", "new", "keys-other"]);
    Motd { version: "1.1.0", ..Motd::default() }.pack(&scratch, "newer", Some("keys-other"));
    let before = scratch.read("project/rectify.lock");
    let refused = scratch.expect(3, &["-C", "project", "provider", "lock", "newer", "--yes"]);
    insta::assert_snapshot!("another_signer", clean(&scratch, &refused.stderr));
    assert!(refused.stderr.contains("error[provider-signer]"), "{refused:?}");
    assert_eq!(scratch.read("project/rectify.lock"), before);
    let key = refused.stderr.split("--signer ").nth(1).unwrap();
    let key = key[..50].to_owned();
    let shown = lock(&scratch, &["newer", "--signer", &key]);
    insta::assert_snapshot!("signer_changed", clean(&scratch, &shown));
    // And back: only who is named counts.
    let refused =
        scratch.expect(3, &["-C", "project", "provider", "lock", "release", "--yes", "--signer", &key]);
    assert!(refused.stderr.contains("error[provider-signer]"), "{refused:?}");
}

#[test]
fn what_nobody_signed_is_said_everywhere() {
    let scratch = released();
    Motd::default().pack(&scratch, "bare", None);
    let refused = scratch.expect(3, &["-C", "project", "provider", "lock", "bare", "--yes"]);
    assert!(refused.stderr.contains("error[release-unsigned]"), "{refused:?}");
    insta::assert_snapshot!("unsigned", clean(&scratch, &lock(&scratch, &["bare", "--unsigned"])));
    assert!(scratch.read("project/rectify.lock").contains("\"unsigned\": true"));
    scratch.write("project/policies/rectify.rego", POLICY);
    scratch.write("project/policies/rectify_test.rego", TESTS);
    scratch.write(
        "project/rectify.yaml",
        "apiVersion: rectify/v1\nkind: Project\nmetadata: {name: demo}\npolicies: [policies]\n",
    );
    scratch.trust(1);
    let plan = scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    assert!(plan.stdout.contains("NOT SIGNED by anybody"), "{plan:?}");
    for denied in
        ["acme: nobody signed it", "acme: /usr/bin/env python3 is not pinned", "greet/greet: of acme"]
    {
        assert!(plan.stderr.contains(denied), "{plan:?}");
    }
    scratch.expect(3, &["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    for format in ["markdown", "html"] {
        let shown = scratch.ok(&["show", "a.plan.json", "--format", format]).stdout;
        assert!(shown.contains("NOT SIGNED by anybody"), "{shown}");
    }
}

const POLICY: &str = r#"package rectify

default allow := false

allow if count(deny) == 0

deny contains {"rule": "unsigned", "message": sprintf("%s: nobody signed it", [name])} if {
	some name, provider in input.providers
	provider.unsigned
	not provider.publisher
	not provider.key
}

deny contains {"rule": "unpinned", "message": sprintf("%s: %s is not pinned", [name, provider.interpreter])} if {
	some name, provider in input.providers
	provider.interpreter_unpinned
	provider.version == "1.0.0"
	startswith(provider.release, "blake3:")
}

deny contains {"rule": "of-others", "message": sprintf("%s: of %s", [change.address, change.provider])} if {
	some change in input.changes
	change.provider
}
"#;

const TESTS: &str = r#"package rectify_test

import data.rectify

script := {"unsigned": true, "interpreter_unpinned": true, "interpreter": "/bin/sh", "version": "1.0.0", "release": "blake3:00"}

test_all if {
	count(rectify.deny) == 3 with input as {
		"providers": {"x": script},
		"changes": [{"address": "a/b", "provider": "x"}],
	}
}
"#;

#[test]
fn a_clone_fetches_what_is_locked() {
    let scratch = locked();
    let there = |arguments: &[&str]| {
        let mut command = scratch.command(arguments);
        command.env("RECTIFY_STATE", scratch.path("elsewhere"));
        ran(command)
    };
    let refused = there(&["-C", "project", "validate"]);
    assert!(refused.stderr.contains("error[provider-not-stored]"), "{refused:?}");
    assert!(refused.stderr.contains("`rectify provider fetch`"), "{refused:?}");
    let fetched = there(&["-C", "project", "provider", "fetch"]);
    assert_eq!((fetched.code, fetched.stdout.as_str()), (0, "fetched acme\n"), "{fetched:?}");
    assert_eq!(there(&["-C", "project", "plan"]).code, 0);
    let again = there(&["-C", "project", "provider", "fetch"]);
    assert_eq!(again.stdout, "the store has everything that rectify.lock names\n");
}

#[test]
fn its_types_are_known_before_anything_is_started() {
    let scratch = locked();
    // What the store holds is no program at all from here on: only the manifest is read.
    fs::remove_file(scratch.path(&stored(&scratch, false))).unwrap();
    let steps = "  greet:\n    acme.motd: {path: /etc/motd, txt: hello}\n";
    scratch.write("project/remediations/greet.yaml", &remediation("greet", steps));
    let refused = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(refused.stderr.contains("type-unknown-property"), "{refused:?}");
    assert!(refused.stderr.contains("did you mean `text`?"), "{refused:?}");
    scratch.ok(&["-C", "project", "editor"]);
    let schema = scratch.read("project/.vscode/schemas/remediation.schema.json");
    assert!(schema.contains("acme.motd") && schema.contains("Keeps a text in a file."), "{schema}");
    let manifest = scratch.ok(&["-C", "project", "provider", "manifest", "acme"]).stdout;
    assert_eq!(manifest.as_bytes(), Motd::default().manifest().to_bytes().unwrap());
    // To ask the provider it has to be there.
    greeting(&scratch, "hello");
    let refused = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(refused.stderr.contains("error[provider-not-stored]"), "{refused:?}");
}

#[test]
fn checking_verifies_and_lets_it_test_itself() {
    let scratch = locked();
    let check = |code| scratch.expect(code, &["-C", "project", "provider", "check"]).stdout;
    insta::assert_snapshot!("check", clean(&scratch, &check(0)));
    for (self_test, version, code) in [(64, "1.0.1", 0), (3, "1.0.2", 1)] {
        Motd { self_test, version, ..Motd::default() }.pack(&scratch, "next", Some("keys-acme"));
        lock(&scratch, &["next"]);
        insta::assert_snapshot!(format!("check_{self_test}"), clean(&scratch, &check(code)));
    }
    super::flip(&scratch, &stored_of(&scratch, "1.0.2"), 100);
    let told = clean(&scratch, &check(1));
    assert!(told.contains("NOT as it was locked") && told.contains("[provider-digest-mismatch]"), "{told}");
    let unknown = scratch.expect(1, &["-C", "project", "provider", "check", "other"]);
    assert!(unknown.stderr.contains("error[provider-not-locked]"), "{unknown:?}");
}

/// The file of the store with the program of a version.
fn stored_of(scratch: &Scratch, version: &str) -> String {
    let names = fs::read_dir(scratch.path("state/store")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let wanted = format!("NAME, VERSION = \"acme\", \"{version}\"");
    let name = names.find(|name| {
        let bytes = fs::read(scratch.path(&format!("state/store/{name}"))).unwrap();
        String::from_utf8_lossy(&bytes).contains(&wanted)
    });
    format!("state/store/{}", name.unwrap())
}
