//! The journal on disk: SQLite, one writer, group commit.
//!
//! What is appended is durable when the call returns (WAL with `synchronous=FULL`). Callers hand
//! their records to one writing task, which puts whatever is waiting (up to [`GROUP_MAX_RECORDS`])
//! into one transaction. It never waits for more to come: while one group is being synced, the
//! next one gathers.
//!
//! What this crate never does: decide what a record means, or retry a failed sync. When a commit
//! fails the journal is closed, because the pages that could not be written may since be marked
//! clean; what is on disk decides, at the next start.

pub mod codes;
mod error;
mod journal;
mod open;
mod read;
mod sqlite;
mod write;

pub use error::StoreError;
pub use journal::{Journal, LoadedRun, RunSummary};
pub use open::{APPLICATION_ID, Options, VERSION, VERSION_OLDEST};
pub use sqlite::{SqliteJournal, Stats};

/// Most records in one transaction, unless one caller hands in more at once.
pub const GROUP_MAX_RECORDS: usize = 64;
