"""A job as it runs: a tree on a terminal, lines with the time elsewhere, or JSON objects.

Each view is an observer of `gswarm_tui.playbook.events`. What comes from nodes or playbooks is
shown without markup and without characters that steer a terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol, final

from gswarm_tui.cli import job_report, output
from gswarm_tui.errors import GswarmError
from gswarm_tui.playbook import Event
from gswarm_tui.playbook.events import (
    JobFinished,
    JobStarted,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from gswarm_tui.progress import Progress
from gswarm_tui.wording import describe

_LINE_EVERY_S: Final = 5.0
_JSON_EVERY_S: Final = 1.0


class View(Protocol):
    """An observer that can also be told that the user wants to leave."""

    def __call__(self, event: Event) -> None: ...

    def cancelling(self) -> None:
        """The run was asked to end, and waits for what is being done on nodes."""

    def leave(self) -> None:
        """The process is about to end without any more ado: give the terminal back."""


@contextmanager
def open_view(*, as_json: bool, logs: Path) -> Iterator[View]:
    """The view that fits, and a log file of the job in the folder ``logs``.

    Events as JSON are data, on stdout; what is for people to watch is on stderr.
    """
    with Log(logs) as log:
        if as_json:
            yield Several(Json(), log)
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from gswarm_tui.cli.job_tree import Tree

            with Tree() as tree:
                yield Several(tree, log)
        else:
            yield Several(Lines(output.say, clock=_time_of_day), log)


@final
class Several:
    """Views that are told the same."""

    def __init__(self, *views: View) -> None:
        self._views = views

    def __call__(self, event: Event) -> None:
        for view in self._views:
            view(event)

    def cancelling(self) -> None:
        for view in self._views:
            view.cancelling()

    def leave(self) -> None:
        for view in self._views:
            view.leave()


@final
class Pace:
    """Lets a task's progress through when it says something new, else every few seconds.

    A number that changes is nothing new: it may count the seconds.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._last: dict[str, tuple[float, str, str]] = {}

    def lets_through(self, action_id: str, progress: Progress) -> bool:
        now = time.monotonic()
        at, *said = self._last.get(action_id, (0.0, "", ""))
        says = [progress.phase, re.sub(r"\d+", "", progress.message or "")]
        if said == says and now - at < self._every_s:
            return False
        self._last[action_id] = (now, says[0], says[1])
        return True


@final
class Lines:
    """A line for each thing that happens, with the time in front.

    Args:
        write: takes a line, without its end.
        clock: gives the time as it is written.
        is_log: also write tracebacks, and how the job ended, which a user is told after the report.
    """

    def __init__(
        self, write: Callable[[str], None], *, clock: Callable[[], str], is_log: bool = False
    ) -> None:
        self._write = write
        self._clock = clock
        self._is_log = is_log
        self._pace = Pace(_LINE_EVERY_S)

    def __call__(self, event: Event) -> None:
        match event:
            case JobStarted():
                for notice in event.notices:
                    self._line(notice)
                count = job_report.tasks(len(event.tasks))
                self._line(f"job {event.job_id}: {event.name}, {count}")
            case TaskStarted():
                task = event.task
                self._line(f"{task.action_id}: {task.action_type} {task.summary}")
            case TaskProgress():
                if self._pace.lets_through(event.task.action_id, event.progress):
                    facts = describe(event.progress)
                    self._line(f"{event.task.action_id}: {event.progress.phase}  {facts}")
            case TaskFinished():
                result = event.result
                self._line(f"{event.task.action_id}: {job_report.state_and_ending(result)}")
                if self._is_log and result.details:
                    self._write(output.clean(result.details, keep="\n"))
            case JobFinished() if self._is_log:
                self._line(f"job {event.result.job_id}: {job_report.verdict(event.result)}")

    def cancelling(self) -> None:
        self._line("cancelling what runs; Ctrl-C again leaves at once")

    def leave(self) -> None:
        self._line("left without waiting for what runs")

    def _line(self, text: str) -> None:
        self._write(f"{self._clock()}  {output.clean(text).rstrip()}")


@final
class Json:
    """One JSON object a line, each with ``event`` and ``time``."""

    def __init__(self) -> None:
        self._pace = Pace(_JSON_EVERY_S)

    def __call__(self, event: Event) -> None:
        match event:
            case JobStarted():
                tasks = [asdict(task) for task in event.tasks]
                self._write(
                    "job_started",
                    job=event.job_id,
                    name=event.name,
                    description=event.description,
                    tasks=tasks,
                    notices=event.notices,
                )
            case TaskStarted():
                self._write("task_started", action_id=event.task.action_id)
            case TaskProgress():
                if self._pace.lets_through(event.task.action_id, event.progress):
                    progress = asdict(event.progress)
                    self._write("task_progress", action_id=event.task.action_id, **progress)
            case TaskFinished():
                self._write("task_finished", **_task(event))
            case JobFinished():
                self._write("job_finished", **_job(event))

    def cancelling(self) -> None:
        self._write("cancelling")

    def leave(self) -> None:
        pass

    def _write(self, event: str, **fields: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        _print(json.dumps({"event": event, "time": now, **fields}))


@final
class Log:
    """A file for each job, ``job-12.log``, readable by the user only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[str] | None = None
        self._lines = Lines(self._append, clock=_date_and_time, is_log=True)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __call__(self, event: Event) -> None:
        if isinstance(event, JobStarted):
            self._open(self._folder / f"job-{event.job_id}.log")
        self._lines(event)

    def cancelling(self) -> None:
        self._lines.cancelling()

    def leave(self) -> None:
        self._lines.leave()

    def _open(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            output.say(f"warning: no log is written: {path}: {error.strerror}")
        else:
            self._file = os.fdopen(descriptor, "w", buffering=1, encoding="utf-8")

    def _append(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line + "\n")
        except OSError as error:
            output.say(f"warning: the log ends here: {error.strerror}")
            self._file = None


def _task(event: TaskFinished) -> dict[str, Any]:
    result = event.result
    return {
        "action_id": event.task.action_id,
        "action_type": event.task.action_type,
        "state": result.state,
        "seconds": round(result.seconds, 3),
        "result": None if result.result is None else asdict(result.result),
        "error": None if result.error is None else error_fields(result.error),
        "because": result.because,
    }


def _job(event: JobFinished) -> dict[str, Any]:
    result = event.result
    outcome = job_report.outcome_of(result)
    return {
        "job": result.job_id,
        "name": result.name,
        "state": result.state,
        "seconds": round(result.seconds, 3),
        "exit_code": result.exit_code,
        "models": [{"model": model, "device": device} for model, device in outcome.copies],
        "services": [asdict(service) for service in outcome.services],
    }


def error_fields(error: GswarmError) -> dict[str, Any]:
    return {"message": error.message, "where": error.where, "hint": error.hint}


def _print(line: str) -> None:
    # Whoever reads the events should see each one when it happens.
    print(line, flush=True)  # noqa: T201


def _time_of_day() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")


def _date_and_time() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
