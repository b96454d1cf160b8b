//! Each template of `init`: compiles, is allowed by policy, and does what it says to Debian's files.

use crate::examples::copy;
use rectify_tests::Scratch;
use std::{fs, path::Path};

/// A scratch area in which `init` made a project of a template, for a copy of Debian's files.
fn made(template: &str) -> Scratch {
    let scratch = Scratch::new();
    fs::remove_dir_all(scratch.path("project")).unwrap();
    let told = scratch.ok(&["init", "project", "--template", template]);
    assert!(told.stdout.ends_with("next: rectify -C project plan\n"), "{}", told.stdout);
    assert!(told.stderr.contains("needs to know whom to trust"), "{}", told.stderr);
    let root = scratch.path("root");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/files"), &root);
    let inventory = scratch.read("project/inventory/local.yaml");
    scratch.write("project/inventory/local.yaml", &format!("{inventory}    root: {}\n", root.display()));
    scratch
}

#[test]
fn each_template_goes_the_whole_way() {
    let list = Scratch::new().ok(&["init", "--list-templates"]).stdout;
    let names: Vec<&str> = list.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, ["minimal", "sshd", "hardening", "disk"], "{list}");
    for name in names {
        let scratch = made(name);
        scratch.ok(&["-C", "project", "inventory", "adopt", "localhost"]);
        scratch.trust(1);
        let valid = scratch.ok(&["-C", "project", "validate"]);
        assert!(valid.stderr.is_empty(), "{name}: {}", valid.stderr);
        let planned = scratch.expect(2, &["-C", "project", "plan", "--detailed-exitcode"]);
        // Nothing that a person would have to look at: what a template executes stands in comments.
        assert_eq!(planned.stderr, "policy: allowed\n", "{name}");
        scratch.seal("a.plan.json");
        scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
        let after = scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]).stdout;
        assert!(after.contains("nothing to change"), "{name}: {after}");
    }
}

#[test]
fn steps_that_stand_in_comments_compile_too() {
    for (template, file) in [("sshd", "remediations/sshd.yaml"), ("disk", "remediations/log-space.yaml")] {
        let scratch = made(template);
        scratch.ok(&["-C", "project", "inventory", "adopt", "localhost"]);
        scratch.trust(1);
        let text = scratch.read(&format!("project/{file}"));
        let commented = |line: &&str| {
            ["reload:", "restart:", "  command.run:", "  on_change:"]
                .iter()
                .any(|word| line.trim_start().strip_prefix("# ").is_some_and(|rest| rest.starts_with(word)))
        };
        let text: Vec<String> = text
            .lines()
            .map(|line| if commented(&line) { line.replacen("# ", "", 1) } else { line.to_owned() })
            .collect();
        scratch.write(&format!("project/{file}"), &(text.join("\n") + "\n"));
        let planned = scratch.expect(2, &["-C", "project", "plan", "--detailed-exitcode"]);
        assert!(planned.stderr.contains("asks for 1 approval"), "{}", planned.stderr);
    }
}

#[test]
fn what_is_there_is_kept() {
    let scratch = Scratch::new();
    scratch.write("new/.gitignore", "mine\n");
    std::os::unix::fs::symlink("nowhere", scratch.path("link")).unwrap();
    fs::create_dir_all(scratch.path("new/remediations")).unwrap();
    std::os::unix::fs::symlink("/nowhere", scratch.path("new/remediations/sshd.yaml")).unwrap();
    let told = scratch.ok(&["init", "new", "--template", "sshd"]);
    assert!(told.stderr.contains("new/.gitignore was there already; it is left as it is"), "{}", told.stderr);
    assert!(told.stderr.contains("new/remediations/sshd.yaml was there already"), "{}", told.stderr);
    assert_eq!(scratch.read("new/.gitignore"), "mine\n");
    assert!(fs::symlink_metadata(scratch.path("new/remediations/sshd.yaml")).unwrap().is_symlink());
    // A project is not made again, whatever the template.
    scratch.expect(1, &["init", "new", "--template", "disk"]);
    let told = scratch.expect(64, &["init", "other", "--template", "sshdd"]).stderr;
    assert!(told.contains("sshd") && told.contains("hardening"), "{told}");
    assert!(!scratch.path("other").exists());
}
