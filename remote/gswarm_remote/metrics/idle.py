"""Since when each GPU computes nothing.

The node counts, not the controllers: so somebody who begins to look is told of what others have
seen, and what is idle for hours is idle for hours in every window.

While nobody looks there are no samples. But the GPU counts the energy that it takes: where it took
no more than it does when it is idle, it was idle all the time. What is needed for that is kept in a
file, which outlives the helper.
"""

from __future__ import annotations

import json
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
    """What is known of the GPUs of a node.

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
        self._saved_at = clock()

    def mark(self, gpus: List[Dict[str, Any]], now: float) -> None:
        """Put ``idle_since`` and ``idle_seen`` in the place of ``energy_j``.

        Args:
            gpus: their values, as they were read `now`, in seconds since the epoch.
        """
        at = self._clock()
        for gpu in gpus:
            key, util, energy_j = str(gpu["index"]), gpu["util_percent"], gpu.pop("energy_j", None)
            gpu["idle_since"] = gpu["idle_seen"] = None
            if util is None:
                self._seen.pop(key, None)
                continue
            seen = self._look(key, util <= COMPUTES_PERCENT, now, at, energy_j)
            if seen.idle:
                gpu["idle_since"], gpu["idle_seen"] = seen.since, seen.from_the_beginning

    def _look(self, key: str, idle: bool, now: float, at: float, at_j: Optional[float]) -> Seen:
        seen = self._seen.get(key)
        watched = seen is not None and at - seen.at <= UNSEEN_S
        if seen is None or seen.idle != idle or not (watched or seen.outlasts(at, at_j)):
            seen = self._seen[key] = Seen(now, watched, idle, at, at_j, at, at_j)
        elif not watched:
            seen.began, seen.began_j = at, at_j
        seen.take(at, at_j)
        return seen

    # The file; these block

    def load(self) -> None:
        """Take what an earlier helper has seen since the machine was started."""
        try:
            content = json.loads(self._path.read_bytes()) if self._path is not None else {}
            if content.get("boot_id") == processtable.boot_id():
                self._seen = {key: Seen(**each) for key, each in content["gpus"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return  # there is none, or none of this version: one begins anew

    @property
    def due(self) -> bool:
        """Whether it is time to save."""
        return self._clock() - self._saved_at >= SAVE_S

    def save(self) -> None:
        """Keep it for the next helper, where that is possible."""
        self._saved_at = self._clock()
        if self._path is not None and self._seen:
            gpus = {key: asdict(each) for key, each in self._seen.items()}
            records.keep(self._path, {"boot_id": processtable.boot_id(), "gpus": gpus})


def _power(
    began: float, began_j: Optional[float], at: float, at_j: Optional[float]
) -> Optional[float]:
    """The mean between two looks, in watts; the counter begins anew with the driver."""
    if began_j is None or at_j is None or at <= began or at_j < began_j:
        return None
    return (at_j - began_j) / (at - began)
