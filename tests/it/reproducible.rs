//! Promise 1: the same sources and observations give the same bytes, anywhere.

use rectify_tests::{Scratch, ran, remediation};
use std::fs;

const STEPS: &str = "  a:
    file.content: {path: /etc/a, content: \"1\\n\"}
  b:
    file.content: {path: /etc/b, content: \"2\\n\"}
    after: [a]
";
const SHUFFLED: &str = "  b:
    after: [a]
    file.content: {content: \"2\\n\", path: /etc/b}
  a:
    file.content: {content: \"1\\n\", path: /etc/a}
";

fn graph_digest(scratch: &Scratch) -> String {
    let text = scratch.ok(&["-C", "project", "graph"]).stdout;
    text.lines().next().unwrap().to_owned()
}

fn plan_digest(text: &str) -> String {
    text.lines().find(|line| line.starts_with("plan blake3:")).unwrap().to_owned()
}

#[test]
fn order_of_files_and_keys_means_nothing() {
    let scratch = Scratch::new();
    scratch.write("project/remediations/one.yaml", &remediation("one", STEPS));
    scratch.write(
        "project/remediations/two.yaml",
        &remediation("two", "  c:\n    file.directory: {path: /etc/c}\n"),
    );
    let first = graph_digest(&scratch);
    fs::remove_file(scratch.path("project/remediations/one.yaml")).unwrap();
    fs::rename(scratch.path("project/remediations/two.yaml"), scratch.path("project/remediations/a.yaml"))
        .unwrap();
    scratch.write("project/remediations/z.yaml", &remediation("one", SHUFFLED));
    assert_eq!(graph_digest(&scratch), first);
}

#[test]
fn surroundings_mean_nothing() {
    let scratch = Scratch::new();
    scratch.write("project/remediations/one.yaml", &remediation("one", STEPS));
    let first = plan_digest(&scratch.ok(&["-C", "project", "plan"]).stdout);
    let surroundings = [
        ("LANG", "de_DE.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("TZ", "Pacific/Kiritimati"),
        ("HOME", "/nonexistent"),
        ("TOKIO_WORKER_THREADS", "1"),
        ("TOKIO_WORKER_THREADS", "16"),
        ("COLUMNS", "20"),
    ];
    for (name, value) in surroundings {
        let mut command = scratch.command(&["-C", "project", "plan"]);
        command.env(name, value);
        assert_eq!(plan_digest(&ran(command).stdout), first, "{name}={value}");
    }
    let mut elsewhere = scratch.command(&["-C", scratch.path("project").to_str().unwrap(), "plan"]);
    elsewhere.current_dir("/");
    assert_eq!(plan_digest(&ran(elsewhere).stdout), first);
}

#[test]
fn a_plan_is_derived_again_without_a_provider() {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.write("project/remediations/one.yaml", &remediation("one", STEPS));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    let verified = scratch.ok(&["--events", "verify", "a.plan.json", "--reproduce", "--source", "project"]);
    assert!(!verified.stderr.contains("provider_started"), "{}", verified.stderr);
    // The target may be gone: nothing is looked at.
    fs::remove_dir_all(scratch.path("root")).unwrap();
    scratch.ok(&["verify", "a.plan.json", "--reproduce", "--source", "project"]);
    scratch.write("project/remediations/one.yaml", &remediation("one", &STEPS.replace("1\\n", "3\\n")));
    let other = scratch.expect(1, &["verify", "a.plan.json", "--reproduce", "--source", "project"]);
    assert!(other.stderr.contains("not-reproduced"), "{}", other.stderr);
}
