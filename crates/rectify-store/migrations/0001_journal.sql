-- The journal of runs. Bodies are compact canonical JSON of rectify.journal/v1.
CREATE TABLE runs (
    id             TEXT PRIMARY KEY NOT NULL,
    use_id         TEXT NOT NULL,
    started_at_ms  INTEGER NOT NULL,
    body           BLOB NOT NULL,
    outcome        TEXT,
    finished_at_ms INTEGER,
    receipt        BLOB
) STRICT;

CREATE INDEX runs_by_start ON runs (started_at_ms DESC, id);

-- One permission is at most one run per target.
CREATE TABLE run_targets (
    use_id TEXT NOT NULL,
    target TEXT NOT NULL,
    run_id TEXT NOT NULL REFERENCES runs (id),
    PRIMARY KEY (use_id, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    run_id  TEXT NOT NULL REFERENCES runs (id),
    seq     INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    body    BLOB NOT NULL,
    -- Of intents only: the operation and its attempt.
    op_id   TEXT,
    attempt INTEGER,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

-- One attempt has one intent, whoever writes it.
CREATE UNIQUE INDEX intents_once ON records (op_id, attempt) WHERE op_id IS NOT NULL;
