-- Schema 6. Lists of jobs. What they are sorted by and narrowed to stands in these two indices, which together have
-- every job: a page is found in them alone, and only what is on it is read as a whole (tm.store.asking).
DROP INDEX jobs_active;
DROP INDEX jobs_ended;
CREATE INDEX jobs_active ON jobs (id, phase, user, host, name, started_at, cores, memory, account)
    WHERE phase IN ('held', 'pending', 'starting', 'running', 'suspended');
CREATE INDEX jobs_ended ON jobs (ended_at, id, phase, user, host, name, started_at, cores, memory, account, cpu_seconds, max_rss)
    WHERE ended_at IS NOT NULL;

-- How many jobs of whom are how, so that nobody has to go through them to tell: plain ones, arrays, tasks of arrays.
CREATE TABLE counts (
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    phase TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (user, kind, phase)
) STRICT, WITHOUT ROWID;
INSERT INTO counts
    SELECT user, CASE WHEN id >= 1 << 52 THEN 'task' WHEN instr(more, '"tasks":') THEN 'array' ELSE 'plain' END, phase, count(*)
    FROM jobs GROUP BY 1, 2, 3;
CREATE TRIGGER job_came AFTER INSERT ON jobs BEGIN
    INSERT INTO counts VALUES (
        NEW.user, CASE WHEN NEW.id >= 1 << 52 THEN 'task' WHEN instr(NEW.more, '"tasks":') THEN 'array' ELSE 'plain' END, NEW.phase, 1
    ) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_went_on AFTER UPDATE OF phase ON jobs WHEN OLD.phase <> NEW.phase BEGIN
    UPDATE counts SET count = count - 1 WHERE user = OLD.user AND phase = OLD.phase
        AND kind = CASE WHEN OLD.id >= 1 << 52 THEN 'task' WHEN instr(OLD.more, '"tasks":') THEN 'array' ELSE 'plain' END;
    INSERT INTO counts VALUES (
        NEW.user, CASE WHEN NEW.id >= 1 << 52 THEN 'task' WHEN instr(NEW.more, '"tasks":') THEN 'array' ELSE 'plain' END, NEW.phase, 1
    ) ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_went AFTER DELETE ON jobs BEGIN
    UPDATE counts SET count = count - 1 WHERE user = OLD.user AND phase = OLD.phase
        AND kind = CASE WHEN OLD.id >= 1 << 52 THEN 'task' WHEN instr(OLD.more, '"tasks":') THEN 'array' ELSE 'plain' END;
END;
