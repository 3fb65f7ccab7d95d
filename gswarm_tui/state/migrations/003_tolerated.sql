ALTER TABLE tasks ADD COLUMN tolerated INTEGER NOT NULL DEFAULT 0;  -- it failed, and its job may succeed all the same
UPDATE tasks SET tolerated = 1 WHERE state = 'failed' AND job_id IN (SELECT id FROM jobs WHERE state = 'succeeded');
