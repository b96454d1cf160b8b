//! `history`: what the journal of this machine knows.

use crate::{Engine, EngineError, apply::JOURNAL};
use rectify_model::journal::{RunId, RunOutcome};
use rectify_store::{Journal, LoadedRun, RunSummary, SqliteJournal};

/// The latest runs, latest first. Empty where nothing was ever applied.
///
/// # Errors
/// When the journal cannot be read.
pub async fn list(engine: &Engine, limit: u32) -> Result<Vec<RunSummary>, EngineError> {
    let path = engine.places.state.join(JOURNAL);
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(SqliteJournal::open(&path).await?.list_runs(limit).await?)
}

/// One run with all its records.
///
/// # Errors
/// When the journal cannot be read, or has no such run.
pub async fn run(engine: &Engine, id: &RunId) -> Result<LoadedRun, EngineError> {
    let path = engine.places.state.join(JOURNAL);
    Ok(SqliteJournal::open(&path).await?.load_run(id).await?)
}

/// The runs that can be resumed, latest first. Those that were stopped on purpose count only if no other
/// does: they may have been left so.
///
/// # Errors
/// When the journal cannot be read.
pub async fn unfinished(engine: &Engine) -> Result<Vec<RunSummary>, EngineError> {
    let runs = list(engine, u32::MAX).await?;
    let latest = runs.first().cloned();
    let open = runs.into_iter().filter(|summary| summary.outcome.is_none_or(|outcome| !outcome.is_final()));
    let (stopped, broken): (Vec<_>, Vec<_>) =
        open.partition(|summary| summary.outcome == Some(RunOutcome::Cancelled));
    if !broken.is_empty() {
        return Ok(broken);
    }
    // An engine may have ended between the end of a run and its receipt.
    if let Some(summary) = latest
        && summary.outcome.is_some_and(RunOutcome::is_final)
        && run(engine, &summary.run.run).await?.receipt.is_none()
    {
        return Ok(vec![summary]);
    }
    Ok(stopped)
}
