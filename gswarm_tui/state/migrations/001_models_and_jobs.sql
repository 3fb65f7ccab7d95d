CREATE TABLE models (
    name         TEXT PRIMARY KEY,
    source       TEXT,             -- without credentials; NULL where only a node's copy is known
    type         TEXT,
    description  TEXT,
    tags         TEXT NOT NULL,    -- JSON list of strings
    requirements TEXT NOT NULL,    -- JSON object: min_memory, min_vram (bytes), gpu_arch
    created_at   TEXT NOT NULL,    -- all times: ISO 8601, UTC
    updated_at   TEXT NOT NULL
);
CREATE TABLE jobs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT NOT NULL,
    playbook        TEXT NOT NULL, -- path of the file
    state           TEXT NOT NULL, -- running, succeeded, failed, cancelled, lost
    host            TEXT NOT NULL, -- the process that runs it: where, which, since when
    pid             INTEGER NOT NULL,
    process_started REAL NOT NULL, -- seconds since the epoch; tells a reused pid apart
    created_at      TEXT NOT NULL,
    finished_at     TEXT
);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE TABLE tasks (
    job_id       INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL, -- in the order of the plan
    action_id    TEXT NOT NULL,
    action_type  TEXT NOT NULL,
    summary      TEXT NOT NULL,    -- what it does, in a line
    dependencies TEXT NOT NULL,    -- JSON list of action ids
    state        TEXT NOT NULL,    -- pending, running, succeeded, failed, skipped, cancelled, lost
    started_at   TEXT,
    finished_at  TEXT,
    error        TEXT,
    result       TEXT,             -- JSON object: what ${action_id.field} reads
    PRIMARY KEY (job_id, action_id)
) WITHOUT ROWID;
