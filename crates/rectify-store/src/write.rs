//! The writing task: one connection, groups of submissions, one transaction each.

use crate::{
    GROUP_MAX_RECORDS, Holder, StoreError,
    audit::{self, Entries, Log},
    lease,
    space::Reserve,
    together::{self, Tail},
};
use rectify_audit::{Action, Actor, Chain, Decision, record::Act};
use rectify_base::{Digest, TargetName};
use rectify_model::journal::{
    Intent, Record, RunId, RunMark, RunOutcome, RunRecord, StepRecord, StepState, UndoRecord, UndoState,
};
use sqlx::{Connection as _, SqliteConnection};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::{mpsc, oneshot};

/// What the writer has done.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub transactions: AtomicU64,
    pub submissions: AtomicU64,
    /// The reserve is gone.
    pub low_space: AtomicBool,
}

/// One submission and who waits for it.
#[derive(Debug)]
pub(crate) struct Command {
    pub work: Work,
    pub reply: oneshot::Sender<Result<u64, StoreError>>,
}

/// What is to be stored. Answered with the sequence number of the last record, a fence, or 0.
#[derive(Debug)]
pub(crate) enum Work {
    Begin {
        run: Box<RunRecord>,
        body: Vec<u8>,
    },
    /// `fence` is that of who appends, if it is known to work on the run.
    Append {
        run: RunId,
        fence: Option<u64>,
        at_ms: u64,
        records: Vec<(Record, Vec<u8>)>,
    },
    Finish {
        run: RunId,
        at_ms: u64,
        outcome: RunOutcome,
        receipt: Option<Vec<u8>>,
    },
    Acquire {
        scopes: Vec<String>,
        holder: Holder,
        at_ms: u64,
    },
    Renew {
        scopes: Vec<String>,
        fence: u64,
        at_ms: u64,
    },
    Release {
        scopes: Vec<String>,
        fence: u64,
        at_ms: u64,
    },
    Break {
        scope: String,
        fence: u64,
        by: Actor,
        at_ms: u64,
    },
    Note {
        at_ms: u64,
        act: Act,
        detail: Option<Vec<u8>>,
    },
    Checkpoint {
        at_ms: u64,
        note: Vec<u8>,
    },
}

impl Work {
    fn weight(&self) -> usize {
        match self {
            Self::Append { records, .. } => records.len().max(1),
            _ => 1,
        }
    }
}

/// What the writing task works with.
#[derive(Debug)]
pub(crate) struct Writer {
    pub path: PathBuf,
    pub connection: SqliteConnection,
    pub log: Log,
    pub reserve: Reserve,
    pub counters: Arc<Counters>,
    /// Where the last transaction left off, if that is known.
    pub tail: Option<Tail>,
}

/// Stores groups until nobody can submit any more, or a commit fails.
pub(crate) async fn write(mut writer: Writer, mut queue: mpsc::Receiver<Command>) {
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
        match writer.store_with_reserve(&work).await {
            Ok(answers) => {
                writer.counters.transactions.fetch_add(1, Ordering::Relaxed);
                writer.counters.submissions.fetch_add(answers.len() as u64, Ordering::Relaxed);
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
                if !failed.may_go_on || writer.rollback().await.is_err() {
                    return;
                }
            }
        }
    }
    if let Err(error) = writer.connection.close().await {
        tracing::warn!(%error, "the journal was not closed properly");
    }
}

/// Why a whole group was not stored.
struct GroupFailure {
    error: StoreError,
    may_go_on: bool,
}

async fn execute(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(sql).execute(connection).await.map(|_| ())
}

