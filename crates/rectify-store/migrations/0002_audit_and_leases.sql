-- The audit log: one row a record, written in the transaction of what it is about.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY NOT NULL,
    -- Compact canonical JSON.
    record     BLOB NOT NULL,
    -- What it says in detail, unless that is in the journal:
    body       BLOB,
    run_id     TEXT REFERENCES runs (id),
    -- a record of the run, or 0 for the run's own.
    record_seq INTEGER
) STRICT;

-- All that is needed to append: one row.
CREATE TABLE audit_head (
    one      INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
    log_id   TEXT NOT NULL,
    size     INTEGER NOT NULL,
    -- Digest of the last record.
    prev     TEXT NOT NULL,
    -- Roots of the full subtrees, largest first.
    frontier BLOB NOT NULL
) STRICT;

-- Signed notes over the log, by the number of records that they are over.
CREATE TABLE checkpoints (
    size  INTEGER PRIMARY KEY NOT NULL,
    at_ms INTEGER NOT NULL,
    note  BLOB NOT NULL
) STRICT;

-- Numbers that only grow.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('fence', 0);

-- Who works on a target: one row a target, kept when it is let go.
CREATE TABLE leases (
    scope          TEXT PRIMARY KEY NOT NULL,
    fence          INTEGER NOT NULL,
    run_id         TEXT NOT NULL,
    pid            INTEGER NOT NULL,
    boot_id        TEXT NOT NULL,
    acquired_at_ms INTEGER NOT NULL,
    renewed_at_ms  INTEGER NOT NULL,
    released_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Fence of the engine that is at work on the run.
ALTER TABLE runs ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
