"""The jobs and the registered models of a picture: what the controller's database says."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, final

from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.models import RegisteredModel, Registry
from gswarm_tui.state.overview import JobSummary, summaries
from gswarm_tui.state.queue import Queue
from gswarm_tui.state.states import State
from gswarm_tui.watch.details import JobDetails
from gswarm_tui.watch.looking import JobFocus
from gswarm_tui.watch.snapshot import Job
from gswarm_tui.watch.statuses import moment

SHOWN: Final = 200
"""So many jobs are in a picture, the newest."""

_LOST_S: Final = 5.0
"""So often it is looked whether the processes that run jobs still do."""


@final
class JobWatch:
    """Reads the database when somebody has written to it. Close it.

    Args:
        logs: the folder of the jobs' logs, which tell how far their tasks are.

    Raises:
        StateError: the database cannot be used.
    """

    def __init__(self, path: Path, logs: Path | None = None) -> None:
        self._database = Database(path)
        self._jobs, self._queue = Jobs(self._database), Queue(self._database)
        self.focus = JobFocus(self._jobs, logs)
        self.details: JobDetails | None = None
        """Of the job in focus."""
        self._registry = Registry(self._database)
        self._read = False
        self._looked_at = 0.0
        self._keys: dict[str, int] = {}
        self.jobs: tuple[Job, ...] = ()
        """The newest first; a job that did not change is the same object."""
        self.registered: Mapping[str, RegisteredModel] = {}
        self.queue_paused = False

    def close(self) -> None:
        self._database.close()

    def id_of(self, key: str) -> int | None:
        """The job that nodes know by that key."""
        return self._keys.get(key)

    def refresh(self) -> bool:
        """Look whether something changed; returns whether it was read again.

        Raises:
            StateError: the database cannot be read any more.
        """
        running = any(job.state is State.RUNNING for job in self.jobs)
        lost = False
        if running and time.monotonic() - self._looked_at > _LOST_S:
            self._looked_at = time.monotonic()
            lost = bool(self._jobs.mark_lost())
        if self._read and not self._database.changed() and not lost:
            self.details = self.focus.read(changed=False)
            return False
        self.details = self.focus.read(changed=True)
        self._read = True
        records = self._jobs.recent(limit=SHOWN)
        self._keys = {record.key: record.id for record in records}
        known = {job.id: job for job in self.jobs}
        self.jobs = tuple(
            [self._job(each, known.get(each.job.id)) for each in summaries(self._database, records)]
        )
        self.registered = {model.name: model for model in self._registry.list()}
        self.queue_paused = self._queue.is_paused()
        return True

    def _job(self, summary: JobSummary, known: Job | None) -> Job:
        record = summary.job
        made = Job(
            id=record.id,
            name=record.name,
            state=record.state,
            created_at=moment(record.created_at) or 0.0,
            started_at=moment(record.started_at),
            finished_at=moment(record.finished_at),
            counts=tuple([(s, summary.counts[s]) for s in State if summary.counts[s]]),
            running=self._running(summary),
            waiting=self._waiting(summary),
            error=record.error or summary.reason,
            user=record.user or None,
            tolerated=summary.tolerated,
            timed_out=summary.timed_out,
        )
        return known if known == made else made

    def _running(self, summary: JobSummary) -> tuple[str, ...]:
        if not summary.counts[State.RUNNING]:
            return ()
        rows = self._database.query(
            "SELECT action_id FROM tasks WHERE job_id = ? AND state = 'running' ORDER BY position",
            (summary.job.id,),
        )
        return tuple([row["action_id"] for row in rows])

    def _waiting(self, summary: JobSummary) -> str | None:
        """Why it waits, where nothing of it runs or what runs waits itself."""
        state = "running" if summary.counts[State.RUNNING] else "ready"
        if summary.job.state is not State.RUNNING or not summary.counts[State(state)]:
            return None
        rows = self._database.query(
            "SELECT * FROM tasks WHERE job_id = ? AND state = ? ORDER BY waiting IS NULL, position"
            " LIMIT 1",
            (summary.job.id, state),
        )
        return self._queue.waiting_for(rows[0]) if rows else None
