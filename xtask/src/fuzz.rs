//! `fuzz`: libFuzzer on the targets of `tests/fuzz`.

use crate::run::{Outcome, cargo, has, output, root, run};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

const SECONDS: &str = "60";
/// Longest that one input may take, in seconds: instrumented code is several times slower.
const INPUT_MAX_S: u32 = 10;
/// Most memory that one allocation may take, in MiB.
const ALLOCATION_MAX_MIB: u32 = 256;

/// Fuzzes one target, or one after the other, for some seconds each. What it finds is kept outside the
/// checkout; whoever looks at it copies what is worth keeping into `tests/fuzz/corpus/`.
pub fn fuzz(words: &[&str]) -> Outcome {
    let (name, seconds) = match words {
        [name] => (*name, SECONDS),
        [name, seconds] if seconds.parse::<u32>().is_ok() => (*name, *seconds),
        // Says which targets there are.
        _ => return output(seeds(&[])).map(drop),
    };
    if !has("cargo-fuzz") {
        return Err("cargo-fuzz is missing: cargo install cargo-fuzz --version 0.13.2 --locked".into());
    }
    if name != "--all" {
        return one(name, seconds);
    }
    // All of them, whatever one finds: a list of what was found is worth more than the first.
    let mut found = Vec::new();
    for name in names()? {
        println!("fuzz: {name}");
        if let Err(message) = one(&name, seconds) {
            eprintln!("xtask: {message}");
            found.push(name);
        }
    }
    match found.as_slice() {
        [] => Ok(()),
        found => Err(format!("found something: {}", found.join(", "))),
    }
}

/// The targets, by their executables.
fn names() -> Result<Vec<String>, String> {
    let directory = root().join("tests/fuzz/libfuzzer/fuzz_targets");
    let error = |e: std::io::Error| format!("cannot read {}: {e}", directory.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&directory).map_err(error)? {
        let path = entry.map_err(error)?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn one(name: &str, seconds: &str) -> Outcome {
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let cache = PathBuf::from(home).join(".cache/rectify/fuzz");
    let (found, failed) = (cache.join("corpus").join(name), cache.join("artifacts").join(name));
    let found = text(&found)?;
    run(seeds(&[name, found]))?;
    std::fs::create_dir_all(&failed).map_err(|e| format!("cannot make {}: {e}", failed.display()))?;
    let kept = root().join("tests/fuzz/corpus").join(name);
    let mut command = cargo(&["fuzz", "run", "--fuzz-dir", "tests/fuzz/libfuzzer", "--target-dir"]);
    command.arg(cache.join("target")).args([name, found]);
    if kept.is_dir() {
        command.arg(kept);
    }
    command.arg("--").arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-artifact_prefix={}/", text(&failed)?));
    command.arg(format!("-timeout={INPUT_MAX_S}")).arg(format!("-malloc_limit_mb={ALLOCATION_MAX_MIB}"));
    command.args(["-report_slow_units=1", "-rss_limit_mb=3000", "-print_final_stats=1"]);
    // cargo-fuzz instruments with unstable flags of the compiler; this lets the stable one take them.
    run({
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    })
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| "HOME is not UTF-8".into())
}

fn seeds(words: &[&str]) -> Command {
    let mut command =
        cargo(&["run", "--locked", "--quiet", "--package", "rectify-fuzz", "--example", "seeds", "--"]);
    command.args(words);
    command
}
