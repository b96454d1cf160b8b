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

/// Runs all stages; the first failing one ends the run.
pub fn test(install: bool) -> Outcome {
    let stages: &[(&str, &dyn Fn() -> Outcome)] = &[
        ("programs", &|| programs(install)),
        ("format", &|| run(cargo(&["fmt", "--all", "--check"]))),
        ("layers", &crate::layers::check),
        ("dependencies", &|| dependencies(install)),
        ("clippy", &|| {
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
        ("generated", &crate::codegen::check),
        ("build", &|| run(cargo(&["build", "--locked", "--workspace", "--quiet"]))),
        ("tests", &|| run(cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]))),
        ("python", &python),
        ("demo", &|| {
            crate::demo::demo(&["--quiet"])?;
            crate::demo::demo(&["--quiet", "--crash"])
        }),
        ("torture", &|| crate::torture::torture(&[])),
        ("go", &go),
    ];
    let start = Instant::now();
    let mut times = Vec::new();
    for (name, stage) in stages {
        eprintln!("== {name}");
        let begin = Instant::now();
        let result = stage();
        times.push(format!("{name} {:.1} s", begin.elapsed().as_secs_f32()));
        result.map_err(|e| format!("stage {name} failed: {e}\n{}", times.join(", ")))?;
    }
    eprintln!("== all green in {:.0} s: {}", start.elapsed().as_secs_f32(), times.join(", "));
    Ok(())
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
            cargo(&["install", "--quiet", "--locked", "--root", tools, "cargo-deny", "--version", "0.20.2"]);
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
