"""Running a job: each task as soon as what it needs is done and it has its turn in the queue.

Every change of a task's state is in the database before anything is done about it. A job is run by
one process at a time; where that dies, another one goes on (`gswarm job resume`): what had ended
has ended, and what ran is asked for again under the key that nodes know it by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from gswarm_tui.config import QueueConfig
from gswarm_tui.errors import GswarmError, PlaybookError, StateError
from gswarm_tui.jobs import failures
from gswarm_tui.jobs.attempt import Terms, delay_before_next, perform, retry_of
from gswarm_tui.jobs.claims import claims, wants
from gswarm_tui.jobs.dag import Dag
from gswarm_tui.jobs.endings import Endings, Extent
from gswarm_tui.jobs.events import (
    JobFinished,
    JobResult,
    JobStarted,
    Observer,
    TaskFinished,
    TaskProgress,
    TaskResult,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
    unobserved,
)
from gswarm_tui.jobs.hardware import HardwareCheck
from gswarm_tui.jobs.journal import Journal
from gswarm_tui.jobs.reporter import Reporter
from gswarm_tui.jobs.tally import Tally
from gswarm_tui.jobs.workbench import Ended, Workbench
from gswarm_tui.playbook.build import MissingValueError
from gswarm_tui.playbook.language.options import CONTINUE, STOP
from gswarm_tui.playbook.plan import Plan
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
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
        spent_s: what of the plan's time limit is over already.
    """

    def __init__(
        self,
        plan: Plan,
        models: Models,
        database: Database,
        *,
        job_id: int | None = None,
        config: QueueConfig | None = None,
        spent_s: float = 0.0,
    ) -> None:
        self._plan = plan
        self._models = models
        self._config, self._spent_s = config or QueueConfig(), spent_s
        self._journal = Journal(plan, database, job_id)
        self._tally = Tally(plan)
        self._dag = Dag(self._tally.vertices())
        self._observer: Observer = unobserved
        self._bench = Workbench()
        self._endings = Endings()
        self._queued: set[str] = set()
        self._hardware = HardwareCheck()
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
            await self._hardware.run(self._plan, self._models)
        except PlaybookError as error:
            self._journal.refuse(error)
            raise
        notices = tuple(self._journal.notices())
        self._journal.begin()
        timers = self._start_timers()
        try:
            self._restore()
            self._observer = observer
            observer(self._started(notices))
            await self._run_tasks()
            result = self._result(time.monotonic() - began)
            self._journal.finish(result)
        except BaseException as error:
            await self._abandon(error)
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
        self._endings.cancel()
        self._hardware.leave()
        self._bench.wake()

    # What is done once

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
        await asyncio.sleep(limit_s - self._spent_s)
        self._endings.expire(failures.job_timed_out(self._journal.id, limit_s, self._spent_s))
        self._bench.wake()

    def _restore(self) -> None:
        """Take over how tasks ended in an earlier run of this job."""
        before = self._journal.before(self._tally.planned)
        earlier = before.ended
        if any(n not in earlier and not self._tally.is_always(n) for n in self._tally.tasks):
            # There is something to do; so there will be something to tidy up after it. That nodes
            # have tidied up before does not count, nor that a run was lost while it did.
            again = [name for name in self._tally.tasks if self._tally.is_always(name)]
            self._journal.reopen(again)
            for name in again:
                earlier.pop(name, None)
        self._tally.restore(before)
        for ended in earlier.values():
            for other, because in self._settle_in_graph(ended):
                if other not in earlier:
                    self._finish(self._tally.end(other, State.SKIPPED, because=because))
        # What ran when the job stopped was to go on, and does now.
        begun = [name for name, attempt in before.attempts.items() if attempt]
        for ended in earlier.values():
            self._stop_after(ended, begun)

    def _started(self, notices: tuple[str, ...]) -> JobStarted:
        return JobStarted(
            self._journal.id,
            self._plan.name,
            self._plan.description,
            tuple(self._tally.tasks.values()),
            notices,
            self._tally.ended(),
        )

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
            self._endings.cancel_tasks(tasks)
            if everything and not self._endings.cancelled:
                self.cancel()

    def _enter(self, names: list[str]) -> list[str]:
        """Put tasks into the queue, but for those that turn out not to have to run."""
        prepared = [name for name in names if not self._dag.ended(name) and self._prepare(name)]
        # One that failed meanwhile may have ended those before it.
        entered = [name for name in prepared if not self._dag.ended(name)]
        if entered:
            uses = {name: list(self._tally.planned[name].action.uses()) for name in entered}
            self._journal.enter([(name, claims(uses[name], self._config)) for name in entered])
            self._queued.update(entered)
            self._look_at_queue = True
        return entered

    def _say_why(self, entered: list[str]) -> None:
        for name in entered:
            if name in self._queued and (reason := self._journal.why(name)) is not None:
                self._observer(TaskWaiting(self._tally.tasks[name], reason))

    def _prepare(self, name: str) -> bool:
        """Give an action its values; where it is not to be run, note how it ended."""
        try:
            if not self._plan.decide(self._tally.planned[name], self._tally.results):
                self._finish(self._tally.end(name, State.SKIPPED, because=failures.NOT_NEEDED))
                return False
            if self._tally.complete(name):
                self._journal.describe(self._tally.tasks[name])
        except MissingValueError as error:
            self._finish(self._tally.end(name, State.SKIPPED, because=error.message))
            return False
        except PlaybookError as error:
            self._finish(replace(self._tally.end(name, State.FAILED), error=error))
            return False
        return True

    def _start_admitted(self) -> None:
        if not self._queued or not self._look_at_queue:
            return
        self._look_at_queue = False
        for attempt in self._journal.admit(self._config.max_concurrent_tasks):
            name = attempt.action_id
            self._queued.discard(name)
            self._tally.begin(attempt)
            self._observer(TaskStarted(self._tally.tasks[name], attempt.number))
            self._bench.start(name, self._perform(name))

    async def _perform(self, name: str) -> Any:
        planned, task = self._tally.planned[name], self._tally.tasks[name]
        attempt = self._tally.attempts[name]
        terms = Terms(
            key=self._journal.key(attempt),
            stale_on=attempt.stale_on,
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
                older_work_ended=partial(self._journal.older_work_ended, name),
                waiting=partial(self._wait, name),
                progress=reporter,
            )
        finally:
            reporter.flush()

    def _wait(self, name: str, reason: str | None) -> None:
        if name in self._bench.running:
            self._journal.waits(name, reason)
            self._observer(TaskWaiting(self._tally.tasks[name], reason))

    def _report(self, name: str, progress: Progress) -> None:
        """Pass progress on, unless the task has ended."""
        if name in self._bench.running:
            self._observer(TaskProgress(self._tally.tasks[name], progress))

    # Ends

    def _settle(self, over: Ended) -> None:
        """Note how an attempt ended."""
        name, task = over.name, over.task
        ended = self._tally.end(name, State.SUCCEEDED, seconds=over.seconds)
        if task.cancelled():
            self._finish(self._cancelled(ended))
        elif (error := task.exception()) is None:
            self._finish(replace(ended, result=task.result()))
        else:
            self._settle_failure(replace(ended, state=State.FAILED), error)

    def _settle_failure(self, ended: TaskResult, error: BaseException) -> None:
        """Try it again, if that may help; else it has failed."""
        name = ended.task.action_id
        explained = failures.explain(error, self._plan.mask)
        options = self._tally.planned[name].options
        retry = retry_of(options, self._config)
        delay_s = delay_before_next(explained.error, self._tally.tries(name), retry)
        if delay_s is not None and not self._is_to_end(name):
            self._retry(name, explained.error, delay_s)
            return
        tolerated = options.on_failure == CONTINUE
        error = failures.with_log(explained.error, self._journal.id, name)
        self._finish(replace(ended, error=error, details=explained.details, tolerated=tolerated))

    def _retry(self, name: str, error: GswarmError, delay_s: float) -> None:
        """Try again later; meanwhile nothing is held."""
        self._journal.retry(name, error, delay_s)
        self._look_at_queue = True
        attempt = self._tally.attempts[name].number
        self._observer(TaskRetrying(self._tally.tasks[name], attempt, error, delay_s))
        self._bench.later(name, delay_s)

    def _cancelled(self, ended: TaskResult) -> TaskResult:
        if self._is_to_end(ended.task.action_id):
            return replace(ended, state=State.CANCELLED)
        error = GswarmError("its work was cancelled elsewhere")
        return replace(ended, state=State.FAILED, error=error)

    def _finish(self, ended: TaskResult) -> None:
        self._journal.end(ended)
        self._tally.note(ended)
        self._look_at_queue = True
        self._observer(TaskFinished(ended))
        for other, because in self._settle_in_graph(ended):
            self._finish(self._tally.end(other, State.SKIPPED, because=because))
        self._stop_after(ended)

    def _settle_in_graph(self, ended: TaskResult) -> list[tuple[str, str]]:
        harmless = ended.because == failures.NOT_NEEDED
        return self._dag.settle(ended.task.action_id, ended.state, harmless=harmless)

    def _stop_after(self, ended: TaskResult, begun: Iterable[str] = ()) -> None:
        name = ended.task.action_id
        on_failure = self._tally.planned[name].options.on_failure or self._plan.on_failure
        stops = ended.state is State.FAILED and on_failure == STOP
        if stops and not self._tally.is_always(name):
            self._drop(State.SKIPPED, f"the job stopped when {name} failed", begun)

    def _drop(self, state: State, because: str | None = None, begun: Iterable[str] = ()) -> None:
        """Let nothing begin any more but `always` tasks; what runs, or was begun, goes on."""
        for name in self._dag.drop({*self._bench.running, *begun}):
            self._leave_queue(name)
            self._finish(self._tally.end(name, state, because=because))

    def _end_unwanted(self) -> None:
        """End the tasks whose end was asked for, or that of all."""
        named = self._endings.take_tasks()
        extent = self._endings.take_extent()
        if extent is not Extent.NOTHING:
            self._drop(State.CANCELLED)
            named.update(name for name in self._bench.running if self._is_to_end(name))
        if extent is Extent.EVERYTHING:
            named.update(self._dag.open_tasks(always=True))
        for name in named:
            if name in self._bench.running:
                self._bench.cancel(name)
            elif not self._dag.ended(name):
                self._leave_queue(name)
                self._finish(self._tally.end(name, State.CANCELLED))

    def _leave_queue(self, name: str) -> None:
        self._queued.discard(name)
        self._bench.forget(name)

    async def _abandon(self, error: BaseException) -> None:
        """End what runs after this run itself has failed or was cancelled, telling nobody."""
        self._observer = unobserved
        try:
            await self._bench.cancel_all()
        finally:  # also where somebody has no patience, and cancels this too
            with suppress(StateError):
                for over in self._bench.take_ended():
                    if over.has_succeeded:  # it would be done a second time
                        self._settle(over)
            self._journal.abandon(error)

    def _is_to_end(self, name: str) -> bool:
        always = self._tally.is_always(name)
        return self._bench.is_cancelled(name) or self._endings.covers(name, always=always)

    def _result(self, seconds: float) -> JobResult:
        tasks = self._tally.ended()
        expired = self._endings.error is not None
        state = self._tally.state(cancelled=self._endings.cancelled, expired=expired)
        error = self._endings.error if state is State.FAILED else None
        return JobResult(self._journal.id, self._plan.name, state, seconds, tasks, error)
