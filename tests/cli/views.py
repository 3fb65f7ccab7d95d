"""A short job, as its observers are told of it: one event of each kind."""

from __future__ import annotations

from typing import Any, cast

from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs import Event, JobResult, TaskResult
from gswarm_tui.jobs.events import (
    JobFinished,
    JobStarted,
    Task,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State

NO_ACTION = cast(Any, None)
TASK = Task("make", "command", "make \x1b[2J on node1", ())
ERROR = GswarmError("no", where="n", hint="h")
RESULT = TaskResult(TASK, State.FAILED, 1.0, NO_ACTION, error=ERROR, attempt=2)

EVENTS: tuple[Event, ...] = (
    JobStarted(7, "demo", None, (TASK,), ()),
    TaskWaiting(TASK, "waiting for node1:gpu0"),
    TaskStarted(TASK),
    TaskProgress(TASK, Progress("running", output="some text\n")),
    TaskRetrying(TASK, 1, ERROR, 2.0),
    TaskStarted(TASK, 2),
    TaskFinished(RESULT),
    JobFinished(JobResult(7, "demo", State.FAILED, 3.0, (RESULT,))),
)
