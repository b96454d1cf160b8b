//! The audit log beside the journal: its end, appending within a transaction, reading back.

use crate::{StoreError, together::ROWS_MAX, write::integer};
use rectify_audit::{
    Action, Actor, BootId, Chain, Checkpoint, Head, Imported, LogId,
    chain::{Stamp, detail_digest},
    checkpoint::origin,
    export,
    merkle::Frontier,
    record::Act,
};
use rectify_base::{Digest, canonical};
use rectify_model::journal::RunId;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A signed note that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// Number of records that it is over.
    pub size: u64,
    /// When it was kept, in milliseconds since 1970.
    pub at_ms: u64,
    /// Its bytes.
    pub note: Vec<u8>,
}

/// Who writes, and on which boot of which machine.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
    boot_id: BootId,
    actor: Arc<Mutex<Actor>>,
}

/// What a transaction adds to the log, gathered before it is written.
#[derive(Debug, Default)]
pub(crate) struct Entries(Vec<New>);

#[derive(Debug)]
struct New {
    at_ms: u64,
    act: Act,
    body: Option<Vec<u8>>,
    journal: Option<(String, i64)>,
}

/// A record as a row.
#[derive(Debug)]
pub(crate) struct Line {
    seq: i64,
    record: Vec<u8>,
    body: Option<Vec<u8>>,
    journal: Option<(String, i64)>,
}

/// The statement that adds lines, of which there are some.
pub(crate) fn push_lines(sql: &mut QueryBuilder<Sqlite>, lines: Vec<Line>) {
    sql.push("INSERT INTO audit (seq, record, body, run_id, record_seq) ");
    sql.push_values(lines, |mut values, line| {
        let (run, place) = line.journal.unzip();
        values.push_bind(line.seq).push_bind(line.record).push_bind(line.body);
        values.push_bind(run).push_bind(place);
    });
}

/// The statement that writes down where the log ends.
pub(crate) fn push_end(sql: &mut QueryBuilder<Sqlite>, chain: &Chain) {
    sql.push("INSERT INTO audit_head (one, log_id, size, prev, frontier) ");
    sql.push_values([chain], |mut values, chain| {
        values.push("1").push_bind(chain.log_id().as_str().to_owned());
        values.push_bind(integer(chain.frontier().size()));
        values.push_bind(chain.prev().to_string()).push_bind(chain.frontier().to_bytes());
    });
    sql.push(
        " ON CONFLICT (one) DO UPDATE SET size = excluded.size, prev = excluded.prev, \
          frontier = excluded.frontier",
    );
}

impl Entries {
    /// An act that says nothing in detail.
    pub fn plain(&mut self, at_ms: u64, act: Act) {
        self.0.push(New { at_ms, act, body: None, journal: None });
    }

    /// An act that brings what it says in detail.
    pub fn with_body(&mut self, at_ms: u64, mut act: Act, body: Vec<u8>) {
        act.detail_digest = Some(detail_digest(&body));
        self.0.push(New { at_ms, act, body: Some(body), journal: None });
    }

    /// An act of which the detail is in the journal: record `seq` of the run, or 0 for the run's own.
    pub fn of_journal(&mut self, at_ms: u64, mut act: Act, run: &RunId, seq: i64, body: &[u8]) {
        act.detail_digest = Some(detail_digest(body));
        act.run_id = Some(run.clone());
        self.0.push(New { at_ms, act, body: None, journal: Some((run.as_str().to_owned(), seq)) });
    }
}

