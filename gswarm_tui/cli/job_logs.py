"""`gswarm job logs`: the log of a job, or of one attempt of a task, once or as it grows."""

from __future__ import annotations

import codecs
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gswarm_tui.cli import output
from gswarm_tui.cli.history import History
from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.jobs import logs
from gswarm_tui.state.records import JobRecord
from gswarm_tui.state.states import State

POLL_S: Final = 0.2
_CHUNK: Final = 1 << 16


def path_of(
    history: History, job: JobRecord, action_id: str | None, attempt: int | None
) -> tuple[Path, bool]:
    """The file that is meant, and whether it is there.

    Raises:
        UsageError: there is no such task or attempt.
    """
    folder = history.home.logs
    if action_id is None:
        if attempt is not None:
            raise UsageError("--attempt is of a task", hint=f"gswarm job logs {job.id} TASK")
        path = logs.job_log(folder, job.id)
        return path, path.exists()
    task = history.task(job, action_id)
    if attempt is not None and not 1 <= attempt <= task.attempt:
        count = f"{task.attempt} attempts" if task.attempt != 1 else "1 attempt"
        raise UsageError(f"{action_id} of job {job.id} has had {count} so far")
    path = logs.attempt_log(folder, job.id, action_id, attempt or max(task.attempt, 1))
    return path, path.exists()


def show(path: Path, *, what: str) -> None:
    """Print a log.

    Raises:
        GswarmError: it is not there, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            text = _Text()
            while chunk := os.read(file.fileno(), _CHUNK):
                text.show(chunk)
            text.end()
    except FileNotFoundError:
        hint = "it has not begun, or the log was removed; gswarm job show tells more"
        raise GswarmError(f"{what} has no log", where=str(path), hint=hint) from None
    except OSError as error:
        raise GswarmError(f"the log cannot be read: {error.strerror}", where=str(path)) from None


def follow(
    find: Callable[[], tuple[Path, bool]],
    is_over: Callable[[], bool],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Print a log as it grows, until the job is over; goes on with the next attempt's.

    Args:
        find: the file, and whether it is there by now.
    """
    shown: Path | None = None
    descriptor = -1
    text = _Text()
    try:
        while True:
            over = is_over()  # first: what is written before that is still read
            path, there = find()
            if there and path != shown:
                if descriptor >= 0:
                    _drain(descriptor, text)
                    os.close(descriptor)
                descriptor, shown = os.open(path, os.O_RDONLY | os.O_CLOEXEC), path
            if descriptor >= 0:
                _drain(descriptor, text)
            if over:
                return
            output.flush()
            sleep(POLL_S)
    finally:
        text.end()
        if descriptor >= 0:
            os.close(descriptor)


def is_over(history: History, job: JobRecord) -> bool:
    """Whether nothing is going to be written to a job's logs."""
    history.jobs.mark_lost()
    now = history.jobs.get(job.id)
    return now is None or now.state not in (State.PENDING, State.RUNNING)


def _drain(descriptor: int, text: _Text) -> None:
    while chunk := os.read(descriptor, _CHUNK):
        text.show(chunk)


class _Text:
    """Prints bytes as they come, without what could steer a terminal."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ends_in_return = False
        self._is_at_line_start = True

    def show(self, chunk: bytes) -> None:
        text = self._decoder.decode(chunk)
        if self._ends_in_return:
            text = "\r" + text
        # A carriage return may be the half of a line's end: the rest is in the next chunk.
        self._ends_in_return = text.endswith("\r")
        text = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        if text:
            output.show_part(text)
            self._is_at_line_start = text.endswith("\n")

    def end(self) -> None:
        if not self._is_at_line_start:
            output.show_part("\n")
            self._is_at_line_start = True
