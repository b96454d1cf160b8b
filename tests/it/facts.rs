//! Facts through the executable: read, decided by, assumed, and read again.

use rectify_tests::{Scratch, remediation};
use std::fs;

const STEPS: &str = "  debian:
    file.content: {path: /etc/sources, content: \"${{ facts.os.codename }}\\n\", mode: \"0644\"}
    when: facts.os.family == \"debian\"
  other:
    file.content: {path: /etc/repos, content: x, mode: \"0644\"}
    when: facts.os.family != \"debian\"
  nginx:
    file.content: {path: /etc/nginx.conf, content: x, mode: \"0644\"}
    when: has(facts.packages.nginx)
";
const DEBIAN: &str = "ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n";

fn project() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("root/etc/os-release", DEBIAN);
    packages(&scratch, &[("vim", "9")]);
    scratch.write("project/remediations/app.yaml", &remediation("app", STEPS));
    scratch.trust(1);
    scratch
}

fn packages(scratch: &Scratch, names: &[(&str, &str)]) {
    let stanza = |(name, version): &(&str, &str)| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\n\n")
    };
    let text: String = names.iter().map(stanza).collect();
    scratch.write("root/var/lib/dpkg/status", &text);
}

#[test]
fn facts_decide_are_shown_and_are_applied() {
    let scratch = project();
    let shown = scratch.ok(&["-C", "project", "plan"]).stdout;
    for line in [
        "+ app/debian",
        "facts.os.codename is \"bookworm\": decides app/debian",
        "facts.os.family is \"debian\": decides app/debian, app/other",
        "facts.packages.nginx is not there: decides app/nginx",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    assert!(!shown.contains("app/other  "), "{shown}");
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/sources"), "bookworm\n");
}

#[test]
fn a_plan_is_reproduced_with_the_recorded_facts_and_no_provider() {
    let scratch = project();
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    // What the target is now means nothing.
    fs::remove_dir_all(scratch.path("root")).unwrap();
    let verified = scratch.ok(&["--events", "verify", "a.plan.json", "--reproduce", "--source", "project"]);
    assert!(!verified.stderr.contains("provider_started"), "{}", verified.stderr);
    scratch.write(
        "project/remediations/app.yaml",
        &remediation("app", &STEPS.replace("has(facts.packages.nginx)", "has(facts.units)")),
    );
    let other = scratch.expect(1, &["verify", "a.plan.json", "--reproduce", "--source", "project"]);
    assert!(other.stderr.contains("fact-not-read"), "{}", other.stderr);
}

#[test]
fn a_remediation_of_which_facts_leave_nothing_is_reproduced_too() {
    let scratch = project();
    let nothing = "  x:\n    file.content: {path: /etc/x, content: x}\n    when: has(facts.kernel)\n";
    scratch.write("project/remediations/none.yaml", &remediation("none", nothing));
    let shown = scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]).stdout;
    assert!(shown.contains("facts.kernel is not there: decides none/x"), "{shown}");
    scratch.ok(&["verify", "a.plan.json", "--reproduce", "--source", "project"]);
}

#[test]
fn a_fact_that_differs_refuses_the_run_before_anything_is_begun() {
    let scratch = project();
    packages(&scratch, &[("nginx", "1.0")]);
    scratch.seal("a.plan.json");
    // A version that nothing asked for.
    packages(&scratch, &[("nginx", "2.0"), ("vim", "9")]);
    scratch.write("root/etc/os-release", &DEBIAN.replace("bookworm", "trixie"));
    let stale = scratch.expect(4, &["-C", "project", "apply", "a.plan.json"]);
    assert!(stale.stderr.contains("apply-assumption"), "{}", stale.stderr);
    let line = "facts.os.codename on `scratch` was \"bookworm\", and is \"trixie\"";
    assert!(stale.stderr.contains(line), "{}", stale.stderr);
    assert!(!stale.stderr.contains("packages"), "{}", stale.stderr);
    assert!(!scratch.path("root/etc/sources").exists());
    // The permission is not used up: put back, the plan is applied.
    scratch.write("root/etc/os-release", DEBIAN);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/nginx.conf"), "x");
}

#[test]
fn a_package_that_comes_or_goes_refuses_the_run() {
    let scratch = project();
    scratch.seal("a.plan.json");
    packages(&scratch, &[("vim", "9"), ("nginx", "1.0")]);
    let stale = scratch.expect(4, &["-C", "project", "apply", "a.plan.json"]);
    let line = "facts.packages.nginx on `scratch` was not there, and is \"1.0\"";
    assert!(stale.stderr.contains(line), "{}", stale.stderr);
}

#[test]
fn what_needs_no_target_says_what_is_asked_for() {
    let scratch = project();
    let valid = scratch.ok(&["-C", "project", "validate"]).stdout;
    assert!(valid.contains("facts.os, facts.packages of 1 target"), "{valid}");
    scratch.ok(&["-C", "project", "inventory", "list"]);
    let graph = scratch.ok(&["-C", "project", "graph"]).stdout;
    assert!(graph.contains("app/debian") && !graph.contains("app/other"), "{graph}");
}

#[test]
fn a_fact_that_is_not_there_is_an_error_with_the_reason() {
    let scratch = project();
    let steps = "  x:\n    file.content: {path: /etc/x, content: '${{ facts.packages.nginx }}'}\n";
    scratch.write("project/remediations/app.yaml", &remediation("app", steps));
    fs::remove_file(scratch.path("root/var/lib/dpkg/status")).unwrap();
    let refused = scratch.expect(1, &["-C", "project", "plan"]);
    for part in ["expr-unknown-key", "app.yaml:8:", "there is no /var/lib/dpkg/status", "has(facts.packages)"]
    {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
}

#[test]
fn a_fact_that_cannot_be_read_is_not_taken_for_absent() {
    let scratch = project();
    fs::remove_file(scratch.path("root/var/lib/dpkg/status")).unwrap();
    fs::create_dir_all(scratch.path("root/var/lib/dpkg/status")).unwrap();
    let refused = scratch.expect(1, &["-C", "project", "plan"]);
    assert!(refused.stderr.contains("fact-unreadable"), "{}", refused.stderr);
    assert!(refused.stderr.contains("not a regular file"), "{}", refused.stderr);
}

#[test]
fn the_facts_of_this_machine_are_the_same_twice() {
    let scratch = project();
    let steps = "  x:
    file.content: {path: /etc/x, content: '${{ facts.kernel.machine }} ${{ size(facts.mounts) }}'}
    when: has(facts.kernel) && has(facts.mounts[\"/\"]) && has(facts.addresses) && has(facts.units)
";
    scratch.write("project/remediations/app.yaml", &remediation("app", steps));
    let text = scratch.read("project/inventory/local.yaml");
    let text: Vec<&str> = text.lines().filter(|line| !line.contains("root:")).collect();
    scratch.write("project/inventory/local.yaml", &text.join("\n"));
    let first = scratch.run(&["-C", "project", "plan", "--format", "json"]);
    let second = scratch.run(&["-C", "project", "plan", "--format", "json"]);
    assert_eq!((first.code, &first.stdout), (second.code, &second.stdout), "{}", first.stderr);
}