impl Writer {
    async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        // SQLite may have rolled back by itself; then there is nothing left to do, and it says so.
        let _ = execute(&mut self.connection, "ROLLBACK").await;
        self.connection.ping().await
    }

    /// Stores a group. Where the disk is full, gives the reserve up and tries once more: frames of a
    /// transaction without its commit are not part of the log, so the second try writes over them.
    async fn store_with_reserve(
        &mut self,
        group: &[Work],
    ) -> Result<Vec<Result<u64, StoreError>>, GroupFailure> {
        let failed = match self.store(group).await {
            Err(failed) if matches!(failed.error, StoreError::Full { .. }) => failed,
            result => return result,
        };
        self.counters.low_space.store(true, Ordering::Relaxed);
        if !self.reserve.release() || self.rollback().await.is_err() {
            return Err(failed);
        }
        tracing::warn!("the disk is full; the reserve was given up");
        self.store(group).await
    }

    /// One transaction. A submission that is refused is undone alone; any other failure fails them all.
    async fn store(&mut self, group: &[Work]) -> Result<Vec<Result<u64, StoreError>>, GroupFailure> {
        let failed = |error| GroupFailure { error, may_go_on: true };
        if let Some(tail) = self.tail.take() {
            if let Some((answers, tail)) =
                together::at_tail(&mut self.connection, &self.log, tail, group).await
            {
                self.commit().await?;
                self.tail = Some(tail);
                return Ok(answers.into_iter().map(Ok).collect());
            }
            self.rollback().await.map_err(|error| failed(StoreError::sqlite(&self.path, &error)))?;
        }
        let path = &self.path;
        let connection = &mut self.connection;
        let sqlite = |error: &sqlx::Error| failed(StoreError::sqlite(path, error));
        execute(connection, "BEGIN IMMEDIATE").await.map_err(|e| sqlite(&e))?;
        let mut chain = self.log.chain(connection).await.map_err(failed)?;
        let began = chain.frontier().size();
        let together =
            together::append(path, connection, &self.log, &mut chain, group).await.map_err(failed)?;
        let alone = if together.is_some() { &[][..] } else { group };
        let (answers, standings) = together.unzip();
        let mut answers: Vec<_> = answers.into_iter().flatten().map(Ok).collect();
        for work in alone {
            execute(connection, "SAVEPOINT submission").await.map_err(|e| sqlite(&e))?;
            let before = chain.clone();
            let answer = store_one(path, connection, &self.log, &mut chain, work).await;
            match &answer {
                Ok(_) => {}
                Err(error) if error.is_refusal() => {
                    chain = before;
                    execute(connection, "ROLLBACK TO submission").await.map_err(|e| sqlite(&e))?;
                }
                Err(error) => return Err(failed(error.clone())),
            }
            execute(connection, "RELEASE submission").await.map_err(|e| sqlite(&e))?;
            answers.push(answer);
        }
        if chain.frontier().size() > began {
            self.log.keep(connection, &chain).await.map_err(failed)?;
        }
        self.commit().await?;
        self.tail = standings.map(|standings| Tail { chain, standings });
        Ok(answers)
    }

    async fn commit(&mut self) -> Result<(), GroupFailure> {
        execute(&mut self.connection, "COMMIT").await.map_err(|error| {
            let error = StoreError::sqlite(&self.path, &error);
            // Nothing of it is there, and nothing that was there is in doubt.
            let may_go_on = matches!(error, StoreError::Full { .. });
            GroupFailure { error, may_go_on }
        })
    }
}

/// A submission, and what the audit log says of it.
async fn store_one(
    path: &Path,
    connection: &mut SqliteConnection,
    log: &Log,
    chain: &mut Chain,
    work: &Work,
) -> Result<u64, StoreError> {
    let mut entries = Entries::default();
    let answer = match work {
        Work::Begin { run, body } => {
            begin(path, connection, run, body).await?;
            admitted(&mut entries, run.started_at_ms, run, body);
            0
        }
        Work::Append { run, fence, at_ms, records } => {
            append(path, connection, run, *fence, *at_ms, records, &mut entries).await?
        }
        Work::Finish { run, at_ms, outcome, receipt } => {
            finish(path, connection, run, *at_ms, *outcome, receipt.as_deref(), &mut entries).await?;
            0
        }
        Work::Acquire { scopes, holder, at_ms } => {
            lease::acquire(path, connection, scopes, holder, *at_ms, log, &mut entries).await?
        }
        Work::Renew { scopes, fence, at_ms } => {
            lease::renew(path, connection, scopes, *fence, *at_ms).await?;
            0
        }
        Work::Release { scopes, fence, at_ms } => {
            lease::release(path, connection, scopes, *fence, *at_ms, &mut entries).await?;
            0
        }
        Work::Break { scope, fence, by, at_ms } => {
            lease::break_lease(path, connection, scope, *fence, by, *at_ms, &mut entries).await?;
            0
        }
        Work::Note { at_ms, act, detail } => {
            match detail {
                Some(detail) => entries.with_body(*at_ms, act.clone(), detail.clone()),
                None => entries.plain(*at_ms, act.clone()),
            }
            0
        }
        Work::Checkpoint { at_ms, note } => {
            audit::put_checkpoint(path, connection, chain, *at_ms, note).await?;
            0
        }
    };
    log.append(connection, chain, entries).await?;
    Ok(answer)
}

/// What the log says of the beginning of a run.
pub(crate) fn admitted(entries: &mut Entries, at_ms: u64, run: &RunRecord, body: &[u8]) {
    let act = Act {
        plan_digest: Some(run.plan.blake3),
        decision: Some(Decision::Allow),
        ..Act::new(Action::RunAdmitted)
    };
    entries.of_journal(at_ms, act, &run.run, 0, body);
}

/// What the log says of a record.
pub(crate) fn recorded(
    entries: &mut Entries,
    at_ms: u64,
    run: &RunId,
    seq: i64,
    record: &Record,
    body: &[u8],
) {
    entries.of_journal(at_ms, Act::of_record(record), run, seq, body);
}

/// How a run ended.
pub(crate) struct Ending<'a> {
    pub outcome: RunOutcome,
    /// Whether the end is one, and not only what comes after it.
    pub told: bool,
    pub receipt: Option<&'a [u8]>,
}

