"""What a run writes down of its job, and reads again: the database behind `Runner`."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, final

from pydantic import TypeAdapter, ValidationError

from gswarm_tui.errors import EXIT_USAGE, GswarmError, PlaybookError, StateError
from gswarm_tui.jobs import failures
from gswarm_tui.jobs.events import JobResult, Task, TaskResult
from gswarm_tui.models.leases import Who
from gswarm_tui.playbook.actions import TYPES
from gswarm_tui.playbook.language.options import CONTINUE
from gswarm_tui.playbook.plan import Plan, PlannedAction
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.queue import Claim
from gswarm_tui.state.records import JobRecord, TaskRecord
from gswarm_tui.state.states import ENDED, Priority, State
from gswarm_tui.state.transitions import Attempt

_LOST_EVERY_S: Final = 5.0
_NOT_NEEDED: Final = "not_needed"


def submit(plan: Plan, jobs: Jobs) -> int:
    """Write a job that somebody is going to run; returns its id."""
    priority = plan.priority or Priority.NORMAL
    tasks = [
        NewTask(
            planned.action_id,
            planned.action_type,
            planned.summary,
            planned.needs,
            planned.options.priority or priority,
        )
        for planned in plan.actions
    ]
    return jobs.create(NewJob(plan.name, plan.file, plan.origin.to_json(), tasks, priority))


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier runs of a job left.

    Args:
        ended: how tasks ended, by name.
        attempts: the last attempt of each task that was begun.
    """

    ended: dict[str, TaskResult]
    attempts: dict[str, int]


