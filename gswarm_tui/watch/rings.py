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
    A series without a value for as long as any is kept makes room for another one.
    """

    def __init__(self) -> None:
        self._columns: dict[Hashable, int] = {}
        self._blocks: dict[Hashable, list[int]] = {}
        self._free: list[int] = []
        self._used: list[int] = []  # by column: the last minute in which it had a value
        self._ahead_s = 0
        self._told = -1  # the step that was written last; a clock may have been set back since
        self._seconds = _Rows(SECONDS)
        self._minutes = _Rows(MINUTES)

    @property
    def width(self) -> int:
        """Places for series, used and free."""
        return len(self._used)

    def columns(self, keys: Iterable[Hashable]) -> list[int]:
        """The places of series, for the next `put`."""
        return [self._column(key) for key in keys]

    def _column(self, key: Hashable) -> int:
        column = self._columns.get(key)
        if column is None:
            minute = self._seconds.newest // _MINUTE
            if self._free:
                column = self._free.pop()
                self._used[column] = minute
            else:
                column = len(self._used)
                self._used.append(minute)
            self._columns[key] = column
        return column

    def block(self, name: Hashable, keys: Callable[[], Iterable[Hashable]]) -> list[int]:
        """The places of series that are always put together, for the next `put`; seldom looked for.

        Args:
            name: of the block: the same for the same keys.
        """
        found = self._blocks.get(name)
        if found is None:
            found = self._blocks[name] = self.columns(keys())
        return found

    def put(self, time: float, columns: Sequence[int], values: Sequence[float | None]) -> None:
        """Remember a value for each of some places.

        A time that is older than all that is kept by the second is of a clock that was set back:
        then the series go on as if it had not been.
        """
        step, newest = self._step(time), self._seconds.newest
        if step <= newest - SECONDS:
            self._ahead_s += newest + 1 - step
            step = newest + 1
        ended = step // _MINUTE > newest // _MINUTE >= 0
        if ended:
            self._end_minute(newest // _MINUTE)
        row = self._seconds.open(step, len(self._used))
        self._told = step
        if row is None:  # before 1970
            return
        for column, value in zip(columns, values, strict=True):
            if value is not None:
                row[column] = value
        if ended:
            self._make_room(step // _MINUTE, set(columns))

    def _step(self, time: float) -> int:
        """The step of a time: a second by a clock that is never set back far."""
        return int(time) + self._ahead_s

    def _make_room(self, minute: int, in_use: set[int]) -> None:
        """Forget the series that have no value any more, with the blocks that they are in."""
        gone = {
            key
            for key, column in self._columns.items()
            if self._used[column] < minute - MINUTES and column not in in_use
        }
        if not gone:
            return
        freed = {self._columns.pop(key) for key in gone}
        self._free += freed
        self._blocks = {
            name: columns for name, columns in self._blocks.items() if freed.isdisjoint(columns)
        }

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
        for step, values in enumerate(rows, start=self._step(time) + 1 - len(rows)):
            _write(self._seconds.open(step, len(self._used)), columns, values)
            minutes.setdefault(step // _MINUTE, []).append(values)
        for minute, some in minutes.items():
            means = [_mean(values) for values in zip(*some, strict=True)]
            _write(self._minutes.open(minute, len(self._used)), columns, means)
        for column in columns:
            self._used[column] = max(self._used[column], self._step(time) // _MINUTE)
        self._told = self._step(time)

    def newest(self, key: Hashable) -> float | None:
        """The value in the second that was written last; None where it has none."""
        column = self._columns.get(key)
        if column is None:
            return None
        return _known(self._seconds.value(self._told, column))

    def seconds(self, key: Hashable, count: int, now: float) -> list[float | None]:
        """One value a second, the newest last; None where there was none."""
        column = self._columns.get(key)
        if column is None:
            return [None] * count
        end = self._step(now) + 1
        return [_known(self._seconds.value(s, column)) for s in range(end - count, end)]

    def minutes(self, key: Hashable, count: int, now: float) -> list[float | None]:
        """The mean of each minute, the newest last; None where there was no value."""
        column = self._columns.get(key)
        if column is None:
            return [None] * count
        end = self._step(now) // _MINUTE + 1
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
        kept = self._minutes.open(minute, len(self._used))
        if kept is not None:
            for column, values in enumerate(zip_longest(*rows, fillvalue=NOTHING)):
                mean = kept[column] = _mean(values)
                if mean == mean:
                    self._used[column] = minute


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
