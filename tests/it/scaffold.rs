//! `provider new`: what comes out works as it stands.

use rectify_tests::Scratch;
use std::{path::Path, process::Command};

fn run(program: &str, arguments: &[&str], directory: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

#[test]
fn in_python_it_is_tested_packed_and_locked() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let made = scratch.ok(&["provider", "new", "acme", "--lang", "python"]);
    assert!(made.stdout.contains("to acme\nnext: acme/README.md"), "{made:?}");
    let directory = scratch.path("acme");
    run("python3", &["-m", "unittest", "-q"], &directory);
    run("./acme.py", &["--selftest"], &directory);
    run("python3", &["rectify_provider.py", "bundle", "acme.py", "-o", "rectify-acme"], &directory);
    scratch.ok(&["provider", "pack", "acme/rectify-acme", "--unsigned", "--out", "release"]);
    scratch.ok(&["-C", "project", "provider", "lock", "release", "--unsigned", "--yes"]);
    let steps = "  greet:\n    acme.text: {path: /etc/greeting, text: hello}\n";
    scratch.write("project/remediations/greet.yaml", &rectify_tests::remediation("greet", steps));
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/greeting"), "hello");
    let checked = scratch.ok(&["-C", "project", "provider", "check"]).stdout;
    assert!(checked.contains("its self-test passed"), "{checked}");
    // Nothing of somebody's is written over.
    let refused = scratch.expect(64, &["provider", "new", "acme", "--lang", "python"]);
    assert!(refused.stderr.contains("acme is not empty"), "{refused:?}");
    let refused = scratch.expect(64, &["provider", "new", "Acme", "--lang", "python"]);
    assert!(refused.stderr.contains("`Acme` cannot be the name of a new provider"), "{refused:?}");
}

#[test]
fn in_go_its_tests_pass() {
    let scratch = Scratch::new();
    scratch.ok(&["provider", "new", "acme", "--lang", "go", "mine"]);
    let directory = scratch.path("mine");
    assert_eq!(run("gofmt", &["-l", "main.go", "main_test.go"], &directory), "");
    run("go", &["vet", "./..."], &directory);
    run("go", &["test", "./..."], &directory);
}

/// What it needs is what this workspace has; building all of it once more would show no more.
#[test]
fn in_rust_its_manifest_resolves() {
    let scratch = Scratch::new();
    scratch.ok(&["provider", "new", "acme", "--lang", "rust"]);
    let directory = scratch.path("acme");
    let graph = run(env!("CARGO"), &["tree", "--offline", "--edges", "normal"], &directory);
    assert!(graph.contains("rectify-sdk v0.1.0") && graph.contains("rectify-protocol v0.1.0"), "{graph}");
    assert!(!scratch.path("acme/vendor/rectify-sdk/tests").exists());
}
