"""Sizes in bytes as people write them."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgtp", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgtp", 1)},
}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.ASCII)


def parse_size(text: str | int) -> int:
    """Bytes of ``500GB`` (10^9), ``1.5TiB`` (2^40) or a plain number.

    Raises:
        ValueError: it is no amount of bytes, or ``G`` alone, which could be either.
    """
    if isinstance(text, int):
        if isinstance(text, bool) or text < 0:
            raise ValueError(f"expected an amount of bytes such as 500GB, found {text}")
        return text
    match = _SIZE.fullmatch(text.strip().casefold())
    unit = match[2] if match else ""
    if match and unit in "kmgtp" and unit:
        pair = f"{unit.upper()}B (1000-based) or {unit.upper()}iB (1024-based)"
        raise ValueError(f"`{text}` could mean two things: write {pair}")
    if match is None or unit not in (*_UNITS, ""):
        raise ValueError(f"expected an amount of bytes such as 500GB or 1.5TiB, found {text!r}")
    return int(Decimal(match[1]) * _UNITS[unit or "b"])
