"""Progress, as all long work reports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """One report.

    Args:
        phase: what is being done, in a word: ``download``, ``verify``, ``copy``, ``load``.
        done: bytes so far, where the work is counted in bytes.
        total: bytes in all, where known.
        rate: bytes a second over the last seconds, where known.
        message: a short sentence, where there is more to say than the phase.
        output: what a command has written since the last report, where it is one.
    """

    phase: str
    done: int | None = None
    total: int | None = None
    rate: float | None = None
    message: str | None = None
    output: str | None = None


ProgressCallback = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """A callback for callers who do not want to know."""


def from_wire(report: Mapping[str, Any]) -> Progress:
    """A helper's progress report."""
    return Progress(
        phase=str(report.get("phase") or "working"),
        done=report.get("done"),
        total=report.get("total"),
        rate=report.get("rate"),
        message=report.get("message"),
        output=report.get("output"),
    )