/// What the log says of the end of a run.
pub(crate) fn ended(entries: &mut Entries, at_ms: u64, run: &RunId, ending: &Ending<'_>) {
    let act = |action| Act { run_id: Some(run.clone()), ..Act::new(action) };
    if ending.told {
        entries.plain(at_ms, Act { outcome: Some(ending.outcome.into()), ..act(Action::RunEnded) });
    }
    if let Some(receipt) = ending.receipt {
        let digest = Some(Digest::of_bytes(receipt));
        entries.plain(at_ms, Act { detail_digest: digest, ..act(Action::ReceiptKept) });
    }
}

async fn append(
    path: &Path,
    connection: &mut SqliteConnection,
    run: &RunId,
    fence: Option<u64>,
    at_ms: u64,
    records: &[(Record, Vec<u8>)],
    entries: &mut Entries,
) -> Result<u64, StoreError> {
    let sqlite = |error: sqlx::Error| StoreError::sqlite(path, &error);
    let mut current = require_open(path, connection, run, None).await?.fence;
    if let Some(fence) = fence.filter(|fence| *fence != current) {
        return Err(StoreError::Fenced { run: run.clone(), fence, current });
    }
    let mut seq: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(seq), 0) FROM records WHERE run_id = $1")
        .bind(run.as_str())
        .fetch_one(&mut *connection)
        .await
        .map_err(sqlite)?;
    for (record, body) in records {
        seq += 1;
        if let Some(intent) = intent(record).filter(|intent| intent.fence != current) {
            return Err(StoreError::Fenced { run: run.clone(), fence: intent.fence, current });
        }
        if let Record::Run(RunMark::Resumed { fence }) = record {
            if *fence <= current {
                return Err(StoreError::Fenced { run: run.clone(), fence: *fence, current });
            }
            current = *fence;
            sqlx::query("UPDATE runs SET fence = $2, outcome = NULL, finished_at_ms = NULL WHERE id = $1")
                .bind(run.as_str())
                .bind(integer(current))
                .execute(&mut *connection)
                .await
                .map_err(sqlite)?;
        }
        insert_record(path, connection, run, seq, at_ms, record, body).await?;
        recorded(entries, at_ms, run, seq, record, body);
    }
    Ok(u64::try_from(seq).unwrap_or(0))
}

async fn finish(
    path: &Path,
    connection: &mut SqliteConnection,
    run: &RunId,
    at_ms: u64,
    outcome: RunOutcome,
    receipt: Option<&[u8]>,
    entries: &mut Entries,
) -> Result<(), StoreError> {
    let before = require_open(path, connection, run, Some(outcome)).await?;
    sqlx::query(
        "UPDATE runs SET outcome = $2, finished_at_ms = $3, receipt = COALESCE($4, receipt) WHERE id = $1",
    )
    .bind(run.as_str())
    .bind(outcome.as_str())
    .bind(integer(at_ms))
    .bind(receipt)
    .execute(connection)
    .await
    .map_err(|error| StoreError::sqlite(path, &error))?;
    // Said again after a crash, or to bring the receipt, it is the same end.
    let again = before.outcome == Some(outcome) && (outcome.is_final() || receipt.is_some());
    ended(entries, at_ms, run, &Ending { outcome, told: !again, receipt });
    Ok(())
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
    sqlx::query("INSERT INTO runs (id, use_id, started_at_ms, body, fence) VALUES ($1, $2, $3, $4, $5)")
        .bind(run.run.as_str())
        .bind(run.use_id.as_str())
        .bind(integer(run.started_at_ms))
        .bind(body)
        .bind(integer(run.fence))
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

/// What the row of a run says.
struct Standing {
    outcome: Option<RunOutcome>,
    fence: u64,
}

/// Refuses a run that does not exist, or that has ended for good. Ending it once more in the same
/// way is fine: a crash may have come between the end and its acknowledgement.
async fn require_open(
    path: &Path,
    connection: &mut SqliteConnection,
    run: &RunId,
    ending: Option<RunOutcome>,
) -> Result<Standing, StoreError> {
    let row: Option<(Option<String>, i64)> = sqlx::query_as("SELECT outcome, fence FROM runs WHERE id = $1")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await
        .map_err(|error| StoreError::sqlite(path, &error))?;
    let Some((outcome, fence)) = row else { return Err(StoreError::RunUnknown { run: run.clone() }) };
    match outcome.as_deref().and_then(parse_outcome) {
        Some(outcome) if outcome.is_final() && ending != Some(outcome) => {
            Err(StoreError::RunFinished { run: run.clone(), outcome })
        }
        outcome => Ok(Standing { outcome, fence: u64::try_from(fence).unwrap_or(0) }),
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

pub(crate) const fn intent(record: &Record) -> Option<&Intent> {
    match record {
        Record::Step(StepRecord { state: StepState::Intent(intent), .. })
        | Record::Undo(UndoRecord { state: UndoState::Intent(intent), .. }) => Some(intent),
        _ => None,
    }
}

pub(crate) fn parse_outcome(text: &str) -> Option<RunOutcome> {
    RunOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == text)
}

pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
