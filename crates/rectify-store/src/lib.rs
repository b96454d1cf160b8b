//! The journal on disk: SQLite, one writer, group commit.
//!
//! What is appended is durable when the call returns (WAL with `synchronous=FULL`). Callers hand
//! their records to one writing task, which puts whatever is waiting (up to [`GROUP_MAX_RECORDS`])
//! into one transaction. It never waits for more to come: while one group is being synced, the
//! next one gathers.
//!
//! Beside the journal is the audit log: what is done and the record of it are one transaction. So are
//! taking, losing and breaking a lease, and theirs.
//!
//! What this crate never does: decide what a record means, or retry a failed sync. After a failed sync
//! the process ends, and when a commit fails otherwise the journal is closed: what is on disk decides,
//! at the next start. Only where the disk is full a reserve is given up and the group tried once more;
//! the caller is told.

mod audit;
pub mod codes;
mod error;
mod failure;
mod import;
mod journal;
mod lease;
mod open;
mod read;
pub mod space;
mod sqlite;
mod together;
mod write;

pub use audit::KeptCheckpoint;
pub use error::StoreError;
pub use journal::{Appended, Journal, LoadedRun, RunSummary};
pub use lease::{Holder, LEASE_MARGIN_MS, LEASE_RENEW_MS, LEASE_TTL_MS, Lease};
pub use open::{APPLICATION_ID, Options, VERSION, VERSION_OLDEST};
pub use sqlite::{SqliteJournal, Stats};

/// Most records in one transaction, unless one caller hands in more at once.
pub const GROUP_MAX_RECORDS: usize = 64;
