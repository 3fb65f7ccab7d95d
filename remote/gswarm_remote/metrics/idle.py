"""Since when each GPU computes nothing.

The node counts, not the controllers: so somebody who begins to look is told of what others have
seen, and what is idle for hours is idle for hours in every window.

While nobody looks there are no samples. But the GPU counts the energy that it takes: where it took
no more than it does when it is idle, it was idle all the time. What is needed for that is kept in a
file, which outlives the helper.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from .. import processtable, records

COMPUTES_PERCENT = 1.0
"""A GPU that is used no more than so much does nothing: tools that look at it are measured too."""

UNSEEN_S = 20.0
"""So long may pass between two looks: two of the longest interval."""

SAVE_S = 60.0
"""So often is the file written at most."""

_MEASURED_S = 60.0  # to know what an idle GPU takes
_MORE = 1.05  # so many times that is still idle
_MORE_W = 1.0
_SET_S = 60.0  # a clock that is corrected by so much was set; by less it only drifts


@dataclass
class Seen:
    """What was seen of a GPU; times are by a clock that nobody sets, but `since`.

    Args:
        since: seconds since the epoch: since when it is idle, or computes.
        from_the_beginning: whether it was seen to do the other until then.
        began, began_j: when the looks without a gap began, and the energy that it had taken.
        at, at_j: the same, of the last look; None where the GPU does not tell.
        usual_w: what it takes while it is idle, as it was measured at last.
    """

    since: float
    from_the_beginning: bool
    idle: bool
    began: float
    began_j: Optional[float]
    at: float
    at_j: Optional[float]
    usual_w: Optional[float] = None

    def take(self, at: float, at_j: Optional[float]) -> None:
        """It is as before."""
        self.at, self.at_j = at, at_j
        if self.idle and at - self.began >= _MEASURED_S:
            self.usual_w = _power(self.began, self.began_j, at, at_j)

    def outlasts(self, at: float, at_j: Optional[float]) -> bool:
        """Whether it was idle since the last look, by the energy that it took."""
        taken_w = _power(self.at, self.at_j, at, at_j)
        if not self.idle or self.usual_w is None or taken_w is None:
            return False
        return taken_w <= _MORE * self.usual_w + _MORE_W


class IdleTimes:
    """What is known of the GPUs of a node; but for `load` and `save`, for one thread.

    Args:
        path: the file that it is kept in; None where it is not.
        clock: the time since the machine was started, the same in all processes.
    """

    def __init__(
        self, path: Optional[Path] = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._clock = clock
        self._seen: Dict[str, Seen] = {}
        self._epoch: Optional[float] = None  # seconds since the epoch when `clock` was zero
        self._saved_at = clock()

    def mark(self, gpus: List[Dict[str, Any]], now: float) -> None:
        """Put ``idle_since`` and ``idle_seen`` in the place of ``energy_j``.

        Args:
            gpus: their values, as they were read `now`, in seconds since the epoch.
        """
        at = self._clock()
        self._follow(now - at)
        for gpu in gpus:
            key, util, energy_j = str(gpu["index"]), gpu["util_percent"], gpu.pop("energy_j", None)
            gpu["idle_since"] = gpu["idle_seen"] = None
            if util is None:
                self._seen.pop(key, None)
                continue
            seen = self._look(key, util <= COMPUTES_PERCENT, now, at, energy_j)
            if seen.idle:
                gpu["idle_since"], gpu["idle_seen"] = seen.since, seen.from_the_beginning

    def _follow(self, epoch: float) -> None:
        """Go on where the calendar was set meanwhile: for how long a GPU is idle is as before."""
        passed = 0.0 if self._epoch is None else epoch - self._epoch
        if self._epoch is not None and abs(passed) <= _SET_S:
            return
        self._epoch = epoch
        for seen in self._seen.values():
            seen.since += passed

    def _look(self, key: str, idle: bool, now: float, at: float, at_j: Optional[float]) -> Seen:
        seen = self._seen.get(key)
        watched = seen is not None and at - seen.at <= UNSEEN_S
        if seen is None or seen.idle != idle or not (watched or seen.outlasts(at, at_j)):
            seen = self._seen[key] = Seen(now, watched, idle, at, at_j, at, at_j)
        elif not watched:
            seen.began, seen.began_j = at, at_j
        seen.take(at, at_j)
        return seen

    # The file

    def load(self) -> None:
        """Take what an earlier helper has seen since the machine was started; blocks."""
        try:
            content = json.loads(self._path.read_bytes()) if self._path is not None else {}
            if content.get("boot_id") != processtable.boot_id():
                return
            at = self._clock()
            seen = {key: _read(each, at) for key, each in content["gpus"].items()}
            self._epoch, self._seen = _number(content["epoch"]), seen
        except (OSError, RecursionError, ArithmeticError, LookupError, ValueError):
            return  # there is none, or it is damaged: one begins anew
        except (TypeError, AttributeError):
            return  # it is none of this version

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self._clock() - self._saved_at >= SAVE_S

    def content(self) -> Dict[str, Any]:
        """What is to be saved now."""
        self._saved_at = self._clock()
        return {"epoch": self._epoch, "gpus": {k: asdict(each) for k, each in self._seen.items()}}

    def save(self, content: Dict[str, Any]) -> None:
        """Keep it for the next helper, where that is possible; blocks, on a disk that may hang."""
        if self._path is not None and content["gpus"]:
            records.keep(self._path, {"boot_id": processtable.boot_id(), **content})


def _read(values: Dict[str, Any], at: float) -> Seen:
    """What was kept of a GPU before the clock was `at`; raises where it is nothing of that."""
    seen = Seen(**values)
    known = [each for each in (seen.began_j, seen.at_j, seen.usual_w) if each is not None]
    for number in (seen.since, seen.began, seen.at, *known):
        _number(number)
    if type(seen.idle) is not bool or type(seen.from_the_beginning) is not bool:
        raise TypeError("it is or it is not")
    if not seen.began <= seen.at <= at:
        raise ValueError("it is of another clock")
    return seen


def _number(value: Any) -> float:
    if not math.isfinite(value):  # this raises by itself where it is no number
        raise ValueError("no number")
    return float(value)


def _power(
    began: float, began_j: Optional[float], at: float, at_j: Optional[float]
) -> Optional[float]:
    """The mean between two looks, in watts; the counter begins anew with the driver."""
    if began_j is None or at_j is None or at <= began or at_j < began_j:
        return None
    return (at_j - began_j) / (at - began)
