-- Schema 1. Times are seconds since the epoch; a job's demands are in its signed text (spec).
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    spec TEXT NOT NULL,
    signature TEXT NOT NULL,
    phase TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    host TEXT,
    spool TEXT,
    command_number INTEGER NOT NULL,
    cancelled_by TEXT,
    pid INTEGER,
    submitted_at REAL NOT NULL,
    started_at REAL,
    ended_at REAL,
    exit_code INTEGER,
    signal INTEGER,
    cpu_seconds REAL,
    max_rss INTEGER
) STRICT;
-- What has not ended, for the restart; small however long the history is.
CREATE INDEX jobs_active ON jobs (id) WHERE phase IN ('held', 'pending', 'starting', 'running', 'suspended');
CREATE INDEX jobs_of_user ON jobs (user, id);

-- One row per submit token: the same token gives the same ids again.
CREATE TABLE submissions (
    user TEXT NOT NULL,
    token TEXT NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (user, token)
) STRICT, WITHOUT ROWID;

-- Environments of jobs by the SHA-256 of their text: the same one is kept once.
CREATE TABLE environments (digest TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Counters of each user's server on a host.
CREATE TABLE spools (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    host TEXT NOT NULL,
    commands INTEGER NOT NULL,
    reports INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
