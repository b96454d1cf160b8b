//! The recipe for build servers, run as they run it.

use rectify_tests::{Ran, Scratch, ran, rectify, remediation};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const ONE: &str = "  a:\n    file.content: {path: /etc/a, content: \"1\\n\", mode: \"0644\"}\n";

fn examples(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("examples/ci").join(name)
}

/// A repository with the project and the script.
fn repository() -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.write("project/remediations/one.yaml", &remediation("one", ONE));
    scratch
}

fn step(scratch: &Scratch, word: &str) -> Ran {
    let mut command = Command::new("sh");
    command
        .arg(examples("rectify.sh"))
        .arg(word)
        .current_dir(scratch.path("project"))
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", scratch.path("bin").display()))
        .env("HOME", scratch.path("home"))
        .env("RECTIFY", rectify())
        .env("RECTIFY_TRUST", scratch.path("trust.yaml"))
        .env("RECTIFY_STATE", scratch.path("state"))
        .env("RECTIFY_OUT", scratch.path("out"))
        .env("GITHUB_REPOSITORY", "example/fleet")
        .env("PULL_REQUEST", "7")
        .stdin(Stdio::null());
    ran(command)
}

#[track_caller]
fn ends(scratch: &Scratch, word: &str, code: i32) -> Ran {
    let ran = step(scratch, word);
    assert_eq!(ran.code, code, "{word}\n{}\n{}", ran.stdout, ran.stderr);
    ran
}

/// Takes what was made, as an author does, seals and approves it.
fn approve(scratch: &Scratch) {
    fs::create_dir_all(scratch.path("project/plans")).unwrap();
    for name in ["change.plan.json", "change.plan.d"] {
        let copied = Command::new("cp")
            .args(["-r", &format!("out/{name}"), "project/plans/"])
            .current_dir(scratch.path(""))
            .status()
            .unwrap();
        assert!(copied.success());
    }
    scratch.ok(&["-C", "project", "seal", "project/plans/change.plan.json", "--key", "keys-author"]);
    scratch.ok(&["approve", "project/plans/change.plan.json", "--key", "keys-reviewer"]);
}

