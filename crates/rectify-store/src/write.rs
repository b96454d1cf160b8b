//! The writing task: one connection, groups of submissions, one transaction each.

use crate::{GROUP_MAX_RECORDS, StoreError};
use rectify_base::TargetName;
use rectify_model::journal::{Intent, Record, RunId, RunOutcome, RunRecord, StepRecord, StepState};
use sqlx::{Connection as _, SqliteConnection};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{mpsc, oneshot};

/// What the writer has done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub transactions: AtomicU64,
    pub submissions: AtomicU64,
}

/// One submission and who waits for it.
#[derive(Debug)]
pub(crate) struct Command {
    pub work: Work,
    pub reply: oneshot::Sender<Result<u64, StoreError>>,
}

/// What is to be stored. Answered with the sequence number of the last record, or 0.
#[derive(Debug)]
pub(crate) enum Work {
    Begin { run: Box<RunRecord>, body: Vec<u8> },
    Append { run: RunId, at_ms: u64, records: Vec<(Record, Vec<u8>)> },
    Finish { run: RunId, at_ms: u64, outcome: RunOutcome, receipt: Option<Vec<u8>> },
}

impl Work {
    fn weight(&self) -> usize {
        match self {
            Self::Append { records, .. } => records.len().max(1),
            Self::Begin { .. } | Self::Finish { .. } => 1,
        }
    }
}

/// Stores groups until nobody can submit any more, or a commit fails.
pub(crate) async fn writer(
    path: PathBuf,
    mut connection: SqliteConnection,
    mut queue: mpsc::Receiver<Command>,
    counters: Arc<Counters>,
) {
    while let Some(first) = queue.recv().await {
        let mut weight = first.work.weight();
        let mut group = vec![first];
        while weight < GROUP_MAX_RECORDS {
            let Ok(next) = queue.try_recv() else { break };
            weight += next.work.weight();
            group.push(next);
        }
        let (work, replies): (Vec<Work>, Vec<_>) =
            group.into_iter().map(|command| (command.work, command.reply)).unzip();
        match store(&path, &mut connection, &work).await {
            Ok(answers) => {
                counters.transactions.fetch_add(1, Ordering::Relaxed);
                counters.submissions.fetch_add(answers.len() as u64, Ordering::Relaxed);
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // Whoever stopped waiting does not need the answer.
                    let _ = reply.send(answer);
                }
            }
            Err(failed) => {
                tracing::error!(error = %failed.error, "the journal could not store {} submissions", work.len());
                for reply in replies {
                    let _ = reply.send(Err(failed.error.clone()));
                }
                if failed.at_commit || rollback(&mut connection).await.is_err() {
                    return;
                }
            }
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the journal was not closed properly");
    }
}

/// Why a whole group was not stored.
struct GroupFailure {
    error: StoreError,
    at_commit: bool,
}

async fn rollback(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // SQLite may have rolled back by itself; then there is nothing left to do, and it says so.
    let _ = execute(connection, "ROLLBACK").await;
    connection.ping().await
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql).execute(connection).await.map(|_| ())
}

/// One transaction. A submission that is refused is undone alone; any other failure fails them all.
async fn store(
    path: &Path,
    connection: &mut SqliteConnection,
    group: &[Work],
) -> Result<Vec<Result<u64, StoreError>>, GroupFailure> {
    let failed =
        |error: &sqlx::Error| GroupFailure { error: StoreError::sqlite(path, error), at_commit: false };
    execute(connection, "BEGIN IMMEDIATE").await.map_err(|e| failed(&e))?;
    let mut answers = Vec::with_capacity(group.len());
    for work in group {
        execute(connection, "SAVEPOINT submission").await.map_err(|e| failed(&e))?;
        let answer = store_one(path, connection, work).await;
        match &answer {
            Ok(_) => {}
            Err(error) if error.is_refusal() => {
                execute(connection, "ROLLBACK TO submission").await.map_err(|e| failed(&e))?;
            }
            Err(error) => return Err(GroupFailure { error: error.clone(), at_commit: false }),
        }
        execute(connection, "RELEASE submission").await.map_err(|e| failed(&e))?;
        answers.push(answer);
    }
    match execute(connection, "COMMIT").await {
        Ok(()) => Ok(answers),
        Err(error) => Err(GroupFailure { error: StoreError::sqlite(path, &error), at_commit: true }),
    }
}

