"""What a run tells its observer: the terminal, a log file, the TUI, a test.

Events come in the loop's thread, in order: `JobStarted`; for each task `TaskStarted`, any number of
`TaskProgress`, `TaskFinished` (a task that is skipped or cancelled before its turn only the last);
`JobFinished`. By the time an event arrives, the database says the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from gswarm_tui.errors import (
    EXIT_CANCELLED,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_TIMED_OUT,
    EXIT_UNREACHABLE,
    GswarmError,
)
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State

if TYPE_CHECKING:
    from gswarm_tui.playbook.actions import Action


@dataclass(frozen=True, slots=True)
class Task:
    """One action of a job."""

    action_id: str
    action_type: str
    summary: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a task ended.

    Args:
        state: succeeded, failed, skipped or cancelled.
        seconds: how long it ran; 0 where it did not.
        action: as it was run, as far as it was known.
        result: what it returned, where it succeeded.
        error: why it failed.
        because: why it was skipped: ``needs fetch, which failed``, ``its `when` is false``.
        details: a traceback, where the failure is a bug.
        attempt: the last one, from 1; 0 where none began.
        tolerated: it failed, and the playbook says that the job goes on (`on_failure: continue`).
    """

    task: Task
    state: State
    seconds: float
    action: Action
    result: Any = None
    error: GswarmError | None = None
    because: str | None = None
    details: str | None = None
    attempt: int = 0
    tolerated: bool = False


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended: succeeded, failed or cancelled. The tasks are in the order of the plan.

    Args:
        error: why it ended before its tasks did: its own time limit.
    """

    job_id: int
    name: str
    state: State
    seconds: float
    tasks: tuple[TaskResult, ...]
    error: GswarmError | None = None

    @property
    def exit_code(self) -> int:
        """A code of `gswarm_tui.errors`. Of several failures, the unreachable node counts first."""
        if self.state is State.SUCCEEDED:
            return EXIT_OK
        if self.state is State.CANCELLED:
            return EXIT_CANCELLED
        if self.error is not None:
            return self.error.exit_code
        codes = {
            task.error.exit_code
            for task in self.tasks
            if task.error is not None and not task.tolerated
        }
        for code in (EXIT_UNREACHABLE, EXIT_TIMED_OUT):
            if code in codes:
                return code
        return EXIT_FAILED


@dataclass(frozen=True, slots=True)
class JobStarted:
    """``notices`` are sentences about other runs of the same playbook.

    Args:
        done: the tasks that had ended before, where a job is resumed.
        ago_s: how long ago that was, where somebody begins to watch later.
    """

    job_id: int
    name: str
    description: str | None
    tasks: tuple[Task, ...]
    notices: tuple[str, ...]
    done: tuple[TaskResult, ...] = ()
    ago_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskWaiting:
    """A task could run but for ``reason``, a sentence; None when it waits no more."""

    task: Task
    reason: str | None


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """``task.summary`` has the values that only came with the run; ``attempt`` counts from 1.

    Args:
        ago_s: as in `JobStarted`.
    """

    task: Task
    attempt: int = 1
    ago_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskProgress:
    task: Task
    progress: Progress


@dataclass(frozen=True, slots=True)
class TaskRetrying:
    """An attempt failed by what can pass; the next one begins in ``delay_s`` seconds."""

    task: Task
    attempt: int
    error: GswarmError
    delay_s: float


@dataclass(frozen=True, slots=True)
class TaskFinished:
    result: TaskResult

    @property
    def task(self) -> Task:
        return self.result.task


@dataclass(frozen=True, slots=True)
class JobFinished:
    result: JobResult


Event: TypeAlias = (
    JobStarted
    | TaskWaiting
    | TaskStarted
    | TaskProgress
    | TaskRetrying
    | TaskFinished
    | JobFinished
)
Observer: TypeAlias = Callable[[Event], None]


def unobserved(event: Event) -> None:
    """An observer for those who only want the result."""
