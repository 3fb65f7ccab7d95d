"""The rows of jobs, tasks and attempts, as everybody reads them. Times are ISO 8601 in UTC."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gswarm_tui.processes import Process
from gswarm_tui.state.states import Priority, State


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A row of the table of jobs; times are ISO 8601 in UTC.

    Args:
        key: what nodes know its work by; the same for all attempts.
        process: the one that runs it, or ran it last; None before the first.
    """

    id: int
    key: str
    name: str
    playbook: str
    state: State
    priority: Priority
    user: str
    host: str
    process: Process | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    error: str | None
    exit_code: int | None
    cancel_requested: bool

    @property
    def pid(self) -> int | None:
        """Of its process."""
        return None if self.process is None else self.process.pid


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A row of the table of tasks.

    Args:
        attempt: the last one that began, from 1; 0 before the first.
        waiting: why it waits, a sentence.
        retry_at: when the next attempt is due.
        error_kind: a word of ``errors.KINDS``.
        hint: what to do about its error.
        nodes: those that it has had work on.
        tolerated: it failed, and its job goes on and may succeed (`on_failure: continue`).
    """

    job_id: int
    action_id: str
    action_type: str
    summary: str
    dependencies: tuple[str, ...]
    state: State
    priority: Priority
    attempt: int
    waiting: str | None
    ready_at: str | None
    started_at: str | None
    finished_at: str | None
    retry_at: str | None
    error: str | None
    error_kind: str | None
    hint: str | None
    result: Mapping[str, Any] | None
    cancel_requested: bool
    nodes: tuple[str, ...]
    tolerated: bool = False


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """A row of the table of attempts."""

    job_id: int
    action_id: str
    attempt: int
    state: State
    started_at: str
    finished_at: str | None
    error: str | None


def task_of(row: sqlite3.Row, waiting: str | None) -> TaskRecord:
    """A row of the table of tasks."""
    return TaskRecord(
        job_id=row["job_id"],
        action_id=row["action_id"],
        action_type=row["action_type"],
        summary=row["summary"],
        dependencies=tuple(json.loads(row["dependencies"])),
        state=State(row["state"]),
        priority=Priority(row["priority"]),
        attempt=row["attempt"],
        waiting=waiting,
        ready_at=row["ready_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        retry_at=row["retry_at"] if row["state"] == State.RETRYING else None,
        error=row["error"],
        error_kind=row["error_kind"],
        hint=row["hint"],
        result=None if row["result"] is None else json.loads(row["result"]),
        cancel_requested=bool(row["cancel_requested"]),
        nodes=tuple(json.loads(row["nodes"])),
        tolerated=bool(row["tolerated"]),
    )


def job_of(row: sqlite3.Row) -> JobRecord:
    """A row of the table of jobs."""
    return JobRecord(
        id=row["id"],
        key=row["key"],
        name=row["name"],
        playbook=row["playbook"],
        state=State(row["state"]),
        priority=Priority(row["priority"]),
        user=row["user"],
        host=row["host"],
        process=_process_of(row),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error=row["error"],
        exit_code=row["exit_code"],
        cancel_requested=bool(row["cancel_requested"]),
    )


def _process_of(row: sqlite3.Row) -> Process | None:
    if not row["pid"]:
        return None
    return Process(row["pid"], row["process_started"], row["boot_id"], row["namespace"])


def attempt_of(row: sqlite3.Row) -> AttemptRecord:
    """A row of the table of attempts."""
    return AttemptRecord(
        job_id=row["job_id"],
        action_id=row["action_id"],
        attempt=row["attempt"],
        state=State(row["state"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error=row["error"],
    )
