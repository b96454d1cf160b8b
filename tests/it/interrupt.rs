//! Ctrl-C: once lets what is under way finish, twice does not. Either way the journal says what was
//! done and what was not.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rectify_tests::{Scratch, remediation};
use std::{
    fs,
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

/// A run under way in its first step, a command that takes `seconds`; a second step waits for it.
fn running(seconds: u32) -> (Scratch, Child) {
    let scratch = Scratch::new();
    scratch.trust(1);
    scratch.write(
        "project/remediations/slow.yaml",
        &remediation(
            "slow",
            &format!(
                "  first:\n    command.run: {{argv: [/bin/sh, -c, 'echo $$ > \"$RECTIFY_ROOT/pid\"; mv \"$RECTIFY_ROOT/pid\" \"$RECTIFY_ROOT/begun\"; sleep {seconds}; touch \"$RECTIFY_ROOT/ended\"']}}\n  second:\n    file.content: {{path: /etc/second, content: \"2\\n\"}}\n    after: [first]\n"
            ),
        ),
    );
    scratch.seal("a.plan.json");
    let run = scratch
        .command(&["-C", "project", "apply", "a.plan.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the command begins", || scratch.path("root/begun").exists());
    (scratch, run)
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(run: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), signal).unwrap();
}

fn ended(run: Child) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = run.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn journal(scratch: &Scratch) -> String {
    let history = scratch.ok(&["history"]).stdout;
    let run = history.split_whitespace().nth(1).unwrap().to_owned();
    scratch.ok(&["history", &run]).stdout
}

#[test]
fn once_finishes_what_is_under_way_and_starts_nothing_new() {
    for signal_sent in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (scratch, run) = running(1);
        signal(&run, signal_sent);
        let (code, stdout, stderr) = ended(run);
        assert_eq!(code, Some(130), "{stdout}{stderr}");
        assert!(stderr.contains("stopping after what is under way"), "{stderr}");
        assert!(scratch.path("root/ended").exists(), "the command was not cut off");
        assert!(!scratch.path("root/etc/second").exists(), "nothing new began");
        let journal = journal(&scratch);
        assert!(journal.contains("slow/first: succeeded"), "{journal}");
        assert!(!journal.contains("slow/second: intent"), "{journal}");
        assert!(stdout.contains("receipt "), "{stdout}");
    }
}

#[test]
fn twice_ends_now_and_says_that_the_outcome_is_not_known() {
    let (scratch, run) = running(600);
    let began = Instant::now();
    signal(&run, Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(300));
    signal(&run, Signal::SIGINT);
    let (code, stdout, stderr) = ended(run);
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for the command");
    assert_eq!(code, Some(130), "{stdout}{stderr}");
    let shell = scratch.read("root/begun");
    assert!(!runs(&shell), "the command outlived the run");
    assert!(!scratch.path("root/ended").exists());
    assert!(!scratch.path("root/etc/second").exists());
    let journal = journal(&scratch);
    assert!(journal.contains("slow/first: intent"), "{journal}");
    assert!(!journal.contains("slow/first: succeeded"), "{journal}");
}

/// Whether a process still runs; one that has ended and that nobody has asked about yet does not.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

/// Processes below one, by their `/proc` entries.
fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
            found.extend(children.clone());
            open.extend(children);
        }
    }
    found
}

#[test]
fn a_provider_that_dies_is_replaced_and_the_step_is_finished() {
    let scratch = Scratch::new();
    scratch.trust(1);
    // The first time it takes long enough for the provider to be killed meanwhile.
    let check = "if [ -e \"$0\" ]; then exit 0; fi; echo $$ > \"$0\"; sleep 600";
    let begun = scratch.path("begun");
    scratch.write(
        "project/remediations/one.yaml",
        &remediation(
            "one",
            &format!(
                "  a:\n    file.content:\n      path: /etc/a\n      content: \"1\\n\"\n      validate: [/bin/sh, -c, '{check} # %s', {}]\n",
                begun.display()
            ),
        ),
    );
    scratch.seal("a.plan.json");
    let run = scratch
        .command(&["-C", "project", "apply", "a.plan.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the check begins", || fs::read_to_string(&begun).is_ok_and(|text| text.ends_with('\n')));
    let provider = descendants(run.id()).into_iter().find(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains("serve\0file")
    });
    let provider = i32::try_from(provider.expect("the provider runs")).unwrap();
    kill(Pid::from_raw(provider), Signal::SIGKILL).unwrap();
    let (code, stdout, stderr) = ended(run);
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    assert_eq!(scratch.read("root/etc/a"), "1\n");
    let check = fs::read_to_string(&begun).unwrap();
    assert!(!runs(&check), "the check outlived its provider");
    let journal = journal(&scratch);
    assert!(journal.contains("one/a: unknown") && journal.contains("one/a: intent, attempt 2"), "{journal}");
}
