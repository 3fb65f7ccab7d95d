"""What a run tells its observer: the terminal, a log file, the TUI, a test.

Events come in the loop's thread, in order: `JobStarted`; for each task `TaskStarted`, any number of
`TaskProgress`, `TaskFinished` (a task that is skipped or cancelled before its turn only the last);
`JobFinished`. By the time an event arrives, the database says the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gswarm_tui.errors import EXIT_FAILED, EXIT_OK, EXIT_UNREACHABLE, GswarmError
from gswarm_tui.playbook.actions import Action
from gswarm_tui.progress import Progress
from gswarm_tui.state.jobs import State

EXIT_CANCELLED: Final = 130
"""What a shell shows for a program that Ctrl-C ended."""


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
        because: the task that did not succeed, where this one needed it and was skipped.
        details: a traceback, where the failure is a bug.
    """

    task: Task
    state: State
    seconds: float
    action: Action
    result: Any = None
    error: GswarmError | None = None
    because: str | None = None
    details: str | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended: succeeded, failed or cancelled. The tasks are in the order of the plan."""

    job_id: int
    name: str
    state: State
    seconds: float
    tasks: tuple[TaskResult, ...]

    @property
    def exit_code(self) -> int:
        """0 done, 130 cancelled, 3 a node could not be reached, else 1."""
        if self.state is State.SUCCEEDED:
            return EXIT_OK
        if self.state is State.CANCELLED:
            return EXIT_CANCELLED
        codes = {task.error.exit_code for task in self.tasks if task.error is not None}
        return EXIT_UNREACHABLE if EXIT_UNREACHABLE in codes else EXIT_FAILED


@dataclass(frozen=True, slots=True)
class JobStarted:
    """``notices`` are sentences about other runs of the same playbook."""

    job_id: int
    name: str
    description: str | None
    tasks: tuple[Task, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """``task.summary`` has the values that only came with the run."""

    task: Task


@dataclass(frozen=True, slots=True)
class TaskProgress:
    task: Task
    progress: Progress


@dataclass(frozen=True, slots=True)
class TaskFinished:
    result: TaskResult

    @property
    def task(self) -> Task:
        return self.result.task


@dataclass(frozen=True, slots=True)
class JobFinished:
    result: JobResult


Event: TypeAlias = JobStarted | TaskStarted | TaskProgress | TaskFinished | JobFinished
Observer: TypeAlias = Callable[[Event], None]


def unobserved(event: Event) -> None:
    """An observer for those who only want the result."""
