"""What was before: ten minutes by the second and a day by the minute, in arrays of numbers.

There is a row for each second, and for each minute, with a place for each series: to remember a
picture of 2,048 GPUs is to fill one array. A series costs at most 8.2 kB, whatever its values: 600
and 1,440 floats of four bytes.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import zip_longest
from typing import Final, final

SECONDS: Final = 600
MINUTES: Final = 1440
NOTHING: Final = math.nan
"""Stands in the arrays where there was no value."""

_MINUTE: Final = 60


@final
class _Rows:
    """The newest `length` rows, by the number of their step since the epoch."""

    __slots__ = ("_length", "_rows", "_steps", "newest")

    def __init__(self, length: int) -> None:
        self._length = length
        self._rows: list[array[float]] = [array("f")] * length
        self._steps = [-1] * length
        self.newest = -1

    def open(self, step: int, width: int) -> array[float] | None:
        """The row of a step, at least so wide, to write to; None where it is too old."""
        if step <= self.newest - self._length or step < 0:
            return None
        place = step % self._length
        if self._steps[place] != step:
            self._rows[place] = array("f", [NOTHING]) * width
            self._steps[place] = step
            self.newest = max(self.newest, step)
        row = self._rows[place]
        if len(row) < width:
            row.extend([NOTHING] * (width - len(row)))
        return row

    def row(self, step: int) -> Sequence[float]:
        """The row of a step to read; empty where there is none."""
        place = step % self._length
        return self._rows[place] if self._steps[place] == step else ()

    def value(self, step: int, column: int) -> float:
        row = self.row(step)
        return row[column] if column < len(row) else NOTHING


@final
class History:
    """Series of numbers by what they are of: ``("node1", 0, "util_percent")``.

    Of several values in one second the last one is kept; a minute has the mean of its seconds.
    """

    def __init__(self) -> None:
        self._columns: dict[Hashable, int] = {}
        self._blocks: dict[Hashable, list[int]] = {}
        self._seconds = _Rows(SECONDS)
        self._minutes = _Rows(MINUTES)

    def columns(self, keys: Iterable[Hashable]) -> list[int]:
        """The places of series, for `put`; they stay the same."""
        return [self._columns.setdefault(key, len(self._columns)) for key in keys]

    def block(self, name: Hashable, keys: Callable[[], Iterable[Hashable]]) -> list[int]:
        """The places of series that are always put together, found once.

        Args:
            name: of the block: the same for the same keys.
        """
        found = self._blocks.get(name)
        if found is None:
            found = self._blocks[name] = self.columns(keys())
        return found

    def put(self, time: float, columns: Sequence[int], values: Sequence[float | None]) -> None:
        """Remember a value for each of some places; what is older than `SECONDS` is dropped."""
        step = int(time)
        if step // _MINUTE > self._seconds.newest // _MINUTE >= 0:
            self._end_minute(self._seconds.newest // _MINUTE)
        row = self._seconds.open(step, len(self._columns))
        if row is None:
            return
        for column, value in zip(columns, values, strict=True):
            if value is not None:
                row[column] = value

    def add(self, key: Hashable, time: float, value: float | None) -> None:
        """Remember one value."""
        self.put(time, self.columns((key,)), (value,))

    def fill(self, keys: Iterable[Hashable], time: float, rows: Sequence[Sequence[float]]) -> None:
        """Take what was before from elsewhere: a row of values a second, the last that of `time`.

        Args:
            keys: of the series, in the order of the values in each row.
        """
        columns = self.columns(keys)
        rows = rows[-SECONDS:]
        minutes: dict[int, list[Sequence[float]]] = {}
        for step, values in enumerate(rows, start=int(time) + 1 - len(rows)):
            _write(self._seconds.open(step, len(self._columns)), columns, values)
            minutes.setdefault(step // _MINUTE, []).append(values)
        for minute, some in minutes.items():
            means = [_mean(values) for values in zip(*some, strict=True)]
            _write(self._minutes.open(minute, len(self._columns)), columns, means)

    def seconds(self, key: Hashable, count: int, now: float) -> list[float | None]:
        """One value a second, the newest last; None where there was none."""
        column = self._columns.get(key)
        if column is None:
            return [None] * count
        end = int(now) + 1
        return [_known(self._seconds.value(s, column)) for s in range(end - count, end)]

    def minutes(self, key: Hashable, count: int, now: float) -> list[float | None]:
        """The mean of each minute, the newest last; None where there was no value."""
        column = self._columns.get(key)
        if column is None:
            return [None] * count
        end = int(now) // _MINUTE + 1
        return [self._minute(minute, column) for minute in range(end - count, end)]

    def _minute(self, minute: int, column: int) -> float | None:
        if minute != self._seconds.newest // _MINUTE:
            return _known(self._minutes.value(minute, column))
        steps = range(minute * _MINUTE, (minute + 1) * _MINUTE)  # it has not ended yet
        return _known(_mean([self._seconds.value(step, column) for step in steps]))

    def _end_minute(self, minute: int) -> None:
        """Keep the means of a minute that is over."""
        steps = range(minute * _MINUTE, (minute + 1) * _MINUTE)
        rows = [row for step in steps if (row := self._seconds.row(step))]
        kept = self._minutes.open(minute, len(self._columns))
        if kept is not None:
            for column, values in enumerate(zip_longest(*rows, fillvalue=NOTHING)):
                kept[column] = _mean(values)


def _write(row: array[float] | None, columns: Sequence[int], values: Sequence[float]) -> None:
    if row is not None:
        for column, value in zip(columns, values, strict=True):
            row[column] = value


def _mean(values: Sequence[float]) -> float:
    total = sum(values)
    if total == total:
        return total / len(values) if values else NOTHING
    known = [value for value in values if value == value]
    return sum(known) / len(known) if known else NOTHING


def _known(value: float) -> float | None:
    return None if value != value else value
