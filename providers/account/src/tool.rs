//! Running the target's own tools for accounts.

use rectify_sdk::{
    Context, Ended, Run,
    protocol::{ErrorCode, ItemError, Mutated},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Longest time for one tool: it waits for others who hold the files.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a tool, which is searched in fixed directories, and must succeed.
pub(crate) fn run(cx: &Context, argv: &[&str], stdin: Option<&str>) -> Result<(), ItemError> {
    let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
    let finished = cx.run(&Run {
        argv: &argv,
        environment: BTreeMap::new(),
        directory: "/".into(),
        user: None,
        stdin,
        deadline: Instant::now() + TIMEOUT,
    })?;
    let name = argv.first().map_or("", String::as_str);
    let (code, what) = match finished.ended {
        Ended::Exited(0) => return Ok(()),
        Ended::Exited(code) => (ErrorCode::Failed, format!("ended with exit code {code}")),
        Ended::Signalled(signal) => (ErrorCode::Failed, format!("was ended by signal {signal}")),
        Ended::TimedOut => (ErrorCode::Timeout, format!("took more than {} s", TIMEOUT.as_secs())),
        Ended::Cancelled => (ErrorCode::Cancelled, "was ended, because the step was cancelled".into()),
    };
    let said = finished.output.stderr.lines().rfind(|line| !line.trim().is_empty());
    let said = said.map(|line| format!(": {}", line.trim())).unwrap_or_default();
    // What is known of the effect is seen by looking again.
    Err(ItemError::new(code, format!("`{name}` {what}{said}")).mutated(Mutated::Maybe))
}