#[test]
fn from_the_pull_request_to_the_change() {
    let scratch = repository();
    ends(&scratch, "validate", 0);
    let sarif: Value = serde_json::from_str(&scratch.read("out/rectify.sarif")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    ends(&scratch, "plan", 0);
    let comment = scratch.read("out/comment.md");
    assert!(
        comment.starts_with("<!-- rectify -->\n### Plan for demo") && comment.len() < 65_536,
        "{comment}"
    );
    assert!(comment.contains("**Policy: allowed**"), "{comment}");
    let page = scratch.read("out/review.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains(">Allowed"));
    ends(&scratch, "gate", 0);
    let nothing = ends(&scratch, "approved", 3);
    assert!(nothing.stderr.contains("nothing is approved yet"), "{}", nothing.stderr);
    // Nothing was done so far, and nothing is done without an approval.
    assert_ne!(step(&scratch, "apply").code, 0);
    assert!(!scratch.path("root/etc/a").exists());
    approve(&scratch);
    ends(&scratch, "plan", 0);
    ends(&scratch, "approved", 0);
    ends(&scratch, "apply", 0);
    assert_eq!(scratch.read("root/etc/a"), "1\n");
    // Once it is done there is nothing to ask for.
    for word in ["validate", "plan", "gate", "approved", "apply"] {
        ends(&scratch, word, 0);
    }
    assert!(!scratch.path("out/pending").exists());
}

#[test]
fn another_plan_than_the_approved_one_is_stopped() {
    let scratch = repository();
    ends(&scratch, "plan", 0);
    approve(&scratch);
    // The target moved.
    scratch.write("root/etc/a", "somebody was here\n");
    ends(&scratch, "plan", 0);
    let stopped = ends(&scratch, "approved", 3);
    assert!(stopped.stderr.contains("not the one that was approved"), "{}", stopped.stderr);
    assert!(stopped.stdout.starts_with("Another plan: 1 step changed"), "{}", stopped.stdout);
    // So did the sources.
    fs::remove_file(scratch.path("root/etc/a")).unwrap();
    scratch.write("project/remediations/one.yaml", &remediation("one", &ONE.replace("/etc/a", "/etc/b")));
    ends(&scratch, "plan", 0);
    ends(&scratch, "approved", 3);
    scratch.write("project/remediations/one.yaml", &remediation("one", ONE));
    ends(&scratch, "plan", 0);
    ends(&scratch, "approved", 0);
}

#[test]
fn problems_and_denials_are_told_and_stop() {
    let scratch = repository();
    let shadow = ONE.replace("/etc/a", "/etc/shadow");
    scratch.write("project/remediations/one.yaml", &remediation("one", &shadow));
    ends(&scratch, "plan", 0);
    assert!(scratch.read("out/comment.md").contains("**Policy: DENIED**"));
    assert!(scratch.read("out/review.html").contains(">Denied"));
    let denied = ends(&scratch, "gate", 3);
    assert!(denied.stdout.contains("DENIED"), "{}", denied.stdout);
    scratch.write("project/remediations/one.yaml", &remediation("one", &ONE.replace("path", "pathh")));
    ends(&scratch, "validate", 1);
    assert!(scratch.read("out/rectify.sarif").contains("type-unknown-property"));
    ends(&scratch, "plan", 1);
    ends(&scratch, "nonsense", 64);
}

/// There is no code host here: a program of its name writes down what it is asked for.
#[test]
fn there_is_one_comment() {
    let scratch = repository();
    ends(&scratch, "plan", 0);
    scratch.write("bin/gh", "#!/bin/sh\necho \"$@\" >>\"$RECTIFY_OUT/calls\"\ncase \"$*\" in *--paginate*) cat \"$RECTIFY_OUT/known\" ;; esac\n");
    fs::set_permissions(scratch.path("bin/gh"), fs::Permissions::from_mode(0o755)).unwrap();
    scratch.write("out/known", "");
    ends(&scratch, "comment", 0);
    scratch.write("out/known", "4711\n4712\n");
    ends(&scratch, "comment", 0);
    let calls = scratch.read("out/calls");
    let calls: Vec<&str> = calls.lines().filter(|call| !call.contains("--paginate")).collect();
    let body = format!("--field body=@{}", scratch.path("out/comment.md").display());
    assert_eq!(
        calls,
        [
            format!("api --method POST repos/example/fleet/issues/7/comments {body}"),
            format!("api --method PATCH repos/example/fleet/issues/comments/4711 {body}"),
        ]
    );
}

#[test]
fn the_workflow_calls_the_recipe() {
    let text = fs::read_to_string(examples("github-workflow.yml")).unwrap();
    let workflow: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(workflow["permissions"]["contents"], "read");
    let script = fs::read_to_string(examples("rectify.sh")).unwrap();
    let words: BTreeSet<&str> = script
        .lines()
        .filter_map(|line| line.strip_suffix(')'))
        .filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
        .collect();
    assert_eq!(words.len(), 6, "{words:?}");
    let mut called = BTreeSet::new();
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        let order: Vec<&str> = job["steps"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|step| step.get("run"))
            .map(|run| {
                run.as_str().unwrap().strip_prefix("sh ci/rectify.sh ").expect("the recipe, and nothing else")
            })
            .collect();
        assert!(order.iter().all(|word| words.contains(word)), "{name}: {order:?}");
        let at = |word: &str| order.iter().position(|known| *known == word);
        assert!(at("plan") < at("approved"), "{name}");
        if let Some(apply) = at("apply") {
            assert!(at("approved").is_some_and(|approved| approved < apply), "{name}");
            assert!(job["if"].as_str().unwrap().contains("refs/heads/main"));
            assert_eq!(job["environment"], "production");
        }
        called.extend(order);
    }
    assert_eq!(called, words, "each word of the recipe is used");
    // The page says of each word what it does.
    let page = fs::read_to_string(examples("../../docs/ci.md")).unwrap();
    for word in words {
        assert!(page.contains(&format!("\n| `{word}` |")), "{word}");
    }
}
