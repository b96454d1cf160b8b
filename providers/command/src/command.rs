//! Running the command itself, and saying honestly what came of it.

use crate::properties::{Properties, Way};
use rectify_sdk::{
    Context, Ended, Finished, Run, User,
    protocol::{ErrorCode, ItemError, Mutated, message::Output},
    real_path_beneath,
};
use std::{path::Path, time::Instant};

/// How much of standard error an error's message repeats: its last characters.
const MESSAGE_TAIL_CHARS: usize = 1_000;

/// Runs a command as the step's user, in the step's directory and environment.
pub(crate) fn run(
    cx: &Context,
    properties: &Properties,
    argv: &[String],
    stdin: Option<&str>,
    deadline: Instant,
) -> Result<Finished, ItemError> {
    let failed = |path: &str, message: String| ItemError::new(ErrorCode::Failed, message).at(path);
    let directory = properties.directory.as_deref().unwrap_or("/");
    let directory = real_path_beneath(cx.root(), Path::new(directory))
        .map_err(|e| failed("/directory", format!("the directory {directory} cannot be entered: {e}")))?;
    let user = match &properties.user {
        None => None,
        Some(name) => {
            let found = User::find(cx.root(), name)
                .map_err(|e| failed("/user", format!("the users cannot be read: {e}")))?;
            Some(found.ok_or_else(|| failed("/user", format!("there is no user `{name}`")))?)
        }
    };
    let environment = properties.environment.clone();
    cx.run(&Run { argv, environment, directory, user, stdin, deadline, finishes: false })
}

/// Runs the step's command, or what takes it back. An error with `mutated: no` means that it was never
/// started.
pub(crate) fn carry_out(
    cx: &Context,
    properties: &Properties,
    way: Way,
    deadline: Instant,
) -> Result<Output, ItemError> {
    if Instant::now() >= deadline {
        return Err(ItemError::new(ErrorCode::Timeout, "the time was up before the command was started"));
    }
    if cx.cancelled() {
        return Err(ItemError::new(ErrorCode::Cancelled, "cancelled before the command was started"));
    }
    let (argv, stdin, good) = match way {
        Way::Forward => (properties.command(), properties.stdin.as_deref(), properties.exit_codes.as_slice()),
        Way::Back => (properties.undo.clone().unwrap_or_default(), None, [0].as_slice()),
    };
    let what = if way == Way::Back { "the command that takes it back" } else { "the command" };
    let finished = run(cx, properties, &argv, stdin, deadline)?;
    let (code, end) = match finished.ended {
        Ended::Exited(code) if good.contains(&code) => return Ok(finished.output),
        Ended::Exited(code) => {
            let expected: Vec<String> = good.iter().map(i32::to_string).collect();
            (ErrorCode::Failed, format!("exited with {code}, not {}", expected.join(" or ")))
        }
        Ended::Signalled(signal) => (ErrorCode::Failed, format!("was ended by signal {signal}")),
        Ended::TimedOut => (ErrorCode::Timeout, "did not end in time and was ended".into()),
        Ended::Cancelled => (ErrorCode::Cancelled, "was cancelled and ended".into()),
    };
    let message = format!("{what} {end}{}", tail(&finished.output.stderr));
    Err(ItemError::new(code, message).mutated(Mutated::Maybe))
}

/// The way back ended well, and yet what the command creates is there.
pub(crate) fn removed_nothing(path: &str, output: &Output) -> ItemError {
    let message =
        format!("the command that takes it back exited with 0, but {path} exists{}", tail(&output.stderr));
    ItemError::new(ErrorCode::Failed, message)
        .at("/undo")
        .mutated(Mutated::Maybe)
        .hint("let `undo` remove what `creates` names")
}

/// The command ended well, and yet did not do what the step says it does.
pub(crate) fn created_nothing(path: &str, output: &Output) -> ItemError {
    let code = output.exit_code.map_or_else(String::new, |code| format!(" with {code}"));
    let message = format!("the command exited{code}, but {path} does not exist{}", tail(&output.stderr));
    ItemError::new(ErrorCode::Failed, message)
        .at("/creates")
        .mutated(Mutated::Yes)
        .hint("see what the command did, and let `creates` name a path that it makes")
}

fn tail(stderr: &str) -> String {
    let text = stderr.trim();
    let surplus = text.chars().count().saturating_sub(MESSAGE_TAIL_CHARS);
    let tail: String = text.chars().skip(surplus).collect();
    match (tail.is_empty(), surplus > 0) {
        (true, _) => String::new(),
        (false, false) => format!("; it said: {tail}"),
        (false, true) => format!("; at last it said: …{tail}"),
    }
}