async fn store_one(path: &Path, connection: &mut SqliteConnection, work: &Work) -> Result<u64, StoreError> {
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    match work {
        Work::Begin { run, body } => begin(path, connection, run, body).await.map(|()| 0),
        Work::Append { run, at_ms, records } => {
            require_open(path, connection, run, None).await?;
            let mut seq: i64 =
                sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM records WHERE run_id = $1")
                    .bind(run.as_str())
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(sqlite)?;
            for (record, body) in records {
                seq += 1;
                insert_record(path, connection, run, seq, *at_ms, record, body).await?;
            }
            Ok(u64::try_from(seq).unwrap_or(0))
        }
        Work::Finish { run, at_ms, outcome, receipt } => {
            require_open(path, connection, run, Some(*outcome)).await?;
            sqlx::query(
                "UPDATE runs SET outcome = $2, finished_at_ms = $3, receipt = COALESCE($4, receipt) WHERE id = $1",
            )
            .bind(run.as_str())
            .bind(outcome.as_str())
            .bind(integer(*at_ms))
            .bind(receipt.as_deref())
            .execute(&mut *connection)
            .await
            .map_err(sqlite)?;
            Ok(0)
        }
    }
}

async fn begin(
    path: &Path,
    connection: &mut SqliteConnection,
    run: &RunRecord,
    body: &[u8],
) -> Result<(), StoreError> {
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    for target in &run.targets {
        let taken: Option<(String, Option<String>)> = sqlx::query_as(
            "SELECT runs.id, runs.outcome FROM run_targets JOIN runs ON runs.id = run_targets.run_id \
             WHERE run_targets.use_id = $1 AND run_targets.target = $2",
        )
        .bind(run.use_id.as_str())
        .bind(target.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(sqlite)?;
        if let Some((id, outcome)) = taken {
            return Err(use_taken(path, target, id, outcome.as_deref()));
        }
    }
    sqlx::query("INSERT INTO runs (id, use_id, started_at_ms, body) VALUES ($1, $2, $3, $4)")
        .bind(run.run.as_str())
        .bind(run.use_id.as_str())
        .bind(integer(run.started_at_ms))
        .bind(body)
        .execute(&mut *connection)
        .await
        .map_err(|error| match error.as_database_error() {
            Some(database) if database.is_unique_violation() => StoreError::Record {
                run: run.run.clone(),
                place: String::from("run record"),
                detail: String::from("another permission has a run with this id"),
            },
            _ => sqlite(error),
        })?;
    for target in &run.targets {
        sqlx::query("INSERT INTO run_targets (use_id, target, run_id) VALUES ($1, $2, $3)")
            .bind(run.use_id.as_str())
            .bind(target.as_str())
            .bind(run.run.as_str())
            .execute(&mut *connection)
            .await
            .map_err(sqlite)?;
    }
    Ok(())
}

fn use_taken(path: &Path, target: &TargetName, id: String, outcome: Option<&str>) -> StoreError {
    match RunId::new(id) {
        Ok(run) => {
            StoreError::UseTaken { target: target.clone(), run, outcome: outcome.and_then(parse_outcome) }
        }
        Err(error) => StoreError::Corrupt { path: path.to_owned(), detail: error.to_string() },
    }
}

/// Refuses a run that does not exist, or that has ended for good. Ending it once more in the same
/// way is fine: a crash may have come between the end and its acknowledgement.
async fn require_open(
    path: &Path,
    connection: &mut SqliteConnection,
    run: &RunId,
    ending: Option<RunOutcome>,
) -> Result<(), StoreError> {
    let row: Option<Option<String>> = sqlx::query_scalar("SELECT outcome FROM runs WHERE id = $1")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await
        .map_err(|error| StoreError::sqlite(path, &error))?;
    let Some(outcome) = row else { return Err(StoreError::RunUnknown { run: run.clone() }) };
    match outcome.as_deref().and_then(parse_outcome) {
        Some(outcome) if outcome.is_final() && ending != Some(outcome) => {
            Err(StoreError::RunFinished { run: run.clone(), outcome })
        }
        _ => Ok(()),
    }
}

async fn insert_record(
    path: &Path,
    connection: &mut SqliteConnection,
    run: &RunId,
    seq: i64,
    at_ms: u64,
    record: &Record,
    body: &[u8],
) -> Result<(), StoreError> {
    let intent = intent(record);
    sqlx::query(
        "INSERT INTO records (run_id, seq, at_ms, body, op_id, attempt) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(run.as_str())
    .bind(seq)
    .bind(integer(at_ms))
    .bind(body)
    .bind(intent.map(|intent| intent.op_id.as_str()))
    .bind(intent.map(|intent| i64::from(intent.attempt)))
    .execute(connection)
    .await
    .map(|_| ())
    .map_err(|error| match (error.as_database_error(), intent) {
        (Some(database), Some(intent)) if database.is_unique_violation() => {
            StoreError::IntentTwice { op_id: intent.op_id.clone(), attempt: intent.attempt }
        }
        _ => StoreError::sqlite(path, &error),
    })
}

const fn intent(record: &Record) -> Option<&Intent> {
    match record {
        Record::Step(StepRecord { state: StepState::Intent(intent), .. }) => Some(intent),
        _ => None,
    }
}

pub(crate) fn parse_outcome(text: &str) -> Option<RunOutcome> {
    RunOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == text)
}

fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
