"""Watching a job that another process runs: its rows, as the events that its runner told of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast, final

from gswarm_tui.errors import (
    EXIT_FAILED,
    EXIT_TIMED_OUT,
    EXIT_UNREACHABLE,
    GswarmError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from gswarm_tui.jobs import logs
from gswarm_tui.jobs.events import (
    JobFinished,
    JobResult,
    JobStarted,
    Observer,
    Task,
    TaskFinished,
    TaskProgress,
    TaskResult,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.playbook.actions import TYPES, Action
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.overview import seconds_of
from gswarm_tui.state.records import JobRecord, TaskRecord
from gswarm_tui.state.states import ENDED, State

POLL_S: Final = 0.1
_ALIVE_EVERY_S: Final = 2.0
_PROGRESS_EVERY_S: Final = 1.0
_CLASSES: Final[Mapping[int, type[GswarmError]]] = {
    EXIT_UNREACHABLE: UnreachableError,
    EXIT_TIMED_OUT: TimedOutError,
}
_TURN: Final = "waiting for its turn"
_UNDER_WAY: Final = (State.PENDING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Followed:
    """A job that was followed to its end.

    Args:
        result: as far as its rows tell it; the actions are not there.
    """

    job: JobRecord
    result: JobResult

    @property
    def exit_code(self) -> int:
        """The job's own; 1 where nobody lived to write one."""
        return EXIT_FAILED if self.job.exit_code is None else self.job.exit_code


def follow(
    database: Database,
    job_id: int,
    observer: Observer,
    *,
    log_folder: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Followed:
    """Tell `observer` what happens to a job, until it has ended; waits without asking much.

    Args:
        log_folder: the folder of logs: how far tasks are is only there.

    Raises:
        UsageError: the job was removed meanwhile.
    """
    jobs = Jobs(database)
    follower = Follower(jobs, job_id, observer)
    took, looked = _timed(follower.look)
    alive_at = told_at = time.monotonic()
    while follower.job.state in _UNDER_WAY:
        # A job of very many tasks is looked at less often.
        sleep(max(POLL_S, 4 * took))
        if time.monotonic() - alive_at > _ALIVE_EVERY_S:
            jobs.mark_lost()
            alive_at = time.monotonic()
            looked = True
        if looked or database.changed():
            took, looked = _timed(follower.look)
        if log_folder is not None and time.monotonic() - told_at > _PROGRESS_EVERY_S:
            follower.tell_progress(log_folder)
            told_at = time.monotonic()
    return follower.end()


def _timed(look: Callable[[], None]) -> tuple[float, bool]:
    began = time.monotonic()
    look()
    return time.monotonic() - began, False


@final
class Follower:
    """Compares a job's rows with those of the last look, and tells what is new."""

    def __init__(self, jobs: Jobs, job_id: int, observer: Observer) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self._observer = observer
        self._known: dict[str, TaskRecord] = {}
        self._job: JobRecord | None = None
        self._said: dict[str, Progress] = {}

    @property
    def job(self) -> JobRecord:
        """As it was at the last look."""
        if self._job is None:
            raise UsageError(f"job {self._job_id} was removed", hint="gswarm jobs")
        return self._job

    def look(self) -> None:
        """Tell what has changed.

        Raises:
            UsageError: the job was removed.
        """
        is_first = not self._known
        # First the job: if it has ended, the tasks that follow have too.
        self._job = self._jobs.get(self._job_id)
        tasks = {task.action_id: task for task in self._jobs.tasks(self._job_id)}
        if is_first:
            self._begin(tasks)
        for action_id, task in tasks.items():
            before = self._known.get(action_id)
            if before != task and not (is_first and task.state in ENDED):
                self._tell(before, task)
        self._known = tasks

    def tell_progress(self, folder: Path) -> None:
        """Tell how far the tasks are that run, where that is new."""
        for action_id, task in self._known.items():
            if task.state is not State.RUNNING:
                continue
            path = logs.attempt_log(folder, task.job_id, action_id, task.attempt)
            progress = logs.last_progress(path)
            if progress is not None and self._said.get(action_id) != progress:
                self._said[action_id] = progress
                self._observer(TaskProgress(task_of(task), progress))

    def end(self) -> Followed:
        """Tell that the job has ended."""
        job = self.job
        tasks = tuple(result_of(task) for task in self._known.values())
        error = None
        if job.error is not None:
            error = _CLASSES.get(job.exit_code or EXIT_FAILED, GswarmError)(job.error)
        result = JobResult(job.id, job.name, job.state, seconds_of(job) or 0.0, tasks, error)
        self._observer(JobFinished(result))
        return Followed(job, result)

    def _begin(self, tasks: Mapping[str, TaskRecord]) -> None:
        job = self.job
        done = tuple(result_of(task) for task in tasks.values() if task.state in ENDED)
        notices = [f"job {job.id} has not begun yet"] if job.state is State.PENDING else []
        self._observer(
            JobStarted(
                job.id,
                job.name,
                None,
                tuple(task_of(task) for task in tasks.values()),
                tuple(notices),
                done=done,
                ago_s=seconds_of(job) or 0.0,
            )
        )

    def _tell(self, before: TaskRecord | None, now: TaskRecord) -> None:
        task = task_of(now)
        if now.attempt and (before is None or before.attempt != now.attempt):
            self._observer(TaskStarted(task, now.attempt, ago_s=seconds_of(now) or 0.0))
        was = None if before is None else before.state
        if now.state is State.RETRYING and was is not State.RETRYING:
            delay_s = _seconds_until(now.retry_at)
            self._observer(TaskRetrying(task, now.attempt, _error_of(now), delay_s))
        elif now.state in (State.READY, State.RUNNING):
            said = None if before is None or was is not now.state else _reason(before)
            if _reason(now) != said:
                self._observer(TaskWaiting(task, _reason(now)))
        elif now.state in ENDED and was is not now.state:
            self._observer(TaskFinished(result_of(now)))


def task_of(record: TaskRecord) -> Task:
    """A task's row as observers see the task."""
    return Task(record.action_id, record.action_type, record.summary, record.dependencies)


def result_of(record: TaskRecord) -> TaskResult:
    """A row of a task as its runner told how it ended; the action is not there."""
    error = because = None
    if record.state is State.FAILED:
        error = _error_of(record)
    elif record.state is State.SKIPPED:
        because = record.error
    return TaskResult(
        task_of(record),
        record.state,
        seconds_of(record) or 0.0,
        cast(Action, None),
        result=_result(record),
        error=error,
        because=because,
        attempt=record.attempt,
        tolerated=record.tolerated,
    )


def _reason(record: TaskRecord) -> str | None:
    """Why it waits; how many are before it changes too often to be told each time."""
    reason = record.waiting
    return _TURN if reason is not None and reason.startswith(_TURN) else reason


def _result(record: TaskRecord) -> Any:
    """What a task returned, as it returned it; None where that was another version's."""
    if record.result is None or record.action_type not in TYPES:
        return None
    try:
        return TYPES[record.action_type].result(**record.result)
    except TypeError:
        return None


def _error_of(record: TaskRecord) -> GswarmError:
    kind = record.error_kind or GswarmError.kind
    classes = {each.kind: each for each in _CLASSES.values()}
    error = classes.get(kind, GswarmError)(record.error or "it failed", hint=record.hint)
    error.kind = kind
    return error


def _seconds_until(moment: str | None) -> float:
    if moment is None:
        return 0.0
    return max((datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds(), 0.0)
