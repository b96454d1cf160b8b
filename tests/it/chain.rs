//! From YAML to an applied plan.

use rectify_tests::{Scratch, remediation};
use std::fs;

const STEPS: &str = "  banner:
    file.content: {path: /etc/issue.net, content: \"Authorised users only.\\n\", mode: \"0644\"}
  grace:
    file.line: {path: /etc/sshd_config, match: '^#?LoginGraceTime', line: LoginGraceTime 0}
  note:
    command.run: {argv: [/bin/sh, -c, 'echo x >> \"$RECTIFY_ROOT/count\"']}
    on_change: [grace]
verify:
  - file.matches: {path: /etc/sshd_config, pattern: '(?m)^LoginGraceTime 0$'}
";

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("root/etc/sshd_config", "Port 22\n#LoginGraceTime 120\n");
    scratch.write("project/remediations/grace.yaml", &remediation("grace", STEPS));
    scratch.trust(1);
    scratch
}

#[test]
fn a_sealed_and_approved_plan_is_applied_once_and_the_next_plan_is_empty() {
    let scratch = scratch();
    scratch.expect(2, &["-C", "project", "plan", "--out", "a.plan.json", "--detailed-exitcode"]);
    // What kept the providers from changing anything is in the report.
    let report: serde_json::Value =
        serde_json::from_str(&scratch.read("a.plan.d/evidence/report.json")).unwrap();
    let sessions = report["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "one of each provider: {report}");
    assert!(sessions.iter().all(|s| s["layers"]["seccomp"] == "achieved"), "{report}");
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    let refused = scratch.expect(3, &["-C", "project", "apply", "a.plan.json"]);
    assert!(refused.stderr.contains("approv"), "{}", refused.stderr);
    assert!(!scratch.path("root/etc/issue.net").exists());
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
    scratch.ok(&["-C", "project", "verify", "a.plan.json"]);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/issue.net"), "Authorised users only.\n");
    assert_eq!(scratch.read("root/etc/sshd_config"), "Port 22\nLoginGraceTime 0\n");
    assert_eq!(scratch.read("root/count"), "x\n");
    scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]);
    let again = scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert!(again.stdout.contains("ended before: succeeded"), "{}", again.stdout);
    // Without what was kept of it the run cannot be told of; the permission is used up all the same.
    fs::remove_dir_all(scratch.path("state/runs")).unwrap();
    let again = scratch.expect(3, &["-C", "project", "apply", "a.plan.json"]);
    assert!(again.stderr.contains("store-use-taken"), "{}", again.stderr);
    assert_eq!(scratch.read("root/count"), "x\n");
    let history = scratch.ok(&["history"]).stdout;
    assert!(history.contains("succeeded"), "{history}");
}

