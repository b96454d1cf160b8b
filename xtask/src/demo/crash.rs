//! `demo --crash`: a run that is killed somewhere, resumed, and taken back, to the last byte.

use super::Demo;
use crate::{
    random::{Random, fresh_seed},
    run::Outcome,
    tree::Tree,
};
use std::{fs, os::unix::process::ExitStatusExt, process::Stdio};

/// As in the ordinary demo, and everything can be taken back.
const REMEDIATION: &str = r#"apiVersion: rectify/v1
kind: Remediation
metadata: {name: sshd-login-grace, labels: {severity: critical}}
because: {id: CVE-2024-6387, text: sshd race in SIGALRM handling}
targets: {select: target.labels.role == "bastion"}
undo: auto
steps:
  config:
    file.line:
      path: /etc/ssh/sshd_config
      match: '^#?\s*LoginGraceTime\b'
      line: 'LoginGraceTime 0'
  umask:
    file.line:
      path: /etc/login.defs
      match: '^UMASK\s'
      line: "UMASK 027"
  banner:
    file.content:
      path: /etc/issue.net
      content: |
        Authorised users only.
      mode: "0644"
  drop-ins:
    file.directory: {path: /etc/ssh/sshd_config.d, mode: "0755"}
  hardening:
    file.content:
      path: /etc/ssh/sshd_config.d/10-hardening.conf
      content: |
        PermitRootLogin no
        PasswordAuthentication no
      mode: "0600"
  notice:
    command.run:
      argv: [/bin/sh, -c, 'echo reloaded >> "$RECTIFY_ROOT/reloads"']
      undo: [/bin/sh, -c, 'rm "$RECTIFY_ROOT/reloads"']
    on_change: [config]
verify:
  - file.matches: {path: /etc/ssh/sshd_config, pattern: '(?m)^LoginGraceTime 0$'}
"#;

/// Steps of the remediation that change something.
const STEPS: usize = 6;

/// Where a run is killed, and whether each step passes there.
const POINTS: &[(&str, bool, &str)] = &[
    ("C0", false, "before the run is in the journal"),
    ("C1", false, "when the run is in the journal, before it holds its lease"),
    ("C2", false, "when it holds its lease, before the first intent"),
    ("C3", true, "when an intent is durable, before the provider hears of it"),
    ("C4", true, "right before the effect"),
    ("C4b", true, "right after the effect, before anything says so"),
    ("C5", true, "when the provider is done, before it answers"),
    ("C6", true, "when a result is durable, before what follows from it"),
    ("C8", false, "when the last step is done, before the run is"),
    ("C9", false, "when the run has ended, before its receipt"),
];

impl Demo {
    /// Kills a run at a point that the seed chooses, and shows that nothing is lost.
    pub(super) fn crash_story(&self, seed: Option<u64>) -> Outcome {
        let seed = seed.unwrap_or_else(fresh_seed);
        let mut random = Random::new(seed);
        let (point, each, words) = POINTS.get(random.below(POINTS.len())).copied().ok_or("no points")?;
        let nth = if each { 1 + random.below(STEPS) } else { 1 };
        println!("seed {seed}: the engine is killed at {point}, {words} (time {nth} of it)");
        let told = || format!("to see it again: cargo xtask demo --crash --seed {seed}");
        self.crash_at(point, nth).map_err(|e| format!("{e}\n{}", told()))
    }

    fn crash_at(&self, point: &str, nth: usize) -> Outcome {
        self.copy_files()?;
        self.rectify(&["init", "project"], 0)?;
        self.write_project(REMEDIATION)?;
        self.rectify(&["-C", "project", "inventory", "adopt", "scratch"], 0)?;
        self.identities()?;
        let before = self.tree()?;
        println!("the scratch root before:  {}", before.digest());
        self.rectify(&["-C", "project", "plan", "--out", "fix.plan.json", "--detailed-exitcode"], 2)?;
        self.permit("fix.plan.json")?;
        self.killed(point, nth)?;
        self.say("resume, until the run has ended");
        let run = self.finish()?;
        self.say("It converged: another plan is empty.");
        self.rectify(&["-C", "project", "plan", "--detailed-exitcode"], 0)?;
        let reloads = crate::run::read(&self.scratch.join("root/reloads"))?;
        if reloads != "reloaded\n" {
            return Err(format!("the command ran {} times", reloads.lines().count()));
        }
        println!("the scratch root changed: {}", self.tree()?.digest());
        self.say("undo: a plan of its own, sealed and approved like any other");
        self.rectify(&["-C", "project", "undo", &run, "--out", "undo.plan.json"], 0)?;
        self.permit("undo.plan.json")?;
        self.rectify(&["-C", "project", "apply", "undo.plan.json"], 0)?;
        let after = self.tree()?;
        println!("the scratch root after:   {}", after.digest());
        if before.digest() == after.digest() {
            println!("byte for byte, mode for mode, owner for owner as it was");
            return Ok(());
        }
        Err(format!("the scratch root is not what it was:\n{}", before.differences(&after).join("\n")))
    }

    fn tree(&self) -> Result<Tree, String> {
        Tree::of(&self.scratch.join("root"))
    }

    fn permit(&self, plan: &str) -> Outcome {
        self.rectify(&["-C", "project", "seal", plan, "--key", "keys/author"], 0)?;
        self.rectify(&["approve", plan, "--key", "keys/reviewer", "--reason", "looks right"], 0)
    }

    fn killed(&self, point: &str, nth: usize) -> Outcome {
        self.say("apply, which is killed");
        let count = self.scratch.join("crash");
        // Its output goes nowhere: a provider that outlives the engine must not keep us waiting.
        let status = self
            .command(&["-C", "project", "apply", "fix.plan.json"])
            .env("RECTIFY_CRASH", format!("{point}:{nth}:engine"))
            .env("RECTIFY_CRASH_FILE", &count)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|e| format!("cannot start rectify: {e}"))?;
        if status.signal().is_none() {
            return Err(format!("the run was to be killed at {point}, and ended with {status}"));
        }
        self.say(&format!("the engine ended with {status}"));
        drop(fs::remove_file(count));
        Ok(())
    }

    /// What a person does after a crash. Returns the run.
    fn finish(&self) -> Result<String, String> {
        let mut code = match self.newest()? {
            Some(_) => self.call(&["-C", "project", "resume"])?,
            // Nothing of it was begun, so its permission is not used up.
            None => self.call(&["-C", "project", "apply", "fix.plan.json"])?,
        };
        let run = self.newest()?.ok_or("no run was begun")?;
        if code == Some(7) {
            let happened = self.scratch.join("root/reloads").exists();
            let verdict = if happened { "succeeded" } else { "retry" };
            self.say("Nobody knows whether the command ran. A person looks, and says so.");
            let step = "scratch:sshd-login-grace/notice";
            let reason = "looked for what it writes";
            let words = ["-C", "project", "resolve", &run, step, "--as", verdict, "--reason", reason];
            let words: Vec<&str> = words.into_iter().chain(["--key", "keys/reviewer"]).collect();
            self.rectify(&words, 0)?;
            code = self.call(&["-C", "project", "resume", &run])?;
        }
        if code == Some(0) { Ok(run) } else { Err(format!("the run was resumed and ended with {code:?}")) }
    }

    fn newest(&self) -> Result<Option<String>, String> {
        let text = crate::run::output(self.command(&["history"]))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(text.lines().next().and_then(|line| line.split_whitespace().nth(1)).map(str::to_owned))
    }
}
