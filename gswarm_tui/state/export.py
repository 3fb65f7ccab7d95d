"""A job as one JSON document: what `gswarm job export` writes; docs/jobs.md has its fields."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.overview import seconds_of
from gswarm_tui.state.records import AttemptRecord, JobRecord, TaskRecord

FORMAT: Final = 1
"""Changes when a field changes its meaning or goes; new ones may come without."""


def document(jobs: Jobs, job: JobRecord) -> dict[str, Any]:
    """All that is known of a job: its tasks, their attempts, results, times and errors.

    Times are ISO 8601 in UTC, to the millisecond. What a playbook calls a secret is in none of it.
    """
    attempts: dict[str, list[AttemptRecord]] = defaultdict(list)
    for attempt in jobs.attempts(job.id):
        attempts[attempt.action_id].append(attempt)
    return {
        "format": FORMAT,
        **job_fields(job),
        "tasks": [
            {
                **task_fields(task),
                "attempts": [_attempt(attempt) for attempt in attempts[task.action_id]],
            }
            for task in jobs.tasks(job.id)
        ],
    }


def job_fields(job: JobRecord) -> dict[str, Any]:
    """A job without its tasks."""
    return {
        "id": job.id,
        "name": job.name,
        "playbook": job.playbook,
        "state": job.state,
        "priority": job.priority,
        "user": job.user,
        "host": job.host,
        "pid": job.pid,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "seconds": _rounded(seconds_of(job)),
        "exit_code": job.exit_code,
        "error": job.error,
    }


def task_fields(task: TaskRecord) -> dict[str, Any]:
    """A task without its attempts."""
    return {
        "action_id": task.action_id,
        "action_type": task.action_type,
        "summary": task.summary,
        "dependencies": task.dependencies,
        "state": task.state,
        "priority": task.priority,
        "attempt": task.attempt,
        "waiting": task.waiting,
        "ready_at": task.ready_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "retry_at": task.retry_at,
        "seconds": _rounded(seconds_of(task)),
        "error": task.error,
        "error_kind": task.error_kind,
        "hint": task.hint,
        "tolerated": task.tolerated,
        "result": task.result,
    }


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt,
        "state": attempt.state,
        "started_at": attempt.started_at,
        "finished_at": attempt.finished_at,
        "seconds": _rounded(seconds_of(attempt)),
        "error": attempt.error,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
