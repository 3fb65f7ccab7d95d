"""The logs of jobs: one of the whole, and one of each attempt of each task.

::

    logs/job-17.log              what happened in job 17, a line each, with the time
    logs/job-17/fetch.1.log      the first attempt of `fetch`: its progress, what a command put out
                                 (as it came, byte by byte), its error, hint and traceback

Files and folders are for the user only. What stands in events is masked already.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, final

from gswarm_tui.jobs import lines, sentences
from gswarm_tui.jobs.events import (
    Event,
    JobStarted,
    Task,
    TaskFinished,
    TaskProgress,
    TaskResult,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.jobs.lines import Lines, Pace
from gswarm_tui.models.results import CommandResult
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State
from gswarm_tui.wording import clean

_PLAIN: Final = re.compile(r"[a-z0-9_-]")
_LONGEST_NAME: Final = 200
"""Bytes: file systems end at 255, and the attempt and the suffix follow."""
_TAIL: Final = 4096
_DATED: Final = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+[+-][\d:]+  (.*)")


def job_log(logs: Path, job_id: int) -> Path:
    """The log of a whole job."""
    return logs / f"job-{job_id}.log"


def attempt_log(logs: Path, job_id: int, action_id: str, attempt: int) -> Path:
    """The log of one attempt of a task; attempts are counted from 1."""
    return logs / f"job-{job_id}" / f"{file_name(action_id)}.{attempt}.log"


def file_name(action_id: str) -> str:
    """A file name for a task, a different one for each.

    Lower-case letters, digits, ``_`` and ``-`` stay; all else is percent-encoded, capitals too,
    because there are file systems that don't tell them apart. A very long one ends in a digest.
    """
    name = "".join(
        character
        if _PLAIN.fullmatch(character)
        else "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
        for character in action_id
    )
    if len(name) > _LONGEST_NAME:
        digest = sha256(action_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        name = f"{name[: _LONGEST_NAME - 33]}~{digest}"
    return name


def last_progress(path: Path) -> Progress | None:
    """What the log of an attempt says last of how far it is; None where that is nothing."""
    line = next((line for line in reversed(_last_lines(path)) if line.strip()), "")
    dated = _DATED.fullmatch(line)
    if dated is None:
        return Progress("running", output=line) if line else None
    phase, apart, rest = dated[1].partition("  ")
    return Progress(phase, message=rest or None) if apart else None


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


@final
class Log:
    """An observer that writes the logs of a job. Close it, or use it as a context manager.

    Args:
        folder: where they go; it is there.
        warn: is told, once, that a log cannot be written. A job goes on without.
    """

    def __init__(self, folder: Path, *, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn
        self._has_warned = False
        self._job_id = 0
        self._file: LogFile | None = None
        self._lines = Lines(self._append, clock=lines.date_and_time, is_log=True)
        self._attempts: dict[str, _Attempt] = {}

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for attempt in self._attempts.values():
            attempt.close()
        self._attempts.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, JobStarted):
            self._job_id = event.job_id
            self._file = self._open(job_log(self._folder, event.job_id))
        self._lines(event)
        self._tell_attempt(event)

    def cancelling(self) -> None:
        self._lines.cancelling()

    def leave(self) -> None:
        self._lines.leave()

    def _append(self, line: str) -> None:
        if self._file is not None:
            self._file.write(line + "\n")

    def _tell_attempt(self, event: Event) -> None:
        match event:
            case TaskStarted():
                self._begin(event.task, event.attempt)
            case TaskWaiting() if event.task.action_id in self._attempts and event.reason:
                self._attempts[event.task.action_id].line(event.reason)
            case TaskProgress() if event.task.action_id in self._attempts:
                self._attempts[event.task.action_id].progress(event.progress)
            case TaskRetrying() if event.task.action_id in self._attempts:
                attempt = self._attempts.pop(event.task.action_id)
                attempt.failed(event)
                attempt.close()
            case TaskFinished() if event.task.action_id in self._attempts:
                attempt = self._attempts.pop(event.task.action_id)
                attempt.ended(event.result)
                attempt.close()

    def _begin(self, task: Task, number: int) -> None:
        file = self._open(attempt_log(self._folder, self._job_id, task.action_id, number))
        if file is not None:
            attempt = self._attempts[task.action_id] = _Attempt(file)
            attempt.line(f"attempt {number}: {task.action_type} {task.summary}")

    def _open(self, path: Path) -> LogFile | None:
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            return LogFile(path, self._fail)
        except OSError as error:
            self._fail(path, error)
            return None

    def _fail(self, path: Path, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._warn(f"warning: no log is written any more: {path}: {error.strerror}")


@final
class _Attempt:
    """The log of one attempt."""

    def __init__(self, file: LogFile) -> None:
        self._file = file
        self._pace = Pace(lines.LINE_EVERY_S)
        self._is_at_line_start = True
        self._has_output = False

    def progress(self, progress: Progress) -> None:
        if progress.output:
            self._put_out(progress.output)
        if lines.is_told(progress) and self._pace.lets_through("", progress):
            self.line(lines.of_progress(progress))

    def failed(self, event: TaskRetrying) -> None:
        for line in _of_error(str(event.error), event.error.hint):
            self.line(line)
        self.line(lines.of_retry(event.attempt, event.error, event.delay_s).split("; ")[-1])

    def ended(self, result: TaskResult) -> None:
        done = result.result
        # A resumed job may get what the node had finished meanwhile, and never see it run.
        if isinstance(done, CommandResult) and done.output and not self._has_output:
            self._put_out(done.output)
        if result.state is not State.FAILED or result.error is None:
            self.line(sentences.state_and_ending(result))
            return
        for line in _of_error(str(result.error), result.error.hint):
            self.line(line)
        if result.details:
            self._file.write(result.details.rstrip("\n") + "\n")

    def _put_out(self, text: str) -> None:
        self._has_output = True
        self._file.write(text)
        self._is_at_line_start = text.endswith("\n")

    def line(self, text: str) -> None:
        begin = "" if self._is_at_line_start else "\n"
        text = clean(text, keep="\n").rstrip()
        self._file.write(f"{begin}{lines.date_and_time()}  {text}\n")
        self._is_at_line_start = True

    def close(self) -> None:
        self._file.close()


@final
class LogFile:
    """Takes text for the end of a file, for the user only, until that cannot be written.

    Args:
        fail: is told when it cannot; what comes after is dropped.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, fail: Callable[[Path, OSError], None]) -> None:
        self._path = path
        self._fail = fail
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor: int | None = os.open(path, flags, 0o600)

    def write(self, text: str) -> None:
        # Half a surrogate pair, which UTF-8 has no bytes for, becomes an escape.
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data and self._descriptor is not None:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            self._fail(self._path, error)
            self.close()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _of_error(text: str, hint: str | None) -> Iterator[str]:
    yield f"failed: {text}"
    if hint:
        yield f"hint: {hint}"