#[test]
fn an_edit_behind_the_plans_back_is_stale_and_stays() {
    let scratch = scratch();
    let only = STEPS.replace(
        "  banner:\n    file.content: {path: /etc/issue.net, content: \"Authorised users only.\\n\", mode: \"0644\"}\n",
        "",
    );
    assert_ne!(only, STEPS);
    scratch.write("project/remediations/grace.yaml", &remediation("grace", &only));
    scratch.seal("a.plan.json");
    scratch.write("root/etc/sshd_config", "Port 2222\n#LoginGraceTime 60\n");
    let stale = scratch.run(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(stale.code, 4, "{stale:?}");
    assert_eq!(scratch.read("root/etc/sshd_config"), "Port 2222\n#LoginGraceTime 60\n");
    assert!(!scratch.path("root/count").exists());
}

#[test]
fn what_is_as_planned_already_is_not_written() {
    let scratch = scratch();
    scratch.seal("a.plan.json");
    scratch.write("root/etc/sshd_config", "Port 22\nLoginGraceTime 0\n");
    let before = fs::metadata(scratch.path("root/etc/sshd_config")).unwrap().modified().unwrap();
    let applied = scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert!(applied.stdout.contains("1 already as planned"), "{}", applied.stdout);
    let after = fs::metadata(scratch.path("root/etc/sshd_config")).unwrap().modified().unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_plan_for_another_root_of_the_same_name_is_refused() {
    let scratch = scratch();
    scratch.seal("a.plan.json");
    scratch.write("root/.rectify-root", "0123456789abcdef0123456789abcdef\n");
    let refused = scratch.run(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("error[apply-identity]"), "{}", refused.stderr);
    assert!(!scratch.path("root/etc/issue.net").exists());
    // Nothing was begun, so the permission is still there for the right root.
    assert!(!scratch.ok(&["history"]).stdout.contains("failed"));
}

#[test]
fn the_author_does_not_count_as_approver_and_policy_can_deny() {
    let scratch = scratch();
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-author"]);
    let refused = scratch.expect(3, &["-C", "project", "apply", "a.plan.json"]);
    assert!(refused.stderr.contains("[approval-missing]"), "{}", refused.stderr);
    let said = scratch.expect(3, &["-C", "project", "verify", "a.plan.json"]).stdout;
    assert!(said.contains("does not count") && said.contains("[approval-by-author]"), "{said}");
    let denied = Scratch::new();
    denied.trust(1);
    denied.write("root/etc/shadow", "root:*:1::::::\n");
    denied.write(
        "project/remediations/shadow.yaml",
        &remediation("shadow", "  x:\n    file.line: {path: /etc/shadow, line: 'x:*:1::::::'}\n"),
    );
    denied.ok(&["-C", "project", "plan", "--out", "b.plan.json"]);
    let refused = denied.expect(3, &["-C", "project", "seal", "b.plan.json", "--key", "keys-author"]);
    assert!(refused.stderr.contains("policy-denied"), "{}", refused.stderr);
}

#[test]
fn problems_in_sources_are_shown_at_their_place() {
    let scratch = scratch();
    scratch.write(
        "project/remediations/bad.yaml",
        &remediation("bad", "  x:\n    file.content: {path: /etc/x, contents: text}\n"),
    );
    let bad = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(bad.stderr.contains("remediations/bad.yaml"), "{}", bad.stderr);
    assert!(bad.stderr.contains("contents"), "{}", bad.stderr);
    assert!(bad.stderr.contains("did you mean"), "{}", bad.stderr);
}

#[test]
fn a_fresh_project_works_as_it_stands_for_somebody_alone() {
    let scratch = Scratch::new();
    let alone = |arguments: &[&str]| {
        let mut command = scratch.command(arguments);
        command.env("RECTIFY_TRUST", scratch.path("config/trust.yaml"));
        let ran = rectify_tests::ran(command);
        assert_eq!(ran.code, 0, "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    };
    let made = alone(&["init", "tour", "--solo"]);
    assert!(made.stdout.contains("SOLO"), "{}", made.stdout);
    alone(&["-C", "tour", "validate"]);
    let root = scratch.path("root").display().to_string();
    let inventory = scratch.read("tour/inventory/local.yaml");
    scratch.write("tour/inventory/local.yaml", &format!("{inventory}    root: {root}\n"));
    alone(&["-C", "tour", "plan", "--out", "a.plan.json"]);
    alone(&["-C", "tour", "seal", "a.plan.json", "--key", "config/id_ed25519"]);
    alone(&["-C", "tour", "verify", "a.plan.json"]);
    alone(&["-C", "tour", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/issue.net"), "Property of Example. Authorised users only.\n");
}

#[test]
fn a_plan_says_why() {
    let scratch = scratch();
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    let why = |address: &str| scratch.ok(&["why", "a.plan.json", address]).stdout;
    let note = why("grace/note");
    assert!(note.starts_with("scratch:grace/note: ") && note.contains("grace/grace"), "{note}");
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    scratch.ok(&["-C", "project", "plan", "--out", "b.plan.json"]);
    let after = scratch.ok(&["why", "b.plan.json", "grace/banner", "--target", "scratch"]).stdout;
    assert_eq!(after, "scratch:grace/banner: nothing to do: it is as desired\n");
    scratch.write(
        "project/remediations/grace.yaml",
        &remediation(
            "grace",
            &STEPS.replace("    on_change: [grace]\n", "    when: target.name == \"other\"\n"),
        ),
    );
    scratch.ok(&["-C", "project", "plan", "--out", "c.plan.json"]);
    let left_out = scratch.ok(&["why", "c.plan.json", "grace/note"]).stdout;
    assert_eq!(left_out, "scratch:grace/note: left out: its `when` is false\n");
    let unknown = scratch.expect(64, &["why", "a.plan.json", "grace/nothing"]);
    assert!(unknown.stderr.contains("says nothing of"), "{}", unknown.stderr);
}

#[test]
fn shells_can_complete() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = scratch.ok(&["completions", shell]).stdout;
        assert!(script.contains("rectify") && script.contains("approve"), "{shell}");
    }
}

#[test]
fn whoever_may_decide_alone_applies_in_one_go() {
    let scratch = scratch();
    scratch.trust(0);
    let auto = |more: &[&str]| {
        let mut words = vec!["-C", "project", "apply", "--auto", "--key", "keys-author"];
        words.extend(more);
        scratch.run(&words)
    };
    // Nobody can be asked in a test, so nothing is done.
    let asked = auto(&[]);
    assert_eq!(asked.code, 64, "{asked:?}");
    assert!(!scratch.path("root/etc/issue.net").exists());
    // Policy wants the command approved, and this trust file has somebody who could.
    let refused = auto(&["--yes"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("once it is approved"), "{}", refused.stderr);
    assert!(!scratch.path("root/etc/issue.net").exists());
    let plan = refused.stderr.split("the sealed plan is ").nth(1).unwrap().split(';').next().unwrap();
    scratch.ok(&["approve", plan, "--key", "keys-reviewer"]);
    let applied = auto(&["--yes"]);
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(scratch.read("root/etc/issue.net"), "Authorised users only.\n");
    let again = auto(&[]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("nothing to change"), "{}", again.stdout);
}

#[test]
fn what_a_beginner_types_first_is_answered_with_what_to_type_next() {
    let scratch = Scratch::new();
    let told = |code, arguments: &[&str]| scratch.expect(code, arguments).stderr;
    // A trust file and its key in one go, as every hint says; again, neither is touched.
    let made = scratch.ok(&["trust", "init", "--solo"]).stdout;
    assert!(made.contains("id_ed25519\n") && made.contains("SOLO: "), "{made}");
    let (key, trust) = (scratch.read("id_ed25519"), scratch.read("trust.yaml"));
    assert!(told(1, &["trust", "init", "--solo"]).contains("[trust-exists]"));
    assert_eq!((key, trust), (scratch.read("id_ed25519"), scratch.read("trust.yaml")));
    let list =
        "apiVersion: rectify/v1\nkind: Remediation\nmetadata: {name: one}\ntargets: all\nsteps:\n  - a: b\n";
    scratch.write("project/remediations/one.yaml", list);
    let shapes = told(1, &["-C", "project", "validate"]);
    for shape in ["for every target, `targets: {select: \"true\"}`", "`steps: {my-step: {file.directory: "] {
        assert!(shapes.contains(shape), "{shapes}");
    }
    let steps = "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n";
    let right = remediation("one", steps).replace("target.labels.role == \"bastion\"", "\"true\"");
    scratch.write("project/remediations/one.yaml", &right);
    scratch.ok(&["-C", "project", "validate"]);
    assert!(told(1, &["-C", "project", "plan", "--out", "a"]).contains("did you mean `a.plan.json`?"));
    assert!(told(1, &["show", "sub/a.json"]).contains("did you mean `sub/a.plan.json`?"));
    assert!(told(1, &["-C", "project", "plan", "a.plan.json"]).contains("`rectify show a.plan.json`"));
    assert!(told(64, &["explain", "aply-stale"]).contains("did you mean `apply-stale`?"));
    scratch.ok(&["-C", "project", "plan", "--out", "a.plan.json"]);
    scratch.ok(&["-C", "project", "seal", "a.plan.json", "--key", "id_ed25519"]);
    let used = "its permission is used up by run ";
    assert!(!scratch.ok(&["-C", "project", "verify", "a.plan.json"]).stdout.contains(used));
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert!(scratch.ok(&["-C", "project", "verify", "a.plan.json"]).stdout.contains(used));
}
