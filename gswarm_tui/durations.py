"""Durations as people write them, in files and on the command line."""

from __future__ import annotations

import math
import re
from typing import Any, Final

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART: Final = r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)"
# 0300 may have been meant as octal, or as a time of day.
_NUMBER: Final = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_WORDED: Final = re.compile(
    r"([0-9]+(?:\.[0-9]+)?)\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\s*",
    re.IGNORECASE | re.ASCII,
)
_IN_WORDS: Final = re.compile(rf"(?:{_WORDED.pattern})+", _WORDED.flags)

PATTERN: Final = rf"^\s*(?:{_NUMBER}|(?:{_PART})+)\s*$"
"""What a text that is a length of time looks like, as JSON Schema and `re` both read it."""


def parse(written: Any) -> float:
    """Seconds of ``90s``, ``1.5h``, ``1h30m``, or of a number, which is seconds, also as text.

    The units are ms, s, m, h and d; zero is a length of time, less is not.

    Raises:
        ValueError: it is no length of time; a sentence that says what is expected.
    """
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        raise _unexpected(written)
    try:
        seconds = _of_text(written) if isinstance(written, str) else float(written)
    except OverflowError:  # a whole number may have any number of digits
        seconds = math.inf
    if not 0 <= seconds < math.inf:
        raise _unexpected(written)
    return seconds


def parse_limit(written: Any) -> float:
    """Like `parse`, of how long something may take.

    Raises:
        ValueError: it is no length of time, or zero.
    """
    seconds = parse(written)
    if seconds == 0:
        raise ValueError("a time limit of 0 would end everything at once; for none, leave it out")
    return seconds


def _of_text(text: str) -> float:
    if not re.match(PATTERN, text, re.ASCII):
        if _IN_WORDS.fullmatch(text):
            meant = "".join(f"{number}{unit[0].lower()}" for number, unit in _WORDED.findall(text))
            raise ValueError(f"{text!r:.60} is no length of time: write {meant:.60}")
        raise _unexpected(text)
    parts = re.findall(_PART, text, re.ASCII)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else float(text)


def _unexpected(found: object) -> ValueError:
    return ValueError(
        f"expected a length of time such as 90s, 10m or 2h (or seconds), found {found!r:.60}"
    )
