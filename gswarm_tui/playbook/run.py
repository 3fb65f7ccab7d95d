"""Running a plan: each action as soon as what it needs is done, side by side.

Every change of a task's state is in the database before anything is done about it.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from gswarm_tui.errors import GswarmError, PlaybookError, StateError
from gswarm_tui.playbook.events import (
    JobFinished,
    JobResult,
    JobStarted,
    Observer,
    Task,
    TaskFinished,
    TaskProgress,
    TaskResult,
    TaskStarted,
    unobserved,
)
from gswarm_tui.playbook.hardware import check_gpus
from gswarm_tui.playbook.plan import Plan, PlannedAction
from gswarm_tui.progress import Progress
from gswarm_tui.state.jobs import Jobs, NewTask, State

if TYPE_CHECKING:
    from gswarm_tui.models import Models

PARALLEL: Final = 128
"""Tasks that run at once at most. Nodes do the work; this bounds the controller's open files."""


@final
class Runner:
    """One run of one plan. Make another one to run it again.

    Args:
        models: does the work.
        jobs: where the states go.
    """

    def __init__(self, plan: Plan, models: Models, jobs: Jobs, *, parallel: int = PARALLEL) -> None:
        self._plan = plan
        self._models = models
        self._jobs = jobs
        self._parallel = parallel
        self._observer: Observer = unobserved
        self._job_id = 0
        self._tasks = {planned.action_id: _task(planned) for planned in plan.actions}
        self._planned = {planned.action_id: planned for planned in plan.actions}
        self._missing = {planned.action_id: len(planned.needs) for planned in plan.actions}
        self._dependents: dict[str, list[str]] = {name: [] for name in self._tasks}
        for planned in plan.actions:
            for needed in planned.needs:
                self._dependents[needed].append(planned.action_id)
        self._ready = deque(name for name, missing in self._missing.items() if not missing)
        self._running: dict[str, asyncio.Task[Any]] = {}
        self._started: dict[str, float] = {}
        self._ended: asyncio.Queue[str] = asyncio.Queue()
        self._results: dict[str, Any] = {}
        self._done: dict[str, TaskResult] = {}
        self._check: asyncio.Task[None] | None = None
        self._cancelled = False

    async def run(self, observer: Observer = unobserved) -> JobResult:
        """Run every task, and return when the last one has ended.

        A task that fails does not raise: the result says it. Cancelling the coroutine cancels the
        tasks that run, waits for them, and raises.

        Raises:
            PlaybookError: a GPU that it needs is not on its node; nothing was done.
            StateError: the database cannot be written; what ran was cancelled.
        """
        await self._check_hardware()
        self._observer = observer
        began = time.monotonic()
        notices = tuple(self._notices())
        self._job_id = self._jobs.begin(
            self._plan.name, self._plan.file, [_new_task(task) for task in self._tasks.values()]
        )
        try:
            started = JobStarted(
                self._job_id,
                self._plan.name,
                self._plan.description,
                tuple(self._tasks.values()),
                notices,
            )
            observer(started)
            await self._run_tasks()
            result = self._result(time.monotonic() - began)
            self._jobs.finish(self._job_id, result.state)
        except BaseException:
            await self._abandon()
            raise
        observer(JobFinished(result))
        return result

    def cancel(self) -> None:
        """End the run: tasks that run are cancelled, on their nodes too, and no other begins.

        ``run`` then returns as usual, when they have ended.
        """
        self._cancelled = True
        if self._check is not None:
            self._check.cancel()
        for task in self._running.values():
            task.cancel()

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

    async def _run_tasks(self) -> None:
        self._start_ready()
        while self._running:
            self._settle(await self._ended.get())
            self._start_ready()
        for name in self._tasks:
            if name not in self._done:
                self._finish(
                    TaskResult(self._tasks[name], State.CANCELLED, 0.0, self._action(name))
                )

    def _start_ready(self) -> None:
        while self._ready and len(self._running) < self._parallel and not self._cancelled:
            name = self._ready.popleft()
            self._jobs.task_started(self._job_id, name)
            problem = self._complete(name)
            self._observer(TaskStarted(self._tasks[name]))
            self._started[name] = time.monotonic()
            task = asyncio.create_task(self._perform(name, problem), name=f"action {name}")
            self._running[name] = task
            task.add_done_callback(partial(self._note_end, name))

    def _complete(self, name: str) -> PlaybookError | None:
        """Give an action the values of those before it; returns why that cannot be done."""
        planned = self._planned[name]
        try:
            action = self._plan.complete(planned, self._results)
        except PlaybookError as error:
            return error
        self._planned[name] = replace(planned, action=action)
        self._tasks[name] = _task(self._planned[name])
        return None

    def _note_end(self, name: str, task: asyncio.Task[Any]) -> None:
        self._ended.put_nowait(name)

    async def _perform(self, name: str, problem: PlaybookError | None) -> Any:
        if problem is not None:
            raise problem
        progress = _Reporter(self, self._tasks[name])
        return await self._planned[name].action.run(self._models, progress=progress)

    def _settle(self, name: str) -> None:
        """Note how a task ended; what needs it becomes ready, or is skipped."""
        task = self._running.pop(name)
        seconds = time.monotonic() - self._started[name]
        ended = TaskResult(self._tasks[name], State.SUCCEEDED, seconds, self._action(name))
        if task.cancelled():
            ended = replace(ended, **self._outcome_of_cancellation())
        elif (error := task.exception()) is not None:
            ended = replace(ended, state=State.FAILED, **_explained(error))
        else:
            ended = replace(ended, result=task.result())
            self._results[name] = ended.result
        self._finish(ended)
        if ended.state is State.SUCCEEDED:
            self._release(name)
        elif ended.state is State.FAILED:
            self._skip_dependents(name)

    def _outcome_of_cancellation(self) -> dict[str, Any]:
        if self._cancelled:
            return {"state": State.CANCELLED}
        return {"state": State.FAILED, "error": GswarmError("its work was cancelled elsewhere")}

    def _release(self, name: str) -> None:
        for dependent in self._dependents[name]:
            self._missing[dependent] -= 1
            if not self._missing[dependent] and dependent not in self._done:
                self._ready.append(dependent)

    def _skip_dependents(self, failed: str) -> None:
        stack = list(reversed(self._dependents[failed]))
        while stack:
            name = stack.pop()
            if name in self._done:
                continue
            self._finish(
                TaskResult(
                    self._tasks[name], State.SKIPPED, 0.0, self._action(name), because=failed
                )
            )
            stack += reversed(self._dependents[name])

    def _finish(self, ended: TaskResult) -> None:
        name = ended.task.action_id
        error = f"needs {ended.because}" if ended.because else None
        self._jobs.task_finished(
            self._job_id,
            name,
            ended.state,
            error=str(ended.error) if ended.error is not None else error,
            result=None if ended.result is None else asdict(ended.result),
        )
        self._done[name] = ended
        self._observer(TaskFinished(ended))

    async def _abandon(self) -> None:
        """End what runs after this run itself has failed or was cancelled, telling nobody."""
        self._observer = unobserved
        self.cancel()
        while self._running:
            name = await self._ended.get()
            with suppress(StateError):
                self._settle(name)
        with suppress(StateError):
            await self._run_tasks()
            self._jobs.finish(self._job_id, State.CANCELLED)

    def _result(self, seconds: float) -> JobResult:
        tasks = tuple(self._done[name] for name in self._tasks)
        states = {task.state for task in tasks}
        if states <= {State.SUCCEEDED}:
            state = State.SUCCEEDED
        else:
            state = State.CANCELLED if self._cancelled else State.FAILED
        return JobResult(self._job_id, self._plan.name, state, seconds, tasks)

    def _action(self, name: str) -> Any:
        return self._planned[name].action

    def _notices(self) -> Iterator[str]:
        self._jobs.mark_lost()
        for job in self._jobs.lost_since_last_run(self._plan.name):
            yield f"job {job.id} of this playbook was lost: the process that ran it is gone"
        for job in self._jobs.running(self._plan.name):
            yield f"job {job.id} of this playbook is still run by process {job.pid} on {job.host}"

    def report(self, task: Task, progress: Progress) -> None:
        """Pass progress on, unless the task has ended."""
        if task.action_id in self._running:
            self._observer(TaskProgress(task, progress))


@final
class _Reporter:
    """The progress callback of one task; may be called in any thread."""

    def __init__(self, runner: Runner, task: Task) -> None:
        self._runner = runner
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def __call__(self, progress: Progress) -> None:
        if threading.get_ident() == self._thread:
            self._runner.report(self._task, progress)
        else:
            self._loop.call_soon_threadsafe(self._runner.report, self._task, progress)


def _explained(error: BaseException) -> dict[str, Any]:
    if isinstance(error, GswarmError):
        return {"error": error}
    # A bug in one action must not take the others along; the log gets the traceback.
    message = f"unexpected {type(error).__name__}: {error}"
    hint = "this is a bug in gswarm; the job's log has the details"
    details = "".join(traceback.format_exception(error))
    return {"error": GswarmError(message, hint=hint), "details": details}


def _task(planned: PlannedAction) -> Task:
    return Task(planned.action_id, planned.action_type, planned.summary, planned.needs)


def _new_task(task: Task) -> NewTask:
    return NewTask(task.action_id, task.action_type, task.summary, task.needs)
