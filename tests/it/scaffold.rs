//! `provider new`: what comes out works as it stands.

use rectify_tests::{Scratch, rectify};
use std::{fs, path::Path, process::Command};

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

/// The code blocks of a page: what stands behind the three backticks, and the text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match (open, line.strip_prefix("```")) {
            (false, Some(told)) => {
                found.push((told.to_owned(), String::new()));
                open = true;
            }
            (true, Some(_)) => open = false,
            (true, None) => {
                let (_, text) = found.last_mut().unwrap();
                text.push_str(line);
                text.push('\n');
            }
            (false, None) => {}
        }
    }
    found
}

#[test]
fn what_else_the_tutorial_for_rust_shows_is_compiled_with_the_documentation() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(top.join("docs/providers/write-one-in-rust.md")).unwrap();
    let action = fs::read_to_string(top.join("crates/rectify-sdk/src/action.rs")).unwrap();
    let front = fs::read_to_string(top.join("crates/rectify-sdk/src/lib.rs")).unwrap();
    let commented = |text: &str, with: &str| -> String {
        text.lines().map(|line| format!("{with} {line}").trim_end().to_owned() + "\n").collect()
    };
    for (told, text) in blocks(&page) {
        match told.as_str() {
            "rust" => assert!(action.contains(&commented(&text, "///")), "not in action.rs:\n{text}"),
            // The front page of the documentation says the same, but for how much is written out.
            "rust src/main.rs" => {
                let (_, resource) = text.split_once("struct MotdFile;\n").unwrap();
                let (resource, _) = resource.split_once("fn main()").unwrap();
                assert!(front.contains(&commented(resource, "//!")), "not in lib.rs:\n{resource}");
            }
            _ => {}
        }
    }
}

/// What the tutorial says is done here, word by word, as a new user would; and what it leads to is used.
#[test]
fn in_rust_the_tutorial_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/providers/write-one-in-rust.md");
    let blocks = blocks(&fs::read_to_string(page).unwrap());
    let kinds: Vec<&str> = blocks.iter().map(|(told, _)| told.as_str()).collect();
    assert_eq!(kinds, ["sh", "rust src/main.rs", "sh", "rust tests/provider.rs", "sh", "sh", "yaml", "rust"]);
    let scratch = Scratch::new();
    scratch.trust(1);
    // What is built here is built once: it needs what this workspace needs.
    let built = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let mut script = String::from("set -eu\n");
    for (told, text) in &blocks {
        match told.split_once(' ') {
            Some(("rust", file)) => {
                script.push_str(&format!("cat > {file} <<'END_OF_FILE'\n{text}END_OF_FILE\n"))
            }
            None if told == "sh" => script.push_str(&text.replace("PROJECT", "../project")),
            _ => {}
        }
        if text.starts_with("rectify provider new") {
            // First as it comes.
            script.push_str(&format!("ln -s '{}' target\ncargo fmt --check\ncargo test\n", built.display()));
        }
    }
    script.push_str("cargo fmt --check\n");
    let path = format!("{}:{}", rectify().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("nice")
        .args(["-n", "10", "/bin/sh", "-c", &script])
        .current_dir(scratch.path(""))
        .envs([("PATH", path.as_str()), ("CARGO_NET_OFFLINE", "true")])
        .envs([("CARGO_INCREMENTAL", "0"), ("CARGO_PROFILE_DEV_DEBUG", "0")])
        .env("RECTIFY_STATE", scratch.path("state"))
        .env("RECTIFY_TRUST", scratch.path("trust.yaml"))
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    for expected in
        ["motd 0.1.0\n", "\"name\": \"motd.file\"", "14 checks passed", "test result: ok. 1 passed"]
    {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    assert!(!said.contains("warning: "), "{said}");
    let steps = blocks.iter().find(|(told, _)| told == "yaml").unwrap().1.strip_prefix("steps:\n").unwrap();
    scratch.write("project/remediations/greet.yaml", &rectify_tests::remediation("greet", steps));
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/motd"), "hello\n");
    let checked = scratch.ok(&["-C", "project", "provider", "check"]).stdout;
    assert!(checked.contains("its self-test passed"), "{checked}");
    assert!(!scratch.path("motd/vendor/rectify-sdk/tests").exists());
}