impl Log {
    pub fn new(path: &Path) -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .and_then(|text| BootId::new(text.trim().replace('-', "")))
            .unwrap_or_else(|| BootId::from_bytes([0; 16]));
        Self { path: path.to_owned(), boot_id, actor: Arc::new(Mutex::new(Actor::executor())) }
    }

    pub const fn boot_id(&self) -> &BootId {
        &self.boot_id
    }

    pub fn act_as(&self, actor: Actor) {
        *self.actor.lock().unwrap_or_else(PoisonError::into_inner) = actor;
    }

    fn stamp(&self, time_ms: u64) -> Stamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let mono_ns = seconds.saturating_mul(1_000_000_000) + u64::try_from(now.tv_nsec).unwrap_or(0);
        Stamp { time_ms, boot_id: self.boot_id.clone(), mono_ns }
    }

    fn sqlite(&self) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        |error| StoreError::sqlite(&self.path, &error)
    }

    /// The end of the log.
    pub async fn chain(&self, connection: &mut SqliteConnection) -> Result<Chain, StoreError> {
        let (log_id, size, prev, frontier): (String, i64, String, Vec<u8>) =
            sqlx::query_as("SELECT log_id, size, prev, frontier FROM audit_head")
                .fetch_one(connection)
                .await
                .map_err(self.sqlite())?;
        let size = u64::try_from(size).unwrap_or(0);
        let read = || {
            let frontier = Frontier::from_bytes(size, &frontier)?;
            Some(Chain::at(LogId::new(log_id)?, prev.parse::<Digest>().ok()?, frontier))
        };
        read().ok_or_else(|| StoreError::Corrupt {
            path: self.path.clone(),
            detail: String::from("the end of the audit log cannot be read"),
        })
    }

    /// Chains what was gathered.
    pub fn lines(&self, chain: &mut Chain, entries: Entries) -> Result<Vec<Line>, StoreError> {
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut lines = Vec::with_capacity(entries.0.len());
        for entry in entries.0 {
            let record = chain
                .append(&self.stamp(entry.at_ms), &actor, entry.act)
                .map_err(|error| StoreError::Audit { detail: error.to_string() })?;
            let seq = integer(chain.frontier().size());
            lines.push(Line { seq, record, body: entry.body, journal: entry.journal });
        }
        Ok(lines)
    }

    /// Writes what was gathered after what is there. Nothing is in the file for good before the
    /// transaction is, with [`Log::keep`].
    pub async fn append(
        &self,
        connection: &mut SqliteConnection,
        chain: &mut Chain,
        entries: Entries,
    ) -> Result<(), StoreError> {
        let mut lines = self.lines(chain, entries)?;
        // A statement costs more than a row.
        while !lines.is_empty() {
            let rest = lines.split_off(lines.len().min(ROWS_MAX));
            let mut sql = QueryBuilder::new("");
            push_lines(&mut sql, lines);
            sql.build().execute(&mut *connection).await.map_err(self.sqlite())?;
            lines = rest;
        }
        Ok(())
    }

    /// Writes down where the log ends now.
    pub async fn keep(&self, connection: &mut SqliteConnection, chain: &Chain) -> Result<(), StoreError> {
        let mut sql = QueryBuilder::new("");
        push_end(&mut sql, chain);
        sql.build().execute(connection).await.map(|_| ()).map_err(self.sqlite())
    }

    /// Begins a log.
    pub async fn begin(
        &self,
        connection: &mut SqliteConnection,
        time_ms: u64,
        imported_runs: u64,
    ) -> Result<Chain, StoreError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| StoreError::Io { path: self.path.clone(), detail: error.to_string() })?;
        let mut chain = Chain::new(LogId::from_bytes(bytes));
        let body = canonical::compact(&Imported { imported_runs })
            .map_err(|error| StoreError::Audit { detail: error.to_string() })?;
        let mut entries = Entries::default();
        entries.with_body(time_ms, Act::new(Action::LogStarted), body);
        self.append(connection, &mut chain, entries).await?;
        Ok(chain)
    }
}

/// Size and root.
pub(crate) async fn head(log: &Log, connection: &mut SqliteConnection) -> Result<Head, StoreError> {
    Ok(log.chain(connection).await?.head())
}

/// Keeps a signed note.
pub(crate) async fn put_checkpoint(
    path: &Path,
    connection: &mut SqliteConnection,
    chain: &Chain,
    at_ms: u64,
    note: &[u8],
) -> Result<(), StoreError> {
    let refused = |detail: String| StoreError::Audit { detail };
    let read = Checkpoint::read(note).map_err(|error| refused(error.to_string()))?;
    let head = chain.head();
    if read.origin != origin(&head.log_id) {
        return Err(refused(format!("a checkpoint of `{}`, not of this log", read.origin)));
    }
    if read.size > head.size || (read.size == head.size && read.root != head.root) {
        return Err(refused(String::from("a checkpoint that this log has not been at")));
    }
    sqlx::query(
        "INSERT INTO checkpoints (size, at_ms, note) VALUES ($1, $2, $3) ON CONFLICT (size) DO NOTHING",
    )
    .bind(integer(read.size))
    .bind(integer(at_ms))
    .bind(note)
    .execute(connection)
    .await
    .map(|_| ())
    .map_err(|error| StoreError::sqlite(path, &error))
}

/// The latest notes, latest first.
pub(crate) async fn checkpoints(
    path: &Path,
    connection: &mut SqliteConnection,
    limit: u32,
) -> Result<Vec<KeptCheckpoint>, StoreError> {
    let rows: Vec<(i64, i64, Vec<u8>)> =
        sqlx::query_as("SELECT size, at_ms, note FROM checkpoints ORDER BY size DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(connection)
            .await
            .map_err(|error| StoreError::sqlite(path, &error))?;
    let unsigned = |value: i64| u64::try_from(value).unwrap_or(0);
    let kept = |(size, at_ms, note)| KeptCheckpoint { size: unsigned(size), at_ms: unsigned(at_ms), note };
    Ok(rows.into_iter().map(kept).collect())
}

/// Lines of an export: the records after one, at most so many.
pub(crate) async fn page(
    path: &Path,
    connection: &mut SqliteConnection,
    after: u64,
    limit: u32,
    bodies: bool,
) -> Result<Vec<Vec<u8>>, StoreError> {
    type Row = (Vec<u8>, Option<Vec<u8>>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT record, CASE WHEN NOT $3 THEN NULL ELSE COALESCE(body, CASE record_seq \
            WHEN 0 THEN (SELECT runs.body FROM runs WHERE runs.id = audit.run_id) \
            ELSE (SELECT records.body FROM records \
                  WHERE records.run_id = audit.run_id AND records.seq = audit.record_seq) END) END \
         FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
    )
    .bind(integer(after))
    .bind(i64::from(limit))
    .bind(bodies)
    .fetch_all(connection)
    .await
    .map_err(|error| StoreError::sqlite(path, &error))?;
    Ok(rows.into_iter().map(|(record, body)| export::line(&record, body.as_deref())).collect())
}
