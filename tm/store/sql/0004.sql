-- Schema 4. Arrays, limits, dependencies, accounts. What few jobs have is in `more` (JSON). A task of an array has the
-- bit 52 in its id and its array's id below it (tm.model.ids).
ALTER TABLE jobs ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN account TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN cores INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN io_read INTEGER;
ALTER TABLE jobs ADD COLUMN io_written INTEGER;
ALTER TABLE jobs ADD COLUMN more TEXT;
UPDATE jobs SET
    name = coalesce(json_extract(spec, '$.name'), ''),
    cores = coalesce(json_extract(spec, '$.cores'), 1),
    memory = coalesce(json_extract(spec, '$.memory'), 0);
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;

-- Attempts that another one followed.
CREATE TABLE attempts (
    job INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    host TEXT,
    started_at REAL,
    ended_at REAL NOT NULL,
    exit_code INTEGER,
    signal INTEGER,
    cause TEXT NOT NULL,
    reason TEXT NOT NULL,
    cpu_seconds REAL,
    max_rss INTEGER,
    PRIMARY KEY (job, attempt)
) STRICT, WITHOUT ROWID;

-- The stories of jobs.
CREATE TABLE events (job INTEGER NOT NULL, at REAL NOT NULL, what TEXT NOT NULL, text TEXT NOT NULL) STRICT;
CREATE INDEX events_of_job ON events (job, at);

-- What users have used, decayed until then (core seconds).
CREATE TABLE shares (user TEXT PRIMARY KEY, usage REAL NOT NULL, at REAL NOT NULL) STRICT, WITHOUT ROWID;

-- What was learned of jobs of a kind.
CREATE TABLE families (name TEXT PRIMARY KEY, learned TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- What is still to be told to people.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    user TEXT NOT NULL,
    target TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
