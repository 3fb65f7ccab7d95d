"""How the last run of each cron job went, also where it never came to be a job.

One small file for each in `Home.cron`: written when the run begins and again when it ends, so that
one that was killed is seen as such.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import final

from gswarm_tui import times
from gswarm_tui.errors import EXIT_CANCELLED, EXIT_FAILED, EXIT_OK, GswarmError, StateError
from gswarm_tui.processes import Process


@dataclass(frozen=True, slots=True)
class LastRun:
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


@final
class Note:
    """What is written down of the run of this process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run = LastRun(times.now(), Process.this())
        self._write()

    @property
    def has_ended(self) -> bool:
        return self._run.finished_at is not None

    def job(self, job_id: int) -> None:
        """It has come to be a job."""
        self._run = replace(self._run, job=job_id)
        self._write()

    def end(self, exit_code: int, error: str | None) -> None:
        self._run = replace(
            self._run, finished_at=times.now(), exit_code=exit_code, error=error or None
        )
        self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(f".{os.getpid()}")
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:  # noqa: PTH123 - with a mode
                json.dump(asdict(self._run), file)
            new.replace(self._path)
        except OSError as error:
            message = f"what runs cannot be noted: {error.strerror}"
            raise StateError(message, where=str(self._path)) from error


@contextmanager
def noted(folder: Path, name: str) -> Iterator[Note]:
    """Write down how the run called ``name`` goes; an error that leaves here is its end, and so is
    leaving without one.
    """
    note = Note(_path(folder, name))
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


def last(folder: Path, name: str) -> LastRun | None:
    """How the last run of that name went; None where none is known."""
    try:
        said = json.loads(_path(folder, name).read_text("utf-8"))
        return LastRun(**{**said, "process": Process.from_dict(said["process"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget(folder: Path, name: str) -> None:
    """A cron job is no more."""
    _path(folder, name).unlink(missing_ok=True)


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"
