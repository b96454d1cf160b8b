//! What a journal offers, whatever it is kept in.

use crate::{Holder, KeptCheckpoint, Lease, StoreError};
use rectify_audit::{Actor, Head, record::Act};
use rectify_model::journal::{Entry, Record, RunId, RunOutcome, RunRecord, RunView};
use std::future::Future;

/// A journal of runs.
pub trait Journal: Send + Sync {
    /// Begins a run, durably.
    ///
    /// # Errors
    /// [`StoreError::UseTaken`] if the permission was used on one of the targets before.
    fn begin_run(&self, run: &RunRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Appends records of a run: all of them or none, in this order, durable on return. `at_ms` is
    /// milliseconds since 1970.
    ///
    /// Whoever began or resumed a run through this journal may append to it until another does; a
    /// resumed run is no longer ended.
    ///
    /// # Errors
    /// [`StoreError::RunUnknown`], [`StoreError::RunFinished`], [`StoreError::IntentTwice`],
    /// [`StoreError::Fenced`], and failures of the store, after which nothing more may be done to a
    /// target. After [`StoreError::Full`] the same records may be appended again when there is space.
    fn append(
        &self,
        run: &RunId,
        at_ms: u64,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Appended, StoreError>> + Send;

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

    /// Takes the lease of all scopes (identities of targets), or of none, and answers with its fence:
    /// a number that is higher than that of any lease before.
    ///
    /// # Errors
    /// [`StoreError::Held`] if one of them was renewed less than [`crate::LEASE_TTL_MS`] ago and the
    /// holder does not have its file lock.
    fn acquire(
        &self,
        scopes: &[String],
        holder: &Holder,
        at_ms: u64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Prolongs a lease to [`crate::LEASE_TTL_MS`] from `at_ms` on.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if one of the scopes was taken over or broken; then none is prolonged,
    /// and nothing more may be done to the targets.
    fn renew(
        &self,
        scopes: &[String],
        fence: u64,
        at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Lets go of what this fence still holds of the scopes. What it no longer holds is left alone.
    ///
    /// # Errors
    /// Failures of the store.
    fn release(
        &self,
        scopes: &[String],
        fence: u64,
        at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Every lease that there ever was on a scope, the last one each, by scope.
    ///
    /// # Errors
    /// Failures of the store.
    fn leases(&self) -> impl Future<Output = Result<Vec<Lease>, StoreError>> + Send;

    /// Ends the lease of a scope in somebody's name, who types its fence as proof of having looked.
    ///
    /// # Errors
    /// [`StoreError::LeaseUnknown`] if nobody holds it, [`StoreError::OtherFence`].
    fn break_lease(
        &self,
        scope: &str,
        fence: u64,
        by: &Actor,
        at_ms: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes into the audit log what is not part of a run, as a refused admission.
    ///
    /// # Errors
    /// [`StoreError::Audit`] if it has no canonical form; failures of the store.
    fn note(
        &self,
        at_ms: u64,
        act: Act,
        detail: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Size and root of the audit log, as a checkpoint is made over.
    ///
    /// # Errors
    /// Failures of the store.
    fn head(&self) -> impl Future<Output = Result<Head, StoreError>> + Send;

    /// Keeps a signed checkpoint of this log. One of a size that has one already is not kept.
    ///
    /// # Errors
    /// [`StoreError::Audit`] if it is not one of this log. The signature is not verified.
    fn put_checkpoint(
        &self,
        at_ms: u64,
        note: Vec<u8>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The latest checkpoints, latest first.
    ///
    /// # Errors
    /// Failures of the store.
    fn checkpoints(&self, limit: u32)
    -> impl Future<Output = Result<Vec<KeptCheckpoint>, StoreError>> + Send;

    /// Lines of an export, each with its end: at most `limit` records after record `after`, with what
    /// they say in detail or without. None is the end of the log. The header is
    /// [`rectify_audit::Header`]; [`crate::SqliteJournal::export`] puts all together.
    ///
    /// # Errors
    /// Failures of the store.
    fn audit_lines(
        &self,
        after: u64,
        limit: u32,
        bodies: bool,
    ) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>> + Send;
}

/// What was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Sequence number of the last record.
    pub seq: u64,
    /// Whether the disk was full and the reserve has been given up for it: what is open may still be
    /// finished, and nothing new may be begun.
    pub low_space: bool,
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
