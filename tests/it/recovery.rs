//! After a crash, a failure, a full disk: what the real executable does, and that nothing is lost.

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rectify_tests::{Ran, Scratch, remediation};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within 60 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn begin(scratch: &Scratch, plan: &str) -> Child {
    let mut command = scratch.command(&["-C", "project", "apply", plan]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Ends an engine as the kernel or a power button would.
fn end(mut run: Child) {
    kill(Pid::from_raw(i32::try_from(run.id()).unwrap()), Signal::SIGKILL).unwrap();
    run.wait().unwrap();
}

fn run_id(scratch: &Scratch) -> String {
    scratch.ok(&["history"]).stdout.split_whitespace().nth(1).unwrap().to_owned()
}

fn journal(scratch: &Scratch) -> String {
    scratch.ok(&["history", &run_id(scratch)]).stdout
}

/// Files below a directory.
fn tree(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    entries
        .filter(|path| path.is_file())
        .map(|path| (named(&path), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// A run that stands in its second step, a command, when its engine is killed.
fn broken_off() -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    let steps = "  first:\n    file.content: {path: /etc/first, content: \"1\\n\"}\n  second:\n    command.run: {argv: [/bin/sh, -c, 'echo x >> \"$RECTIFY_ROOT/count\"; test -e \"$RECTIFY_ROOT/calm\" || sleep 600']}\n    after: [first]\n  third:\n    file.content: {path: /etc/third, content: \"3\\n\"}\n    after: [second]\n";
    scratch.write("project/remediations/slow.yaml", &remediation("slow", steps));
    scratch.seal("a.plan.json");
    let run = begin(&scratch, "a.plan.json");
    wait_for("the command begins", || scratch.path("root/count").exists());
    end(run);
    scratch
}

#[test]
fn a_command_that_was_cut_off_never_runs_twice_by_itself() {
    let scratch = broken_off();
    let id = run_id(&scratch);
    assert!(scratch.ok(&["history"]).stdout.contains("not finished"));
    let asked = scratch.expect(7, &["resume"]);
    assert!(asked.stderr.contains("slow/second"), "{asked:?}");
    assert!(asked.stderr.contains(&format!("rectify resolve {id}")), "{asked:?}");
    assert_eq!(scratch.read("root/count"), "x\n");
    assert!(!scratch.path("root/etc/third").exists());
    // Going on twice is going on once.
    scratch.expect(7, &["resume", &id]);
    // The same by the plan's name.
    scratch.expect(7, &["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/count"), "x\n");
    let undo = scratch.expect(1, &["undo", &id]);
    assert!(undo.stderr.contains("error[run-unfinished]"), "{undo:?}");
    let resolve = |step: &str, answer: &str, key: &str| {
        scratch.run(&["resolve", &id, step, "--as", answer, "--reason", "looked at it", "--key", key])
    };
    let unknown = resolve("slow/fourth", "succeeded", "keys-author");
    assert!(unknown.code == 1 && unknown.stderr.contains("error[resolve-step]"), "{unknown:?}");
    let known = resolve("slow/first", "failed", "keys-author");
    assert!(known.code == 1 && known.stderr.contains("error[resolve-known]"), "{known:?}");
    scratch.ok(&["keys", "new", "keys-stranger"]);
    assert_eq!(resolve("slow/second", "succeeded", "keys-stranger").code, 64);
    let said = resolve("scratch:slow/second", "succeeded", "keys-reviewer");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(
        said.stdout,
        format!("scratch:slow/second: succeeded, says reviewer\nnext: rectify resume {id}\n")
    );
    let again = resolve("slow/second", "failed", "keys-author");
    assert!(again.stderr.contains("error[resolve-known]"), "{again:?}");
    let done = scratch.ok(&["resume"]);
    assert!(done.stdout.contains("succeeded"), "{done:?}");
    assert_eq!(scratch.read("root/etc/third"), "3\n");
    assert_eq!(scratch.read("root/count"), "x\n");
    let told = journal(&scratch);
    for words in ["resumed, fence", "slow/second: unknown", "reviewer says: succeeded (looked at it)"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    scratch.ok(&["audit", "verify"]);
}

#[test]
fn a_command_that_did_not_happen_is_tried_again_where_a_person_says_so() {
    let scratch = broken_off();
    let id = run_id(&scratch);
    scratch.expect(7, &["resume"]);
    scratch.write("root/calm", "");
    scratch.ok(&[
        "resolve",
        &id,
        "slow/second",
        "--as",
        "retry",
        "--reason",
        "it was cut off",
        "--key",
        "keys-author",
    ]);
    let done = scratch.ok(&["resume"]);
    assert!(done.stdout.contains("3 changed"), "{done:?}");
    assert_eq!(scratch.read("root/count"), "x\nx\n");
    assert_eq!(scratch.read("root/etc/third"), "3\n");
}

#[test]
fn what_a_person_calls_failed_ends_the_run() {
    let scratch = broken_off();
    let id = run_id(&scratch);
    scratch.expect(7, &["resume"]);
    scratch.ok(&[
        "resolve",
        &id,
        "slow/second",
        "--as",
        "failed",
        "--reason",
        "half of it",
        "--key",
        "keys-author",
    ]);
    scratch.expect(5, &["resume", &id]);
    assert!(!scratch.path("root/etc/third").exists());
    let told = scratch.expect(5, &["-C", "project", "apply", "a.plan.json"]);
    assert!(told.stdout.contains("ended before: partially_applied"), "{told:?}");
}

#[test]
fn a_run_of_files_goes_on_wherever_it_was_killed() {
    let steps: String = (0..24)
        .map(|n| format!("  s{n}:\n    file.content: {{path: /etc/f{n}, content: \"{n}\\n\"}}\n"))
        .collect();
    for killed_at in [0, 1, 7, 23] {
        let scratch = Scratch::new();
        scratch.trust(1);
        scratch.write("project/remediations/many.yaml", &remediation("many", &steps));
        scratch.seal("a.plan.json");
        let run = begin(&scratch, "a.plan.json");
        let there = || (0..24).filter(|n| scratch.path(&format!("root/etc/f{n}")).exists()).count();
        wait_for("files appear", || there() > killed_at);
        end(run);
        let resumed = scratch.run(&["resume"]);
        assert_eq!(resumed.code, 0, "killed at {killed_at}: {resumed:?}");
        for n in 0..24 {
            assert_eq!(scratch.read(&format!("root/etc/f{n}")), format!("{n}\n"));
        }
        let receipts = fs::read_dir(scratch.path("a.plan.d/receipts")).unwrap().count();
        assert_eq!(receipts, 1, "killed at {killed_at}");
        let before = journal(&scratch);
        let told = scratch.ok(&["resume", &run_id(&scratch)]);
        assert!(told.stdout.contains("ended before: succeeded"), "{told:?}");
        assert_eq!(journal(&scratch), before, "a run that has ended is not touched");
        assert_eq!(scratch.ok(&["resume"]).stdout, "every run has ended; there is nothing to resume\n");
        scratch.ok(&["audit", "verify"]);
    }
}

/// A change that a gate does not confirm, in a remediation that is taken back then.
fn gated(scratch: &Scratch, gate: &str) -> BTreeMap<String, String> {
    scratch.trust(1);
    scratch.write("root/etc/old", "old\n");
    scratch.write("root/etc/conf", "a=1\nb=2\n");
    let steps = format!(
        "  new:\n    file.content: {{path: /etc/new, content: \"new\\n\"}}\n  gone:\n    file.absent: {{path: /etc/old}}\n  line:\n    file.line: {{path: /etc/conf, match: '^a=', line: a=7}}\nverify:\n  - {gate}\nundo: auto\n"
    );
    scratch.write("project/remediations/risky.yaml", &remediation("risky", &steps));
    scratch.seal("a.plan.json");
    tree(&scratch.path("root/etc"))
}

#[test]
fn what_a_gate_does_not_confirm_is_taken_back() {
    let scratch = Scratch::new();
    let before = gated(&scratch, "file.matches: {path: /etc/conf, pattern: '^never$'}");
    let failed = scratch.expect(1, &["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(tree(&scratch.path("root/etc")), before);
    assert!(failed.stdout.contains("undone, 3 changed, 3 taken back"), "{failed:?}");
    insta::assert_snapshot!("taken_back", clean(&failed, &run_id(&scratch)));
    let receipt = fs::read_dir(scratch.path("a.plan.d/receipts")).unwrap().count();
    assert_eq!(receipt, 1);
    let nothing = scratch.ok(&["undo", &run_id(&scratch)]);
    assert!(nothing.stdout.contains("nothing is left to take back"), "{nothing:?}");
}

#[test]
fn what_somebody_else_wrote_since_is_not_taken_back() {
    let scratch = Scratch::new();
    let conf = scratch.path("root/etc/conf").display().to_string();
    let gate = format!("command.succeeds: {{argv: [/bin/sh, -c, 'echo c=3 >> {conf}; false']}}");
    gated(&scratch, &gate);
    let failed = scratch.expect(6, &["-C", "project", "apply", "a.plan.json"]);
    assert!(failed.stdout.contains("undo_failed"), "{failed:?}");
    assert!(failed.stderr.contains("conflict  scratch:risky/line"), "{failed:?}");
    assert_eq!(scratch.read("root/etc/conf"), "a=7\nb=2\nc=3\n");
    // The others do not depend on it.
    assert_eq!(scratch.read("root/etc/old"), "old\n");
    assert!(!scratch.path("root/etc/new").exists());
}

#[test]
fn two_runs_on_one_target_do_not_meet() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let slow = "  wait:\n    command.run: {argv: [/bin/sh, -c, 'touch \"$RECTIFY_ROOT/begun\"; while ! test -e \"$RECTIFY_ROOT/go\"; do sleep 0.1; done']}\n";
    scratch.write("project/remediations/slow.yaml", &remediation("slow", slow));
    scratch.seal("a.plan.json");
    scratch.write(
        "project/remediations/slow.yaml",
        &remediation("quick", "  x:\n    file.content: {path: /etc/x, content: \"x\\n\"}\n"),
    );
    scratch.seal("b.plan.json");
    let run = begin(&scratch, "a.plan.json");
    wait_for("the first begins", || scratch.path("root/begun").exists());
    let refused = scratch.expect(8, &["-C", "project", "apply", "b.plan.json"]);
    let id = run_id(&scratch);
    assert!(refused.stderr.contains("error[target-locked]"), "{refused:?}");
    assert!(refused.stderr.contains(&format!("run {id} (process {}), for ", run.id())), "{refused:?}");
    let locks = scratch.ok(&["locks"]).stdout;
    assert!(locks.contains(&format!("scratch  run {id}")) && locks.contains("at work"), "{locks}");
    let scope = locks.split_whitespace().next().unwrap().to_owned();
    let wrong = scratch.expect(1, &["locks", "break", &scope, "--fence", "999"]);
    assert!(wrong.stderr.contains("does not have fence 999"), "{wrong:?}");
    scratch.write("root/go", "");
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(scratch.ok(&["locks"]).stdout, "nothing is locked\n");
    scratch.ok(&["-C", "project", "apply", "b.plan.json"]);
    assert_eq!(scratch.read("root/etc/x"), "x\n");
}

/// Each of two commands waits for what the other one makes, so both end only if both are under way.
#[test]
fn runs_on_different_targets_go_on_at_the_same_time() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let local = |name: &str, root: &str| {
        format!(
            "  {name}: {{environment: dev, labels: {{name: {name}}}, connection: local, root: {}}}\n",
            scratch.path(root).display()
        )
    };
    let inventory = [local("scratch", "root"), local("other", "root2")].concat();
    scratch.write(
        "project/inventory/local.yaml",
        &format!("apiVersion: rectify/v1\nkind: Inventory\ntargets:\n{inventory}"),
    );
    scratch.write("root2/etc/x", "");
    let both = |mine: &str, theirs: &str| {
        let [mine, theirs] = [mine, theirs].map(|name| scratch.path(name).display().to_string());
        format!(
            "  meet:\n    command.run: {{argv: [/bin/sh, -c, 'touch {mine}; for i in $(seq 600); do test -e {theirs} && exit 0; sleep 0.1; done; exit 1']}}\n"
        )
    };
    for (plan, target, steps) in [("a", "scratch", both("one", "two")), ("b", "other", both("two", "one"))] {
        let text = remediation(plan, &steps);
        let bastion = "target.labels.role == \"bastion\"";
        let only = text.replace(bastion, &format!("target.labels.name == \"{target}\""));
        assert_ne!(text, only);
        scratch.write(&format!("project/remediations/{plan}.yaml"), &only);
        if plan == "a" {
            scratch.ok(&["-C", "project", "inventory", "adopt", "other"]);
        }
    }
    for plan in ["a", "b"] {
        let name = format!("{plan}.plan.json");
        scratch.ok(&["-C", "project", "plan", plan, "--out", &name]);
        scratch.ok(&["-C", "project", "seal", &name, "--key", "keys-author"]);
        scratch.ok(&["approve", &name, "--key", "keys-reviewer"]);
    }
    let runs = ["a.plan.json", "b.plan.json"].map(|plan| begin(&scratch, plan));
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    assert_eq!(scratch.ok(&["locks"]).stdout, "nothing is locked\n");
    scratch.ok(&["audit", "verify"]);
}

/// What is under way is finished, and nothing new begins under a lease that somebody took away.
#[test]
fn a_run_that_loses_its_lease_begins_nothing_more() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let steps = "  wait:\n    command.run: {argv: [/bin/sh, -c, 'touch \"$RECTIFY_ROOT/begun\"; while ! test -e \"$RECTIFY_ROOT/go\"; do sleep 0.1; done']}\n  next:\n    file.content: {path: /etc/next, content: \"x\\n\"}\n    after: [wait]\n";
    scratch.write("project/remediations/slow.yaml", &remediation("slow", steps));
    scratch.seal("a.plan.json");
    let run = begin(&scratch, "a.plan.json");
    wait_for("the command begins", || scratch.path("root/begun").exists());
    let locks = scratch.ok(&["locks"]).stdout;
    let word = |after: &str| locks.split_once(after).and_then(|(_, rest)| rest.split_whitespace().next());
    let (scope, fence) = (locks.split_whitespace().next().unwrap(), word("fence ").unwrap());
    let fence = fence.trim_end_matches(',');
    scratch.ok(&["locks", "break", scope, "--fence", fence]);
    // Longer than it takes to renew a lease.
    std::thread::sleep(Duration::from_secs(12));
    scratch.write("root/go", "");
    let output = run.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(told.contains("lease"), "{told}");
    assert!(!scratch.path("root/etc/next").exists(), "{told}");
    let done = scratch.ok(&["resume"]);
    assert!(done.stdout.contains("succeeded"), "{done:?}");
    assert_eq!(scratch.read("root/etc/next"), "x\n");
    scratch.ok(&["audit", "verify"]);
}

#[test]
fn checkpoints_are_kept_elsewhere_and_in_the_receipt() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let sink = scratch.path("sink").display().to_string();
    let trust = scratch.read("trust.yaml");
    scratch.write("trust.yaml", &format!("{trust}audit: {{sinks: ['{sink}', /nowhere/at/all]}}\n"));
    scratch.write(
        "project/remediations/one.yaml",
        &remediation("one", "  x:\n    file.content: {path: /etc/x, content: \"x\\n\"}\n"),
    );
    scratch.seal("a.plan.json");
    let applied = scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert!(applied.stderr.contains("WARNING[audit-sink]"), "{applied:?}");
    let note = scratch.read("sink");
    let receipt = fs::read_dir(scratch.path("a.plan.d/receipts")).unwrap().next().unwrap().unwrap().path();
    let envelope: serde_json::Value = serde_json::from_slice(&fs::read(receipt).unwrap()).unwrap();
    let payload = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        envelope["payload"].as_str().unwrap(),
    );
    let statement: serde_json::Value = serde_json::from_slice(&payload.unwrap()).unwrap();
    let inside = statement["predicate"]["checkpoint"].as_str().unwrap();
    assert_eq!(note.trim_end(), inside.trim_end());
    scratch.ok(&["audit", "export", "--out", "log.jsonl"]);
    let key = "state/executor_ed25519.pub";
    let verify = ["audit", "verify", "log.jsonl", "--checkpoint", "sink", "--key", key];
    let good = scratch.ok(&verify);
    assert!(good.stdout.contains("the log is whole"), "{good:?}");
    let log = scratch.read("log.jsonl");
    scratch.write("log.jsonl", &log.replacen("\"scratch\"", "\"scrotch\"", 1));
    let bad = scratch.expect(1, &verify);
    assert!(bad.stdout.contains("NOT whole"), "{bad:?}");
}

/// A file system of its own, which goes with it.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(path: &'a Path, megabytes: u32) -> Self {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={megabytes}m,mode=0700");
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
        Self(path)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_stops_a_run_and_loses_nothing() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new();
    scratch.trust(1);
    let state = scratch.path("state");
    let small = Small::mount(&state, 40);
    let fill = state.join("filler").display().to_string();
    let steps = format!(
        "  fill:\n    command.run: {{argv: [/bin/sh, -c, 'cat /dev/zero > {fill}; true']}}\n  next:\n    file.content: {{path: /etc/next, content: \"n\\n\"}}\n    after: [fill]\n"
    );
    scratch.write("project/remediations/full.yaml", &remediation("full", &steps));
    scratch.seal("a.plan.json");
    let refused = scratch.expect(1, &["-C", "project", "apply", "a.plan.json"]);
    assert!(refused.stderr.contains("error[store-space]"), "{refused:?}");
    assert!(!Path::new(&fill).exists());
    drop(small);
    let _small = Small::mount(&state, 120);
    let stopped = scratch.run(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(stopped.code, 130, "{stopped:?}");
    assert!(!scratch.path("root/etc/next").exists(), "nothing new began");
    let told = journal(&scratch);
    assert!(told.contains("full/fill: succeeded"), "the result is not lost: {told}");
    fs::remove_file(&fill).unwrap();
    scratch.ok(&["resume"]);
    assert_eq!(scratch.read("root/etc/next"), "n\n");
    assert!(!journal(&scratch).contains("full/fill: intent, attempt 2"));
}

/// What was said, without what is other in each run.
fn clean(ran: &Ran, run: &str) -> String {
    let lines = ran.stderr.lines().chain(ran.stdout.lines());
    let kept: Vec<String> =
        lines.filter(|line| !line.starts_with("receipt ")).map(|line| line.replace(run, "RUN")).collect();
    let mut kept = kept;
    // Steps without an order between them end in any.
    kept.sort();
    kept.join("\n")
}
