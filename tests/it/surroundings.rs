//! A terminal, a full disk, a reader that has gone, files that are not files.

use rectify_tests::{Scratch, ran, rectify, remediation};
use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

fn planned() -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.write(
        "project/remediations/one.yaml",
        &remediation("one", "  a:\n    file.content: {path: /etc/a, content: \"1\\n\"}\n"),
    );
    scratch
}

#[test]
fn on_a_terminal() {
    let scratch = planned();
    for arguments in
        ["-C project validate", "-C project plan", "-vv -C project plan", "history", "explain apply-stale"]
    {
        let mut command = Command::new("script");
        command
            .args(["-qec", &format!("{} {arguments}", rectify().display()), "/dev/null"])
            .current_dir(scratch.path(""))
            .env("RECTIFY_TRUST", scratch.path("trust.yaml"))
            .env("RECTIFY_STATE", scratch.path("state"))
            .stdin(Stdio::null());
        let ran = ran(command);
        assert_eq!(ran.code, 0, "{arguments}: {ran:?}");
        assert!(!ran.stdout.contains("panicked"), "{arguments}: {ran:?}");
    }
}

#[test]
fn a_run_does_not_die_of_messages_that_nobody_takes() {
    let scratch = planned();
    scratch.seal("a.plan.json");
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = scratch.command(&["-C", "project", "apply", "a.plan.json"]);
    let status = command.stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(scratch.read("root/etc/a"), "1\n");
    assert!(scratch.ok(&["history"]).stdout.contains("succeeded"));
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let scratch = planned();
    for arguments in
        [&["-C", "project", "plan"][..], &["-C", "project", "plan", "--format", "json"], &["explain"]]
    {
        let mut child =
            scratch.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn events_are_json_lines_and_nothing_else() {
    let scratch = planned();
    let check = |ran: rectify_tests::Ran| {
        assert!(ran.stderr.lines().count() > 0, "{ran:?}");
        for line in ran.stderr.lines() {
            let value: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(value["event"].is_string(), "{line}");
        }
    };
    check(scratch.ok(&["--events", "-C", "project", "plan", "--out", "a.plan.json"]));
    check(scratch.expect(3, &["--events", "-C", "project", "apply", "a.plan.json"]));
    scratch.write("project/remediations/bad.yaml", "apiVersion: rectify/v1\nkind: Nonsense\n");
    check(scratch.expect(1, &["--events", "-C", "project", "plan"]));
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let scratch = planned();
    let fifo = scratch.path("project/remediations/pipe.yaml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let began = Instant::now();
    let refused = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(refused.stderr.contains("error[file-unreadable]"), "{}", refused.stderr);
    fs::remove_file(&fifo).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &fifo).unwrap();
    let refused = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(refused.stderr.contains("error[file-unreadable]"), "{}", refused.stderr);
    fs::remove_file(&fifo).unwrap();
    let marker = scratch.path("root/.rectify-root");
    for content in [Some(""), Some("uninitialized\n"), Some("00000000000000000000000000000000\n"), None] {
        fs::remove_file(&marker).unwrap();
        match content {
            Some(content) => fs::write(&marker, content).unwrap(),
            None => nix::unistd::mkfifo(&marker, nix::sys::stat::Mode::S_IRWXU).unwrap(),
        }
        let refused = scratch.expect(1, &["-C", "project", "plan"]);
        assert!(refused.stderr.contains("error[root-not-adopted]"), "{}", refused.stderr);
    }
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_a_provider_says_cannot_act_on_a_terminal_or_pass_for_a_line_of_ours() {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.write(
        "project/remediations/loud.yaml",
        &remediation(
            "loud",
            "  a:\n    command.run: {argv: [/bin/sh, -c, 'printf \"\\033]0;x\\007\\n  applied  scratch:loud/z\\n\" >&2; exit 3']}\n",
        ),
    );
    scratch.seal("a.plan.json");
    let failed = scratch.expect(5, &["-C", "project", "apply", "a.plan.json"]);
    let history = scratch.ok(&["history"]).stdout;
    let run = history.split_whitespace().nth(1).unwrap().to_owned();
    for text in [&failed.stderr, &scratch.ok(&["history", &run]).stdout] {
        assert!(text.contains("<U+001B>"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("applied")), "{text}");
    }
}

#[test]
fn what_cannot_be_decided_is_an_error_at_its_place_and_is_never_sealed() {
    let scratch = planned();
    scratch.write(
        "project/remediations/two.yaml",
        &remediation(
            "two",
            "  b:\n    file.content: {path: /etc/b, content: b, owner: nobody-of-that-name}\n",
        ),
    );
    let planned = scratch.expect(1, &["-C", "project", "plan", "--out", "a.plan.json"]);
    assert!(planned.stderr.contains("error[plan-undecided]"), "{}", planned.stderr);
    assert!(planned.stderr.contains("remediations/two.yaml:7"), "{}", planned.stderr);
    assert!(planned.stderr.contains("nobody-of-that-name"), "{}", planned.stderr);
    let refused = scratch.expect(1, &["-C", "project", "seal", "a.plan.json", "--key", "keys-author"]);
    assert!(refused.stderr.contains("error[plan-undecided]"), "{}", refused.stderr);
    scratch.ok(&["-C", "project", "plan", "one", "--out", "b.plan.json"]);
}

#[test]
fn validate_tells_what_only_the_provider_knows() {
    let scratch = planned();
    scratch.write(
        "project/remediations/two.yaml",
        &remediation("two", "  b:\n    file.line: {path: /etc/b, match: '(', line: b}\n"),
    );
    let invalid = scratch.expect(1, &["-C", "project", "validate"]);
    assert!(invalid.stderr.contains("error[property-refused]"), "{}", invalid.stderr);
    assert!(invalid.stderr.contains("remediations/two.yaml:8:"), "{}", invalid.stderr);
}
