"""Lengths of time in a playbook: seconds, or a text such as ``90s``, ``10m``, ``1h30m``."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema
from pydantic.config import JsonDict

_UNITS: Final = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(d|h|ms|m|s)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_IN_WORDS = re.compile(
    r"([0-9]+(?:\.[0-9]+)?)\s*(s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)",
    re.IGNORECASE,
)
_FORMS = "seconds, or a text such as 90s, 10m or 2h"


def seconds(written: Any, *, zero: bool = False) -> float:
    """Read a length of time.

    Args:
        zero: whether it may be nothing at all.

    Raises:
        ValueError: it is none.
    """
    if isinstance(written, bool) or not isinstance(written, str | int | float):
        raise ValueError(f"expected {_FORMS}")
    value = _of_text(written) if isinstance(written, str) else float(written)
    if not (0 < value < math.inf or (zero and value == 0)):
        least = "of zero or more" if zero else "above zero"
        found = written if isinstance(written, str) else f"{written:g}"
        raise ValueError(f"expected a time {least}, found {found}")
    return value


def _of_text(text: str) -> float:
    text = text.strip()
    if not _WHOLE.fullmatch(text):
        worded = _IN_WORDS.fullmatch(text)
        meant = f"{worded[1]}{worded[2][0].lower()}" if worded else _FORMS
        raise ValueError(f"{text!r:.60} is no length of time: write {meant}")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def _read(written: Any) -> Any:
    return written if written is None else seconds(written)


def _read_delay(written: Any) -> Any:
    return written if written is None else seconds(written, zero=True)


TEXT_PATTERN: Final = rf"^\s*(?:{_PART.pattern})+\s*$"

_TEXT: Final[JsonDict] = {"type": "string", "pattern": TEXT_PATTERN}
SCHEMA: Final[JsonDict] = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _TEXT]}
_DELAY_SCHEMA: Final[JsonDict] = {"anyOf": [{"type": "number", "minimum": 0}, _TEXT]}

Duration = Annotated[float, BeforeValidator(_read), WithJsonSchema(SCHEMA)]
"""A field that holds seconds, and is written in either way."""

Delay = Annotated[float, BeforeValidator(_read_delay), WithJsonSchema(_DELAY_SCHEMA)]
"""A `Duration` that may be zero."""
