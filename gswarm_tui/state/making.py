"""A job as it is written before it begins."""

from __future__ import annotations

import getpass
import json
import os
import platform
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gswarm_tui import times
from gswarm_tui.state.database import Database
from gswarm_tui.state.states import Priority, State


@dataclass(frozen=True, slots=True)
class NewTask:
    """One action of a job, as it is written when the job is made."""

    action_id: str
    action_type: str
    summary: str
    dependencies: tuple[str, ...]
    priority: Priority = Priority.NORMAL


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that somebody is going to run.

    Args:
        playbook: path of the file.
        document: what it can be rebuilt from, without secrets.
    """

    name: str
    playbook: str
    document: Mapping[str, Any]
    tasks: Sequence[NewTask]
    priority: Priority = Priority.NORMAL


def make(database: Database, job: NewJob) -> int:
    """Write a job with all its tasks; returns its id."""
    with database.transaction():
        cursor = database.execute(
            "INSERT INTO jobs (name, playbook, state, host, pid, process_started, created_at,"
            " key, user, priority, document) VALUES (?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?)",
            (
                job.name,
                job.playbook,
                State.PENDING,
                platform.node(),
                times.now(),
                secrets.token_hex(8),
                _user(),
                job.priority,
                json.dumps(job.document),
            ),
        )
        job_id = int(cursor.lastrowid or 0)
        database.execute_many(
            "INSERT INTO tasks (job_id, position, action_id, action_type, summary,"
            " dependencies, state, priority) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    job_id,
                    position,
                    task.action_id,
                    task.action_type,
                    task.summary,
                    json.dumps(task.dependencies),
                    State.PENDING,
                    task.priority,
                )
                for position, task in enumerate(job.tasks)
            ],
        )
    return job_id


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
