//! Codes of this crate. Each has a page under `docs/errors/`.

rectify_base::codes! {
    /// Others than the owner may read or write the journal's file or directory.
    PERMISSIONS = "store-permissions";
    /// The file is not a journal of Rectify.
    FOREIGN = "store-foreign";
    /// The journal is damaged.
    CORRUPT = "store-corrupt";
    /// A newer release wrote the journal.
    TOO_NEW = "store-too-new";
    /// A release that is no longer supported wrote the journal.
    TOO_OLD = "store-too-old";
    /// Another process holds the journal.
    BUSY = "store-busy";
    /// No space is left.
    FULL = "store-full";
    /// The file could not be read or written.
    IO = "store-io";
    /// The journal was closed, by its owner or by a failed sync.
    CLOSED = "store-closed";
    /// The permission is used up on one of the targets.
    USE_TAKEN = "store-use-taken";
    /// There is no such run.
    RUN_UNKNOWN = "store-run-unknown";
    /// The run has ended.
    RUN_FINISHED = "store-run-finished";
    /// An attempt at an operation has an intent already.
    INTENT_TWICE = "store-intent-twice";
    /// A record is not what any run can have written.
    RECORD = "store-record";
    /// Another engine went on with the run.
    FENCED = "store-fenced";
    /// Somebody works on the target.
    HELD = "store-held";
    /// The lock was broken or taken over.
    LEASE_LOST = "store-lease-lost";
    /// Nothing is locked there.
    LEASE_UNKNOWN = "store-lease-unknown";
    /// The number typed is not that of the lock.
    LEASE_FENCE = "store-lease-fence";
    /// The audit log does not take it.
    AUDIT = "store-audit";
    /// Not enough space is free to begin.
    SPACE = "store-space";
}
