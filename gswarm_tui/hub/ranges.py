"""The ``Range`` header (RFC 9110, section 14), as far as a file server needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` to `stop`, without `stop`."""

    start: int
    stop: int


class UnsatisfiableError(Exception):
    """The range has no byte of the file: 416."""


def read_range(header: str | None, size: int) -> ByteRange | None:
    """The bytes that a ``Range`` header asks for; None for the whole file.

    Several ranges at once, and what is not understood, mean the whole file, as the RFC allows.

    Raises:
        UnsatisfiableError: the range lies outside of the file.
    """
    asked = _ONE_RANGE.fullmatch(header) if header else None
    if asked is None or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise UnsatisfiableError
    return ByteRange(start, stop)
