"""How amounts, times and texts from elsewhere are written on a terminal and in a log."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from gswarm_tui.progress import Progress

NOTHING = "-"
"""What is shown where there is no value: unsupported, unknown, not there."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def clean(text: str, *, keep: str = "") -> str:
    """`text` without characters that steer a terminal (controls and direction overrides)."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character in keep
        or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else "�"
        for character in text
    )


def first_line(text: str) -> str:
    """What a table or a sentence has room for; the rest stands elsewhere."""
    return text.partition("\n")[0]


def size(count: float | None) -> str:
    """Bytes in SI units, three digits: ``13.9 GB``."""
    if count is None:
        return NOTHING
    value = float(count)
    for unit in _UNITS:
        if abs(value) < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    digits = 0 if unit == "B" or abs(value) >= 99.95 else 1
    return f"{value:.{digits}f} {unit}"


def power(watts: float) -> str:
    """``72 W``, ``1.7 kW``."""
    return f"{watts:.0f} W" if watts < 999.5 else f"{watts / 1000:.1f} kW"


def labels(pairs: Iterable[tuple[str, str]]) -> str:
    """``rack=r1 fast``: of a label without a value the name."""
    return " ".join(f"{name}={value}" if value else name for name, value in pairs)


def duration(seconds: float | None) -> str:
    """``12 ms``, ``3.2 s``, ``4 min 10 s``, ``2 h 5 min``, ``3 d 2 h``.

    What a clock that was set back makes negative took no time.
    """
    if seconds is None:
        return NOTHING
    if seconds < 0:
        return "0 s"
    if seconds < 0.095:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def roughly(seconds: float | None) -> str:
    """A length of time to no more digits than one reads: ``0.4 s``, ``42 s``, ``4 min 10 s``."""
    if seconds is not None and (seconds == 0 or 0.95 <= seconds < 60):
        return f"{seconds:.0f} s"
    return duration(seconds)


def limit(seconds: float) -> str:
    """A time that somebody has set, as exactly as it was: ``3 s``, ``0.25 s``, ``1 min 30.5 s``."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds, 3), 60)
    whole, minutes = divmod(int(minutes), 60)
    days, hours = divmod(whole, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (round(rest, 3), "s"))
    return " ".join(f"{count:g} {unit}" for count, unit in parts if count)


def estimate(seconds: float, *, moves: bool) -> str:
    """What of the time that a playbook takes is known before: that of its bytes.

    Args:
        moves: whether they are moved; else they are only read, to verify them.
    """
    does = "moving" if moves else "reading"
    return f"{does} bytes takes about {duration(seconds)}, as fast as earlier runs"


def number_of(count: int, noun: str) -> str:
    """``1 node``, ``3 nodes``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def few(names: Sequence[str], most: int) -> str:
    """Names in a row, no more of them than `most`: ``a, b and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _tells(report: Progress) -> bool:
    """Whether the rate says something yet: at the very beginning it is noise."""
    return not report.total or (report.done or 0) * 50 >= report.total


def describe(report: Progress) -> str:
    """``1.2 GB of 13.9 GB, 310 MB/s, 41 s left``, or as much of it as is known."""
    facts = []
    if report.done is not None:
        facts.append(size(report.done))
    if report.total is not None:
        facts[-1:] = [f"{size(report.done or 0)} of {size(report.total)}"]
    if report.rate and _tells(report):
        facts.append(f"{size(report.rate)}/s")
        if report.total is not None and report.done is not None:
            facts.append(f"{roughly(max(report.total - report.done, 0) / report.rate)} left")
    if report.message:
        facts.append(clean(report.message))
    return ", ".join(facts)
