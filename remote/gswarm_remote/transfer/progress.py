"""Counting bytes that several threads move, and saying how fast and what bounds that."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional, Tuple

from .limits import WINDOW_S, Limits

Report = Callable[[Dict[str, Any]], None]


class Meter:
    """Bytes done, of how many, the rate, and what bounds it.

    `add`, and the workers of `limits`, from any thread; the rest from one.

    Args:
        phase: what is being done, in a word.
        done: bytes that were there before; they do not count for the rate.
        total: bytes in all, None where not known.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        phase: str,
        *,
        done: int = 0,
        total: Optional[int] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._phase = phase
        self._done = done
        self._total = total
        self._clock = clock
        self.limits = Limits(clock=clock)
        self._guard = threading.Lock()
        self._samples: Deque[Tuple[float, int]] = deque([(clock(), done)])

    def add(self, count: int) -> None:
        """Count bytes; a negative number takes back what came to nothing."""
        with self._guard:
            self._done += count

    def report(self) -> Dict[str, Any]:
        """The report for now, ``{phase, done, total, rate, limited_by}``.

        The rate is in bytes a second, over the last `WINDOW_S`, so that it shows a stall; for the
        last see `Limits.word`.
        """
        with self._guard:
            done = self._done
        now = self._clock()
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()
        start, before = self._samples[0]
        rate = max(0.0, (done - before) / (now - start)) if now > start else None
        return {
            "phase": self._phase,
            "done": done,
            "total": self._total,
            "rate": rate,
            "limited_by": self.limits.word(),
        }


class Reporter:
    """Passes on what changed at once, and what did not once a second."""

    def __init__(self, report: Report, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._last: Optional[Tuple[Any, Any]] = None
        self._at = 0.0

    def tell(self, meter: Meter) -> None:
        report = meter.report()
        seen = (report["phase"], report["done"])
        now = self._clock()
        if seen != self._last or now - self._at >= 1:
            self._last, self._at = seen, now
            self._report(report)
