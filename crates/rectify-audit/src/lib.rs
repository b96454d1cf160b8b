//! The audit log: who did what, in one gapless chain, under one Merkle root, checkable offline.
//!
//! A log is a sequence of [`AuditRecord`]s. Each names the digest of the one before ([`chain`]), and
//! all of them are leaves of a Merkle tree as in RFC 6962 ([`merkle`]). A [`checkpoint`] is a signed
//! statement of size and root in the form of C2SP's tlog-checkpoint, so that it can be kept, and
//! cosigned, by others. An [`export`] is the log as lines of JSON; [`verify`] checks one against
//! checkpoints that were kept elsewhere.
//!
//! No clock, file, process or randomness: whoever keeps the log gives times and bytes.

pub mod chain;
pub mod checkpoint;
pub mod codes;
pub mod detail;
pub mod export;
pub mod grammar;
pub mod merkle;
pub mod record;
#[cfg(feature = "schema")]
pub mod schema;
pub mod verify;

pub use chain::{Chain, Head};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use detail::{Imported, Lease, Refused};
pub use export::Header;
pub use record::{Action, Actor, ActorKind, AuditRecord, BootId, Decision, LogId, Outcome};
pub use verify::{Anchors, Finding, Report, Verifier, verify};

/// Version of the format of records.
pub const VERSION: u32 = 1;
