//! The providers of the tutorials, in Python and in Go, through the whole chain: packed, locked, planned,
//! applied; refused after one byte changed; killed in the middle of an action.

use super::{flip, lock, stored};
use crate::conform::build_go;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rectify_tests::{Scratch, remediation};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A step that writes a file and an action that writes a line and then runs a command, in either language.
pub struct Example {
    name: &'static str,
    /// Makes the one file that is locked.
    build: fn(&Path),
    write: &'static str,
    act: fn(&str) -> String,
}

const PYTHON: Example = Example {
    name: "motd",
    build: |program| {
        let output = Command::new("python3")
            .args(["rectify_provider.py", "bundle", "motd.py", "-o"])
            .arg(program)
            .current_dir(top().join("examples/providers/python-motd"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    },
    write: "motd.file: {path: /etc/motd, text: \"hello\\n\"}",
    act: |argv| format!("motd.announce: {{log: /etc/log, message: once, program: {argv}}}"),
};

pub const GO: Example = Example {
    name: "lines",
    build: |program| build_go(&top().join("examples/providers/go-lines"), program),
    write: "lines.file: {path: /etc/motd, lines: [hello]}",
    act: |argv| format!("lines.note: {{path: /etc/log, text: once, tell: {argv}}}"),
};

/// A project in which the example is locked, without steps.
pub fn project(example: &Example) -> Scratch {
    let scratch = Scratch::new();
    scratch.trust(1);
    (example.build)(&scratch.path(example.name));
    scratch.ok(&["provider", "pack", example.name, "--unsigned", "--out", "release"]);
    let shown = lock(&scratch, &["release", "--unsigned"]);
    assert!(shown.contains(&format!("+ {} 0.1.0", example.name)), "{shown}");
    scratch
}

fn used(example: &Example) {
    let scratch = project(example);
    let steps = format!("  write:\n    {}\n  act:\n    {}\n", example.write, (example.act)("[cat]"));
    scratch.write("project/remediations/both.yaml", &remediation("both", &steps));
    scratch.seal("a.plan.json");
    let plan: Value = serde_json::from_str(&scratch.read("a.plan.json")).unwrap();
    assert_eq!(plan["providers"][example.name]["version"], "0.1.0");
    scratch.ok(&["verify", "a.plan.json", "--reproduce", "--source", "project"]);
    // One byte of what is stored, before and after: nothing of it is run.
    let program = stored(&scratch, false);
    let middle = fs::read(scratch.path(&program)).unwrap().len() / 2;
    flip(&scratch, &program, middle);
    for arguments in [&["-C", "project", "plan"][..], &["-C", "project", "apply", "a.plan.json"]] {
        let refused = scratch.run(arguments);
        assert!(refused.stderr.contains("error[provider-digest-mismatch]"), "{refused:?}");
    }
    assert!(!scratch.path("root/etc/motd").exists());
    flip(&scratch, &program, middle);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/motd"), "hello\n");
    assert_eq!(scratch.read("root/etc/log"), "once\n");
    // The same permission is the same run.
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/log"), "once\n");
}

#[test]
fn a_provider_in_python_is_locked_planned_and_applied() {
    used(&PYTHON);
}

#[test]
fn a_provider_in_go_is_locked_planned_and_applied() {
    used(&GO);
}

fn wait_for<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within 60 s");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Processes whose environment has an entry.
fn with_variable(entry: &str) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    let marked = numbers.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|found| found == entry.as_bytes())
    });
    marked.map(Pid::from_raw).collect()
}

/// Parent of a process.
fn parent(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok().map(Pid::from_raw)
}

/// Files below a directory whose names end so.
fn ending(directory: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(ending(&path, end));
        } else if path.to_str().unwrap().ends_with(end) {
            found.push(path);
        }
    }
    found
}

