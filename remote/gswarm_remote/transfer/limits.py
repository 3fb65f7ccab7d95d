"""What holds a transfer up: the time that its workers spent waiting for each thing.

Each worker says what it turns to, a chunk of bytes at a time; a clock is read there and nothing
else, so that to know it costs nothing that could be measured. Nothing is said where it is not
clear: what one thing has less than `CLEAR` of, it does not bound.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import Callable, Deque, Dict, Iterator, List, Optional, Tuple

SOURCE = "source"
"""Bytes that are yet to come from the source, or a pause that it asked for."""
RELAY = "relay"
"""Bytes that are yet to come over a bulk connection, which a controller feeds."""
DISK = "disk"
"""Reading or writing the store's own files, and making them durable."""
HASH = "hash"
"""Computing digests."""

WRITER = "writer"
"""A worker that was given its fill; what that one does is said in its place."""

WINDOW_S = 5.0
"""As the rate, it is that of the last seconds."""

CLEAR = 0.6
"""So large a share of the time is spent for what a transfer is bound by."""

LEAST_S = 0.5
"""Less time than that says nothing."""

Clock = Callable[[], float]
Times = Dict[str, float]


class Doing:
    """What one worker does, and for how long it did what; `turn_to` in one thread at a time.

    There is no lock: it would cost more than all the rest. A reading from another thread may miss
    the stretch that ends just then, and the next one has it.
    """

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._spent = dict.fromkeys((None, SOURCE, RELAY, DISK, HASH, WRITER), 0.0)
        self._what: Optional[str] = None
        self._since = 0.0

    def turn_to(self, what: Optional[str]) -> Optional[str]:
        """Begin to do `what`; None is waiting that counts for nothing. Returns what it did."""
        now, since, before = self._clock(), self._since, self._what
        self._since = now
        self._spent[before] += now - since
        self._what = what
        return before

    def spent(self, now: float) -> Times:
        """The seconds for each thing, until `now`; from any thread."""
        spent = {what: seconds for what, seconds in self._spent.items() if what is not None}
        since, doing = self._since, self._what
        if doing is not None:
            spent[doing] += max(0.0, now - since)
        return spent


class Limits:
    """What bounds some work, by the times of all that work at it.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._workers = _Together(clock)
        self._writers = _Together(clock)

    def worker(self) -> contextlib.AbstractContextManager[Doing]:
        """A worker, for as long as it works; from any thread."""
        return self._workers.one()

    def writer(self) -> contextlib.AbstractContextManager[Doing]:
        """One that does what workers hand over; it counts where these wait for it (`WRITER`)."""
        return self._writers.one()

    def word(self) -> Optional[str]:
        """What bounded it in the last seconds; None where that is not clear. From one thread."""
        now = self._clock()
        found, behind = self._workers.most(now), self._writers.most(now)
        return behind if found == WRITER else found


class _Together:
    """The times of several workers, of which some have gone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._here: List[Doing] = []
        self._gone: Times = {}
        self._samples: Deque[Tuple[float, Times]] = deque([(clock(), {})])

    @contextlib.contextmanager
    def one(self) -> Iterator[Doing]:
        doing = Doing(clock=self._clock)
        with self._guard:
            self._here.append(doing)
        try:
            yield doing
        finally:
            doing.turn_to(None)
            with self._guard:
                self._here.remove(doing)
                _add(self._gone, doing.spent(self._clock()))

    def most(self, now: float) -> Optional[str]:
        """What most of the time of the last seconds went into, where it is clear."""
        with self._guard:
            spent = dict(self._gone)
            for doing in self._here:
                _add(spent, doing.spent(now))
        self._samples.append((now, spent))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()
        before = self._samples[0][1]
        lately = {what: spent[what] - before.get(what, 0.0) for what in spent}
        whole = sum(lately.values())
        if whole < LEAST_S:
            return None
        most = max(lately, key=lambda what: lately[what])
        return most if lately[most] >= CLEAR * whole else None


def _add(times: Times, more: Times) -> None:
    for what, seconds in more.items():
        times[what] = times.get(what, 0.0) + seconds
