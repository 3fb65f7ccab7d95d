"""The rows that change when a job, a task or an attempt begins or ends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from gswarm_tui.state.database import Database
from gswarm_tui.state.states import JOB_TRANSITIONS, TASK_TRANSITIONS, State, check


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of a task that has just begun.

    Args:
        number: from 1.
        work: the attempt that nodes know the work by.
        stale_on: nodes that may still do what earlier attempts began, and is not gone on with: it
            is to be ended there first.
    """

    action_id: str
    number: int
    work: int
    stale_on: tuple[str, ...] = ()


@final
class Transitions:
    """Writes states, within a transaction of `Jobs`; none that may not follow the one before.

    Every method raises `TransitionError` where it may not: that is a bug.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def job_to(self, job_id: int, state: State) -> None:
        """Change a job's state."""
        row = self._database.query("SELECT state FROM jobs WHERE id = ?", (job_id,))
        before = State(row[0]["state"])
        check(f"job {job_id}", before, state, JOB_TRANSITIONS)
        self._database.execute("UPDATE jobs SET state = ? WHERE id = ?", (state, job_id))

    def task_to(self, job_id: int, action_id: str, state: State) -> State:
        """Change a task's state; returns the one before."""
        where = (job_id, action_id)
        rows = self._database.query(
            "SELECT state FROM tasks WHERE job_id = ? AND action_id = ?", where
        )
        before = State(rows[0]["state"])
        check(f"{action_id} of job {job_id}", before, state, TASK_TRANSITIONS)
        self._database.execute(
            "UPDATE tasks SET state = ?, blocked_on = NULL WHERE job_id = ? AND action_id = ?",
            (state, *where),
        )
        return before

    def begin_attempt(self, job_id: int, action_id: str, now: str) -> Attempt:
        """Count a new attempt of a task that runs from now on."""
        where = (job_id, action_id)
        self._database.execute(
            "UPDATE tasks SET started_at = ?, attempt = attempt + 1, resumes = 0,"
            " work = CASE WHEN resumes THEN work ELSE attempt + 1 END"
            " WHERE job_id = ? AND action_id = ?",
            (now, *where),
        )
        row = self._database.query(
            "SELECT attempt, work, stale, nodes FROM tasks WHERE job_id = ? AND action_id = ?",
            where,
        )[0]
        self._database.execute(
            "INSERT INTO attempts (job_id, action_id, attempt, state, started_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (*where, row["attempt"], State.RUNNING, now),
        )
        stale_on = tuple(json.loads(row["nodes"])) if row["stale"] else ()
        return Attempt(action_id, row["attempt"], row["work"], stale_on)

    def note_nodes(self, job_id: int, action_id: str, nodes: set[str]) -> None:
        """Add to the nodes that a task has work on."""
        where = (job_id, action_id)
        row = self._database.query(
            "SELECT nodes FROM tasks WHERE job_id = ? AND action_id = ?", where
        )[0]
        known = set(json.loads(row["nodes"]))
        if not nodes <= known:
            self._database.execute(
                "UPDATE tasks SET nodes = ? WHERE job_id = ? AND action_id = ?",
                (json.dumps(sorted(known | nodes)), *where),
            )

    def begin_anew(self, job_id: int, actions: Iterable[str]) -> None:
        """Let the next attempts of tasks be new work for nodes, whatever they have of earlier."""
        self._database.execute_many(
            "UPDATE tasks SET stale = stale OR resumes, resumes = 0"
            " WHERE job_id = ? AND action_id = ?",
            [(job_id, action_id) for action_id in actions],
        )

    def end_attempt(
        self, job_id: int, action_id: str, state: State, error: str | None, now: str
    ) -> None:
        """Note how the attempt under way ended."""
        failed = State.FAILED if state is State.RETRYING else state
        self._database.execute(
            "UPDATE attempts SET state = ?, finished_at = ?, error = ? WHERE job_id = ?"
            " AND action_id = ? AND finished_at IS NULL",
            (failed, now, error, job_id, action_id),
        )
