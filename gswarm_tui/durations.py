"""Lengths of time as people write them."""

from __future__ import annotations

import math
import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|min|s|m|h|d)", re.ASCII)
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)


def parse(text: str | float) -> float:
    """Seconds of ``90s``, ``1.5h``, ``1h 30m`` or a plain number, which is seconds.

    The units are ms, s, m (or min), h and d; zero is a length of time, less is not.

    Raises:
        ValueError: it is no length of time; a sentence that says what is expected.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise _unexpected(text)
    if not isinstance(text, str):
        if not 0 <= text < math.inf:
            raise _unexpected(text)
        return float(text)
    plain = text.strip().casefold()
    if _NUMBER.fullmatch(plain):
        return float(plain)
    parts = _PART.findall(plain)
    if not parts or _PART.sub("", plain).strip():
        raise _unexpected(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _unexpected(found: object) -> ValueError:
    return ValueError(
        f"expected a length of time such as 90s, 10m or 2h (or seconds), found {found!r}"
    )
