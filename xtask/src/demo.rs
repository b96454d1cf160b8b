//! `demo`: the whole chain on copies of this machine's configuration files, in a scratch root.

mod crash;

use crate::run::{Outcome, cargo, executable, root, run};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Files that the demo copies from this machine, or from `examples/files` where one is missing.
const FILES: &[&str] = &["etc/ssh/sshd_config", "etc/login.defs", "etc/hosts", "etc/issue.net"];

const INVENTORY: &str = "\
apiVersion: rectify/v1
kind: Inventory
targets:
  scratch:
    environment: prod
    labels: {role: bastion}
    connection: local
    root: ROOT
";

const PROJECT: &str = "\
apiVersion: rectify/v1
kind: Project
metadata: {name: demo}
policies: [standard]
";

const REMEDIATION: &str = r#"apiVersion: rectify/v1
kind: Remediation
metadata: {name: sshd-login-grace, labels: {severity: critical}}
because: {id: CVE-2024-6387, text: sshd race in SIGALRM handling}
parameters: {grace: {type: integer, default: 0, minimum: 0}}
targets: {select: target.labels.role == "bastion"}
steps:
  config:
    file.line:
      path: /etc/ssh/sshd_config
      match: '^#?\s*LoginGraceTime\b'
      line: 'LoginGraceTime ${{ params.grace }}'
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
    command.run: {argv: [/bin/sh, -c, 'echo reloaded >> "$RECTIFY_ROOT/reloads"']}
    on_change: [config]
verify:
  - file.matches: {path: /etc/ssh/sshd_config, pattern: '(?m)^LoginGraceTime 0$'}
"#;

/// The scratch area and how `rectify` is called in it.
struct Demo {
    scratch: PathBuf,
    rectify: PathBuf,
    quiet: bool,
}

const USAGE: &str = "cargo xtask demo [--quiet] [--crash [--seed N]]";

/// Runs the demo; `--quiet` for the test suite, `--crash` for a run that is killed.
pub fn demo(words: &[&str]) -> Outcome {
    let (mut quiet, mut crash, mut seed) = (false, false, None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            "--quiet" => quiet = true,
            "--crash" => crash = true,
            "--seed" => seed = Some(rest.next().and_then(|n| n.parse().ok()).ok_or(USAGE)?),
            _ => return Err(USAGE.into()),
        }
    }
    let rectify = if crash {
        crate::torture::with_points("debug")?
    } else {
        run(cargo(&["build", "--locked", "--quiet", "--package", "rectify-cli"]))?;
        executable("debug")
    };
    let scratch =
        tempfile::Builder::new().prefix("rectify-demo-").tempdir().map_err(|e| e.to_string())?.keep();
    let demo = Demo { scratch, rectify, quiet };
    let result = if crash { demo.crash_story(seed) } else { demo.story() };
    if quiet && result.is_ok() {
        fs::remove_dir_all(&demo.scratch).map_err(|e| e.to_string())?;
    } else {
        println!("\nEverything is in {}", demo.scratch.display());
    }
    result
}

impl Demo {
    fn story(&self) -> Outcome {
        self.say(
            "Copies of configuration files make a scratch root; nothing else of this machine is touched.",
        );
        self.copy_files()?;
        self.say("init: a project, whose inventory we point at the scratch root");
        self.rectify(&["init", "project"], 0)?;
        self.write_project(REMEDIATION)?;
        self.rectify(&["-C", "project", "inventory", "adopt", "scratch"], 0)?;
        self.say(
            "Two throwaway identities: one writes and seals, the other approves. In life these are people.",
        );
        self.identities()?;
        self.say("validate, then plan");
        self.rectify(&["-C", "project", "validate"], 0)?;
        self.rectify(&["-C", "project", "plan", "--out", "fix.plan.json", "--detailed-exitcode"], 2)?;
        self.say("show: what a reviewer reads");
        self.rectify(&["show", "fix.plan.json", "--details"], 0)?;
        self.say("seal: policy decides, the author signs. It may not be applied yet (exit code 3).");
        self.rectify(&["-C", "project", "seal", "fix.plan.json", "--key", "keys/author"], 0)?;
        self.rectify(&["-C", "project", "verify", "fix.plan.json"], 3)?;
        self.say("approve: somebody else consents, and now it may");
        self.rectify(&["approve", "fix.plan.json", "--key", "keys/reviewer", "--reason", "looks right"], 0)?;
        self.rectify(&["-C", "project", "verify", "fix.plan.json"], 0)?;
        self.rectify(&["verify", "fix.plan.json", "--reproduce", "--source", "project"], 0)?;
        self.say("apply");
        self.rectify(&["-C", "project", "apply", "fix.plan.json"], 0)?;
        self.say("A second plan is empty.");
        self.rectify(&["-C", "project", "plan", "--detailed-exitcode"], 0)?;
        self.stale()?;
        self.rectify(&["history"], 0)
    }

