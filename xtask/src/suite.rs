//! `test`: everything that must be green, stage by stage, with the seconds of each.

use crate::run::{Outcome, cargo, executable, has, root, run};
use std::{process::Command, time::Instant};

/// Programs that the tests run, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("ssh-keygen", "openssh-client"),
    ("openssl", "openssl"),
    ("cc", "gcc"),
    ("groff", "groff-base"),
    ("lexgrog", "man-db"),
    ("python3", "python3"),
    ("strace", "strace"),
    ("go", "golang-go"),
];

/// One part of the suite.
struct Stage<'a> {
    name: &'static str,
    /// Whether it runs what the stage `build` made.
    built: bool,
    run: Box<dyn Fn() -> Outcome + 'a>,
}

fn stage<'a>(name: &'static str, run: impl Fn() -> Outcome + 'a) -> Stage<'a> {
    Stage { name, built: false, run: Box::new(run) }
}

fn after_build<'a>(name: &'static str, run: impl Fn() -> Outcome + 'a) -> Stage<'a> {
    Stage { built: true, ..stage(name, run) }
}

/// `test [--install] [STAGE…]`: the stages that are named, or all. A failing stage does not keep the others
/// from running, so that one pass shows everything that is wrong.
pub fn test(words: &[&str]) -> Outcome {
    let install = words.contains(&"--install");
    let named: Vec<&str> = words.iter().copied().filter(|word| *word != "--install").collect();
    let stages = [
        stage("programs", || programs(install)),
        stage("format", || run(cargo(&["fmt", "--all", "--check"]))),
        stage("layers", crate::layers::check),
        stage("dependencies", || dependencies(install)),
        stage("clippy", || {
            run(cargo(&[
                "clippy",
                "--locked",
                "--workspace",
                "--all-targets",
                "--features",
                "xtask/schemas,rectify-cli/crash-points",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ]))
        }),
        stage("generated", crate::codegen::check),
        stage("build", || run(cargo(&["build", "--locked", "--workspace", "--quiet"]))),
        stage("tests", || run(cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]))),
        after_build("python", python),
        after_build("go", go),
        stage("rust", rust),
        after_build("demo", || {
            crate::demo::demo(&["--quiet"])?;
            crate::demo::demo(&["--quiet", "--crash"])
        }),
        after_build("torture", || crate::torture::torture(&[])),
    ];
    if let Some(unknown) = named.iter().find(|name| stages.iter().all(|stage| stage.name != **name)) {
        let names: Vec<&str> = stages.iter().map(|stage| stage.name).collect();
        return Err(format!("no stage is called {unknown}; stages: {}", names.join(", ")));
    }
    let start = Instant::now();
    let (mut times, mut failed) = (Vec::new(), Vec::new());
    for stage in stages.iter().filter(|stage| named.is_empty() || named.contains(&stage.name)) {
        if stage.built && failed.contains(&"build") {
            times.push(format!("{} not run", stage.name));
            continue;
        }
        eprintln!("== {}", stage.name);
        let begin = Instant::now();
        let result = (stage.run)();
        times.push(format!("{} {:.1} s", stage.name, begin.elapsed().as_secs_f32()));
        if let Err(message) = result {
            eprintln!("== stage {} failed: {message}", stage.name);
            failed.push(stage.name);
        }
    }
    let summary = format!("{:.0} s: {}", start.elapsed().as_secs_f32(), times.join(", "));
    if failed.is_empty() {
        eprintln!("== all green in {summary}");
        Ok(())
    } else {
        Err(format!("failed stages: {}; {summary}", failed.join(", ")))
    }
}

fn programs(install: bool) -> Outcome {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(name, _)| !has(name)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let needed = missing.join(" ");
    if !install {
        return Err(format!("missing Debian packages: {needed}; install them, or add --install"));
    }
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if !is_root || !has("apt-get") {
        return Err(format!(
            "missing Debian packages: {needed}; only root can install them (apt-get install {needed})"
        ));
    }
    let mut update = Command::new("apt-get");
    update.args(["update", "-q"]);
    run(update)?;
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-y", "-q", "--no-install-recommends"])
        .args(missing)
        .env("DEBIAN_FRONTEND", "noninteractive");
    run(apt)
}

/// Bans, licences and sources, by cargo-deny. It is built once and kept outside the checkout.
fn dependencies(install: bool) -> Outcome {
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let tools = std::path::Path::new(&home).join(".cache/rectify/tools");
    let deny = tools.join("bin/cargo-deny");
    if !deny.is_file() && !has("cargo-deny") {
        if !install {
            return Err("cargo-deny is missing: cargo install cargo-deny --locked, or add --install".into());
        }
        let tools = tools.to_str().ok_or("HOME is not UTF-8")?;
        let mut command =
            cargo(&["install", "--quiet", "--locked", "--debug", "--root", tools, "cargo-deny@0.20.2"]);
        command.env_remove("CARGO_TARGET_DIR");
        run(command)?;
    }
    let program = if deny.is_file() { deny.into_os_string() } else { "cargo-deny".into() };
    let mut command = Command::new(program);
    command.args(["--offline", "--locked", "check", "bans", "licenses", "sources"]).current_dir(root());
    run(command)
}

/// The SDK of Go, beside a provider of the Rust SDK and under the conformance kit, and the provider that
/// is written with it. Neither needs anything but Go itself.
fn go() -> Outcome {
    let built = executable("debug");
    for place in ["sdk/go", "examples/providers/go-lines"] {
        for arguments in [["vet", "./..."], ["test", "./..."]] {
            let mut command = Command::new("go");
            command
                .args(arguments)
                .envs([("GOFLAGS", "-buildvcs=false"), ("GOPROXY", "off"), ("GOTOOLCHAIN", "local")])
                .env("GOWORK", "off")
                .env("RECTIFY_PROVIDER_COMMAND", built.with_file_name("rectify-provider-command"))
                .current_dir(root().join(place));
            let conform = built.with_file_name("rectify-conform");
            if conform.is_file() {
                command.env("RECTIFY_CONFORM", conform);
            }
            run(command)?;
        }
    }
    Ok(())
}

/// The provider that is written with the SDK of Rust, in a workspace of its own. What it needs of others is
/// built already, where this workspace needs the same of it.
fn rust() -> Outcome {
    let built = executable("debug");
    let target = built.ancestors().nth(2).ok_or("there is no directory for what is built")?;
    for arguments in [&["fmt", "--check"][..], &["test", "--locked", "--quiet"]] {
        let mut command = cargo(arguments);
        command
            .env("CARGO_TARGET_DIR", target)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .current_dir(root().join("examples/providers/rust-shellvars"));
        run(command)?;
    }
    Ok(())
}

/// The SDK of Python, beside a provider of the Rust SDK, and the provider that is written with it.
fn python() -> Outcome {
    for place in ["sdk/python", "examples/providers/python-motd"] {
        let mut command = Command::new("python3");
        command
            .args(["-m", "unittest", "discover", "-q", "-t", ".", "-s"])
            .arg(if place == "sdk/python" { "tests" } else { "." })
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("RECTIFY_PROVIDER_COMMAND", executable("debug").with_file_name("rectify-provider-command"))
            .current_dir(root().join(place));
        run(command)?;
    }
    Ok(())
}
