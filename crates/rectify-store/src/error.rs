//! What can go wrong.

use crate::{
    codes,
    failure::{self, Failure},
};
use rectify_base::{Code, TargetName};
use rectify_model::journal::{RunId, RunOutcome};
use std::path::{Path, PathBuf};

/// Why the journal refused, or could not do, something. Where a group fails each caller gets a copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Others may read or write it, or it is not a plain file.
    #[error("{path}: {problem}", path = path.display())]
    Permissions {
        /// File or directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Not a journal of ours.
    #[error("{path} is not a journal of Rectify: {detail}", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that shows.
        detail: String,
    },
    /// Damaged.
    #[error("the journal {path} is damaged: {detail}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the check found.
        detail: String,
    },
    /// From a newer release.
    #[error(
        "the journal {path} has version {found}; this release knows versions up to {known}",
        path = path.display()
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that this release knows.
        known: i64,
    },
    /// From a release that is no longer supported.
    #[error(
        "the journal {path} has version {found}; this release reads versions from {oldest}",
        path = path.display()
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The oldest version that this release reads.
        oldest: i64,
    },
    /// Held by another process for longer than the timeout.
    #[error("another process holds the journal {path}", path = path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// No space.
    #[error("no space is left for the journal {path}", path = path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Any other failure of the file.
    #[error("{path}: {detail}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// Closed.
    #[error("the journal {path} is closed", path = path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// The permission is used up.
    #[error(
        "this permission was used on `{target}` by run {run} ({})",
        outcome.map_or("not finished", RunOutcome::as_str)
    )]
    UseTaken {
        /// The target.
        target: TargetName,
        /// The run that used it.
        run: RunId,
        /// How that run ended, if it has.
        outcome: Option<RunOutcome>,
    },
    /// No such run.
    #[error("there is no run {run}")]
    RunUnknown {
        /// The run.
        run: RunId,
    },
    /// Nothing more may be recorded.
    #[error("run {run} has ended: {}", outcome.as_str())]
    RunFinished {
        /// The run.
        run: RunId,
        /// How.
        outcome: RunOutcome,
    },
    /// The attempt was begun before.
    #[error("attempt {attempt} at operation {op_id} has an intent already")]
    IntentTwice {
        /// The operation.
        op_id: String,
        /// The attempt.
        attempt: u32,
    },
    /// Another engine went on with the run.
    #[error("run {run} was taken over: its fence is {current}, this engine's is {fence}")]
    Fenced {
        /// The run.
        run: RunId,
        /// The fence of who was refused.
        fence: u64,
        /// The fence of who is at work.
        current: u64,
    },
    /// Somebody works on the target.
    #[error(
        "`{scope}` is locked by run {run} (process {pid}, fence {fence}) since {} s",
        age_ms / 1_000
    )]
    Held {
        /// What is locked.
        scope: String,
        /// The run.
        run: RunId,
        /// The process, as its machine counts.
        pid: u32,
        /// The lease's number.
        fence: u64,
        /// How long it has been held, in milliseconds.
        age_ms: u64,
    },
    /// The lease ran out and was taken over, or was broken.
    #[error("the lock of `{scope}` with fence {fence} is lost: it was broken or taken over")]
    LeaseLost {
        /// What was locked.
        scope: String,
        /// The lease's number.
        fence: u64,
    },
    /// Nothing is locked.
    #[error("`{scope}` is not locked")]
    LeaseUnknown {
        /// What was named.
        scope: String,
    },
    /// The number typed is not that of the lease.
    #[error("the lock of `{scope}` does not have fence {given}")]
    OtherFence {
        /// What is locked.
        scope: String,
        /// What was typed.
        given: u64,
    },
    /// The audit log does not take it.
    #[error("the audit log: {detail}")]
    Audit {
        /// Why.
        detail: String,
    },
    /// Not enough space to begin.
    #[error("{path}: {free} bytes are free, and {needed} are needed to begin", path = path.display())]
    Space {
        /// The state directory.
        path: PathBuf,
        /// Free, in bytes.
        free: u64,
        /// Needed, in bytes.
        needed: u64,
    },
    /// A record that cannot be, or that has no canonical form.
    #[error("run {run}, {place}: {detail}")]
    Record {
        /// The run.
        run: RunId,
        /// `record <seq>`, `run record` or `new record`.
        place: String,
        /// What is wrong.
        detail: String,
    },
}

impl StoreError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Permissions { .. } => codes::PERMISSIONS,
            Self::Foreign { .. } => codes::FOREIGN,
            Self::Corrupt { .. } => codes::CORRUPT,
            Self::TooNew { .. } => codes::TOO_NEW,
            Self::TooOld { .. } => codes::TOO_OLD,
            Self::Busy { .. } => codes::BUSY,
            Self::Full { .. } => codes::FULL,
            Self::Io { .. } => codes::IO,
            Self::Closed { .. } => codes::CLOSED,
            Self::UseTaken { .. } => codes::USE_TAKEN,
            Self::RunUnknown { .. } => codes::RUN_UNKNOWN,
            Self::RunFinished { .. } => codes::RUN_FINISHED,
            Self::IntentTwice { .. } => codes::INTENT_TWICE,
            Self::Record { .. } => codes::RECORD,
            Self::Fenced { .. } => codes::FENCED,
            Self::Held { .. } => codes::HELD,
            Self::LeaseLost { .. } => codes::LEASE_LOST,
            Self::LeaseUnknown { .. } => codes::LEASE_UNKNOWN,
            Self::OtherFence { .. } => codes::LEASE_FENCE,
            Self::Audit { .. } => codes::AUDIT,
            Self::Space { .. } => codes::SPACE,
        }
    }

    /// Whether it is the caller's submission that was refused, while the journal itself is well.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::UseTaken { .. }
                | Self::RunUnknown { .. }
                | Self::RunFinished { .. }
                | Self::IntentTwice { .. }
                | Self::Record { .. }
                | Self::Fenced { .. }
                | Self::Held { .. }
                | Self::LeaseLost { .. }
                | Self::LeaseUnknown { .. }
                | Self::OtherFence { .. }
                | Self::Audit { .. }
        )
    }

    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), detail: error.to_string() }
    }

    /// Sorts an error of SQLite. After a failed sync there is no answer: the process ends here.
    pub(crate) fn sqlite(path: &Path, error: &sqlx::Error) -> Self {
        let at = path.to_owned();
        match failure::of(error) {
            Failure::Sync => failure::abort(path, error),
            Failure::Busy => Self::Busy { path: at },
            Failure::Corrupt => Self::Corrupt { path: at, detail: error.to_string() },
            Failure::Full => Self::Full { path: at },
            Failure::Foreign => {
                Self::Foreign { path: at, detail: String::from("it is not an SQLite database") }
            }
            Failure::Io => Self::Io { path: at, detail: error.to_string() },
        }
    }
}
