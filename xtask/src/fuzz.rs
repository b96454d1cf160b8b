//! `fuzz`: libFuzzer on one of the targets of `tests/fuzz`.

use crate::run::{Outcome, cargo, has, output, root, run};
use std::path::PathBuf;

const SECONDS: &str = "60";

/// Fuzzes one target for some seconds. What it finds is kept outside the checkout; whoever looks at it
/// copies what is worth keeping into `tests/fuzz/corpus/`.
pub fn fuzz(words: &[&str]) -> Outcome {
    let (name, seconds) = match words {
        [name] => (*name, SECONDS),
        [name, seconds] if seconds.parse::<u32>().is_ok() => (*name, *seconds),
        _ => {
            // Says which targets there are.
            return output(seeds(&[])).map(drop);
        }
    };
    if !has("cargo-fuzz") {
        return Err("cargo-fuzz is missing: cargo install cargo-fuzz --version 0.13.2 --locked".into());
    }
    let home = std::env::var_os("HOME").ok_or("HOME is not set")?;
    let cache = PathBuf::from(home).join(".cache/rectify/fuzz");
    let text = |path: PathBuf| path.to_str().map(str::to_owned).ok_or("HOME is not UTF-8");
    let (found, failed) = (text(cache.join("corpus").join(name))?, text(cache.join("artifacts").join(name))?);
    run(seeds(&[name, &found]))?;
    std::fs::create_dir_all(&failed).map_err(|e| format!("cannot make {failed}: {e}"))?;
    let kept = root().join("tests/fuzz/corpus").join(name);
    let mut command = cargo(&["fuzz", "run", "--fuzz-dir", "tests/fuzz/libfuzzer", "--target-dir"]);
    command.arg(cache.join("target")).args([name, &found]);
    if kept.is_dir() {
        command.arg(kept);
    }
    command.arg("--").arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={failed}/"));
    command.args(["-timeout=20", "-rss_limit_mb=3000", "-print_final_stats=1"]);
    // cargo-fuzz instruments with unstable flags of the compiler; this lets the stable one take them.
    run({
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    })
}

fn seeds(words: &[&str]) -> std::process::Command {
    let mut command =
        cargo(&["run", "--locked", "--quiet", "--package", "rectify-fuzz", "--example", "seeds", "--"]);
    command.args(words);
    command
}
