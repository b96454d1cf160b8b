//! Secrets through the whole chain: each arrives where it belongs and is found nowhere else.

mod canaries;
mod leaky;

use canaries::{COUNT, World};
use rectify_tests::{Scratch, remediation};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, time::Duration};

/// Prints what it is given in every way, on both streams.
const LEAKY: &str = "v=$(cat); for f in 1 2; do printf \"%s\\n\" \"$v\" >&$f; printf %s \"$v\" | base64 -w0 >&$f; \
    printf \"x%s\" \"$v\" | base64 -w0 >&$f; printf %s \"$v\" | od -An -v -tx1 | tr -d \" \\n\" >&$f; done; ";

#[test]
fn each_arrives_and_is_found_nowhere_else() {
    // A command has neither the descriptors that hold secrets nor a way to dump memory.
    let alone =
        "for n in 5 6 7 8; do if [ -e /proc/self/fd/$n ]; then exit 9; fi; done; [ \"$(ulimit -c)\" = 0 ]";
    let world = World::new("", &format!("{alone}; cat > \"$RECTIFY_ROOT/out/sNN\""), "");
    world.seal();
    world.run(0, &["-C", "project", "apply", "a.plan.json", "-vvv"]);
    for number in 0..COUNT {
        let value = world.canaries.value(number);
        if number % 2 == 0 {
            let name = format!("root/etc/s{number}");
            assert_eq!(world.scratch.read(&name), format!("key = {value}"));
            let mode = fs::metadata(world.scratch.path(&name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
        } else {
            assert_eq!(world.scratch.read(&format!("root/out/s{number}")), value);
        }
    }
    world.nowhere_else(&|path| world.is_destination(path));
    world.shown();
    // Nothing is left to do, and that is found out without showing anything.
    world.run(0, &["-C", "project", "plan", "--detailed-exitcode", "-vvv", "--log-json"]);
    world.nowhere_else(&|path| world.is_destination(path));
}

#[test]
fn a_failure_that_repeats_them_shows_none() {
    let refuse = ", validate: [/bin/sh, -c, 'cat \"$0\"; cat \"$0\" >&2; base64 \"$0\"; exit 1', \"%s\"]";
    let world = World::new(refuse, &format!("{LEAKY}exit 3"), "");
    world.seal();
    let ran = world.run(5, &["-C", "project", "apply", "a.plan.json", "-vvv"]);
    assert!(ran.stderr.matches("exited with 3").count() >= 8, "{}", ran.stderr);
    assert!(ran.stderr.contains("the new content is refused"), "{}", ran.stderr);
    world.nowhere_else(&|_| false);
    world.shown();
}

#[test]
fn a_command_that_does_not_end_shows_none() {
    let world = World::new("", &format!("{LEAKY}sleep 60"), ", timeout_s: 1");
    world.seal();
    let ran = world.run(7, &["-C", "project", "apply", "a.plan.json", "-vvv", "--events"]);
    assert!(ran.stderr.contains("did not end in time"), "{}", ran.stderr);
    world.nowhere_else(&|path| world.is_destination(path));
    world.shown();
}

#[test]
fn an_engine_that_is_killed_leaves_none() {
    let world = World::new("", &format!("{LEAKY}touch \"$RECTIFY_ROOT/out/begun\"; sleep 60"), "");
    world.seal();
    let mut command = world.command(&["-C", "project", "apply", "a.plan.json", "-vvv"]);
    let (out, err) = (world.scratch.path("stdout"), world.scratch.path("stderr"));
    let mut child = command
        .stdout(Stdio::from(fs::File::create(&out).unwrap()))
        .stderr(Stdio::from(fs::File::create(&err).unwrap()))
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if world.scratch.path("root/out/begun").exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(world.scratch.path("root/out/begun").exists(), "no step was begun");
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had started ends with it.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while std::time::Instant::now() < deadline && is_used(&world.scratch) {
        std::thread::sleep(Duration::from_millis(50));
    }
    world.nowhere_else(&|path| path.starts_with(world.scratch.path("root/etc")));
    world.run(0, &["history"]);
    world.nowhere_else(&|path| path.starts_with(world.scratch.path("root/etc")));
}

/// Whether a process still runs that belongs to the scratch area.
fn is_used(scratch: &Scratch) -> bool {
    let text = scratch.path("").display().to_string();
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let read = |what: &str| {
            String::from_utf8_lossy(&fs::read(entry.path().join(what)).unwrap_or_default()).into_owned()
        };
        read("cmdline").contains(&text) || read("environ").contains(&format!("RECTIFY_ROOT={text}"))
    })
}

/// A project with one secret, from a source, in one file.
fn one(from: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.write(
        "project/rectify.yaml",
        &format!("apiVersion: rectify/v1\nkind: Project\nmetadata: {{name: demo}}\npolicies: [standard]\nsecrets:\n  db: {{from: {from}}}\n"),
    );
    scratch.write(
        "project/remediations/a.yaml",
        &remediation("a", "  one:\n    file.content: {path: /etc/one, content: '${{ secrets.db }}'}\n"),
    );
    scratch.trust(1);
    scratch
}

