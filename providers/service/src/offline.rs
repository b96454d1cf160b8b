//! Units of a root directory, where there is no systemd to be asked: `systemctl --root` knows the links.

use rectify_sdk::{
    Context, Ended, Finished, Run,
    protocol::{ErrorCode, ItemError, Mutated},
};
use std::time::{Duration, Instant};

/// Longest time for one look or change.
const TIMEOUT: Duration = Duration::from_secs(30);

fn systemctl(cx: &Context, verb: &str, unit: &str) -> Result<Finished, ItemError> {
    let root = cx.root().and_then(|root| root.to_str()).ok_or_else(|| {
        ItemError::new(ErrorCode::Unsupported, "the path of the root directory is not text")
    })?;
    let words = ["systemctl", &format!("--root={root}"), "--quiet", "--no-pager", verb, "--", unit];
    // `is-enabled` says its answer only without `--quiet`.
    let argv: Vec<String> = words
        .iter()
        .filter(|word| **word != "--quiet" || verb != "is-enabled")
        .map(|word| (*word).to_owned())
        .collect();
    let deadline = Instant::now() + TIMEOUT;
    cx.run(&Run { directory: "/".into(), deadline, ..Run::new(cx, &argv) })
}

/// What the links say of a unit: `enabled`, `disabled`, `static`, `masked`, …; empty without a file.
pub(crate) fn enablement(cx: &Context, unit: &str) -> Result<String, ItemError> {
    let finished = systemctl(cx, "is-enabled", unit)?;
    let said = finished.output.stdout.trim();
    match finished.ended {
        // Newer ones say `not-found`, older ones complain.
        Ended::Exited(_) if said == "not-found" => Ok(String::new()),
        Ended::Exited(_) if !said.is_empty() => Ok(said.to_owned()),
        Ended::Exited(1 | 4) if finished.output.stderr.contains("No such file") => Ok(String::new()),
        _ => Err(failed("is-enabled", unit, &finished)),
    }
}

/// Changes the links of a unit.
pub(crate) fn run(cx: &Context, verb: &str, unit: &str) -> Result<(), ItemError> {
    let finished = systemctl(cx, verb, unit)?;
    match finished.ended {
        Ended::Exited(0) => Ok(()),
        _ => Err(failed(verb, unit, &finished).mutated(Mutated::Maybe)),
    }
}

fn failed(verb: &str, unit: &str, finished: &Finished) -> ItemError {
    let said = finished.output.stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let code = match finished.ended {
        Ended::TimedOut => ErrorCode::Timeout,
        Ended::Cancelled => ErrorCode::Cancelled,
        Ended::Exited(_) | Ended::Signalled(_) => ErrorCode::Failed,
    };
    ItemError::new(code, format!("`systemctl --root {verb} {unit}` failed: {}", said.trim())).at("/unit")
}
