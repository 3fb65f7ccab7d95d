"""Jobs and their tasks: every change of a state is a row here before it is acted on."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, final

from gswarm_tui import times
from gswarm_tui.errors import EXIT_CANCELLED, StateError, UnreachableError
from gswarm_tui.processes import Process
from gswarm_tui.state.database import Database
from gswarm_tui.state.making import NewJob as NewJob
from gswarm_tui.state.making import NewTask as NewTask
from gswarm_tui.state.making import make
from gswarm_tui.state.queue import Claim, Queue
from gswarm_tui.state.records import (
    AttemptRecord,
    JobRecord,
    TaskRecord,
    attempt_of,
    job_of,
    task_of,
)
from gswarm_tui.state.states import ENDED, State
from gswarm_tui.state.transitions import Attempt, Transitions


@final
class Jobs:
    """The jobs in the controller's database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue = Queue(database)
        self._transitions = Transitions(database)
        self._runs: dict[int, int] = {}

    # Looking

    def get(self, job_id: int) -> JobRecord | None:
        rows = self._database.query("SELECT * FROM jobs WHERE id = ?", (job_id,))
        return job_of(rows[0]) if rows else None

    def recent(
        self, *, state: State | None = None, name: str | None = None, limit: int = 100
    ) -> list[JobRecord]:
        """The newest first; ``limit`` -1 is all of them."""
        rows = self._database.query(
            "SELECT * FROM jobs WHERE (? IS NULL OR state = ?) AND (? IS NULL OR name = ?)"
            " ORDER BY id DESC LIMIT ?",
            (state, state, name, name, limit),
        )
        return [job_of(row) for row in rows]

    def tasks(self, job_id: int) -> list[TaskRecord]:
        """In the order of the plan, each with the sentence why it waits."""
        rows = self._database.query(
            "SELECT * FROM tasks WHERE job_id = ? ORDER BY position", (job_id,)
        )
        return [task_of(row, self._queue.waiting_for(row)) for row in rows]

    def attempts(self, job_id: int) -> list[AttemptRecord]:
        rows = self._database.query(
            "SELECT * FROM attempts WHERE job_id = ? ORDER BY started_at, attempt", (job_id,)
        )
        return [attempt_of(row) for row in rows]

    def document(self, job_id: int) -> dict[str, Any]:
        """What the job is rebuilt from; empty for a job of a version that kept none."""
        rows = self._database.query("SELECT document FROM jobs WHERE id = ?", (job_id,))
        document: dict[str, Any] = json.loads(rows[0]["document"] or "{}") if rows else {}
        return document

    def is_alive(self, job: JobRecord) -> bool:
        """Whether the process that runs it does."""
        return job.state is State.RUNNING and job.process is not None and job.process.is_alive

    # Making, opening again, removing

    def create(self, job: NewJob) -> int:
        """Write a job that somebody is going to run, with all its tasks; returns its id."""
        return make(self._database, job)

    def reset(self, job_id: int, *, retry: bool = False, from_task: str | None = None) -> None:
        """Make an ended or lost job pending again, so that it can be run.

        What was cancelled is done again, with what was skipped for it; what was lost goes on.

        Args:
            retry: also what failed is done again, and what was skipped because of it.
            from_task: this task and all that need it are done again, however they ended, and
                whatever nodes still have of their work.
        """
        with self._database.transaction():
            self._transitions.job_to(job_id, State.PENDING)
            self._database.execute(
                "UPDATE jobs SET finished_at = NULL, error = NULL, exit_code = NULL,"
                " cancel_requested = 0 WHERE id = ?",
                (job_id,),
            )
            again: set[str] = set()
            to_come: set[str] = set()
            for task in self.tasks(job_id):
                if task.action_id == from_task or not again.isdisjoint(task.dependencies):
                    again.add(task.action_id)
                over = task.state in (State.FAILED, State.SKIPPED) and retry
                for_it = task.state is State.SKIPPED and not to_come.isdisjoint(task.dependencies)
                if task.state is State.PENDING:
                    to_come.add(task.action_id)
                elif over or for_it or task.state is State.CANCELLED or task.action_id in again:
                    to_come.add(task.action_id)
                    self._transitions.task_to(job_id, task.action_id, State.PENDING)
            self._transitions.begin_anew(job_id, again)
            self._database.execute(
                "UPDATE tasks SET cancel_requested = 0, error = NULL, error_kind = NULL,"
                " hint = NULL, tolerated = 0, result = NULL, finished_at = NULL"
                " WHERE job_id = ? AND state = 'pending'",
                (job_id,),
            )

    def reopen(self, job_id: int, actions: Iterable[str]) -> None:
        """Let tasks be done again, however they ended, and whatever nodes have of their work."""
        names = set(actions)
        with self._database.transaction():
            for task in self.tasks(job_id):
                if task.action_id in names and task.state is not State.PENDING:
                    self._transitions.task_to(job_id, task.action_id, State.PENDING)
            self._transitions.begin_anew(job_id, names)

    def remove(self, job_id: int) -> None:
        """Forget a job and all that belongs to it."""
        self._database.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    # Asking for an end, from any process

    def request_cancel(self, job_id: int) -> None:
        """Ask for the end of a job; the process that runs it sees this within a moment."""
        self._database.execute("UPDATE jobs SET cancel_requested = 1 WHERE id = ?", (job_id,))

    def request_cancel_task(self, job_id: int, action_id: str) -> None:
        self._database.execute(
            "UPDATE tasks SET cancel_requested = 1 WHERE job_id = ? AND action_id = ?",
            (job_id, action_id),
        )

    def cancel_requests(self, job_id: int) -> tuple[bool, list[str]]:
        """Whether the job's end was asked for, and the tasks whose end was."""
        job = self._database.query("SELECT cancel_requested FROM jobs WHERE id = ?", (job_id,))
        rows = self._database.query(
            "SELECT action_id FROM tasks WHERE job_id = ? AND cancel_requested", (job_id,)
        )
        return not job or bool(job[0][0]), [row[0] for row in rows]

    # Of the process that runs a job

    def begin(self, job_id: int) -> None:
        """This process runs the job from now on.

        Raises:
            StateError: somebody ended, removed or began it meanwhile.
        """
        with self._database.transaction():
            job = self.get(job_id)
            if job is None or job.state is not State.PENDING:
                now_is = "was removed" if job is None else f"is {job.state} by now"
                raise StateError(
                    f"job {job_id} {now_is}, and cannot begin", hint="gswarm jobs lists them"
                )
            self._transitions.job_to(job_id, State.RUNNING)
            this = Process.this()
            self._database.execute(
                "UPDATE jobs SET host = ?, pid = ?, process_started = ?, boot_id = ?,"
                " namespace = ?, runs = runs + 1, started_at = coalesce(started_at, ?)"
                " WHERE id = ?",
                (
                    platform.node(),
                    this.pid,
                    this.start_time,
                    this.boot_id,
                    this.namespace,
                    times.now(),
                    job_id,
                ),
            )
            runs = self._database.query("SELECT runs FROM jobs WHERE id = ?", (job_id,))
            self._runs[job_id] = runs[0]["runs"]

    def check_run(self, job_id: int) -> None:
        """See that the job is still run from here.

        Raises:
            StateError: it was marked as lost, ended or removed by somebody else.
        """
        rows = self._database.query("SELECT state, runs FROM jobs WHERE id = ?", (job_id,))
        runs = self._runs.get(job_id)
        if not rows or rows[0]["state"] != State.RUNNING or runs not in (None, rows[0]["runs"]):
            now_is = "was removed" if not rows else "is run by another process"
            if rows and rows[0]["state"] != State.RUNNING:
                now_is = f"is {rows[0]['state']} by now"
            raise StateError(
                f"job {job_id} {now_is}, and cannot go on here",
                hint=f"gswarm job show {job_id} has its state; gswarm job resume {job_id} goes on",
            )

    def finish(
        self, job_id: int, state: State, *, exit_code: int | None = None, error: str | None = None
    ) -> None:
        with self._database.transaction():
            self.check_run(job_id)
            self._transitions.job_to(job_id, state)
            self._database.execute(
                "UPDATE jobs SET finished_at = ?, exit_code = ?, error = ? WHERE id = ?",
                (times.now(), exit_code, error, job_id),
            )

    def describe(self, job_id: int, action_id: str, summary: str) -> None:
        """Note what a task does, now that it is known."""
        self._database.execute(
            "UPDATE tasks SET summary = ? WHERE job_id = ? AND action_id = ?",
            (summary, job_id, action_id),
        )

    def enter(self, job_id: int, tasks: Iterable[tuple[str, Sequence[Claim]]]) -> None:
        """Put tasks into the queue: they are ready, and wish for what they are going to use."""
        with self._database.transaction():
            self.check_run(job_id)
            for action_id, claims in tasks:
                self._transitions.task_to(job_id, action_id, State.READY)
                nodes = {claim.node for claim in claims if claim.node is not None}
                self._transitions.note_nodes(job_id, action_id, nodes)
                self._queue.enter(job_id, action_id, claims, times.now())

    def admit(self, job_id: int, limit: int) -> list[Attempt]:
        """Give the tasks of a job that have their turn what they wish for; they run from now on.

        Each is a new attempt. Nodes know its work by that number, or by an earlier one where they
        may still do what that began.

        Args:
            limit: how many tasks may run at once, in all jobs.
        """
        admitted: list[Attempt] = []
        with self._database.transaction():
            self.check_run(job_id)
            for action_id in self._queue.admit(job_id, limit):
                self._transitions.task_to(job_id, action_id, State.RUNNING)
                admitted.append(self._transitions.begin_attempt(job_id, action_id, times.now()))
        return admitted

    def why(self, job_id: int, action_id: str) -> str | None:
        """Why a ready task waits, where that is for more than its turn."""
        rows = self._database.query(
            "SELECT * FROM tasks WHERE job_id = ? AND action_id = ?", (job_id, action_id)
        )
        if not rows or (rows[0]["blocked_on"] is None and not self._queue.is_paused()):
            return None
        return self._queue.waiting_for(rows[0])

    def older_work_ended(self, job_id: int, action_id: str) -> None:
        """Note that no node does anything any more for earlier attempts of a task."""
        self._database.execute(
            "UPDATE tasks SET stale = 0 WHERE job_id = ? AND action_id = ?", (job_id, action_id)
        )

    def waits(self, job_id: int, action_id: str, reason: str | None) -> None:
        """Note why a running task waits, or (None) that it does no more."""
        self._database.execute(
            "UPDATE tasks SET waiting = ? WHERE job_id = ? AND action_id = ?",
            (reason, job_id, action_id),
        )

    def end(
        self,
        job_id: int,
        action_id: str,
        state: State,
        *,
        error: str | None = None,
        error_kind: str | None = None,
        hint: str | None = None,
        tolerated: bool = False,
        result: Mapping[str, Any] | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        """Note how a task, or with ``retry_at`` an attempt of it, ended; what it held is free."""
        now = times.now()
        # A node that cannot be reached may still be at it: the next attempt goes on with that. What
        # ended in another way without success may not have ended on every node.
        resumes = error_kind == UnreachableError.kind
        with self._database.transaction():
            self.check_run(job_id)
            before = self._transitions.task_to(job_id, action_id, state)
            stale = before is State.RUNNING and state is not State.SUCCEEDED and not resumes
            self._database.execute(
                "UPDATE tasks SET finished_at = ?, resumes = resumes OR ?, stale = stale OR ?,"
                " error = ?, error_kind = ?, hint = ?, tolerated = ?, result = ?, retry_at = ?,"
                " waiting = NULL"
                " WHERE job_id = ? AND action_id = ?",
                (
                    None if state is State.RETRYING else now,
                    resumes,
                    stale,
                    error,
                    error_kind,
                    hint,
                    tolerated,
                    None if result is None else json.dumps(result),
                    None if retry_at is None else times.text(retry_at),
                    job_id,
                    action_id,
                ),
            )
            if before is State.RUNNING:
                self._transitions.end_attempt(job_id, action_id, state, error, now)
            if before in (State.RUNNING, State.READY):
                self._queue.leave(job_id, action_id)

    # Jobs whose process is gone

    def mark_lost(self) -> list[JobRecord]:
        """Mark as lost each running job of this machine whose process is gone; returns them.

        What it waited for is given up; nodes may go on with what ran.
        """
        lost = [job for job in self.recent(state=State.RUNNING, limit=-1) if not self.is_alive(job)]
        for job in lost:
            with self._database.transaction():
                now_says = self.get(job.id)
                if now_says is None or now_says.state is not State.RUNNING:
                    continue  # another process was faster
                self._lose(job.id)
        return lost

    def abandon(
        self,
        job_id: int,
        state: State = State.CANCELLED,
        *,
        exit_code: int = EXIT_CANCELLED,
        error: str | None = None,
    ) -> None:
        """End a job that no process runs; its tasks that have not ended are cancelled."""
        now = times.now()
        with self._database.transaction():
            self._database.execute(
                "UPDATE tasks SET stale = 1 WHERE job_id = ? AND state = 'running'", (job_id,)
            )
            for task in self.tasks(job_id):
                if task.state not in ENDED:
                    self._transitions.task_to(job_id, task.action_id, State.CANCELLED)
                    self._transitions.end_attempt(
                        job_id, task.action_id, State.CANCELLED, None, now
                    )
            self._database.execute(
                "UPDATE tasks SET waiting = NULL, finished_at = coalesce(finished_at, ?)"
                " WHERE job_id = ? AND state = 'cancelled'",
                (now, job_id),
            )
            self._queue.leave_all(job_id)
            self._transitions.job_to(job_id, state)
            self._database.execute(
                "UPDATE jobs SET finished_at = ?, exit_code = ?, error = ? WHERE id = ?",
                (now, exit_code, error, job_id),
            )

    def lost_since_last_run(self, name: str) -> list[JobRecord]:
        """Jobs of that name that were marked as lost after the newest other one of it was made.

        Each run tells of these before it begins: so each lost job is told of once, whichever
        run marked it.
        """
        rows = self._database.query(
            "SELECT * FROM jobs AS lost WHERE name = ? AND state = ?"
            " AND NOT EXISTS (SELECT 1 FROM jobs AS later WHERE later.name = lost.name"
            " AND later.id != lost.id AND later.created_at >= lost.finished_at)"
            " ORDER BY id",
            (name, State.LOST),
        )
        return [job_of(row) for row in rows]

    def _lose(self, job_id: int) -> None:
        now = times.now()
        self._transitions.job_to(job_id, State.LOST)
        self._database.execute("UPDATE jobs SET finished_at = ? WHERE id = ?", (now, job_id))
        for task in self.tasks(job_id):
            if task.state is State.RUNNING:
                self._transitions.task_to(job_id, task.action_id, State.LOST)
                self._transitions.end_attempt(job_id, task.action_id, State.LOST, None, now)
            elif task.state in (State.READY, State.RETRYING):
                self._transitions.task_to(job_id, task.action_id, State.PENDING)
        self._database.execute(
            "UPDATE tasks SET resumes = 1, finished_at = ?, waiting = NULL"
            " WHERE job_id = ? AND state = ?",
            (now, job_id, State.LOST),
        )
        self._queue.leave_all(job_id)
