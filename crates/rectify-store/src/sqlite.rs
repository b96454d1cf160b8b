//! The journal in SQLite: a handle to its writing task, and a connection for reading.

use crate::{
    Journal, LoadedRun, Options, RunSummary, StoreError,
    open::open,
    read,
    write::{Command, Counters, Work, writer},
};
use rectify_base::canonical;
use rectify_model::journal::{Record, RunId, RunOutcome, RunRecord};
use sqlx::{Connection as _, SqliteConnection};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};

/// Submissions that may wait for the writer before callers have to wait to submit.
const QUEUE_MAX: usize = 1_024;

/// A journal in an SQLite file. Made by [`SqliteJournal::open`]; share it behind an `Arc`.
#[derive(Debug)]
pub struct SqliteJournal {
    path: PathBuf,
    commands: mpsc::Sender<Command>,
    reader: Mutex<SqliteConnection>,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

/// What the writer has done since the journal was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed.
    pub transactions: u64,
    /// Submissions stored in them.
    pub submissions: u64,
}

impl SqliteJournal {
    /// Opens the journal, or makes one. Its directory is private (0700), as is the file (0600).
    /// Must be called within a tokio runtime, which then runs the writing task.
    ///
    /// # Errors
    /// Anything that keeps the file from being a whole, private journal of a known version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default()).await
    }

    /// As [`SqliteJournal::open`], with other settings.
    ///
    /// # Errors
    /// As [`SqliteJournal::open`].
    pub async fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        let (write, read) = open(path, options).await?;
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let counters = Arc::new(Counters::default());
        let task = tokio::spawn(writer(path.to_owned(), write, queue, Arc::clone(&counters)));
        Ok(Self { path: path.to_owned(), commands, reader: Mutex::new(read), counters, task })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the writer has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            transactions: self.counters.transactions.load(Ordering::Relaxed),
            submissions: self.counters.submissions.load(Ordering::Relaxed),
        }
    }

    /// Stores what was submitted and closes the file.
    ///
    /// # Errors
    /// If the file cannot be closed properly. What was acknowledged is durable all the same.
    pub async fn close(self) -> Result<(), StoreError> {
        let Self { path, commands, reader, task, .. } = self;
        drop(commands);
        let joined = task.await;
        reader.into_inner().close().await.map_err(|error| StoreError::sqlite(&path, &error))?;
        joined.map_err(|error| StoreError::Io { path, detail: error.to_string() })
    }

    async fn submit(&self, work: Work) -> Result<u64, StoreError> {
        let closed = || StoreError::Closed { path: self.path.clone() };
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command { work, reply }).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Journal for SqliteJournal {
    async fn begin_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        let body = canonical::compact(run).map_err(|error| StoreError::Record {
            run: run.run.clone(),
            place: String::from("run record"),
            detail: error.to_string(),
        })?;
        self.submit(Work::Begin { run: Box::new(run.clone()), body }).await.map(|_| ())
    }

    async fn append(&self, run: &RunId, at_ms: u64, records: Vec<Record>) -> Result<u64, StoreError> {
        let encode = |record: Record| match canonical::compact(&record) {
            Ok(body) => Ok((record, body)),
            Err(error) => Err(StoreError::Record {
                run: run.clone(),
                place: String::from("new record"),
                detail: error.to_string(),
            }),
        };
        let records = records.into_iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        self.submit(Work::Append { run: run.clone(), at_ms, records }).await
    }

    async fn finish_run(
        &self,
        run: &RunId,
        at_ms: u64,
        outcome: RunOutcome,
        receipt: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.submit(Work::Finish { run: run.clone(), at_ms, outcome, receipt }).await.map(|_| ())
    }

    async fn load_run(&self, run: &RunId) -> Result<LoadedRun, StoreError> {
        read::load_run(&self.path, &mut *self.reader.lock().await, run).await
    }

    async fn list_runs(&self, limit: u32) -> Result<Vec<RunSummary>, StoreError> {
        read::list_runs(&self.path, &mut *self.reader.lock().await, limit).await
    }
}
