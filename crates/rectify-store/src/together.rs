//! The common case of a group: appends to runs that are open. They become one row each of two
//! statements, because a statement costs more than a row. Whatever is not plain (a run that has
//! ended, another fence, an intent that exists) is left to the way that looks at each submission
//! alone and knows what to say about it.

use crate::{
    StoreError,
    audit::{Entries, Log},
    write::{Work, integer, intent, parse_outcome, recorded},
};
use rectify_audit::Chain;
use rectify_model::journal::{Record, RunId, RunMark};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::{collections::BTreeMap, path::Path};

/// Most rows of one statement: well below SQLite's limit of 32,766 values.
pub(crate) const ROWS_MAX: usize = 1_000;

struct Row<'w> {
    run: &'w RunId,
    seq: i64,
    at_ms: u64,
    record: &'w Record,
    body: &'w [u8],
}

/// Where a run stands, as long as this transaction lasts.
struct Standing {
    fence: u64,
    seq: i64,
}

/// Stores a group of plain appends, and answers as to each alone. `None`: it is not such a group, and
/// nothing was written.
pub(crate) async fn append(
    path: &Path,
    connection: &mut SqliteConnection,
    log: &Log,
    chain: &mut Chain,
    group: &[Work],
) -> Result<Option<Vec<u64>>, StoreError> {
    let mut standings: BTreeMap<&RunId, Standing> = BTreeMap::new();
    let (mut rows, mut answers) = (Vec::new(), Vec::with_capacity(group.len()));
    let mut entries = Entries::default();
    for work in group {
        let Work::Append { run, fence, at_ms, records } = work else { return Ok(None) };
        if !standings.contains_key(run) {
            let Some(standing) = open(path, connection, run).await? else { return Ok(None) };
            standings.insert(run, standing);
        }
        let Some(standing) = standings.get_mut(run) else { return Ok(None) };
        if fence.is_some_and(|fence| fence != standing.fence) {
            return Ok(None);
        }
        for (record, body) in records {
            let other_fence = intent(record).is_some_and(|intent| intent.fence != standing.fence);
            if other_fence || matches!(record, Record::Run(RunMark::Resumed { .. })) {
                return Ok(None);
            }
            standing.seq += 1;
            rows.push(Row { run, seq: standing.seq, at_ms: *at_ms, record, body });
            recorded(&mut entries, *at_ms, run, standing.seq, record, body);
        }
        answers.push(u64::try_from(standing.seq).unwrap_or(0));
    }
    if rows.len() > ROWS_MAX || !insert(path, connection, &rows).await? {
        return Ok(None);
    }
    log.append(connection, chain, entries).await?;
    Ok(Some(answers))
}

/// Where the run stands, if it takes records.
async fn open(
    path: &Path,
    connection: &mut SqliteConnection,
    run: &RunId,
) -> Result<Option<Standing>, StoreError> {
    let row: Option<(Option<String>, i64, i64)> = sqlx::query_as(
        "SELECT outcome, fence, (SELECT COALESCE(MAX(seq), 0) FROM records WHERE run_id = runs.id) \
         FROM runs WHERE id = $1",
    )
    .bind(run.as_str())
    .fetch_optional(connection)
    .await
    .map_err(|error| StoreError::sqlite(path, &error))?;
    let Some((outcome, fence, seq)) = row else { return Ok(None) };
    let ended = outcome.as_deref().and_then(parse_outcome).is_some_and(|outcome| outcome.is_final());
    Ok((!ended).then(|| Standing { fence: u64::try_from(fence).unwrap_or(0), seq }))
}

/// Writes the rows, or none of them if one has a twin.
async fn insert(
    path: &Path,
    connection: &mut SqliteConnection,
    rows: &[Row<'_>],
) -> Result<bool, StoreError> {
    if rows.is_empty() {
        return Ok(true);
    }
    let mut sql: QueryBuilder<Sqlite> =
        QueryBuilder::new("INSERT INTO records (run_id, seq, at_ms, body, op_id, attempt) ");
    sql.push_values(rows, |mut values, row| {
        let intent = intent(row.record);
        values
            .push_bind(row.run.as_str())
            .push_bind(row.seq)
            .push_bind(integer(row.at_ms))
            .push_bind(row.body)
            .push_bind(intent.map(|intent| intent.op_id.as_str()))
            .push_bind(intent.map(|intent| i64::from(intent.attempt)));
    });
    match sql.build().execute(connection).await {
        Ok(_) => Ok(true),
        // The statement as a whole did nothing; the transaction goes on.
        Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => Ok(false),
        Err(error) => Err(StoreError::sqlite(path, &error)),
    }
}
