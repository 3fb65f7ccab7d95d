ALTER TABLE jobs ADD COLUMN key TEXT NOT NULL DEFAULT '';         -- what nodes know its work by
UPDATE jobs SET key = lower(hex(randomblob(8)));
ALTER TABLE jobs ADD COLUMN user TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE jobs ADD COLUMN document TEXT;                        -- JSON: how it is rebuilt; no secrets
ALTER TABLE jobs ADD COLUMN started_at TEXT;
ALTER TABLE jobs ADD COLUMN boot_id TEXT NOT NULL DEFAULT '';     -- with it process_started is no time, see processes.py
ALTER TABLE jobs ADD COLUMN namespace TEXT NOT NULL DEFAULT '';   -- of pid
ALTER TABLE jobs ADD COLUMN runs INTEGER NOT NULL DEFAULT 0;      -- how often a process began to run it
ALTER TABLE jobs ADD COLUMN error TEXT;
ALTER TABLE jobs ADD COLUMN exit_code INTEGER;
ALTER TABLE jobs ADD COLUMN cancel_requested INTEGER NOT NULL DEFAULT 0;
UPDATE jobs SET started_at = created_at;
ALTER TABLE tasks ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
ALTER TABLE tasks ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;     -- the turn in the queue, see state/queue.py
ALTER TABLE tasks ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;  -- 0: never begun
ALTER TABLE tasks ADD COLUMN resumes INTEGER NOT NULL DEFAULT 0;  -- nodes may still do its work: the next attempt goes on with it
ALTER TABLE tasks ADD COLUMN work INTEGER NOT NULL DEFAULT 0;     -- the attempt that nodes know its work by
ALTER TABLE tasks ADD COLUMN stale INTEGER NOT NULL DEFAULT 0;    -- nodes may still do its work: it is ended before the next attempt
ALTER TABLE tasks ADD COLUMN nodes TEXT NOT NULL DEFAULT '[]';    -- JSON list: those that it has had work on
ALTER TABLE tasks ADD COLUMN blocked_on TEXT;                     -- key of the claim that keeps a ready task waiting
ALTER TABLE tasks ADD COLUMN waiting TEXT;                        -- why a running task waits, in a node's words
ALTER TABLE tasks ADD COLUMN ready_at TEXT;
ALTER TABLE tasks ADD COLUMN retry_at TEXT;
ALTER TABLE tasks ADD COLUMN error_kind TEXT;
ALTER TABLE tasks ADD COLUMN hint TEXT;                           -- what to do about its error
ALTER TABLE tasks ADD COLUMN cancel_requested INTEGER NOT NULL DEFAULT 0;
UPDATE tasks SET attempt = 1 WHERE started_at IS NOT NULL;
CREATE INDEX tasks_running ON tasks (rank) WHERE state = 'running';
CREATE INDEX tasks_ready ON tasks (rank) WHERE state = 'ready';
CREATE INDEX tasks_retrying ON tasks (rank) WHERE state = 'retrying';
CREATE INDEX tasks_by_end ON tasks (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX tasks_to_admit ON tasks (job_id, rank) WHERE state = 'ready' AND blocked_on IS NULL;
CREATE INDEX tasks_by_turn ON tasks (rank) WHERE state = 'ready' AND blocked_on IS NULL;
CREATE INDEX tasks_parked ON tasks (blocked_on, rank) WHERE blocked_on IS NOT NULL;
CREATE TABLE attempts (
    job_id      INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    action_id   TEXT NOT NULL,
    attempt     INTEGER NOT NULL,  -- from 1
    state       TEXT NOT NULL,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    error       TEXT,
    PRIMARY KEY (job_id, action_id, attempt)
) WITHOUT ROWID;
CREATE TABLE claims (              -- of tasks that are ready or running
    job_id    INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    action_id TEXT NOT NULL,
    key       TEXT NOT NULL,       -- what is used
    label     TEXT NOT NULL,       -- how it is called
    exclusive INTEGER NOT NULL,
    slots     INTEGER,             -- how many may hold it at once; NULL for no limit but exclusive
    held      INTEGER NOT NULL,    -- 0: wished for
    rank      INTEGER NOT NULL,
    PRIMARY KEY (job_id, action_id, key)
) WITHOUT ROWID;
CREATE INDEX claims_by_key ON claims (key, held, rank);
CREATE TABLE switches (name TEXT PRIMARY KEY, value TEXT NOT NULL);
