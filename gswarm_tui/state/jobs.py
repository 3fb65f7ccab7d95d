"""The history of jobs: every state of every task, written before anybody acts on it."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, final

import psutil

from gswarm_tui.state.database import Database


class State(StrEnum):
    """Of a task; a job has all of these but ``pending`` and ``skipped``."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"  # a task that it needs did not succeed
    CANCELLED = "cancelled"
    LOST = "lost"  # the controller that ran it died


@dataclass(frozen=True, slots=True)
class NewTask:
    """One action of a job, as it is written when the job begins."""

    action_id: str
    action_type: str
    summary: str
    dependencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A row of the table of jobs; times are ISO 8601 in UTC."""

    id: int
    name: str
    playbook: str
    state: State
    host: str
    pid: int
    created_at: str
    finished_at: str | None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A row of the table of tasks."""

    action_id: str
    action_type: str
    summary: str
    dependencies: tuple[str, ...]
    state: State
    started_at: str | None
    finished_at: str | None
    error: str | None
    result: Mapping[str, Any] | None


@final
class Jobs:
    """The jobs and tasks in the controller's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, name: str, playbook: str, tasks: Sequence[NewTask]) -> int:
        """Write a running job of this process with all its tasks pending; returns the job's id."""
        with self._database.transaction():
            cursor = self._database.execute(
                "INSERT INTO jobs (name, playbook, state, host, pid, process_started, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    name,
                    playbook,
                    State.RUNNING,
                    platform.node(),
                    os.getpid(),
                    psutil.Process().create_time(),
                    _now(),
                ),
            )
            job_id = int(cursor.lastrowid or 0)
            self._database.execute_many(
                "INSERT INTO tasks (job_id, position, action_id, action_type, summary,"
                " dependencies, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        job_id,
                        position,
                        task.action_id,
                        task.action_type,
                        task.summary,
                        json.dumps(task.dependencies),
                        State.PENDING,
                    )
                    for position, task in enumerate(tasks)
                ],
            )
        return job_id

    def task_started(self, job_id: int, action_id: str) -> None:
        self._database.execute(
            "UPDATE tasks SET state = ?, started_at = ? WHERE job_id = ? AND action_id = ?",
            (State.RUNNING, _now(), job_id, action_id),
        )

    def task_finished(
        self,
        job_id: int,
        action_id: str,
        state: State,
        *,
        error: str | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        self._database.execute(
            "UPDATE tasks SET state = ?, finished_at = ?, error = ?, result = ?"
            " WHERE job_id = ? AND action_id = ?",
            (
                state,
                _now(),
                error,
                None if result is None else json.dumps(result),
                job_id,
                action_id,
            ),
        )

    def finish(self, job_id: int, state: State) -> None:
        self._database.execute(
            "UPDATE jobs SET state = ?, finished_at = ? WHERE id = ?", (state, _now(), job_id)
        )

    def recent(self, *, state: State | None = None, limit: int = 100) -> list[JobRecord]:
        """The newest first."""
        where, values = ("WHERE state = ?", [state]) if state else ("", [])
        rows = self._database.query(
            f"SELECT * FROM jobs {where} ORDER BY id DESC LIMIT ?",  # noqa: S608 - constants
            [*values, limit],
        )
        return [_job(row) for row in rows]

    def get(self, job_id: int) -> JobRecord | None:
        rows = self._database.query("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return _job(rows[0]) if rows else None

    def tasks(self, job_id: int) -> list[TaskRecord]:
        rows = self._database.query(
            "SELECT * FROM tasks WHERE job_id = ? ORDER BY position", (job_id,)
        )
        return [_task(row) for row in rows]

    def running(self, name: str) -> list[JobRecord]:
        """Jobs of that name which another living process runs."""
        return [job for job in self.recent(state=State.RUNNING, limit=-1) if job.name == name]

    def lost_since_last_run(self, name: str) -> list[JobRecord]:
        """Jobs of that name that were marked as lost after the newest other one of it began.

        Each run tells of these before it begins: so each lost job is told of once, whichever
        run marked it.
        """
        rows = self._database.query(
            "SELECT * FROM jobs AS lost WHERE name = ? AND host = ? AND state = ?"
            " AND NOT EXISTS (SELECT 1 FROM jobs AS later"
            " WHERE later.name = lost.name AND later.created_at >= lost.finished_at)"
            " ORDER BY id",
            (name, platform.node(), State.LOST),
        )
        return [_job(row) for row in rows]

    def mark_lost(self) -> list[JobRecord]:
        """Mark as lost each running job of this machine whose process is gone; returns them."""
        rows = self._database.query(
            "SELECT * FROM jobs WHERE state = ? AND host = ?", (State.RUNNING, platform.node())
        )
        lost = [row for row in rows if not _is_running(row["pid"], row["process_started"])]
        for row in lost:
            with self._database.transaction():
                self._database.execute(
                    "UPDATE tasks SET state = CASE state WHEN ? THEN ? ELSE ? END, finished_at = ?"
                    " WHERE job_id = ? AND state IN (?, ?)",
                    (
                        State.RUNNING,
                        State.LOST,
                        State.SKIPPED,
                        _now(),
                        row["id"],
                        State.RUNNING,
                        State.PENDING,
                    ),
                )
                self.finish(row["id"], State.LOST)
        return [_job(row) for row in lost]


def _is_running(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
        # The kernel counts in ticks of 10 ms from a boot time that a clock step can shift a little.
        return (
            abs(process.create_time() - started) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _job(row: sqlite3.Row) -> JobRecord:
    return JobRecord(
        id=row["id"],
        name=row["name"],
        playbook=row["playbook"],
        state=State(row["state"]),
        host=row["host"],
        pid=row["pid"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )


def _task(row: sqlite3.Row) -> TaskRecord:
    return TaskRecord(
        action_id=row["action_id"],
        action_type=row["action_type"],
        summary=row["summary"],
        dependencies=tuple(json.loads(row["dependencies"])),
        state=State(row["state"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error=row["error"],
        result=None if row["result"] is None else json.loads(row["result"]),
    )
