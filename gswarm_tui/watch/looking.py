"""Reading the details of the job in focus: its rows, and what the logs of its attempts say last."""

from __future__ import annotations

from pathlib import Path
from typing import Final, final

from gswarm_tui.jobs import logs
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.records import JobRecord, TaskRecord
from gswarm_tui.state.states import ENDED, State
from gswarm_tui.watch.details import JobDetails, JobTask
from gswarm_tui.watch.statuses import moment
from gswarm_tui.wording import describe

_MOST_READ: Final = 32
"""Of so many running tasks the logs are read at most, each time."""


@final
class JobFocus:
    """Which job has the focus, and its details.

    Args:
        folder: the folder of logs; None where there is none to read.
    """

    def __init__(self, jobs: Jobs, folder: Path | None) -> None:
        self._jobs, self._folder = jobs, folder
        self._tasks: list[TaskRecord] = []
        self._record: JobRecord | None = None
        self._stale = False
        self.job_id: int | None = None

    def on(self, job_id: int | None) -> None:
        """Look at this job from now on; None: at none."""
        if job_id != self.job_id:
            self.job_id, self._stale = job_id, True

    def read(self, *, changed: bool) -> JobDetails | None:
        """The details now.

        Args:
            changed: whether the database was written to since last asked.

        Raises:
            StateError: the database cannot be read.
        """
        if self.job_id is None:
            return None
        if changed or self._stale:
            self._record = self._jobs.get(self.job_id)
            self._tasks = self._jobs.tasks(self.job_id) if self._record is not None else []
            self._stale = False
        if self._record is None:
            return None
        reads = _MOST_READ
        tasks = []
        for task in self._tasks:
            progress = None
            if task.state is State.RUNNING and reads:
                reads -= 1
                progress = self._progress(task)
            tasks.append(self._task(task, progress))
        return JobDetails(
            self._record.id,
            self._record.playbook,
            str(self._record.priority),
            _process(self._record),
            tuple(tasks),
        )

    def _task(self, record: TaskRecord, progress: str | None) -> JobTask:
        return JobTask(
            id=record.action_id,
            type=record.action_type,
            summary=record.summary,
            needs=record.dependencies,
            state=record.state,
            attempt=record.attempt,
            started_at=moment(record.started_at),
            finished_at=moment(record.finished_at),
            retry_at=moment(record.retry_at),
            waiting=None if record.state is State.RETRYING else record.waiting,
            progress=progress,
            error=record.error,
            error_kind=record.error_kind,
            hint=record.hint,
            tolerated=record.tolerated,
        )

    def _log(self, record: TaskRecord) -> Path | None:
        if self._folder is None or not record.attempt:
            return None
        return logs.attempt_log(self._folder, record.job_id, record.action_id, record.attempt)

    def _progress(self, record: TaskRecord) -> str | None:
        path = self._log(record)
        found = None if path is None else logs.last_progress(path)
        if found is None:
            return None
        said = found.output or describe(found)
        return f"{found.phase}  {said}" if said else found.phase


def _process(record: JobRecord) -> str | None:
    """Where it runs, or ran: the number of a process that has ended may be another one's."""
    if record.pid is None:
        return None
    if record.state in (*ENDED, State.LOST):
        return f"ran on {record.host}"
    return f"process {record.pid} on {record.host}"
