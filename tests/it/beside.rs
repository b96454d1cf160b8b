//! Templates and files beside the YAML, through the executable.

use base64::{Engine, engine::general_purpose::STANDARD};
use rectify_tests::{Scratch, remediation};
use serde_json::Value;
use std::{fs, os::unix::fs::symlink};

const STEPS: &str = "  conf:
    file.content: {path: /etc/app.conf, content: {template: templates/app/app.conf}, mode: \"0644\"}
  logo:
    file.content: {path: /etc/logo, content: {file: files/logo}, mode: \"0644\"}
";

fn project() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("project/remediations/app.yaml", &remediation("app", STEPS));
    scratch.write("project/templates/app/app.conf", "name = ${{ target.name }}\n");
    scratch.write("project/templates/app/.app.conf.swp", "${{ an editor's");
    scratch.write("project/files/logo", "${{ as it is\n");
    scratch
}

#[test]
fn what_is_sealed_is_what_the_template_said() {
    let scratch = project();
    scratch.trust(1);
    scratch.seal("a.plan.json");
    scratch.ok(&["verify", "a.plan.json", "--reproduce", "--source", "project"]);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/app.conf"), "name = scratch\n");
    assert_eq!(scratch.read("root/etc/logo"), "${{ as it is\n");

    scratch.write("project/templates/app/app.conf", "name = ${{ target.name }}2\n");
    let other = scratch.expect(1, &["verify", "a.plan.json", "--reproduce", "--source", "project"]);
    assert!(other.stderr.contains("not-reproduced"), "{}", other.stderr);
}

#[test]
fn a_template_is_part_of_what_a_seal_covers() {
    let sealed = |scratch: &Scratch, plan: &str| {
        scratch.seal(&format!("{plan}.plan.json"));
        let text = scratch.read(&format!("{plan}.plan.d/seal.dsse.json"));
        let envelope: Value = serde_json::from_str(&text).unwrap();
        let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        let statement: Value = serde_json::from_slice(&payload).unwrap();
        let sources = &statement["predicate"]["sources"];
        assert!(sources.is_string(), "{statement}");
        sources.clone()
    };
    let scratch = project();
    scratch.trust(1);
    let first = sealed(&scratch, "a");
    assert_eq!(sealed(&scratch, "b"), first);
    // One that nothing names, too.
    scratch.write("project/templates/other", "x");
    assert_ne!(sealed(&scratch, "c"), first);
}

#[test]
fn a_problem_is_shown_in_the_template() {
    let scratch = project();
    scratch.write(
        "project/templates/app/app.conf",
        "name = ${{ target.name }}\nzone = ${{ target.labels.zone }}\n",
    );
    let refused = scratch.expect(1, &["-C", "project", "validate"]);
    for part in ["expr-unknown-key", "templates/app/app.conf:2:26", "remediations/app.yaml", "taken here"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
}

#[test]
fn nothing_is_read_through_a_link() {
    for (link, to) in [
        ("project/files/logo", "../../outside"),
        ("project/files/sub", "../../root"),
        ("project/templates/app", ".."),
    ] {
        let scratch = project();
        scratch.write("outside", "x");
        let path = scratch.path(link);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else if path.exists() {
            fs::remove_file(&path).unwrap();
        }
        symlink(to, &path).unwrap();
        let refused = scratch.expect(1, &["-C", "project", "validate"]);
        assert!(refused.stderr.contains("file-unreadable"), "{link}: {}", refused.stderr);
    }
    let scratch = project();
    fs::rename(scratch.path("project/files"), scratch.path("elsewhere")).unwrap();
    symlink("../elsewhere", scratch.path("project/files")).unwrap();
    let refused = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(refused.stderr.contains("a link"), "{}", refused.stderr);
}

#[test]
fn files_are_bounded() {
    let scratch = project();
    fs::write(scratch.path("project/files/large"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    let refused = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(refused.stderr.contains("file-too-large"), "{}", refused.stderr);
    fs::remove_file(scratch.path("project/files/large")).unwrap();
    for number in 0..1000 {
        scratch.write(&format!("project/files/many/{number}"), "x");
    }
    let refused = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(refused.stderr.contains("more than 1000"), "{}", refused.stderr);
}
