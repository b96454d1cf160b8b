//! The common case of a group: appends to runs that are open. They become one row each of two
//! statements, because a statement costs more than a row. Whatever is not plain (a run that has
//! ended, another fence, an intent that exists) is left to the way that looks at each submission
//! alone and knows what to say about it.

use crate::{
    StoreError,
    audit::{self, Entries, Log},
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

/// Where a run stands after its last record.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    fence: u64,
    seq: i64,
}

/// The runs that are written to.
pub(crate) type Standings = BTreeMap<RunId, Standing>;

/// Where everything ends after a transaction: what the next one needs to know, so that it need not ask.
///
/// It may be out of date, because another process writes to the same file. Whatever changes a run or
/// the end of the log adds a record to the log; so a row that is added at an old end has the number of
/// one that is there, and is refused.
#[derive(Debug)]
pub(crate) struct Tail {
    pub chain: Chain,
    pub standings: Standings,
}

/// What a group comes to.
struct Gathered<'w> {
    rows: Vec<Row<'w>>,
    entries: Entries,
    answers: Vec<u64>,
}

/// Numbers the records of a group of plain appends. `None`: it is not such a group, or a run of it is
/// not among the standings.
fn gather<'w>(group: &'w [Work], standings: &mut Standings) -> Option<Gathered<'w>> {
    let (mut rows, mut answers) = (Vec::new(), Vec::with_capacity(group.len()));
    let mut entries = Entries::default();
    for work in group {
        let Work::Append { run, fence, at_ms, records } = work else { return None };
        let standing = standings.get_mut(run)?;
        if fence.is_some_and(|fence| fence != standing.fence) {
            return None;
        }
        for (record, body) in records {
            let other_fence = intent(record).is_some_and(|intent| intent.fence != standing.fence);
            if other_fence || matches!(record, Record::Run(RunMark::Resumed { .. })) {
                return None;
            }
            standing.seq += 1;
            rows.push(Row { run, seq: standing.seq, at_ms: *at_ms, record, body });
            recorded(&mut entries, *at_ms, run, standing.seq, record, body);
        }
        answers.push(u64::try_from(standing.seq).unwrap_or(0));
    }
    (!rows.is_empty() && rows.len() <= ROWS_MAX).then_some(Gathered { rows, entries, answers })
}

/// Stores a group of plain appends, and answers as to each alone. `None`: it is not such a group, and
/// nothing was written. The standings are those after it.
pub(crate) async fn append(
    path: &Path,
    connection: &mut SqliteConnection,
    log: &Log,
    chain: &mut Chain,
    group: &[Work],
) -> Result<Option<(Vec<u64>, Standings)>, StoreError> {
    let mut standings = Standings::new();
    for work in group {
        let Work::Append { run, .. } = work else { return Ok(None) };
        if !standings.contains_key(run) {
            let Some(standing) = open(path, connection, run).await? else { return Ok(None) };
            standings.insert(run.clone(), standing);
        }
    }
    let Some(Gathered { rows, entries, answers }) = gather(group, &mut standings) else { return Ok(None) };
    if !insert(path, connection, &rows).await? {
        return Ok(None);
    }
    log.append(connection, chain, entries).await?;
    Ok(Some((answers, standings)))
}

/// Begins a transaction with a group of plain appends at a known end, in one call of SQLite. `None`: it
/// is not such a group, or the end is another by now, or anything else is wrong: a transaction may be
/// open, nothing of it is to be kept, and the way that asks for everything can say what it is.
pub(crate) async fn at_tail(
    connection: &mut SqliteConnection,
    log: &Log,
    tail: Tail,
    group: &[Work],
) -> Option<(Vec<u64>, Tail)> {
    let Tail { mut chain, mut standings } = tail;
    let Gathered { rows, entries, answers } = gather(group, &mut standings)?;
    let lines = log.lines(&mut chain, entries).ok()?;
    if lines.len() > ROWS_MAX {
        return None;
    }
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("BEGIN IMMEDIATE; ");
    push_records(&mut sql, &rows);
    sql.push("; ");
    audit::push_lines(&mut sql, lines);
    sql.push("; ");
    audit::push_end(&mut sql, &chain);
    sql.build().execute(connection).await.ok()?;
    Some((answers, Tail { chain, standings }))
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
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new("");
    push_records(&mut sql, rows);
    match sql.build().execute(connection).await {
        Ok(_) => Ok(true),
        // The statement as a whole did nothing; the transaction goes on.
        Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => Ok(false),
        Err(error) => Err(StoreError::sqlite(path, &error)),
    }
}

/// The statement that adds rows, of which there are some.
fn push_records(sql: &mut QueryBuilder<Sqlite>, rows: &[Row<'_>]) {
    sql.push("INSERT INTO records (run_id, seq, at_ms, body, op_id, attempt) ");
    sql.push_values(rows, |mut values, row| {
        let intent = intent(row.record);
        values
            .push_bind(row.run.as_str().to_owned())
            .push_bind(row.seq)
            .push_bind(integer(row.at_ms))
            .push_bind(row.body.to_vec())
            .push_bind(intent.map(|intent| intent.op_id.clone()))
            .push_bind(intent.map(|intent| i64::from(intent.attempt)));
    });
}
