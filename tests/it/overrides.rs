//! Signed overrides, through the real executable: who may, for what, until when, and what is told of it.

use rectify_tests::{Scratch, remediation};

const ONE: &str = "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n";
const FREEZE: &str = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//freeze//EN\nBEGIN:VEVENT\nUID:always@example.org\nSUMMARY:rest\nDTSTART:20200101T000000Z\nDTEND:20200102T000000Z\nRRULE:FREQ=DAILY\nEND:VEVENT\nEND:VCALENDAR\n";
const PLAN: [&str; 5] = ["-C", "project", "plan", "--out", "a.plan.json"];
const APPLY: [&str; 4] = ["-C", "project", "apply", "a.plan.json"];

/// A project that is always frozen; `reviewer` approves, `chief` and `author` are listed under `override`.
fn frozen(steps: &str) -> Scratch {
    let scratch = Scratch::new();
    let project = scratch.read("project/rectify.yaml").replace("[standard]", "[standard, ours]");
    scratch.write("project/rectify.yaml", &project);
    scratch.write("project/ours/always.ics", &FREEZE.replace('\n', "\r\n"));
    scratch.write("project/remediations/one.yaml", &remediation("one", steps));
    scratch.ok(&["keys", "new", "keys-chief"]);
    scratch.trust(1);
    let chief = scratch.read("keys-chief.pub");
    let trust = scratch
        .read("trust.yaml")
        .replace(
            "roles:\n",
            &format!("  chief: {{kind: person, keys: [{{public: '{}'}}]}}\nroles:\n", chief.trim()),
        )
        .replace("  approver: [reviewer]\n", "  approver: [reviewer]\n  override: [author, chief]\n");
    scratch.write("trust.yaml", &trust);
    scratch
}

fn seal<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["-C", "project", "seal", "a.plan.json", "--key", "keys-author"], more].concat()
}

fn set_aside<'a>(key: &'a str, rule: &'a str) -> Vec<&'a str> {
    let command = ["-C", "project", "policy", "override", "a.plan.json", "--rule", rule];
    [&command[..], &["--reason", "the fix cannot wait", "--key", key]].concat()
}

fn overrides(scratch: &Scratch) -> usize {
    let files = std::fs::read_dir(scratch.path("a.plan.d")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("override-")).count()
}

#[test]
fn a_denial_that_a_third_person_overrides_passes_and_everybody_is_told() {
    let scratch = frozen(ONE);
    scratch.ok(&PLAN);
    let denied = scratch.expect(3, &seal(&[]));
    assert!(denied.stderr.contains("freeze: "), "{}", denied.stderr);
    let idle = scratch.expect(3, &seal(&["--expecting-override", "freezing"]));
    assert!(idle.stderr.contains("error[override-idle]"), "{}", idle.stderr);
    let sealed = scratch.ok(&seal(&["--expecting-override", "freeze"]));
    assert!(sealed.stderr.contains("policy: DENIED"), "{}", sealed.stderr);
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
    let refused = scratch.expect(3, &APPLY);
    assert!(refused.stderr.contains("[seal-policy-denied]"), "{}", refused.stderr);

    let refused = scratch.expect(3, &set_aside("keys-author", "freeze"));
    assert!(refused.stderr.contains("error[override-by-author]"), "{}", refused.stderr);
    let refused = scratch.expect(3, &set_aside("keys-reviewer", "freeze"));
    assert!(refused.stderr.contains("error[override-role]"), "{}", refused.stderr);
    let refused = scratch.expect(3, &set_aside("keys-chief", "change_rate"));
    assert!(refused.stderr.contains("error[override-idle]"), "{}", refused.stderr);
    assert_eq!(overrides(&scratch), 0, "what is refused is not written");

    scratch.ok(&set_aside("keys-chief", "freeze"));
    assert_eq!(overrides(&scratch), 1);
    for format in ["text", "markdown", "html"] {
        let shown = scratch.ok(&["show", "a.plan.json", "--format", format]).stdout;
        assert!(shown.contains("OVERRIDES") && shown.contains("the fix cannot wait"), "{format}: {shown}");
    }
    let verified = scratch.ok(&["-C", "project", "verify", "a.plan.json"]).stdout;
    assert!(verified.contains("OVERRIDES POLICY: freeze, by chief, until "), "{verified}");
    let applied = scratch.ok(&APPLY);
    let told = format!("{}{}", applied.stdout, applied.stderr);
    assert!(told.contains("policy was OVERRIDDEN by chief (freeze): the fix cannot wait"), "{told}");
    assert_eq!(scratch.read("root/etc/a"), "1\n");
    let verified = scratch.run(&["-C", "project", "verify", "a.plan.json"]).stdout;
    assert!(verified.contains("policy was OVERRIDDEN by chief (freeze): the fix cannot wait"), "{verified}");
}

#[test]
fn an_override_of_one_rule_lets_no_other_pass() {
    let both = format!("{ONE}  b:\n    file.content: {{path: /boot/b, content: \"1\\n\"}}\n");
    let scratch = frozen(&both);
    std::fs::create_dir(scratch.path("root/boot")).unwrap();
    scratch.ok(&PLAN);
    let denied = scratch.expect(3, &seal(&["--expecting-override", "freeze"]));
    assert!(denied.stderr.contains("forbidden_paths: "), "{}", denied.stderr);
    assert!(!denied.stderr.contains("freeze: "), "{}", denied.stderr);
    let fixed = ["--expecting-override", "freeze", "--expecting-override", "forbidden_paths"];
    let denied = scratch.expect(3, &seal(&fixed));
    assert!(denied.stderr.contains("error[override-fixed]"), "{}", denied.stderr);
}

#[test]
fn an_override_that_was_forged_taken_over_or_is_over_is_refused() {
    let scratch = frozen(ONE);
    scratch.ok(&PLAN);
    scratch.ok(&seal(&["--expecting-override", "freeze"]));
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
    scratch.ok(&[&set_aside("keys-chief", "freeze")[..], &["--expires-in", "1s"]].concat());
    std::thread::sleep(std::time::Duration::from_secs(2));
    let refused = scratch.expect(3, &APPLY);
    assert!(refused.stderr.contains("[override-expired]"), "{}", refused.stderr);
    // Of an earlier seal, so of another use.
    let old = std::fs::read_dir(scratch.path("a.plan.d")).unwrap();
    let mut old = old.map(|entry| entry.unwrap().path());
    let old = old.find(|path| path.to_string_lossy().contains("override-")).unwrap();
    let kept = std::fs::read(&old).unwrap();
    scratch.ok(&seal(&["--again", "--expecting-override", "freeze"]));
    scratch.ok(&["approve", "a.plan.json", "--key", "keys-reviewer"]);
    assert_eq!(overrides(&scratch), 0, "a new seal sets the overrides of the old one aside");
    std::fs::write(&old, kept).unwrap();
    let refused = scratch.expect(3, &APPLY);
    assert!(refused.stderr.contains("[override-use]"), "{}", refused.stderr);
    assert!(!scratch.path("root/etc/a").exists());
}
