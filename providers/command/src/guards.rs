//! The guards: `creates`, which can be seen without running anything, and `unless` and `only_if`,
//! which are commands themselves.

use crate::{command, properties::Properties};
use rectify_sdk::{
    Context, Ended, exists_beneath,
    protocol::{ErrorCode, ItemError},
};
use serde_json::{Value, json};
use std::{path::Path, time::Instant};

/// What `creates` says; the state of the action.
pub(crate) struct GuardState<'p> {
    creates: Option<(&'p str, bool)>,
}

/// Looks at what the command would create.
pub(crate) fn guard_state<'p>(
    root: Option<&Path>,
    creates: Option<&'p str>,
) -> Result<GuardState<'p>, ItemError> {
    let creates = creates
        .map(|path| {
            exists_beneath(root, Path::new(path)).map(|exists| (path, exists)).map_err(|e| {
                ItemError::new(ErrorCode::Failed, format!("{path} cannot be looked at: {e}")).at("/creates")
            })
        })
        .transpose()?;
    Ok(GuardState { creates })
}

impl GuardState<'_> {
    pub(crate) fn to_value(&self) -> Value {
        match self.creates {
            Some((path, exists)) => json!({"creates": {"path": path, "exists": exists}}),
            None => json!({}),
        }
    }

    /// The state after the command, as far as it promises one.
    pub(crate) fn after(&self) -> Option<Value> {
        self.creates.map(|(path, _)| GuardState { creates: Some((path, true)) }.to_value())
    }

    /// The state after it was taken back, as far as it promises one.
    pub(crate) fn before(&self) -> Option<Value> {
        self.creates.map(|(path, _)| GuardState { creates: Some((path, false)) }.to_value())
    }

    /// What the command created and is there.
    pub(crate) fn left(&self) -> Option<&str> {
        self.creates.and_then(|(path, exists)| exists.then_some(path))
    }

    /// What the command would create and is not there.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.creates.and_then(|(path, exists)| (!exists).then_some(path))
    }

    /// Whether what the command would create is there.
    pub(crate) fn is_done(&self) -> bool {
        self.creates.is_some_and(|(_, exists)| exists)
    }
}

/// What the commands among the guards say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    ToDo,
    NothingToDo,
    /// One of them may not be executed in this session, and no other one settles it.
    NotAllowed,
}

/// Asks the commands that may be executed.
pub(crate) fn ask(cx: &Context, properties: &Properties, deadline: Instant) -> Result<Verdict, ItemError> {
    let guards = [("/unless", &properties.unless, true), ("/only_if", &properties.only_if, false)];
    let mut verdict = Verdict::ToDo;
    for (path, argv, nothing_to_do_if) in guards {
        let Some(argv) = argv else { continue };
        if !cx.may_execute(argv) {
            verdict = Verdict::NotAllowed;
        } else if succeeds(cx, properties, path, argv, deadline)? == nothing_to_do_if {
            return Ok(Verdict::NothingToDo);
        }
    }
    Ok(verdict)
}

/// Whether a guard exits with 0. Anything but an exit code decides nothing, and so is an error.
fn succeeds(
    cx: &Context,
    properties: &Properties,
    path: &str,
    argv: &[String],
    deadline: Instant,
) -> Result<bool, ItemError> {
    let undecided = |code, what: String| ItemError::new(code, format!("the guard {what}")).at(path);
    match command::run(cx, properties, argv, None, deadline).map_err(|e| e.at(path))?.ended {
        Ended::Exited(code) => Ok(code == 0),
        Ended::Signalled(signal) => {
            Err(undecided(ErrorCode::Failed, format!("was ended by signal {signal}")))
        }
        Ended::TimedOut => Err(undecided(ErrorCode::Timeout, "did not end in time".into())),
        Ended::Cancelled => Err(undecided(ErrorCode::Cancelled, "was cancelled".into())),
    }
}
