//! What came of a job: whether the unit stays up, and what its journal says if it does not.

use crate::manager::{Job, Manager, Seen};
use rectify_sdk::{
    Context, Run,
    protocol::{ErrorCode, ItemError, Mutated},
};
use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Lines of the journal that an error repeats at most.
const JOURNAL_LINES: usize = 20;
/// Characters of the journal that an error repeats at most: the last ones.
const JOURNAL_CHARS: usize = 2_000;
/// Longest time for the journal.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a unit is looked at while it has to stay up.
const PULSE: Duration = Duration::from_millis(200);

/// What is done to a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Verb {
    fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
            Self::Restart => "RestartUnit",
            Self::Reload => "ReloadUnit",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Start => "started",
            Self::Stop => "stopped",
            Self::Restart => "restarted",
            Self::Reload => "reloaded",
        }
    }
}

/// How long it may take, and how long the unit has to stay up afterwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) deadline: Instant,
    pub(crate) stable: Duration,
}

/// Does it, and waits until it is known that it went well. The error of what did not says why, with the
/// last lines of the unit's journal.
pub(crate) fn bring_about(
    cx: &Context,
    manager: &Manager,
    unit: &str,
    verb: Verb,
    patience: Patience,
) -> Result<Seen, ItemError> {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let failed = |what: String| {
        let said = journal(cx, unit, begin);
        ItemError::new(ErrorCode::Failed, format!("`{unit}` was not {}: {what}{said}", verb.done()))
            .at("/unit")
            .mutated(Mutated::Yes)
    };
    let job = match manager.job(cx, verb.method(), unit, patience.deadline) {
        Ok(job) => job,
        Err(error) if error.mutated == Mutated::No => {
            // systemd does not even try: what is wrong stands in the journal from when it read the file.
            let why = manager.unit(unit).map(|seen| seen.load_error).unwrap_or_default();
            let why = if why.is_empty() || error.message.contains(&why) { why } else { format!(" ({why})") };
            let said = journal(cx, unit, begin.saturating_sub(60));
            let message = format!("`{unit}` was not {}: {}{why}{said}", verb.done(), error.message);
            return Err(ItemError { message, ..error }.at("/unit"));
        }
        Err(error) => return Err(error),
    };
    match job {
        Job::Ended(result) if result == "done" || result == "skipped" => {}
        Job::Ended(result) => {
            let now = manager.unit(unit).map(|seen| format!("; it is {}", seen.phrase())).unwrap_or_default();
            return Err(failed(format!("its job ended as `{result}`{now}")));
        }
        Job::TimedOut => {
            let now = manager.unit(unit).map(|seen| format!(", it is {}", seen.phrase())).unwrap_or_default();
            let error = failed(format!("the time is up{now}; the job was cancelled"));
            return Err(ItemError { code: ErrorCode::Timeout, ..error }.mutated(Mutated::Maybe));
        }
        Job::Cancelled => {
            let message = format!("`{unit}` was not {}: cancelled, and so was its job", verb.done());
            return Err(ItemError::new(ErrorCode::Cancelled, message).mutated(Mutated::Maybe));
        }
    }
    stays(cx, manager, unit, verb, patience).map_err(failed)
}

/// Watches a unit for a while. What is up has to stay up, and must not be started again by itself.
fn stays(
    cx: &Context,
    manager: &Manager,
    unit: &str,
    verb: Verb,
    patience: Patience,
) -> Result<Seen, String> {
    let end = (Instant::now() + patience.stable).min(patience.deadline);
    let mut first: Option<u64> = None;
    loop {
        let seen = manager.unit(unit).map_err(|error| error.message)?;
        if verb == Verb::Stop {
            return match seen.active.as_str() {
                "inactive" | "failed" => Ok(seen),
                _ => Err(format!("it is {}", seen.phrase())),
            };
        }
        if seen.active == "failed" {
            return Err(format!("it is {}", seen.phrase()));
        }
        if seen.sub == "auto-restart" || seen.sub == "auto-restart-queued" {
            return Err(format!("it does not stay up and is started again and again: {}", seen.phrase()));
        }
        let restarts = *first.get_or_insert(seen.restarts);
        if seen.restarts > restarts {
            return Err(format!("it does not stay up: it was started again by itself, {}", seen.phrase()));
        }
        if Instant::now() >= end || cx.cancelled() {
            return Ok(seen);
        }
        thread::sleep(PULSE.min(end.saturating_duration_since(Instant::now())));
    }
}

/// The last lines of a unit's journal, ready to be added to a message; empty if there is none.
fn journal(cx: &Context, unit: &str, since: u64) -> String {
    let run = |argv: &[&str]| {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let deadline = Instant::now() + JOURNAL_TIMEOUT;
        cx.run(&Run { deadline, ..Run::new(cx, &argv) })
    };
    // What was said a moment ago may not have been written yet. An old journalctl cannot wait for that.
    drop(run(&["journalctl", "--sync"]));
    let (unit, since) = (format!("--unit={unit}"), format!("--since=@{since}"));
    let lines = format!("--lines={JOURNAL_LINES}");
    let argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", &lines, &since, &unit];
    // A journal that cannot be read is no reason to hide what is known.
    run(&argv).map(|finished| ending(&finished.output.stdout)).unwrap_or_default()
}

/// The end of a text, as part of a message, which is one line.
fn ending(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>())
        .filter(|line| !line.trim().is_empty())
        .collect();
    let whole = lines.get(lines.len().saturating_sub(JOURNAL_LINES)..).unwrap_or_default().join(" | ");
    let surplus = whole.chars().count().saturating_sub(JOURNAL_CHARS);
    let end: String = whole.chars().skip(surplus).collect();
    match (end.is_empty(), surplus > 0) {
        (true, _) => String::new(),
        (false, false) => format!("; its journal ends with: {end}"),
        (false, true) => format!("; its journal ends with: …{end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_of_a_journal_is_told() {
        assert_eq!(ending(""), "");
        assert_eq!(ending("one\n\n\u{1b}[31mtwo\n"), "; its journal ends with: one |  [31mtwo");
        let many: String = (0..30).map(|n| format!("line {n}\n")).collect();
        assert!(ending(&many).starts_with("; its journal ends with: line 10 | line 11"));
    }

    proptest! {
        #[test]
        fn what_is_told_is_bounded_and_has_no_control_characters(
            lines in prop::collection::vec("[a-zé\\x00-\\x1f\u{1f600}]{0,150}", 0..30)
        ) {
            let told = ending(&lines.join("\n"));
            prop_assert!(told.chars().count() <= JOURNAL_CHARS + 30);
            prop_assert!(told.chars().all(|c| !c.is_control()));
        }
    }
}
