"""A job as it runs: a tree on a terminal, lines with the time elsewhere, or JSON objects.

Each view is an observer of `gswarm_tui.jobs.events`. What comes from nodes or playbooks is
shown without markup and without characters that steer a terminal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol, final

from gswarm_tui import times
from gswarm_tui.cli import job_report, output
from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.jobs import Event, TaskResult
from gswarm_tui.jobs.events import (
    JobFinished,
    JobStarted,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.jobs.lines import Lines, Pace, date_and_time, time_of_day
from gswarm_tui.jobs.logs import Log, LogFile

_JSON_EVERY_S: Final = 1.0


class View(Protocol):
    """An observer that can also be told that the user wants to leave."""

    def __call__(self, event: Event) -> None: ...

    @property
    def near(self) -> frozenset[str]:
        """Tasks whose failure the reader has in view, in full: it need not be said again."""

    def cancelling(self) -> None:
        """The run was asked to end, and waits for what is being done on nodes."""

    def leave(self) -> None:
        """The process is about to end without any more ado: give the terminal back."""


@contextmanager
def open_view(
    *,
    as_json: bool,
    logs: Path | None,
    quiet: bool = False,
    log_file: Path | None = None,
    mask: Callable[[Any], Any] = lambda document: document,
) -> Iterator[View]:
    """The view that fits, and the logs of the job.

    Events as JSON are data, on stdout; what is for people to watch is on stderr.

    Args:
        logs: the folder of the job's own logs, see `gswarm_tui.jobs.logs`; None for a job that
            is only watched, and run by another process.
        quiet: show nothing; what failed is said at the end by whoever opened this.
        log_file: gets what the job's log gets, after what is there.
        mask: hides secrets in what is printed as JSON: results are in there as actions gave them.

    Raises:
        UsageError: ``log_file`` cannot be written.
    """
    with ExitStack() as stack:
        others: list[Lines | Log] = []
        if logs is not None:
            others.append(stack.enter_context(Log(logs, warn=output.say)))
        if log_file is not None:
            file = stack.enter_context(closing(_opened(log_file)))
            others.append(
                Lines(lambda line: file.write(f"{line}\n"), clock=date_and_time, is_log=True)
            )
        shown = Json(mask) if as_json else _shown(stack, quiet=quiet)
        yield Views(shown, *others)


def _shown(stack: ExitStack, *, quiet: bool) -> View:
    if quiet:
        return Nothing()
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from gswarm_tui.cli.job_tree import Tree

        return stack.enter_context(Tree())
    # Who watches has today's date at hand; cron's mail and a file have not.
    return Lines(output.say, clock=time_of_day if sys.stderr.isatty() else date_and_time)


@final
class Views:
    """What is shown, and what is written beside it."""

    def __init__(self, shown: View, *others: Lines | Log) -> None:
        self._shown = shown
        self._all: tuple[View | Lines | Log, ...] = (shown, *others)

    @property
    def near(self) -> frozenset[str]:
        return self._shown.near

    def __call__(self, event: Event) -> None:
        for view in self._all:
            view(event)

    def cancelling(self) -> None:
        for view in self._all:
            view.cancelling()

    def leave(self) -> None:
        for view in self._all:
            view.leave()


@final
class Nothing:
    """Shows nothing."""

    near: frozenset[str] = frozenset()

    def __call__(self, event: Event) -> None: ...

    def cancelling(self) -> None: ...

    def leave(self) -> None: ...


@final
class Json:
    """One JSON object a line, each with ``event`` and ``time``; docs/jobs.md has them all."""

    near: frozenset[str] = frozenset()

    def __init__(self, mask: Callable[[Any], Any]) -> None:
        self._mask = mask
        self._pace = Pace(_JSON_EVERY_S)

    def __call__(self, event: Event) -> None:
        match event:
            case JobStarted():
                self._write("job_started", **_beginning(event))
            case TaskWaiting():
                self._write("task_waiting", action_id=event.task.action_id, reason=event.reason)
            case TaskStarted():
                task = event.task
                self._write(
                    "task_started",
                    action_id=task.action_id,
                    action_type=task.action_type,
                    summary=task.summary,
                    attempt=event.attempt,
                    ago_s=round(event.ago_s, 3),
                )
            case TaskProgress():
                name, progress = event.task.action_id, event.progress
                # What a command wrote comes once: it is all passed on.
                if progress.output is not None or self._pace.lets_through(name, progress):
                    self._write("task_progress", action_id=name, **asdict(progress))
            case TaskRetrying():
                self._write(
                    "task_retrying",
                    action_id=event.task.action_id,
                    attempt=event.attempt,
                    error=error_fields(event.error),
                    delay_s=round(event.delay_s, 3),
                )
            case TaskFinished():
                self._write("task_finished", **_task(event.result))
            case JobFinished():
                self._write("job_finished", **_job(event))

    def cancelling(self) -> None:
        self._write("cancelling")

    def leave(self) -> None:
        pass

    def _write(self, event: str, **fields: Any) -> None:
        print_event(event, **self._mask(fields))


def print_event(event: str, **fields: Any) -> None:
    """Print one JSON object as `Json` does."""
    line = json.dumps({"event": event, "time": times.now(), **fields})
    # Whoever reads the events should see each one when it happens.
    with output.writing():
        print(line, flush=True)  # noqa: T201


def _opened(path: Path) -> LogFile:
    def fail(path: Path, error: OSError) -> None:
        output.say(f"warning: {path}: no log is written any more: {error.strerror}")

    try:
        return LogFile(path, fail)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path)) from None


def _beginning(event: JobStarted) -> dict[str, Any]:
    return {
        "job": event.job_id,
        "name": event.name,
        "description": event.description,
        "tasks": [asdict(task) for task in event.tasks],
        "done": [_task(result) for result in event.done],
        "notices": event.notices,
        "ago_s": round(event.ago_s, 3),
    }


def _task(result: TaskResult) -> dict[str, Any]:
    return {
        "action_id": result.task.action_id,
        "action_type": result.task.action_type,
        "state": result.state,
        "attempt": result.attempt,
        "seconds": round(result.seconds, 3),
        "result": None if result.result is None else asdict(result.result),
        "error": None if result.error is None else error_fields(result.error),
        "because": result.because,
        "tolerated": result.tolerated,
    }


def _job(event: JobFinished) -> dict[str, Any]:
    result = event.result
    fields = {
        "job": result.job_id,
        "name": result.name,
        "state": result.state,
        "seconds": round(result.seconds, 3),
        "exit_code": result.exit_code,
        "error": None if result.error is None else error_fields(result.error),
        "models": None,
        "services": None,
    }
    # Who only watches a job does not know its actions, and so not what it has left where.
    if all(task.action is not None for task in result.tasks):
        outcome = job_report.outcome_of(result)
        fields["models"] = [{"model": model, "device": at} for model, at in outcome.copies]
        fields["services"] = [asdict(service) for service in outcome.services]
    return fields


def error_fields(error: GswarmError) -> dict[str, Any]:
    """An error as it stands in events."""
    return {
        "message": error.message,
        "where": error.where,
        "hint": error.hint,
        "kind": error.kind,
    }
