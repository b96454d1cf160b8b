//! Reading runs back. Bodies are read as strictly as signed documents.

use crate::{LoadedRun, RunSummary, StoreError, write::parse_outcome};
use rectify_base::canonical;
use rectify_model::journal::{Entry, Record, RunId, RunOutcome, RunRecord, RunView};
use sqlx::SqliteConnection;
use std::path::Path;

type RunRow = (String, Vec<u8>, Option<String>, Option<i64>, Option<Vec<u8>>);
type SummaryRow = (String, Vec<u8>, Option<String>, Option<i64>, i64);

pub(crate) async fn load_run(
    path: &Path,
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<LoadedRun, StoreError> {
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    // One read transaction, so that the end of a run is never seen without its records.
    sqlx::query("BEGIN").execute(&mut *connection).await.map_err(sqlite)?;
    let read = load_rows(connection, run).await;
    sqlx::query("COMMIT").execute(&mut *connection).await.map_err(sqlite)?;
    let (row, records) = read.map_err(sqlite)?;
    let Some((_, body, outcome, finished_at_ms, receipt)) = row else {
        return Err(StoreError::RunUnknown { run: run.clone() });
    };
    let record = decode_run(run, &body)?;
    let mut entries = Vec::with_capacity(records.len());
    for (seq, at_ms, body) in records {
        let record: Record =
            canonical::read_compact(&body).map_err(|error| damaged(run, format!("record {seq}"), &error))?;
        entries.push(Entry { seq: unsigned(seq), at_ms: unsigned(at_ms), record });
    }
    let mut view = RunView::new(record);
    for entry in &entries {
        view.push(entry).map_err(|error| damaged(run, format!("record {}", entry.seq), &error))?;
    }
    Ok(LoadedRun {
        view,
        entries,
        outcome: decode_outcome(run, outcome.as_deref())?,
        finished_at_ms: finished_at_ms.map(unsigned),
        receipt,
    })
}

async fn load_rows(
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<(Option<RunRow>, Vec<(i64, i64, Vec<u8>)>), sqlx::Error> {
    let row = sqlx::query_as("SELECT id, body, outcome, finished_at_ms, receipt FROM runs WHERE id = $1")
        .bind(run.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let records = sqlx::query_as("SELECT seq, at_ms, body FROM records WHERE run_id = $1 ORDER BY seq")
        .bind(run.as_str())
        .fetch_all(&mut *connection)
        .await?;
    Ok((row, records))
}

pub(crate) async fn list_runs(
    path: &Path,
    connection: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<RunSummary>, StoreError> {
    let rows: Vec<SummaryRow> = sqlx::query_as(
        "SELECT id, body, outcome, finished_at_ms, \
                (SELECT COALESCE(MAX(seq), 0) FROM records WHERE run_id = runs.id) \
         FROM runs ORDER BY started_at_ms DESC, id LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await
    .map_err(|error| StoreError::sqlite(path, &error))?;
    rows.into_iter()
        .map(|(id, body, outcome, finished_at_ms, records)| {
            let id = RunId::new(id)
                .map_err(|error| StoreError::Corrupt { path: path.to_owned(), detail: error.to_string() })?;
            Ok(RunSummary {
                run: decode_run(&id, &body)?,
                outcome: decode_outcome(&id, outcome.as_deref())?,
                finished_at_ms: finished_at_ms.map(unsigned),
                records: unsigned(records),
            })
        })
        .collect()
}

fn decode_run(run: &RunId, body: &[u8]) -> Result<RunRecord, StoreError> {
    let record: RunRecord =
        canonical::read_compact(body).map_err(|error| damaged(run, String::from("run record"), &error))?;
    if record.run == *run {
        Ok(record)
    } else {
        Err(damaged(run, String::from("run record"), &"it is about another run"))
    }
}

fn decode_outcome(run: &RunId, text: Option<&str>) -> Result<Option<RunOutcome>, StoreError> {
    let Some(text) = text else { return Ok(None) };
    match parse_outcome(text) {
        Some(outcome) => Ok(Some(outcome)),
        None => Err(damaged(run, String::from("run record"), &format!("no outcome is called `{text}`"))),
    }
}

fn damaged(run: &RunId, place: String, detail: &dyn std::fmt::Display) -> StoreError {
    StoreError::Record { run: run.clone(), place, detail: detail.to_string() }
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
