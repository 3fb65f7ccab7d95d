"""What was before: ten minutes by the second and a day by the minute, in arrays of numbers.

A series costs 8.2 kB, whatever its values: 600 and 1,440 floats of four bytes. 256 nodes with eight
GPUs and four series each are 67 MB.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Hashable, Sequence
from typing import Final, final

SECONDS: Final = 600
MINUTES: Final = 1440
NOTHING: Final = math.nan
"""Stands in the arrays where there was no value."""


@final
class Ring:
    """The last values of something, one each `step_s` seconds; the mean where there were more.

    Args:
        length: how many values are kept.
    """

    __slots__ = ("_count", "_length", "_slot", "_step_s", "_values")

    def __init__(self, length: int, step_s: float) -> None:
        self._length = length
        self._step_s = step_s
        self._values = array("f", [NOTHING]) * length
        self._slot = 0
        """The number of the newest step since the epoch; 0 before the first value."""
        self._count = 0
        """How many values the newest step is the mean of."""

    def add(self, time: float, value: float | None) -> None:
        """Note a value; one that is older than the newest step is dropped."""
        slot = int(time // self._step_s)
        if slot > self._slot:
            if self._slot:
                for missing in range(self._slot + 1, min(slot, self._slot + self._length + 1)):
                    self._values[missing % self._length] = NOTHING
            self._slot, self._count = slot, 0
            self._values[slot % self._length] = NOTHING
        elif slot < self._slot:
            return
        if value is None:
            return
        place = slot % self._length
        before = 0.0 if self._count == 0 else self._values[place]
        self._count += 1
        self._values[place] = before + (value - before) / self._count

    def fill(self, time: float, values: Sequence[float]) -> None:
        """Take one value a step, the last one that of `time`; what was there is gone."""
        slot = int(time // self._step_s)
        newest = values[-self._length :]
        self._values = array("f", [NOTHING]) * self._length
        for place, value in enumerate(newest, start=slot - len(newest) + 1):
            self._values[place % self._length] = value
        self._slot, self._count = slot, 1

    def last(self, count: int, now: float) -> list[float | None]:
        """The `count` newest steps up to `now`, the newest last; None where there was no value."""
        end = int(now // self._step_s)
        found: list[float | None] = []
        for slot in range(end - count + 1, end + 1):
            known = self._slot - self._length < slot <= self._slot
            value = self._values[slot % self._length] if known else NOTHING
            found.append(None if math.isnan(value) else value)
        return found


@final
class History:
    """Rings by what they are of: ``("node1", 0, "util_percent")``."""

    def __init__(self) -> None:
        self._rings: dict[Hashable, tuple[Ring, Ring]] = {}

    def add(self, key: Hashable, time: float, value: float | None) -> None:
        rings = self._rings.get(key)
        if rings is None:
            rings = self._rings[key] = (Ring(SECONDS, 1.0), Ring(MINUTES, 60.0))
        for ring in rings:
            ring.add(time, value)

    def fill(self, key: Hashable, time: float, values: Sequence[float]) -> None:
        """Take what was before from elsewhere: one value a second, the last one that of `time`."""
        seconds, minutes = self._rings[key] = (Ring(SECONDS, 1.0), Ring(MINUTES, 60.0))
        seconds.fill(time, values)
        means = [
            sum(part) / len(part)
            for end in range(len(values), 0, -60)
            if (part := values[max(0, end - 60) : end])
        ]
        minutes.fill(time, means[::-1])

    def seconds(self, key: Hashable, count: int, now: float) -> list[float | None]:
        """One value a second, the newest last."""
        return self._last(key, 0, count, now)

    def minutes(self, key: Hashable, count: int, now: float) -> list[float | None]:
        """The mean of each minute, the newest last."""
        return self._last(key, 1, count, now)

    def _last(self, key: Hashable, which: int, count: int, now: float) -> list[float | None]:
        rings = self._rings.get(key)
        return [None] * count if rings is None else rings[which].last(count, now)
