//! `apply` and `history`.

use super::project::out;
use crate::{
    exit,
    failure::Failure,
    say::{say, tell},
};
use rectify_attest::moment;
use rectify_engine::{
    Engine,
    apply::{Applied, ApplyRequest, Part, Stop, apply as engine_apply},
    history as engine_history,
    undo::short,
};
use rectify_model::journal::{
    GateState, Kept, Record, RunId, RunMark, RunOutcome, StepState, TargetState, UndoState,
};
use rectify_review::visible;
use std::path::Path;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// `apply`.
pub async fn apply(engine: &Engine, project: &Path, plan: &Path) -> Result<u8, Failure> {
    let (wish, stop) = watch::channel(Stop::No);
    let listener = tokio::spawn(listen(wish));
    let applied = engine_apply(engine, ApplyRequest { project, plan, stop }).await;
    listener.abort();
    Ok(conclude(&applied?))
}

/// Says what came of a run, and answers with the exit code.
pub fn conclude(applied: &Applied) -> u8 {
    let run = short(&applied.run);
    for reason in &applied.finished.reasons {
        tell!("{}: {} [{}]", reason.place, visible(&reason.message), reason.code);
    }
    let (mut changed, mut already, mut undone) = (0, 0, 0);
    for target in applied.receipt.iter().flat_map(|receipt| receipt.targets.values()) {
        changed += target.changed;
        already += target.already;
        undone += target.undone;
    }
    let outcome = applied.finished.outcome;
    let before = if applied.part == Part::Nothing { "ended before: " } else { "" };
    let back = if undone > 0 { format!(", {undone} taken back") } else { String::new() };
    say!("run {run}: {before}{}, {changed} changed{back}, {already} already as planned", outcome.as_str());
    for used in applied.receipt.iter().flat_map(|receipt| &receipt.overrides) {
        let rules = used.rules.iter().cloned().collect::<Vec<_>>().join(", ");
        say!("policy was OVERRIDDEN by {} ({rules}): {}", used.by, visible(&used.reason));
    }
    if let Some(path) = &applied.receipt_path {
        say!("receipt {}", path.display());
    }
    next(applied, run);
    let code = outcome.exit_code();
    for problem in &applied.problems {
        tell!("error[{}]: after the run: {problem}", problem.code());
    }
    if applied.problems.is_empty() || code != exit::DONE { code } else { exit::ERROR }
}

/// Says what to do about a run that did not come to a good end.
fn next(applied: &Applied, run: &str) {
    match applied.finished.outcome {
        RunOutcome::Succeeded | RunOutcome::Failed | RunOutcome::Stale | RunOutcome::Undone => {}
        RunOutcome::Cancelled | RunOutcome::Interrupted => {
            tell!("next: `rectify resume {run}` goes on; `rectify undo {run}` plans to take it back");
        }
        RunOutcome::NeedsOperator => {
            tell!("next: look at what is unknown, then say what you found, and go on:");
            tell!("  rectify resolve {run} STEP --as succeeded|failed|retry --reason TEXT");
            tell!("  rectify resume {run}");
        }
        RunOutcome::PartiallyApplied => {
            tell!(
                "next: `rectify plan` shows what is left to do; `rectify undo {run}` plans to take it back"
            );
        }
        RunOutcome::UndoFailed => {
            tell!("next: `rectify history {run}` shows what was not taken back; put that right by hand");
        }
    }
}

/// The first signal asks to stop, the second does not ask.
pub async fn listen(wish: watch::Sender<Stop>) {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        // A lost connection is no reason to leave a step half-way.
        signal(SignalKind::hangup()),
    ) else {
        return;
    };
    for stop in [Stop::Gracefully, Stop::Now] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if stop == Stop::Gracefully {
            tell!("stopping after what is under way, or in 30 s; once more to stop now");
        }
        if wish.send(stop).is_err() {
            return;
        }
    }
    // The sender must live: its end would look like an answer.
    std::future::pending::<()>().await;
}

