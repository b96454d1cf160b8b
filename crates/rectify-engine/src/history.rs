//! `history`: what the journal of this machine knows.

use crate::{Engine, EngineError, apply::JOURNAL};
use rectify_model::journal::RunId;
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