fn source(scratch: &Scratch, value: &str, mode: u32) {
    scratch.write("project/db", value);
    fs::set_permissions(scratch.path("project/db"), fs::Permissions::from_mode(mode)).unwrap();
}

fn refused(scratch: &Scratch, exit: i32, code: &str, arguments: &[&str]) {
    let ran = scratch.expect(exit, arguments);
    assert!(ran.stderr.contains(&format!("error[{code}]")), "{}", ran.stderr);
}

const PLAN: &[&str] = &["-C", "project", "plan", "--out", "a.plan.json"];

#[test]
fn a_value_that_cannot_be_had_or_used_is_refused() {
    let scratch = one("{file: db}");
    refused(&scratch, 1, "secret-unavailable", PLAN);
    source(&scratch, "long enough", 0o644);
    refused(&scratch, 1, "secret-unusable", PLAN);
    for value in ["short", "nul\0nul\0nul", &"x".repeat(65_537)] {
        source(&scratch, value, 0o600);
        refused(&scratch, 1, "secret-unusable", PLAN);
    }
    source(&scratch, "sécrét", 0o640);
    scratch.ok(PLAN);
    refused(&one("{env: NOT_SET}"), 1, "secret-unavailable", PLAN);
    refused(&one("{fd: 77}"), 1, "secret-unavailable", PLAN);
}

#[test]
fn a_command_runs_only_if_the_trust_file_lists_it() {
    let scratch = one("{command: [/bin/sh, -c, 'touch ran; cat db']}");
    refused(&scratch, 1, "secret-command", PLAN);
    assert!(!scratch.path("ran").exists());
    source(&scratch, "hunter22", 0o600);
    fs::copy(scratch.path("project/db"), scratch.path("db")).unwrap();
    let trust = scratch.read("trust.yaml");
    scratch.write("trust.yaml", &format!("{trust}secret_commands: [[/bin/sh, -c, 'touch ran; cat db']]\n"));
    scratch.ok(PLAN);
    let scratch = one("{command: [/bin/false]}");
    let trust = scratch.read("trust.yaml");
    scratch.write("trust.yaml", &format!("{trust}secret_commands: [[/bin/false]]\n"));
    refused(&scratch, 1, "secret-unavailable", PLAN);
}

#[test]
fn another_value_is_another_plan() {
    let scratch = one("{file: db}");
    source(&scratch, "hunter22", 0o600);
    scratch.seal("a.plan.json");
    source(&scratch, "hunter23", 0o600);
    refused(&scratch, 4, "secret-changed", &["-C", "project", "apply", "a.plan.json"]);
    assert!(!scratch.path("root/etc/one").exists());
    source(&scratch, "hunter22", 0o600);
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    assert_eq!(scratch.read("root/etc/one"), "hunter22");
    scratch.ok(&["-C", "project", "plan", "--detailed-exitcode"]);
    source(&scratch, "hunter23", 0o600);
    let shown = scratch.expect(2, &["-C", "project", "plan", "--detailed-exitcode", "--details"]);
    assert!(shown.stdout.contains("content: \"(secret db)\""), "{}", shown.stdout);
    assert!(shown.stdout.contains("where their values come from:\n  db: the file db\n"), "{}", shown.stdout);
    for format in ["markdown", "html"] {
        let shown = scratch.ok(&["show", "a.plan.json", "--format", format]).stdout;
        assert!(shown.contains("db: the file db"), "{shown}");
    }
}

#[test]
fn a_value_that_a_source_repeats_is_not_written_into_a_plan() {
    let scratch = one("{file: db}");
    source(&scratch, "hunter22", 0o600);
    scratch.write(
        "project/remediations/b.yaml",
        &remediation("b", "  two:\n    file.content: {path: /etc/two, content: 'key = hunter22'}\n"),
    );
    refused(&scratch, 1, "secret-shown", PLAN);
    assert!(!scratch.path("a.plan.json").exists());
}

#[test]
fn a_file_with_a_secret_is_closed_to_others() {
    let scratch = one("{file: db}");
    source(&scratch, "hunter22", 0o600);
    // What is there shows the value to everybody; the plan does not.
    scratch.write("root/etc/one", "hunter22 is what it was before");
    fs::set_permissions(scratch.path("root/etc/one"), fs::Permissions::from_mode(0o644)).unwrap();
    scratch.seal("a.plan.json");
    assert!(!scratch.read("a.plan.json").contains("is what it was"));
    scratch.ok(&["-C", "project", "apply", "a.plan.json"]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&scratch.path("root/etc/one")), 0o640);
    scratch.write(
        "project/remediations/a.yaml",
        &remediation(
            "a",
            "  one:\n    file.content: {path: /etc/one, mode: '0644', content: '${{ secrets.db }}'}\n",
        ),
    );
    let ran = scratch.expect(1, &["-C", "project", "plan"]);
    assert!(ran.stdout.contains("lets others in") || ran.stderr.contains("lets others in"), "{ran:?}");
}