/// `history`.
pub async fn history(engine: &Engine, limit: u32) -> Result<u8, Failure> {
    let mut text = String::new();
    for summary in engine_history::list(engine, limit).await? {
        let short: String = summary.run.run.as_str().chars().take(16).collect();
        let outcome = summary.outcome.map_or("not finished", RunOutcome::as_str);
        let targets: Vec<&str> = summary.run.targets.iter().map(rectify_base::TargetName::as_str).collect();
        text.push_str(&format!(
            "{}  {short}  {outcome:<18}  {}  {}\n",
            moment(summary.run.started_at_ms / 1000),
            targets.join(","),
            summary.run.plan.blake3
        ));
    }
    if text.is_empty() {
        tell!("nothing was applied on this machine yet");
    }
    out(text.as_bytes())?;
    Ok(exit::DONE)
}

/// `history RUN`; a run may be named by the beginning of its id.
pub async fn one(engine: &Engine, id: &str) -> Result<u8, Failure> {
    let run = named(engine, id).await?;
    let loaded = engine_history::run(engine, &run).await?;
    let mut text = format!("run {run}: {}\n", loaded.outcome.map_or("not finished", RunOutcome::as_str));
    for entry in &loaded.entries {
        let line = match &entry.record {
            Record::Target(target) => match &target.state {
                TargetState::Verified(_) => format!("{}: is what the plan says", target.target),
                TargetState::Refused(failure) => format!("{}: refused: {}", target.target, failure.message),
            },
            Record::Step(step) => format!("{}: {}", step.node, step_word(&step.state)),
            Record::Gate(gate) => match &gate.state {
                GateState::Passed => format!("{}: holds", gate.node),
                GateState::Failed(failure) => format!("{}: fails: {}", gate.node, failure.message),
            },
            Record::Undo(undo) => format!("{}: {}", undo.node, undo_word(&undo.state)),
            Record::Run(mark) => mark_words(mark),
        };
        let line = visible(&line);
        text.push_str(&format!("{:>5}  {}  {line}\n", entry.seq, moment(entry.at_ms / 1000)));
    }
    for node in loaded.view.owed() {
        text.push_str(&format!("       OWED: {node} was to run because of what changed, and has not\n"));
    }
    out(text.as_bytes())?;
    Ok(exit::DONE)
}

/// The run whose id begins like this.
pub async fn named(engine: &Engine, id: &str) -> Result<RunId, Failure> {
    let runs = engine_history::list(engine, u32::MAX).await?;
    let mut matching = runs.iter().map(|summary| &summary.run.run).filter(|run| run.as_str().starts_with(id));
    match (matching.next(), matching.next()) {
        (Some(run), None) => Ok(run.clone()),
        (None, _) => Err(Failure::usage(format!("there is no run `{id}`; `rectify history` lists them"))),
        (Some(_), Some(_)) => Err(Failure::usage(format!("more than one run begins with `{id}`"))),
    }
}

fn step_word(state: &StepState) -> String {
    match state {
        StepState::Intent(intent) => format!("intent, attempt {}", intent.attempt),
        StepState::Succeeded { how, .. } => format!("succeeded ({how:?})").to_lowercase(),
        StepState::Failed(failure) => format!("failed: {}", failure.message),
        StepState::Unknown(failure) => format!("unknown: {}", failure.message),
        StepState::Stale { .. } => "stale: refused".into(),
        StepState::Skipped { .. } => "skipped".into(),
    }
}

fn undo_word(state: &UndoState) -> String {
    match state {
        UndoState::Intent(intent) => format!("undo: intent, attempt {}", intent.attempt),
        UndoState::Undone { how, .. } => format!("undone ({how:?})").to_lowercase(),
        UndoState::Failed(failure) => format!("undo failed: {}", failure.message),
        UndoState::Unknown(failure) => format!("undo unknown: {}", failure.message),
        UndoState::Conflict { .. } => "undo refused: it was changed since".into(),
        UndoState::Kept { because: Kept::NoInverse } => "kept: it cannot be taken back".into(),
        UndoState::Kept { because: Kept::Dependent(address) } => {
            format!("kept: {address}, which comes after it, was not taken back")
        }
    }
}

fn mark_words(mark: &RunMark) -> String {
    match mark {
        RunMark::Resumed { fence } => format!("resumed, fence {fence}"),
        RunMark::Undoing { because, place } => {
            format!("taking back, because of {place}: {}", because.message)
        }
        RunMark::Stopped { cause, message } => {
            format!("nothing new from here on ({}): {message}", cause.as_str())
        }
        RunMark::Resolved(resolution) => format!(
            "{}: {} says: {} ({})",
            resolution.node,
            resolution.by,
            resolution.verdict.as_str(),
            resolution.reason
        ),
    }
}