/// What a fresh process of the locked program says of an operation.
fn op_status(program: &Path, state: &Path, op_id: &str) -> Value {
    let work = tempfile::tempdir().unwrap();
    let mut child = Command::new(program)
        .args(["serve", "--stdio"])
        .env("RECTIFY_PROVIDER", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let directories = json!({"work": work.path(), "state": state, "blobs": ""});
    let requests = [
        (
            "initialize",
            json!({"protocol": {"min": "1.0", "max": "1.0"}, "session": "0".repeat(32), "mode": "apply", "frame_max_bytes": 8_388_608, "dirs": directories}),
        ),
        ("op.status", json!({"op_id": op_id})),
        ("shutdown", json!({})),
    ];
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut results = Vec::new();
    for (id, (method, params)) in requests.into_iter().enumerate() {
        writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .unwrap();
        let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains("\"id\"")).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], id, "{answer}");
        results.push(answer["result"].take());
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    results.remove(1)
}

/// Engine, provider and command end at once in the middle of an action, as a machine's power does.
fn killed(example: &Example) {
    let scratch = project(example);
    let steps = format!(
        "  write:\n    {}\n  act:\n    {}\n    after: [write]\n  last:\n    file.content: {{path: /etc/last, content: \"x\\n\"}}\n    after: [act]\n",
        example.write,
        (example.act)("[sleep, '600']")
    );
    scratch.write("project/remediations/long.yaml", &remediation("long", &steps));
    scratch.seal("a.plan.json");
    let mut run = scratch.command(&["-C", "project", "apply", "a.plan.json"]);
    let mut run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let engine = Pid::from_raw(i32::try_from(run.id()).unwrap());
    let state = scratch.path("state");
    // A provider may claim what converges, too; the action's operation is the one that a command carries.
    let (claim, commands) = wait_for("the action's command runs", || {
        ending(&state, ".claim").into_iter().find_map(|claim| {
            let op_id = claim.file_stem().unwrap().to_str().unwrap();
            let commands = with_variable(&format!("RECTIFY_OPERATION={op_id}"));
            (!commands.is_empty()).then_some((claim, commands))
        })
    });
    let op_id = claim.file_stem().unwrap().to_str().unwrap().to_owned();
    wait_for("the line is written", || scratch.path("root/etc/log").exists().then_some(()));
    let providers: Vec<Pid> =
        with_variable("RECTIFY_PROVIDER=1").into_iter().filter(|pid| parent(*pid) == Some(engine)).collect();
    assert!(!providers.is_empty());
    // The engine stands still first, so that it does not see the others go.
    kill(engine, Signal::SIGSTOP).unwrap();
    for pid in providers.into_iter().chain(commands).chain([engine]) {
        // The command may be gone with its provider.
        let _ = kill(pid, Signal::SIGKILL);
    }
    run.wait().unwrap();
    assert!(!claim.with_extension("done").exists());
    let program = scratch.path(&stored(&scratch, false));
    let copy = scratch.path("copy");
    fs::copy(program, &copy).unwrap();
    fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(op_status(&copy, claim.parent().unwrap(), &op_id), "started");
    assert_eq!(op_status(&copy, claim.parent().unwrap(), &"0".repeat(64)), "never_seen");
    // What may have happened is not done again by itself.
    let asked = scratch.expect(7, &["resume"]);
    assert!(asked.stderr.contains("long/act"), "{asked:?}");
    let id = scratch.ok(&["history"]).stdout.split_whitespace().nth(1).unwrap().to_owned();
    let answer = ["--as", "succeeded", "--reason", "the line is there", "--key", "keys-reviewer"];
    scratch.ok(&[&["resolve", &id, "long/act"][..], &answer].concat());
    scratch.ok(&["resume"]);
    assert_eq!(scratch.read("root/etc/log"), "once\n");
    assert_eq!(scratch.read("root/etc/last"), "x\n");
    scratch.ok(&["audit", "verify"]);
}

#[test]
fn a_provider_in_python_is_killed_in_the_middle_and_knows_it() {
    killed(&PYTHON);
}

#[test]
fn a_provider_in_go_is_killed_in_the_middle_and_knows_it() {
    killed(&GO);
}
