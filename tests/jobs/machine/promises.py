"""What is promised of jobs, checked against the database and what the nodes saw."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from gswarm_tui.config import QueueConfig
from gswarm_tui.errors import PlaybookError
from gswarm_tui.jobs import JobResult
from gswarm_tui.jobs.claims import wants
from gswarm_tui.jobs.events import JobFinished, TaskFinished, TaskStarted
from gswarm_tui.playbook import Plan
from gswarm_tui.playbook.language.options import CONTINUE
from gswarm_tui.playbook.plan import PlannedAction
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.records import TaskRecord
from gswarm_tui.state.states import ENDED, JOB_TRANSITIONS, TASK_TRANSITIONS, State

from .nodes import Nodes, said, task_of

SEEN_WITHIN_S = 0.5
"""A running job has heard by then that its end was asked for."""

_OBSERVED = (
    "CREATE TABLE seen (what TEXT, before TEXT, after TEXT)",
    "CREATE TRIGGER tasks_seen AFTER UPDATE OF state ON tasks WHEN old.state != new.state"
    " BEGIN INSERT INTO seen VALUES ('task', old.state, new.state); END",
    "CREATE TRIGGER jobs_seen AFTER UPDATE OF state ON jobs WHEN old.state != new.state"
    " BEGIN INSERT INTO seen VALUES ('job', old.state, new.state); END",
)


class Promises:
    """Keeps watch over one database and the nodes; what is broken is raised by `check`."""

    def __init__(
        self, database: Database, nodes: Nodes, plans: Mapping[int, Plan], config: QueueConfig
    ) -> None:
        self._database = database
        self._jobs = Jobs(database)
        self._nodes = nodes
        self._plans = plans
        self._config = config
        self._broken: list[str] = []
        self._cancelled_at: dict[int, float] = {}
        self._set_aside: set[str] = set()
        """Keys of work that somebody asked to be done again, whatever came of it."""
        for statement in _OBSERVED:
            database.execute(statement)

    def note_cancel(self, job_id: int, now: float) -> None:
        self._cancelled_at.setdefault(job_id, now)

    def note_reset(self, job_id: int, from_task: str | None) -> None:
        """A job was opened again; with a task, all that need it are done again.

        And `always` ones are, where there is anything left to do before them; and what its end
        has found out of sight, so that its nodes could not be told.
        """
        self._cancelled_at.pop(job_id, None)
        records = {record.action_id: record for record in self._jobs.tasks(job_id)}
        open_again = any(r.state not in ENDED for r in self._ordinary(job_id, records))
        again: set[str] = set()
        for planned in self._plans[job_id].actions:
            tidies_up = planned.options.always and open_again
            after = planned.action_id == from_task or not again.isdisjoint(planned.needs)
            if after or tidies_up:
                again.add(planned.action_id)
        job = self._key(job_id)
        for key in [*self._nodes.running, *self._nodes.done]:
            if task_of(key)[0] != job:
                continue
            untold = key in self._nodes.out_of_sight
            if task_of(key)[1] in again or (untold and self._is_cancelled(key)):
                self._set_aside.add(key)

    # While it happens

    def check_begin(self, key: str, now: float) -> None:
        """A node begins work: may it?"""
        task = task_of(key)
        job_id = self._job_id(task[0])
        tasks = {record.action_id: record for record in self._jobs.tasks(job_id)}
        planned = {each.action_id: each for each in self._plans[job_id].actions}[task[1]]
        self._expect(tasks[task[1]].state is State.RUNNING, f"{key} began before it was written")
        self._check_leases(key, planned)
        for needed in planned.needs:
            self._check_need(key, planned, needed, tasks)
        if planned.options.always:
            left = [r.action_id for r in self._ordinary(job_id, tasks) if r.state not in ENDED]
            self._expect(not left, f"{key} began before {left} ended")
        before = self._successes(task)
        self._expect(not before, f"{key} is done again, after {before}")
        # A health check leaves no work on nodes that could be ended there.
        harmless = self._set_aside if planned.action_type == "health_check" else set()
        running = self._nodes.running.keys() - harmless - {key}
        twins = [other for other in running if task_of(other) == task]
        self._expect(not twins, f"{key} is done beside {twins}")
        asked = self._cancelled_at.get(job_id)
        in_vain = asked is not None and now > asked + SEEN_WITHIN_S
        self._expect(planned.options.always or not in_vain, f"{key} began after the cancel")

    def _check_leases(self, key: str, planned: PlannedAction) -> None:
        for node, wanted in wants(planned.action.uses()).items():
            for want in wanted:
                self._expect(self._nodes.holds(key, node, want), f"{key} has no lease of {want}")

    def _check_need(
        self, key: str, planned: PlannedAction, needed: str, tasks: Mapping[str, TaskRecord]
    ) -> None:
        other, record = self._planned(key, needed), tasks[needed]
        if other.options.always is not planned.options.always:
            return
        if record.state is State.SUCCEEDED:
            by_node = bool(self._nodes_know((task_of(key)[0], needed)))
            self._expect(by_node, f"{key} began, and no node has done {needed}")
            return
        tolerated = record.state is State.FAILED and other.options.on_failure == CONTINUE
        harmless = record.state is State.SKIPPED and record.error_kind == "not_needed"
        self._expect(tolerated or harmless, f"{key} began, but {needed} is {record.state}")

    # After every step

    def check(self) -> None:
        assert not self._broken, self._broken
        for row in self._database.query("SELECT DISTINCT * FROM seen"):
            table = TASK_TRANSITIONS if row["what"] == "task" else JOB_TRANSITIONS
            before, after = State(row["before"]), State(row["after"])
            assert after in table[before], f"a {row['what']} that was {before} became {after}"
        self._database.execute("DELETE FROM seen")
        self._check_claims()
        for holders in self._nodes.leases.values():
            assert len(holders) < 2 or all(holders.values()), holders

    def _check_claims(self) -> None:
        held = defaultdict(list)
        for row in self._database.query(
            "SELECT claims.*, tasks.state FROM claims JOIN tasks USING (job_id, action_id)"
        ):
            assert row["state"] == (State.RUNNING if row["held"] else State.READY), tuple(row)
            if row["held"]:
                held[row["key"]].append(row)
        for key, rows in held.items():
            assert len(rows) == 1 or not any(row["exclusive"] for row in rows), key
            slots = [row["slots"] for row in rows if row["slots"] is not None]
            assert not slots or len(rows) <= min(slots), key
        (running,) = self._database.query("SELECT count(*) FROM tasks WHERE state = 'running'")
        assert running[0] <= self._config.max_concurrent_tasks

    # When a job has ended

    def check_result(self, result: JobResult, events: Sequence[Any]) -> None:
        """What was reported is what is written, and what the nodes saw."""
        job = self._jobs.get(result.job_id)
        assert job is not None
        assert (job.state, job.exit_code) == (result.state, result.exit_code)
        assert events[-1] == JobFinished(result)
        records = self._jobs.tasks(result.job_id)
        assert [t.task.action_id for t in result.tasks] == [r.action_id for r in records]
        for record, ended in zip(records, result.tasks, strict=True):
            assert (record.state, record.attempt) == (ended.state, ended.attempt), record
            task = (job.key, record.action_id)
            if ended.state is State.SUCCEEDED:
                assert said(ended.result) in self._nodes_know(task)
            elif ended.state is State.FAILED and record.error_kind != "timeout":
                assert ended.error is not None
                told = ended.error.message in self._nodes.told[task]
                assert told or _is_unfit(record, ended.error), ended.error
        self._check_attempts(result.job_id, records)
        assert not self._database.query("SELECT 1 FROM claims WHERE job_id = ?", (job.id,))
        _check_events(result, events)

    def check_end(self) -> None:
        """Of every job, when all of them have ended."""
        for job in self._jobs.recent():
            records = self._jobs.tasks(job.id)
            assert {record.state for record in records} <= ENDED
            self._check_attempts(job.id, records)
        assert not self._database.query("SELECT 1 FROM claims")
        assert not any(self._nodes.leases.values())

    def _check_attempts(self, job_id: int, records: Sequence[TaskRecord]) -> None:
        known = sorted(self._jobs.attempts(job_id), key=lambda attempt: attempt.attempt)
        for record in records:
            attempts = [attempt for attempt in known if attempt.action_id == record.action_id]
            numbers = [attempt.attempt for attempt in attempts]
            assert numbers == list(range(1, record.attempt + 1)), record
            assert all(attempt.finished_at for attempt in attempts), record
            if record.state in (State.SUCCEEDED, State.FAILED) and attempts:
                unfit = record.error_kind == "failed"
                assert attempts[-1].state is record.state or unfit, (record, attempts)

    # How

    def _successes(self, task: tuple[str, str]) -> list[str]:
        """The keys of work that was done, and whose end nobody had asked for."""
        keys = [key for key in self._nodes.done if task_of(key) == task]
        return [key for key in keys if key not in self._nodes.cancelled | self._set_aside]

    def _is_cancelled(self, key: str) -> bool:
        job, action, number = key.split("/")
        rows = self._database.query(
            "SELECT attempts.state FROM attempts JOIN jobs ON jobs.id = job_id"
            " WHERE key = ? AND action_id = ? AND attempt = ?",
            (job, action, int(number)),
        )
        return [row["state"] for row in rows] == [State.CANCELLED]

    def _nodes_know(self, task: tuple[str, str]) -> list[str]:
        return [answer for key, answer in self._nodes.done.items() if task_of(key) == task]

    def _ordinary(self, job_id: int, tasks: Mapping[str, TaskRecord]) -> list[TaskRecord]:
        plan = self._plans[job_id]
        return [tasks[each.action_id] for each in plan.actions if not each.options.always]

    def _planned(self, key: str, name: str) -> PlannedAction:
        plan = self._plans[self._job_id(task_of(key)[0])]
        return next(each for each in plan.actions if each.action_id == name)

    def _key(self, job_id: int) -> str:
        job = self._jobs.get(job_id)
        assert job is not None
        return job.key

    def _job_id(self, key: str) -> int:
        return int(self._database.query("SELECT id FROM jobs WHERE key = ?", (key,))[0]["id"])

    def _expect(self, kept: bool, broken: str) -> None:
        # In an action's coroutine, where an assertion would be taken for its failure.
        if not kept:
            self._broken.append(broken)


def _is_unfit(record: TaskRecord, error: Exception) -> bool:
    """It failed before it began: a value of another task did not fit."""
    return isinstance(error, PlaybookError) or "target_url" in str(record.error)


def _check_events(result: JobResult, events: Sequence[Any]) -> None:
    ended = [event.task.action_id for event in events if isinstance(event, TaskFinished)]
    assert len(ended) == len(set(ended))
    began = [(e.task.action_id, e.attempt) for e in events if isinstance(e, TaskStarted)]
    assert len(began) == len(set(began))
    told = {
        event.task.action_id: event.result for event in events if isinstance(event, TaskFinished)
    }
    assert all(told.get(task.task.action_id, task) == task for task in result.tasks)
