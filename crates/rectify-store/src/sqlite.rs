//! The journal in SQLite: a handle to its writing task, and a connection for reading.

use crate::{
    Appended, Holder, Journal, KeptCheckpoint, Lease, LoadedRun, Options, RunSummary, StoreError,
    audit::{self, Log},
    lease,
    open::open,
    read,
    space::Reserve,
    write::{Command, Counters, Work, Writer, write},
};
use rectify_attest::PublicKey;
use rectify_audit::{Actor, Head, Header, record::Act};
use rectify_base::canonical;
use rectify_model::journal::{Record, RunId, RunMark, RunOutcome, RunRecord};
use sqlx::{Connection as _, SqliteConnection};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, atomic::Ordering},
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
    log: Log,
    /// The runs that were begun or resumed here, and under which fence.
    fences: std::sync::Mutex<BTreeMap<RunId, u64>>,
    task: JoinHandle<()>,
}

/// Records that are read at once for an export.
const PAGE: u32 = 1_000;

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
        let log = Log::new(path);
        let (connection, read) = open(path, options, &log).await?;
        let reserve = Reserve::make(path, options.reserve_bytes)?;
        let (commands, queue) = mpsc::channel(QUEUE_MAX);
        let counters = Arc::new(Counters::default());
        let low = options.reserve_bytes > 0 && !reserve.there();
        counters.low_space.store(low, Ordering::Relaxed);
        let writer = Writer {
            path: path.to_owned(),
            connection,
            log: log.clone(),
            reserve,
            counters: Arc::clone(&counters),
            tail: None,
        };
        let task = tokio::spawn(write(writer, queue));
        Ok(Self {
            path: path.to_owned(),
            commands,
            reader: Mutex::new(read),
            counters,
            log,
            fences: std::sync::Mutex::default(),
            task,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says who does what is written from now on; before that it is the executor without a key.
    pub fn act_as(&self, actor: Actor) {
        self.log.act_as(actor);
    }

    /// Whether the reserve is gone: what is open may be finished, and nothing new may be begun. It is
    /// made anew when the journal is opened and there is space.
    #[must_use]
    pub fn low_space(&self) -> bool {
        self.counters.low_space.load(Ordering::Relaxed)
    }

    /// Writes the audit log as it is now, as lines, header first, to whatever takes them. Answers with
    /// size and root of what was written.
    ///
    /// # Errors
    /// Failures of the store, and of `sink` as [`StoreError::Io`].
    pub async fn export(
        &self,
        key: Option<PublicKey>,
        bodies: bool,
        sink: &mut (dyn FnMut(&[u8]) -> io::Result<()> + Send),
    ) -> Result<Head, StoreError> {
        let head = self.head().await?;
        let mut put = |line: &[u8]| {
            sink(line)
                .map_err(|error| StoreError::Io { path: PathBuf::from("export"), detail: error.to_string() })
        };
        let header = Header::new(head.log_id.clone(), key, bodies).to_line();
        put(&header.map_err(|error| StoreError::Audit { detail: error.to_string() })?)?;
        let mut done = 0;
        while done < head.size {
            let wanted = u32::try_from(head.size - done).unwrap_or(PAGE).min(PAGE);
            let lines = self.audit_lines(done, wanted, bodies).await?;
            if lines.is_empty() {
                let detail = format!("the audit log ends after record {done} of {}", head.size);
                return Err(StoreError::Corrupt { path: self.path.clone(), detail });
            }
            for line in &lines {
                put(line)?;
            }
            done += lines.len() as u64;
        }
        Ok(head)
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

    fn works_on(&self, run: &RunId, fence: u64) {
        self.fences.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone(), fence);
    }

    fn fence_on(&self, run: &RunId) -> Option<u64> {
        self.fences.lock().unwrap_or_else(PoisonError::into_inner).get(run).copied()
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
        self.submit(Work::Begin { run: Box::new(run.clone()), body }).await?;
        self.works_on(&run.run, run.fence);
        Ok(())
    }

    async fn append(&self, run: &RunId, at_ms: u64, records: Vec<Record>) -> Result<Appended, StoreError> {
        let resumed = records.iter().rev().find_map(|record| match record {
            Record::Run(RunMark::Resumed { fence }) => Some(*fence),
            _ => None,
        });
        let encode = |record: Record| match canonical::compact(&record) {
            Ok(body) => Ok((record, body)),
            Err(error) => Err(StoreError::Record {
                run: run.clone(),
                place: String::from("new record"),
                detail: error.to_string(),
            }),
        };
        let records = records.into_iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        // Whoever resumes a run does so under a fence of its own.
        let fence = if resumed.is_some() { None } else { self.fence_on(run) };
        let seq = self.submit(Work::Append { run: run.clone(), fence, at_ms, records }).await?;
        if let Some(fence) = resumed {
            self.works_on(run, fence);
        }
        Ok(Appended { seq, low_space: self.low_space() })
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

    async fn acquire(&self, scopes: &[String], holder: &Holder, at_ms: u64) -> Result<u64, StoreError> {
        let mut scopes = scopes.to_vec();
        scopes.sort();
        scopes.dedup();
        self.submit(Work::Acquire { scopes, holder: holder.clone(), at_ms }).await
    }

    async fn renew(&self, scopes: &[String], fence: u64, at_ms: u64) -> Result<(), StoreError> {
        self.submit(Work::Renew { scopes: scopes.to_vec(), fence, at_ms }).await.map(|_| ())
    }

    async fn release(&self, scopes: &[String], fence: u64, at_ms: u64) -> Result<(), StoreError> {
        self.submit(Work::Release { scopes: scopes.to_vec(), fence, at_ms }).await.map(|_| ())
    }

    async fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        lease::list(&self.path, &mut *self.reader.lock().await).await
    }

    async fn break_lease(&self, scope: &str, fence: u64, by: &Actor, at_ms: u64) -> Result<(), StoreError> {
        let work = Work::Break { scope: scope.to_owned(), fence, by: by.clone(), at_ms };
        self.submit(work).await.map(|_| ())
    }

    async fn note(&self, at_ms: u64, act: Act, detail: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.submit(Work::Note { at_ms, act, detail }).await.map(|_| ())
    }

    async fn head(&self) -> Result<Head, StoreError> {
        audit::head(&self.log, &mut *self.reader.lock().await).await
    }

    async fn put_checkpoint(&self, at_ms: u64, note: Vec<u8>) -> Result<(), StoreError> {
        self.submit(Work::Checkpoint { at_ms, note }).await.map(|_| ())
    }

    async fn checkpoints(&self, limit: u32) -> Result<Vec<KeptCheckpoint>, StoreError> {
        audit::checkpoints(&self.path, &mut *self.reader.lock().await, limit).await
    }

    async fn audit_lines(&self, after: u64, limit: u32, bodies: bool) -> Result<Vec<Vec<u8>>, StoreError> {
        audit::page(&self.path, &mut *self.reader.lock().await, after, limit, bodies).await
    }
}
