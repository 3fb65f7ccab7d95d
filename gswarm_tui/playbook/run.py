"""Running a job: each task as soon as what it needs is done and it has its turn in the queue.

Every change of a task's state is in the database before anything is done about it. A job is run by
one process at a time; where that dies, another one goes on (`gswarm job resume`): what had ended
has ended, and what ran is asked for again under the key that nodes know it by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from gswarm_tui.config import QueueConfig
from gswarm_tui.errors import GswarmError, PlaybookError
from gswarm_tui.playbook import failures
from gswarm_tui.playbook.attempt import Terms, delay_before_next, perform, retry_of
from gswarm_tui.playbook.build import MissingValueError
from gswarm_tui.playbook.claims import claims, wants
from gswarm_tui.playbook.dag import Dag, Vertex
from gswarm_tui.playbook.events import (
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
    unobserved,
)
from gswarm_tui.playbook.hardware import check_gpus
from gswarm_tui.playbook.journal import Journal
from gswarm_tui.playbook.options import CONTINUE, STOP
from gswarm_tui.playbook.plan import Plan, PlannedAction
from gswarm_tui.playbook.reporter import Reporter
from gswarm_tui.playbook.workbench import Ended, Workbench
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Attempt
from gswarm_tui.state.states import State

if TYPE_CHECKING:
    from gswarm_tui.models import Models

POLL_S: Final = 0.2
"""How often other processes are looked after: those that hold something, those that ask for an
end."""


@final
class Runner:
    """One run of one job. Make another one to run it again.

    Args:
        models: does the work.
        database: where the job is.
        job_id: a job that was submitted; None makes one.
    """

    def __init__(
        self,
        plan: Plan,
        models: Models,
        database: Database,
        *,
        job_id: int | None = None,
        config: QueueConfig | None = None,
    ) -> None:
        self._plan = plan
        self._models = models
        self._config = config or QueueConfig()
        self._journal = Journal(plan, database, job_id)
        self._planned = {planned.action_id: planned for planned in plan.actions}
        self._tasks = {name: task_of(planned) for name, planned in self._planned.items()}
        self._dag = Dag([_vertex(planned) for planned in plan.actions])
        self._observer: Observer = unobserved
        self._bench = Workbench()
        self._queued: set[str] = set()
        self._attempts: dict[str, Attempt] = {}
        self._tries: dict[str, int] = {}
        self._unwanted: set[str] = set()
        """Tasks whose end was asked for."""
        self._results: dict[str, Any] = {}
        self._done: dict[str, TaskResult] = {}
        self._check: asyncio.Task[None] | None = None
        self._cancelled = False
        self._error: GswarmError | None = None
        self._ending = 0
        """What has to end: 0 nothing, 1 all but the `always` tasks, 2 those too."""
        self._ended_up_to = 0
        self._look_at_queue = False
        self._look_around = False

    async def run(self, observer: Observer = unobserved) -> JobResult:
        """Run every task, and return when the last one has ended.

        A task that fails does not raise: the result says it. Cancelling the coroutine cancels the
        tasks that run, waits for them, and raises.

        Raises:
            PlaybookError: a GPU that it needs is not on its node; nothing was done.
            StateError: the database cannot be written; what ran was cancelled.
        """
        began = time.monotonic()
        try:
            await self._check_hardware()
        except PlaybookError as error:
            self._journal.refuse(error)
            raise
        notices = tuple(self._journal.notices())
        self._journal.begin()
        timers = self._start_timers()
        try:
            self._restore()
            self._observer = observer
            tasks, done = tuple(self._tasks.values()), tuple(self._done.values())
            name, description = self._plan.name, self._plan.description
            observer(JobStarted(self._journal.id, name, description, tasks, notices, done))
            await self._run_tasks()
            result = self._result(time.monotonic() - began)
            self._journal.finish(result)
        except BaseException:
            await self._abandon()
            raise
        finally:
            for timer in timers:
                timer.cancel()
        observer(JobFinished(result))
        return result

    def cancel(self) -> None:
        """End the run: tasks that run are cancelled, on their nodes too, and no other begins, but
        for the `always` ones; asked a second time, those end as well.

        ``run`` then returns as usual, when they have ended.
        """
        self._cancelled = True
        self._ending = min(2, self._ending + 1)
        if self._check is not None:
            self._check.cancel()
        self._bench.wake()

    # What is done once

    async def _check_hardware(self) -> None:
        self._check = asyncio.create_task(check_gpus(self._plan, self._models))
        try:
            await self._check
        except asyncio.CancelledError:
            # A run that is cancelled meanwhile goes on to say so; its coroutine's end does not.
            if not self._cancelled:
                raise
        finally:
            self._check = None

    def _start_timers(self) -> list[asyncio.Task[None]]:
        limit_s = self._plan.timeout_s or self._config.job_timeout_s
        timers = [asyncio.create_task(self._tick())]
        if limit_s is not None:
            timers.append(asyncio.create_task(self._expire(limit_s)))
        return timers

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            self._look_around = True
            self._bench.wake()

    async def _expire(self, limit_s: float) -> None:
        await asyncio.sleep(limit_s)
        self._error = failures.job_timed_out(limit_s)
        self._ending = max(1, self._ending)
        self._bench.wake()

    def _restore(self) -> None:
        """Take over how tasks ended in an earlier run of this job."""
        earlier = self._journal.earlier(self._planned)
        for name, ended in earlier.items():
            self._done[name] = ended
            if ended.result is not None:
                self._results[name] = ended.result
        for ended in earlier.values():
            for other, because in self._settle_in_graph(ended):
                if other not in earlier:
                    self._finish(self._ended(other, State.SKIPPED, because=because))
        for name, ended in earlier.items():
            self._stop_after(name, ended)

    # The loop

    async def _run_tasks(self) -> None:
        self._look_at_other_processes()
        while True:
            for over in self._bench.take_ended():
                self._settle(over)
            self._end_unwanted()
            entered = self._enter([*self._dag.take_ready(), *self._bench.take_due()])
            self._start_admitted()
            self._say_why(entered)
            if self._dag.over:
                return
            await self._bench.wait()
            if self._look_around:
                self._look_around = False
                self._look_at_other_processes()

    def _look_at_other_processes(self) -> None:
        """See what they did to the queue, and whether they ask for an end."""
        if self._queued and self._journal.give_up_lost():
            self._look_at_queue = True
        if self._journal.changed():
            self._look_at_queue = True
            everything, tasks = self._journal.cancel_requests()
            self._unwanted.update(tasks)
            if everything and not self._cancelled:
                self.cancel()

    def _enter(self, names: list[str]) -> list[str]:
        """Put tasks into the queue, but for those that turn out not to have to run."""
        entered = [name for name in names if self._prepare(name)]
        if entered:
            uses = {name: list(self._planned[name].action.uses()) for name in entered}
            self._journal.enter([(name, claims(uses[name], self._config)) for name in entered])
            self._queued.update(entered)
            self._look_at_queue = True
        return entered

    def _say_why(self, entered: list[str]) -> None:
        for name in entered:
            if name in self._queued and (reason := self._journal.why(name)) is not None:
                self._observer(TaskWaiting(self._tasks[name], reason))

    def _prepare(self, name: str) -> bool:
        """Give an action its values; where it is not to be run, note how it ended."""
        planned = self._planned[name]
        try:
            if not self._plan.decide(planned, self._results):
                self._finish(self._ended(name, State.SKIPPED, because=failures.NOT_NEEDED))
                return False
            action = self._plan.complete(planned, self._results)
        except MissingValueError as error:
            self._finish(self._ended(name, State.SKIPPED, because=error.message))
            return False
        except PlaybookError as error:
            self._finish(replace(self._ended(name, State.FAILED), error=error))
            return False
        if action is not planned.action:
            self._planned[name] = replace(planned, action=action)
            self._tasks[name] = task_of(self._planned[name])
        return True

    def _start_admitted(self) -> None:
        if not self._queued or not self._look_at_queue:
            return
        self._look_at_queue = False
        for attempt in self._journal.admit(self._config.max_concurrent_tasks):
            name = attempt.action_id
            self._queued.discard(name)
            self._attempts[name] = attempt
            self._tries[name] = self._tries.get(name, 0) + 1
            self._observer(TaskStarted(self._tasks[name], attempt.number))
            self._bench.start(name, self._perform(name))

    async def _perform(self, name: str) -> Any:
        planned, task = self._planned[name], self._tasks[name]
        terms = Terms(
            key=self._journal.key(self._attempts[name]),
            wants=wants(planned.action.uses()),
            who=self._journal.who(f"{task.action_type} {name}"),
            timeout_s=planned.options.timeout_s or self._config.task_timeout_s,
        )
        reporter = Reporter(partial(self._report, name), self._plan.mask)
        try:
            return await perform(
                planned.action,
                self._models,
                terms,
                waiting=partial(self._wait, name),
                progress=reporter,
            )
        finally:
            reporter.flush()

    def _wait(self, name: str, reason: str | None) -> None:
        if name in self._bench.running:
            self._journal.waits(name, reason)
            self._observer(TaskWaiting(self._tasks[name], reason))

    def _report(self, name: str, progress: Progress) -> None:
        """Pass progress on, unless the task has ended."""
        if name in self._bench.running:
            self._observer(TaskProgress(self._tasks[name], progress))

    # Ends

    def _settle(self, over: Ended) -> None:
        """Note how an attempt ended."""
        name, task = over.name, over.task
        ended = self._ended(name, State.SUCCEEDED, seconds=over.seconds)
        if task.cancelled():
            self._finish(replace(ended, **self._outcome_of_cancellation(name)))
            return
        error = task.exception()
        if error is None:
            self._results[name] = task.result()
            self._finish(replace(ended, result=task.result()))
            return
        explained = failures.explain(error, self._plan.mask)
        options = self._planned[name].options
        delay_s = delay_before_next(
            explained.error, self._tries[name], retry_of(options, self._config)
        )
        if delay_s is None or self._stopping(name):
            failed = replace(ended, state=State.FAILED, error=explained.error)
            tolerated = options.on_failure == CONTINUE
            self._finish(replace(failed, details=explained.details, tolerated=tolerated))
        else:
            self._retry(name, explained.error, delay_s)

    def _retry(self, name: str, error: GswarmError, delay_s: float) -> None:
        """Try again later; meanwhile nothing is held."""
        self._journal.retry(name, error, delay_s)
        self._look_at_queue = True
        attempt = self._attempts[name].number
        self._observer(TaskRetrying(self._tasks[name], attempt, error, delay_s))
        self._bench.later(name, delay_s)

    def _outcome_of_cancellation(self, name: str) -> Mapping[str, Any]:
        if self._stopping(name):
            return {"state": State.CANCELLED}
        return {"state": State.FAILED, "error": GswarmError("its work was cancelled elsewhere")}

    def _finish(self, ended: TaskResult) -> None:
        name = ended.task.action_id
        self._journal.end(ended)
        self._done[name] = ended
        self._look_at_queue = True
        self._observer(TaskFinished(ended))
        for other, because in self._settle_in_graph(ended):
            self._finish(self._ended(other, State.SKIPPED, because=because))
        self._stop_after(name, ended)

    def _settle_in_graph(self, ended: TaskResult) -> list[tuple[str, str]]:
        harmless = ended.because == failures.NOT_NEEDED
        return self._dag.settle(ended.task.action_id, ended.state, harmless=harmless)

    def _stop_after(self, name: str, ended: TaskResult) -> None:
        stops = self._planned[name].options.on_failure or self._plan.on_failure
        if ended.state is State.FAILED and stops == STOP and not self._always(name):
            self._drop(State.SKIPPED, f"the job stopped when {name} failed")

    def _drop(self, state: State, because: str | None) -> None:
        """Let nothing begin any more but `always` tasks; what runs goes on."""
        for name in self._dag.drop(self._bench.running):
            self._leave_queue(name)
            self._finish(self._ended(name, state, because=because))

    def _end_unwanted(self) -> None:
        """End the tasks whose end was asked for, or that of all."""
        if self._ending > self._ended_up_to:
            self._ended_up_to = self._ending
            for name in self._bench.running:
                if self._ending == 2 or not self._always(name):
                    self._bench.cancel(name)
            self._drop(State.CANCELLED, None)
            if self._ending == 2:
                self._unwanted.update(self._dag.open_tasks(always=True))
        for name in [name for name in self._unwanted if not self._dag.ended(name)]:
            if name in self._bench.running:
                self._bench.cancel(name)
            else:
                self._leave_queue(name)
                self._finish(self._ended(name, State.CANCELLED))
        self._unwanted.intersection_update(self._bench.running)

    def _leave_queue(self, name: str) -> None:
        self._queued.discard(name)
        self._bench.forget(name)

    async def _abandon(self) -> None:
        """End what runs after this run itself has failed or was cancelled, telling nobody."""
        self._observer = unobserved
        await self._bench.cancel_all()
        self._journal.abandon()

    def _stopping(self, name: str) -> bool:
        ending = self._ending == 2 or (self._ending == 1 and not self._always(name))
        return ending or name in self._unwanted

    def _always(self, name: str) -> bool:
        return self._planned[name].options.always

    def _ended(
        self, name: str, state: State, *, because: str | None = None, seconds: float = 0.0
    ) -> TaskResult:
        attempt = self._attempts.get(name)
        return TaskResult(
            self._tasks[name],
            state,
            seconds,
            self._planned[name].action,
            because=because,
            attempt=0 if attempt is None else attempt.number,
        )

    def _result(self, seconds: float) -> JobResult:
        tasks = tuple(self._done[name] for name in self._tasks)
        state = State.SUCCEEDED
        if any(not _went_well(task) for task in tasks):
            state = State.CANCELLED if self._cancelled else State.FAILED
        error = self._error if state is State.FAILED else None
        return JobResult(self._journal.id, self._plan.name, state, seconds, tasks, error)


def task_of(planned: PlannedAction) -> Task:
    """A planned action as observers see it."""
    return Task(planned.action_id, planned.action_type, planned.summary, planned.needs)


def _vertex(planned: PlannedAction) -> Vertex:
    options = planned.options
    tolerant = options.on_failure == CONTINUE
    return Vertex(planned.action_id, planned.needs, always=options.always, tolerant=tolerant)


def _went_well(task: TaskResult) -> bool:
    """What is skipped has its reason in another task, which counts by itself."""
    return task.state in (State.SUCCEEDED, State.SKIPPED) or task.tolerated
