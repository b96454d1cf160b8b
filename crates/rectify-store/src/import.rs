//! What an older journal has is taken over into the audit log when the log is begun.

use crate::{
    StoreError,
    audit::{Entries, Log},
    write::{Ending, admitted, ended, integer, recorded},
};
use rectify_base::canonical;
use rectify_model::journal::{Record, RunRecord};
use sqlx::SqliteConnection;
use std::path::Path;

type RunRow = (Vec<u8>, i64, Option<String>, Option<i64>, Option<Vec<u8>>);

/// Begins the audit log, with all runs that are there, and takes the fences from them.
pub(crate) async fn begin_audit(
    path: &Path,
    connection: &mut SqliteConnection,
    log: &Log,
) -> Result<(), StoreError> {
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    let corrupt = |detail: String| StoreError::Corrupt { path: path.to_owned(), detail };
    let runs: Vec<RunRow> = sqlx::query_as(
        "SELECT body, started_at_ms, outcome, finished_at_ms, receipt FROM runs ORDER BY started_at_ms, id",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(sqlite)?;
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let mut chain = log.begin(connection, now_ms, runs.len() as u64).await?;
    let mut highest = 0;
    for (body, started, outcome, finished, receipt) in runs {
        let run: RunRecord =
            canonical::read_compact(&body).map_err(|error| corrupt(format!("a run record: {error}")))?;
        let mut entries = Entries::default();
        admitted(&mut entries, unsigned(started), &run, &body);
        let records: Vec<(i64, i64, Vec<u8>)> =
            sqlx::query_as("SELECT seq, at_ms, body FROM records WHERE run_id = $1 ORDER BY seq")
                .bind(run.run.as_str())
                .fetch_all(&mut *connection)
                .await
                .map_err(sqlite)?;
        for (seq, at_ms, body) in records {
            let record: Record = canonical::read_compact(&body)
                .map_err(|error| corrupt(format!("record {seq} of run {}: {error}", run.run)))?;
            recorded(&mut entries, unsigned(at_ms), &run.run, seq, &record, &body);
        }
        if let Some(outcome) = outcome.as_deref().and_then(crate::write::parse_outcome) {
            let at_ms = unsigned(finished.unwrap_or(started));
            let ending = Ending { outcome, told: true, receipt: receipt.as_deref() };
            ended(&mut entries, at_ms, &run.run, &ending);
        }
        log.append(connection, &mut chain, entries).await?;
        sqlx::query("UPDATE runs SET fence = $2 WHERE id = $1")
            .bind(run.run.as_str())
            .bind(integer(run.fence))
            .execute(&mut *connection)
            .await
            .map_err(sqlite)?;
        highest = highest.max(run.fence);
    }
    sqlx::query("UPDATE counters SET value = $1 WHERE name = 'fence'")
        .bind(integer(highest))
        .execute(&mut *connection)
        .await
        .map_err(sqlite)?;
    log.keep(connection, &chain).await
}
