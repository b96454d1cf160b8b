//! What a journal offers, whatever it is kept in.

use crate::StoreError;
use rectify_model::journal::{Entry, Record, RunId, RunOutcome, RunRecord, RunView};
use std::future::Future;

/// A journal of runs.
pub trait Journal: Send + Sync {
    /// Begins a run, durably.
    ///
    /// # Errors
    /// [`StoreError::UseTaken`] if the permission was used on one of the targets before.
    fn begin_run(&self, run: &RunRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Appends records of a run: all of them or none, in this order, durable on return. Answers
    /// with the sequence number of the last one. `at_ms` is milliseconds since 1970.
    ///
    /// # Errors
    /// [`StoreError::RunUnknown`], [`StoreError::RunFinished`], [`StoreError::IntentTwice`], and
    /// failures of the store, after which nothing more may be done to a target.
    fn append(
        &self,
        run: &RunId,
        at_ms: u64,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Ends a run. A run whose outcome is not final may be continued, and ended again.
    ///
    /// # Errors
    /// As [`Journal::append`]; ending a run again with the same outcome is not an error.
    fn finish_run(
        &self,
        run: &RunId,
        at_ms: u64,
        outcome: RunOutcome,
        receipt: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Everything about one run.
    ///
    /// # Errors
    /// [`StoreError::RunUnknown`]; [`StoreError::Record`] if its records contradict each other.
    fn load_run(&self, run: &RunId) -> impl Future<Output = Result<LoadedRun, StoreError>> + Send;

    /// The latest runs, latest first.
    ///
    /// # Errors
    /// Failures of the store.
    fn list_runs(&self, limit: u32) -> impl Future<Output = Result<Vec<RunSummary>, StoreError>> + Send;
}

/// A run as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedRun {
    /// Its records, folded.
    pub view: RunView,
    /// Its records, in order.
    pub entries: Vec<Entry>,
    /// How it ended, if it has.
    pub outcome: Option<RunOutcome>,
    /// When it ended, in milliseconds since 1970.
    pub finished_at_ms: Option<u64>,
    /// The receipt's bytes, if there is one.
    pub receipt: Option<Vec<u8>>,
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// How it began.
    pub run: RunRecord,
    /// How it ended, if it has.
    pub outcome: Option<RunOutcome>,
    /// When it ended, in milliseconds since 1970.
    pub finished_at_ms: Option<u64>,
    /// Number of records.
    pub records: u64,
}
