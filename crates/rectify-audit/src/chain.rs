//! What must be known of a log to append to it.

use crate::{
    VERSION,
    merkle::{self, Frontier, Hash},
    record::{Act, Actor, AuditRecord, BootId, LogId},
};
use rectify_base::{
    Digest,
    canonical::{self, CanonicalError},
    digest::context,
};

/// What stands in a record for the one before: derived from its canonical bytes.
#[must_use]
pub fn link(record: &[u8]) -> Digest {
    Digest::derive(context::AUDIT_RECORD, &[record])
}

/// What the first record of a log names in place of one before: derived from the digits of its id.
#[must_use]
pub fn origin_link(log: &LogId) -> Digest {
    Digest::derive(context::AUDIT_RECORD, &[log.as_str().as_bytes()])
}

/// Digest of what a record says in detail.
#[must_use]
pub fn detail_digest(body: &[u8]) -> Digest {
    Digest::derive(context::AUDIT_DETAIL, &[body])
}

/// How far a log has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log.
    pub log_id: LogId,
    /// Number of records.
    pub size: u64,
    /// Root of the Merkle tree over them.
    pub root: Hash,
}

/// Where and when a record is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// See [`AuditRecord::time_ms`].
    pub time_ms: u64,
    /// See [`AuditRecord::boot_id`].
    pub boot_id: BootId,
    /// See [`AuditRecord::mono_ns`].
    pub mono_ns: u64,
}

/// The end of a log: its size, tree and the digest of its last record. Grows with each record by at
/// most one hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    log_id: LogId,
    prev: Digest,
    frontier: Frontier,
}

impl Chain {
    /// An empty log.
    #[must_use]
    pub fn new(log_id: LogId) -> Self {
        Self { prev: origin_link(&log_id), log_id, frontier: Frontier::new() }
    }

    /// A log of which the end was kept.
    #[must_use]
    pub const fn at(log_id: LogId, prev: Digest, frontier: Frontier) -> Self {
        Self { log_id, prev, frontier }
    }

    /// The log.
    #[must_use]
    pub const fn log_id(&self) -> &LogId {
        &self.log_id
    }

    /// What the next record names as the one before.
    #[must_use]
    pub const fn prev(&self) -> &Digest {
        &self.prev
    }

    /// The tree.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> Head {
        Head { log_id: self.log_id.clone(), size: self.frontier.size(), root: self.frontier.root() }
    }

    /// Writes the next record, and goes on from there.
    ///
    /// # Errors
    /// If it has no canonical form; then nothing is taken in.
    pub fn append(&mut self, stamp: &Stamp, actor: &Actor, act: Act) -> Result<Vec<u8>, CanonicalError> {
        let record = AuditRecord {
            v: VERSION,
            log_id: self.log_id.clone(),
            seq: self.frontier.size() + 1,
            time_ms: stamp.time_ms,
            boot_id: stamp.boot_id.clone(),
            mono_ns: stamp.mono_ns,
            actor: act.actor.unwrap_or_else(|| actor.clone()),
            action: act.action,
            run_id: act.run_id,
            plan_digest: act.plan_digest,
            step_id: act.step_id,
            target: act.target,
            decision: act.decision,
            outcome: act.outcome,
            detail_digest: act.detail_digest,
            prev: self.prev,
        };
        let bytes = canonical::compact(&record)?;
        self.push(&bytes);
        Ok(bytes)
    }

    /// Takes in the bytes of the next record.
    pub fn push(&mut self, record: &[u8]) {
        self.prev = link(record);
        self.frontier.push(merkle::leaf(record));
    }
}
