"""Timestamps as they are written everywhere: ISO 8601 in UTC, with milliseconds.

``2026-11-21T03:00:00.000+00:00``; two of them compare as strings.
"""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """This moment."""
    return text(datetime.now(UTC))


def text(moment: datetime | float | str) -> str:
    """A moment as it is written.

    Args:
        moment: seconds since the epoch, a time with its zone, or one in ISO 8601 as nodes write it.

    Raises:
        ValueError, OverflowError, OSError: no year has it, or it is no time.
    """
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    elif not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
