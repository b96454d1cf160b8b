//! The conformance kit on every built-in provider, every example, and the SDKs' own test providers.

use crate::kit::{Tally, rows};
use rectify_conform::{Fixtures, Kit, Row};
use rectify_tests::rectify;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// What starts a provider.
enum Start {
    /// `rectify provider serve`, its name, fixtures in `providers/NAME`.
    Builtin,
    /// A script, with its fixtures.
    Script(&'static str, &'static str),
    /// A program in Go in a directory of a module, with its fixtures.
    Go(&'static str, &'static str),
    /// A program in Rust: the directory of its workspace, what Cargo is told beside `build`, its fixtures.
    Rust(&'static str, &'static [&'static str], &'static str),
}

use Start::{Builtin, Go, Rust, Script};

/// Each provider: a line of the table in docs/conformance.md.
const PROVIDERS: &[(&str, Start)] = &[
    ("account", Builtin),
    ("command", Builtin),
    ("facts", Builtin),
    ("file", Builtin),
    ("probe", Builtin),
    ("sysctl", Builtin),
    (
        "python-motd",
        Script("examples/providers/python-motd/motd.py", "examples/providers/python-motd/conform.yaml"),
    ),
    ("go-lines", Go("examples/providers/go-lines", "examples/providers/go-lines/conform.yaml")),
    (
        "rust-shellvars",
        Rust(
            "examples/providers/rust-shellvars",
            &["--bin", "rectify-shellvars"],
            "examples/providers/rust-shellvars/conform.yaml",
        ),
    ),
    ("sdk/python", Script("sdk/python/tests/provider.py", "sdk/python/tests/conform.yaml")),
    ("sdk/go", Go("sdk/go/internal/testprovider", "sdk/go/testdata/conform.yaml")),
    (
        "sdk/rust",
        Rust(
            ".",
            &["--workspace", "--bin", "rectify-sdk-typed-provider"],
            "crates/rectify-sdk/tests/conform.yaml",
        ),
    ),
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The command line of a provider, and the file of its fixtures.
fn found(name: &str, start: &Start, scratch: &Path) -> (Vec<String>, PathBuf) {
    match start {
        Builtin => {
            (vec![rectify().display().to_string()], top().join("providers").join(name).join("fixtures.yaml"))
        }
        Script(script, fixtures) => (
            vec!["/usr/bin/env".into(), "python3".into(), top().join(script).display().to_string()],
            top().join(fixtures),
        ),
        Rust(directory, arguments, fixtures) => {
            let program = build_rust(&top().join(directory), arguments);
            (vec![program.display().to_string()], top().join(fixtures))
        }
        Go(directory, fixtures) => {
            let program = scratch.join(name.replace('/', "-"));
            build_go(&top().join(directory), &program);
            (vec![program.display().to_string()], top().join(fixtures))
        }
    }
}

/// Builds a program in Rust, beside what is built of this workspace: most of what it needs is there.
fn build_rust(directory: &Path, arguments: &[&str]) -> PathBuf {
    let built = env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--locked", "--quiet"]).args(arguments).current_dir(directory);
    command.env("CARGO_TARGET_DIR", &built);
    if directory != top().join(".") {
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    built.join("debug").join(arguments.last().unwrap())
}

/// Builds a program in Go, with nothing but what is on this machine.
pub fn build_go(directory: &Path, program: &Path) {
    let output = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .arg(program)
        .arg(".")
        .current_dir(directory)
        .envs([
            ("GOFLAGS", "-buildvcs=false"),
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
            ("GOWORK", "off"),
            ("CGO_ENABLED", "0"),
        ])
        .output()
        .unwrap_or_else(|e| panic!("go: {e}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Results of a provider.
fn results(name: &str, start: &Start, scratch: &Path) -> Vec<Row> {
    let (provider, fixtures) = found(name, start, scratch);
    let bytes = fs::read(&fixtures).unwrap_or_else(|e| panic!("{}: {e}", fixtures.display()));
    let mut kit = Kit::new(provider, Fixtures::read(&bytes).unwrap(), Fixtures::digest(&bytes));
    kit.builtin = matches!(start, Builtin).then(|| name.into());
    kit.soak = 1_000;
    kit.jobs = 6;
    rows(kit).unwrap_or_else(|failed| panic!("{name}, {failed}"))
}

/// The line of a provider.
fn line(name: &str, tally: &Tally) -> String {
    let Tally { passed, failed, skipped, why } = tally;
    format!("| {name} | {passed} | {failed} | {skipped} | {why} |\n")
}

/// The lines of providers that need a host, as `cargo xtask fleet conform` found them there.
fn of_hosts() -> String {
    let mut lines = BTreeMap::new();
    for hosts in crate::hosts::results() {
        for (name, tally) in &hosts.kit {
            let place = format!("`{name}` on {}", hosts.release);
            lines.insert((name.clone(), hosts.release.clone()), line(&place, tally));
        }
    }
    lines.into_values().collect()
}

#[test]
fn every_provider_conforms() {
    let scratch = tempfile::tempdir().unwrap();
    rectify();
    let (next, lines) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    // A few at a time: their checks mostly wait, but not so many that one waits for the others.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Of this thread and what it starts: other tests have limits of time.
                let _ = rustix::process::nice(10);
                while let Some((number, (name, start))) =
                    PROVIDERS.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed))
                {
                    let tally = Tally::of(name, &results(name, start, scratch.path()));
                    let line = line(&format!("`{name}`"), &tally);
                    lines.lock().unwrap().insert(number, line);
                }
            });
        }
    });
    let lines: String = lines.into_inner().unwrap().into_values().collect();
    let hosts = of_hosts();
    let table =
        format!("| provider | passed | failed | skipped | why |\n|---|---|---|---|---|\n{lines}{hosts}");
    let path = top().join("docs/conformance.md");
    let text = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- providers -->\n", "<!-- end of providers -->");
    let (before, rest) = text.split_once(begin).unwrap();
    let (found, after) = rest.split_once(end).unwrap();
    let expected = format!("\n{table}\n");
    if env::var_os("RECTIFY_UPDATE").is_some() {
        fs::write(&path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(found, expected, "`providers` of docs/conformance.md is old; RECTIFY_UPDATE=1 writes it");
}
