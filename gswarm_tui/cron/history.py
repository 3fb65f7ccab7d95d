"""How the runs of each cron job went, also those that never came to be a job.

One small file for each run in a folder for each name in `Home.cron`: written when the run begins
and again when it ends, so that one that was killed is seen as such, and that two at once do not
write over each other.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, final

from gswarm_tui import times
from gswarm_tui.errors import (
    EXIT_CANCELLED,
    EXIT_FAILED,
    EXIT_LOCKED,
    EXIT_OK,
    EXIT_TIMED_OUT,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    GswarmError,
    StateError,
)
from gswarm_tui.processes import Process

KEPT: Final = 200
"""Runs of each name, the newest."""

_HALF_WRITTEN_S: Final = 3600.0
"""So old, a file that is being written is one whose writer was killed."""

ENDINGS: Final[Mapping[int, str]] = {
    EXIT_OK: "succeeded",
    EXIT_USAGE: "refused",
    EXIT_UNREACHABLE: "failed",
    EXIT_LOCKED: "locked out",
    EXIT_TIMED_OUT: "timed out",
    EXIT_CANCELLED: "cancelled",
}
"""How a run went, by its exit code; any other is ``failed``."""


@dataclass(frozen=True, slots=True)
class CronRun:
    """A run that cron started; times are ISO 8601 in UTC.

    Args:
        finished_at: None while it runs, and where it was killed.
        job: None where it did not come to that.
        error: why it failed or was skipped, in a sentence.
    """

    started_at: str
    process: Process
    finished_at: str | None = None
    exit_code: int | None = None
    job: int | None = None
    error: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self.finished_at is None and self.process.is_alive

    @property
    def went(self) -> str:
        """How it ended, in a word or two; ``running`` while it has not."""
        if self.is_running:
            return "running"
        if self.exit_code is None:
            return "lost"
        if self.exit_code == EXIT_OK and self.error is not None:
            return "skipped"
        return ENDINGS.get(self.exit_code, "failed")

    @property
    def why(self) -> str | None:
        """Why it did not do what it was to do, in a sentence."""
        if self.went == "lost":
            return "it did not come to its end: its process is gone"
        return self.error


@final
class Note:
    """What is written down of the run of this process."""

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._run = CronRun(times.now(), Process.this())
        self._path = folder / f"{self._run.started_at}-{secrets.token_hex(4)}.json"
        self._warn = warn
        self._write()

    @property
    def has_ended(self) -> bool:
        return self._run.finished_at is not None

    def job(self, job_id: int) -> None:
        """It has come to be a job."""
        self._run = replace(self._run, job=job_id)
        self._write_again()

    def end(self, exit_code: int, error: str | None) -> None:
        self._run = replace(
            self._run, finished_at=times.now(), exit_code=exit_code, error=error or None
        )
        self._write_again()

    def _write_again(self) -> None:
        """Write what is new; the run goes on, and ends, as it does without that."""
        try:
            self._write()
        except StateError as error:
            if not isinstance(error.__cause__, FileNotFoundError):  # `forget` is no failure
                self._warn(str(error))

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 - with a mode
                json.dump(asdict(self._run), file)
            new.replace(self._path)
        except OSError as error:
            message = f"what runs cannot be noted: {error.strerror}"
            raise StateError(message, where=str(self._path)) from error


@contextmanager
def noted(
    folder: Path, name: str, *, warn: Callable[[str], None] = lambda said: None
) -> Iterator[Note]:
    """Write down how the run called ``name`` goes; an error that leaves here is its end, and so is
    leaving without one.

    Args:
        folder: `Home.cron`; the same in the other functions.
        warn: is told why something of a run that has begun cannot be written.

    Raises:
        StateError: its beginning cannot be written.
    """
    try:
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        message = f"what runs cannot be noted: {error.strerror}"
        raise StateError(message, where=str(folder / name)) from error
    _prune(folder, name)
    note = Note(folder / name, warn)
    try:
        yield note
        if not note.has_ended:
            note.end(EXIT_OK, None)
    except GswarmError as error:
        note.end(error.exit_code, str(error))
        raise
    except KeyboardInterrupt:
        note.end(EXIT_CANCELLED, "interrupted")
        raise
    except Exception as error:
        note.end(EXIT_FAILED, f"unexpected {type(error).__name__}: {error}")
        raise


def names(folder: Path) -> list[str]:
    """The names of which a run is known."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def runs(folder: Path, name: str) -> Iterator[CronRun]:
    """The runs of that name that are known, the newest first."""
    for path in _newest_first(folder, name):
        with suppress(OSError, ValueError, TypeError, KeyError):  # another gswarm's, or half a one
            said = json.loads(path.read_text("utf-8"))
            yield CronRun(**{**said, "process": Process.from_dict(said["process"])})


def last(folder: Path, name: str) -> CronRun | None:
    """How the last run of that name went; None where none is known."""
    return next(runs(folder, name), None)


def forget(folder: Path, name: str) -> None:
    """A cron job is no more; a run of it that is under way goes on, and is noted no more."""
    shutil.rmtree(folder / name, ignore_errors=True)


def _prune(folder: Path, name: str) -> None:
    """Make room for one more run, and remove what one that was killed had half written."""
    with suppress(OSError):
        for path in _newest_first(folder, name)[KEPT - 1 :]:
            path.unlink(missing_ok=True)
        for path in (folder / name).glob("*.new"):
            if time.time() - path.stat().st_mtime > _HALF_WRITTEN_S:
                path.unlink(missing_ok=True)


def _newest_first(folder: Path, name: str) -> list[Path]:
    # Names begin with the moment, and moments compare as texts.
    return sorted((folder / name).glob("*.json"), reverse=True)