@final
class Journal:
    """The rows of one job, of which this process is the only writer while it runs it.

    Args:
        job_id: None for a job that is made when it begins.
    """

    def __init__(self, plan: Plan, database: Database, job_id: int | None) -> None:
        self._plan = plan
        self._database = database
        self._jobs = Jobs(database)
        self._job_id = job_id
        self._record: JobRecord | None = None
        self._looked_for_lost = time.monotonic()
        self._is_new = True

    @property
    def id(self) -> int:
        assert self._job_id is not None
        return self._job_id

    # The job

    def notices(self) -> Iterator[str]:
        """Sentences about earlier runs of the same playbook that nobody was told of."""
        self._jobs.mark_lost()
        for job in self._jobs.lost_since_last_run(self._plan.name):
            if job.id != self._job_id:
                yield (
                    f"job {job.id} of this playbook was lost: the process that ran it is gone"
                    f" (gswarm job resume {job.id} goes on with it)"
                )

    def begin(self) -> None:
        if self._job_id is None:
            self._job_id = submit(self._plan, self._jobs)
        self._jobs.begin(self.id)
        self._record = self._jobs.get(self.id)

    def refuse(self, error: PlaybookError) -> None:
        """A job that was submitted cannot be run at all."""
        if self._job_id is not None:
            self._jobs.abandon(
                self.id, State.FAILED, exit_code=EXIT_USAGE, error=self._plan.mask(str(error))
            )

    def finish(self, result: JobResult) -> None:
        error = None if result.error is None else str(result.error)
        self._jobs.finish(self.id, result.state, exit_code=result.exit_code, error=error)

    def abandon(self, error: BaseException) -> None:
        """The run itself failed or was cancelled: that is told, if it still can be written."""
        with suppress(StateError):
            self._jobs.check_run(self.id)
            if isinstance(error, GswarmError):
                said, code = self._plan.mask(str(error)), error.exit_code
                self._jobs.abandon(self.id, State.FAILED, exit_code=code, error=said)
            else:
                self._jobs.abandon(self.id)

    def before(self, planned: Mapping[str, PlannedAction]) -> Before:
        """What there is of this job already.

        Raises:
            StateError: the job has other tasks than the plan: it was made from something else.
        """
        records = self._jobs.tasks(self.id)
        if {record.action_id for record in records} != planned.keys():
            raise StateError(
                f"job {self.id} has other tasks than its playbook makes now",
                hint="the inventory it expands over has changed; run the playbook anew",
            )
        ended = {
            record.action_id: _result_of(record, planned[record.action_id])
            for record in records
            if record.state in ENDED
        }
        return Before(ended, {record.action_id: record.attempt for record in records})

    # Tasks

    def reopen(self, names: Iterable[str]) -> None:
        """Let tasks that ended in an earlier run be done again."""
        self._jobs.reopen(self.id, names)

    def describe(self, task: Task) -> None:
        """Note what a task does, now that the values are there."""
        self._jobs.describe(self.id, task.action_id, task.summary)

    def key(self, attempt: Attempt) -> str:
        """What nodes know the work of an attempt by."""
        assert self._record is not None
        return f"{self._record.key}/{attempt.action_id}/{attempt.work}"

    def who(self, does: str) -> Who:
        assert self._record is not None
        return Who(job=self.id, user=self._record.user, host=platform.node(), does=does)

    def enter(self, tasks: Sequence[tuple[str, Sequence[Claim]]]) -> None:
        self._jobs.enter(self.id, tasks)

    def admit(self, limit: int) -> list[Attempt]:
        return self._jobs.admit(self.id, limit)

    def why(self, name: str) -> str | None:
        return self._jobs.why(self.id, name)

    def older_work_ended(self, name: str) -> None:
        self._jobs.older_work_ended(self.id, name)

    def waits(self, name: str, reason: str | None) -> None:
        self._jobs.waits(self.id, name, reason)

    def retry(self, name: str, error: GswarmError, delay_s: float) -> None:
        self._jobs.end(
            self.id,
            name,
            State.RETRYING,
            error=str(error),
            error_kind=error.kind,
            hint=error.hint,
            retry_at=datetime.now(UTC) + timedelta(seconds=delay_s),
        )

    def end(self, ended: TaskResult) -> None:
        error, kind, hint = ended.because, None, None
        if ended.because == failures.NOT_NEEDED:
            kind = _NOT_NEEDED
        if ended.error is not None:
            error, kind, hint = str(ended.error), ended.error.kind, ended.error.hint
        result = None if ended.result is None else self._plan.mask_json(asdict(ended.result))
        self._jobs.end(
            self.id,
            ended.task.action_id,
            ended.state,
            error=error,
            error_kind=kind,
            hint=hint,
            tolerated=ended.tolerated,
            result=result,
        )

    # Other processes

    def changed(self) -> bool:
        """Whether another process may have written to the database since this was asked last."""
        # Before it was asked first, all there is may be new: an end that was asked for long ago.
        first, self._is_new = self._is_new, False
        return self._database.changed() or first

    def cancel_requests(self) -> tuple[bool, list[str]]:
        return self._jobs.cancel_requests(self.id)

    def give_up_lost(self) -> bool:
        """Now and then: take from jobs whose process is gone what they hold in the queue."""
        now = time.monotonic()
        if now - self._looked_for_lost < _LOST_EVERY_S:
            return False
        self._looked_for_lost = now
        return bool(self._jobs.mark_lost())


def _result_of(record: TaskRecord, planned: PlannedAction) -> TaskResult:
    task = Task(record.action_id, record.action_type, record.summary, record.dependencies)
    ended = TaskResult(task, record.state, 0.0, planned.action, attempt=record.attempt)
    if record.state is State.SUCCEEDED:
        return replace(ended, result=_typed(record))
    if record.state is State.FAILED:
        error = GswarmError(record.error or "it failed in an earlier run", hint=record.hint)
        error.kind = record.error_kind or error.kind
        return replace(ended, error=error, tolerated=planned.options.on_failure == CONTINUE)
    return replace(ended, because=record.error)


def _typed(record: TaskRecord) -> Any:
    """The result as the action returned it."""
    try:
        return TypeAdapter(TYPES[record.action_type].result).validate_python(record.result)
    except ValidationError as error:
        raise StateError(
            f"the result of {record.action_id} cannot be read: {error.errors()[0]['msg']}",
            where=f"job {record.job_id}",
            hint=f"gswarm job retry {record.job_id} --from {record.action_id} does it again",
        ) from None
