//! Taking back a run that has ended, by a plan like any other.

use rectify_tests::{Scratch, remediation};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

const STEPS: &str = "  banner:
    file.content: {path: /etc/issue.net, content: \"Authorised users only.\\n\", mode: \"0644\"}
  grace:
    file.line: {path: /etc/sshd_config, match: '^#?LoginGraceTime', line: LoginGraceTime 0}
  port:
    file.line: {path: /etc/sshd_config, match: '^Port', line: Port 2222}
    after: [grace]
  directory:
    file.directory: {path: /etc/new}
  inside:
    file.content: {path: /etc/new/a, content: \"a\\n\", mode: \"0600\"}
    after: [directory]
  old:
    file.absent: {path: /etc/old}
  note:
    command.run: {argv: [/bin/sh, -c, 'echo x >> \"$RECTIFY_ROOT/count\"']}
    on_change: [grace, port]
";

fn applied() -> (Scratch, String, BTreeMap<String, String>) {
    let scratch = Scratch::new();
    scratch.write("root/etc/sshd_config", "Port 22\n#LoginGraceTime 120\n");
    scratch.write("root/etc/old", "old\n");
    fs::set_permissions(scratch.path("root/etc/old"), fs::Permissions::from_mode(0o640)).unwrap();
    scratch.write("project/remediations/grace.yaml", &remediation("grace", STEPS));
    scratch.trust(1);
    let before = tree(&scratch.path("root/etc"));
    scratch.seal("a.plan.json");
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_ne!(tree(&scratch.path("root/etc")), before);
    let run = scratch.ok(&["history"]).stdout.split_whitespace().nth(1).unwrap().to_owned();
    (scratch, run, before)
}

/// Everything below a directory: kind, mode, content.
fn tree(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(here) = open.pop() {
        for entry in fs::read_dir(&here).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content =
                if meta.is_file() { fs::read_to_string(&path).unwrap() } else { "directory".into() };
            let name = path.strip_prefix(directory).unwrap().display().to_string();
            found.insert(name, format!("{:o} {content}", meta.mode()));
            if meta.is_dir() {
                open.push(path);
            }
        }
    }
    found
}

#[test]
fn a_run_is_taken_back_like_any_other_change() {
    let (scratch, run, before) = applied();
    fs::remove_dir_all(scratch.path("a.plan.d")).unwrap();
    fs::remove_file(scratch.path("a.plan.json")).unwrap();
    let planned = scratch.ok(&["-C", "project", "undo", &run, "--out", "back.plan.json"]);
    insta::assert_snapshot!("undo", clean(&planned.stdout, &run));
    // It is a plan: reviewed, reproduced, sealed, approved, applied.
    scratch.ok(&["show", "back.plan.json", "--details"]);
    scratch.ok(&["-C", "project", "verify", "back.plan.json", "--reproduce", "--source", "project"]);
    scratch.ok(&["-C", "project", "seal", "back.plan.json", "--key", "keys-author"]);
    scratch.expect(3, &["-C", "project", "apply", "back.plan.json"]);
    scratch.ok(&["approve", "back.plan.json", "--key", "keys-reviewer"]);
    scratch.ok(&["-C", "project", "apply", "back.plan.json"]);
    assert_eq!(tree(&scratch.path("root/etc")), before);
    assert_eq!(scratch.read("root/count"), "x\nx\n", "what was triggered is triggered again");
    let again = scratch.ok(&["-C", "project", "undo", &run]);
    assert!(again.stdout.contains("nothing is left to take back"), "{again:?}");
}

#[test]
fn what_was_changed_since_is_not_thrown_away() {
    let (scratch, run, _) = applied();
    scratch.write("root/etc/sshd_config", "Port 2222\nLoginGraceTime 5\n");
    let refused = scratch.expect(6, &["-C", "project", "undo", &run, "--out", "back.plan.json"]);
    assert!(refused.stderr.contains("engine-undo-conflict"), "{refused:?}");
    assert!(refused.stderr.contains("grace/port"), "{refused:?}");
    assert!(!refused.stderr.contains("grace/banner"), "{refused:?}");
    assert!(!scratch.path("back.plan.json").exists());
    assert_eq!(scratch.read("root/etc/sshd_config"), "Port 2222\nLoginGraceTime 5\n");
}

#[test]
fn only_what_was_kept_for_an_ended_run_is_believed() {
    let (scratch, run, _) = applied();
    let kept = fs::read_dir(scratch.path("state/runs")).unwrap().next().unwrap().unwrap().path();
    assert!(kept.file_name().unwrap().to_string_lossy().starts_with(&run));
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&kept), mode(&kept.join("plan.json"))), (0o700, 0o600));
    let plan = fs::read_to_string(kept.join("plan.json")).unwrap();
    fs::write(kept.join("plan.json"), plan.replace("Authorised", "Any")).unwrap();
    let refused = scratch.expect(1, &["-C", "project", "undo", &run]);
    assert!(refused.stderr.contains("error[run-plan]"), "{refused:?}");
    let unknown = scratch.expect(64, &["-C", "project", "undo", "0000"]);
    assert!(unknown.stderr.contains("there is no run `0000`"), "{unknown:?}");
}

#[test]
fn a_run_that_was_broken_off_is_ended_first() {
    let scratch = Scratch::new();
    scratch.trust(1);
    let steps =
        "  slow:\n    command.run: {argv: [/bin/sh, -c, 'touch \"$RECTIFY_ROOT/begun\"; sleep 600']}\n";
    scratch.write("project/remediations/slow.yaml", &remediation("slow", steps));
    scratch.seal("a.plan.json");
    let mut apply = scratch.command(&["-C", "project", "apply", "a.plan.json"]).spawn().unwrap();
    while !scratch.path("root/begun").exists() {
        assert!(apply.try_wait().unwrap().is_none(), "it ended before its step began");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    apply.kill().unwrap();
    apply.wait().unwrap();
    let run = scratch.ok(&["history"]).stdout.split_whitespace().nth(1).unwrap().to_owned();
    let refused = scratch.expect(1, &["-C", "project", "undo", &run]);
    assert!(refused.stderr.contains("error[run-unfinished]"), "{refused:?}");
}

/// Without what is other in each run.
fn clean(text: &str, run: &str) -> String {
    let mut clean = text.replace(run, "RUN");
    if let Some(at) = clean.find("plan blake3:") {
        clean.truncate(at);
    }
    clean
}