    fn copy_files(&self) -> Outcome {
        for name in FILES {
            let to = self.scratch.join("root").join(name);
            fs::create_dir_all(to.parent().unwrap_or(&to)).map_err(|e| e.to_string())?;
            let real = Path::new("/").join(name);
            let from = if real.is_file() {
                real
            } else {
                self.note(&format!("/{name} is missing here; the copy of examples/files is used"));
                root().join("examples/files").join(name)
            };
            fs::copy(&from, &to).map_err(|e| format!("cannot copy {}: {e}", from.display()))?;
        }
        // The banner is to be created, so that the plan shows a creation too.
        fs::remove_file(self.scratch.join("root/etc/issue.net")).map_err(|e| e.to_string())
    }

    fn write_project(&self, remediation: &str) -> Outcome {
        let write =
            |name: &str, text: &str| crate::run::write(&self.scratch.join("project").join(name), text);
        write("rectify.yaml", PROJECT)?;
        let root = self.scratch.join("root");
        write("inventory/local.yaml", &INVENTORY.replace("ROOT", &root.display().to_string()))?;
        write("remediations/sshd-login-grace.yaml", remediation)?;
        fs::remove_file(self.scratch.join("project/remediations/login-banner.yaml"))
            .map_err(|e| e.to_string())
    }

    fn identities(&self) -> Outcome {
        fs::create_dir_all(self.scratch.join("keys")).map_err(|e| e.to_string())?;
        for name in ["author", "reviewer"] {
            self.rectify(&["keys", "new", &format!("keys/{name}"), "--comment", name], 0)?;
        }
        let key = |name: &str| crate::run::read(&self.scratch.join(format!("keys/{name}.pub")));
        let bundle = crate::run::output(self.command(&["-C", "project", "policy", "digest"]))?;
        let trust = format!(
            "format: rectify.trust/v1\n\
             principals:\n\
             \x20 author: {{kind: person, keys: [{{public: '{}'}}]}}\n\
             \x20 reviewer: {{kind: person, keys: [{{public: '{}'}}]}}\n\
             roles:\n\
             \x20 sealer: [author]\n\
             \x20 approver: [reviewer]\n\
             approvals: {{default: 1}}\n\
             policy_bundles: ['{}']\n",
            key("author")?.trim(),
            key("reviewer")?.trim(),
            String::from_utf8_lossy(&bundle).trim()
        );
        let path = self.scratch.join("trust.yaml");
        crate::run::write(&path, &trust)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(|e| e.to_string())
    }

    fn stale(&self) -> Outcome {
        self.say(
            "Now somebody edits a file behind the back of an approved plan: refused as stale (exit code 4).",
        );
        let file = self.scratch.join("root/etc/issue.net");
        fs::write(&file, "Welcome.\n").map_err(|e| e.to_string())?;
        self.rectify(&["-C", "project", "plan", "--out", "again.plan.json"], 0)?;
        self.rectify(&["-C", "project", "seal", "again.plan.json", "--key", "keys/author"], 0)?;
        self.rectify(&["approve", "again.plan.json", "--key", "keys/reviewer"], 0)?;
        fs::write(&file, "Edited by somebody else.\n").map_err(|e| e.to_string())?;
        self.rectify(&["-C", "project", "apply", "again.plan.json"], 4)?;
        let text = crate::run::read(&file)?;
        if text != "Edited by somebody else.\n" {
            return Err(format!("the edit was lost: {text:?}"));
        }
        self.say("The edit is untouched.");
        Ok(())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.rectify);
        command
            .args(arguments)
            .current_dir(&self.scratch)
            .env("RECTIFY_TRUST", self.scratch.join("trust.yaml"))
            .env("RECTIFY_STATE", self.scratch.join("state"));
        command
    }

    fn rectify(&self, arguments: &[&str], expected: i32) -> Outcome {
        let output = self.output(arguments)?;
        if output.status.code() == Some(expected) {
            return Ok(());
        }
        Err(format!(
            "`rectify {}` ended with {}, expected exit code {expected}:\n{}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    }

    /// A call that may end in several ways.
    fn call(&self, arguments: &[&str]) -> Result<Option<i32>, String> {
        Ok(self.output(arguments)?.status.code())
    }

    fn output(&self, arguments: &[&str]) -> Result<Output, String> {
        let mut command = self.command(arguments);
        if !self.quiet {
            println!("\n$ rectify {}", arguments.join(" "));
        }
        command.stdin(Stdio::null());
        let output = command.output().map_err(|e| format!("cannot start rectify: {e}"))?;
        if !self.quiet {
            let (out, err) = (&output.stdout, &output.stderr);
            print!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
        }
        Ok(output)
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            println!("\n── {text}");
        }
    }

    fn note(&self, text: &str) {
        println!("   {text}");
    }
}
