"""What ended a task, in words for people."""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gswarm_tui import wording
from gswarm_tui.errors import GswarmError, TimedOutError

NOT_NEEDED = "its `when` is false"
"""Why a task was skipped that did not have to run: what needs it goes on."""


TOLD_S: Final = 0.5
"""What a run waits for another one, and not only starts, is at least this long."""

_OUTPUT_IS_IN: Final = "all that it wrote is in "


@dataclass(frozen=True, slots=True)
class Explained:
    """An error for the user; `details` is a traceback, where it is a bug of ours."""

    error: GswarmError
    details: str | None = None


def explain(error: BaseException, mask: Callable[[str], str]) -> Explained:
    """What an attempt raised, without secrets."""
    if isinstance(error, GswarmError):
        return Explained(_masked(error, mask))
    # A bug in one action must not take the others along; the log gets the traceback.
    message = mask(f"unexpected {type(error).__name__}: {error}")
    hint = "this is a bug in gswarm; the job's log has the details"
    details = mask("".join(traceback.format_exception(error)))
    return Explained(GswarmError(message, hint=hint), details)


def with_log(error: GswarmError, job_id: int, name: str) -> GswarmError:
    """The error of a task; where its hint is a place on the node, with one that is here."""
    if error.hint is not None and error.hint.startswith(_OUTPUT_IS_IN):
        error.hint += _log_here(job_id, name)
    return error


def without_log(hint: str, job_id: int, name: str) -> str:
    """A hint without what `with_log` has added, for who says that anyway."""
    return hint.removesuffix(_log_here(job_id, name))


def _log_here(job_id: int, name: str) -> str:
    return f"; here: gswarm job logs {job_id} {shlex.quote(name)}"


def job_timed_out(job_id: int, limit_s: float, spent_s: float) -> TimedOutError:
    """The end of a job by its time limit.

    Args:
        spent_s: what of that was over before it began.
    """
    before = f", of which {wording.duration(spent_s)} before it began" if spent_s >= TOLD_S else ""
    return TimedOutError(
        f"the job took longer than {wording.limit(limit_s)}{before}",
        hint=f"what ran was cancelled; gswarm job resume {job_id} --timeout TIME goes on from"
        " there, with that much time",
    )


def _masked(error: GswarmError, mask: Callable[[str], str]) -> GswarmError:
    # copy() would call the class with the message alone, and some want more.
    masked = type(error).__new__(type(error))
    masked.__dict__.update(error.__dict__)
    masked.message = mask(error.message)
    masked.where = None if error.where is None else mask(error.where)
    masked.hint = None if error.hint is None else mask(error.hint)
    masked.args = (masked.message,)
    return masked
