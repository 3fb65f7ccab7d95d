"""Since when each GPU computes nothing.

The helper counts, not the controllers: so somebody who begins to look is told of what others have
seen, and what is idle for hours is idle for hours in every window.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List

COMPUTES_PERCENT = 1.0
"""A GPU that is used no more than so much does nothing: tools that look at it are measured too."""

UNSEEN_S = 120.0
"""So long may nobody look, and what was idle before and is after counts as idle all the time."""


@dataclass
class _Seen:
    """What was seen of a GPU.

    Args:
        since: since the epoch, where it is idle.
        from_the_beginning: whether it was seen to compute until then.
        at: when it was looked at last, by a clock that nobody sets.
    """

    since: float
    from_the_beginning: bool
    at: float
    idle: bool


class IdleTimes:
    """What is known of the GPUs of a node, by their numbers, for as long as the helper lives."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: Dict[int, _Seen] = {}

    def mark(self, gpus: List[Dict[str, Any]], now: float) -> None:
        """Add ``idle_since`` and ``idle_seen`` to the values of GPUs that were read `now`."""
        at = self._clock()
        for gpu in gpus:
            util = gpu["util_percent"]
            seen = None
            if util is None:
                self._seen.pop(gpu["index"], None)
            else:
                seen = self._look(gpu["index"], util <= COMPUTES_PERCENT, now, at)
            idle = seen is not None and seen.idle
            gpu["idle_since"] = seen.since if seen is not None and idle else None
            gpu["idle_seen"] = seen.from_the_beginning if seen is not None and idle else None

    def _look(self, index: int, idle: bool, now: float, at: float) -> _Seen:
        before = self._seen.get(index)
        known = before is not None and at - before.at <= UNSEEN_S
        if before is not None and known and before.idle == idle:
            before.at = at
            return before
        seen = self._seen[index] = _Seen(now, known, at, idle)
        return seen
