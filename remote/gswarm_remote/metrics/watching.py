"""What one controller gets of the metrics: the newest frame, as often as it wishes, and no more.

What seldom changes, a GPU's processes and the services, is left out where it is as in the frame
that was given before: so `Watch.frame` is to be called once the frame before has been sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

from ..errors import HelperError, Kind

Values = Dict[str, Any]

SHORTEST_S, LONGEST_S = 0.1, 10.0

_PCIE = ("pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s")
_NVLINK = ("nvlink_rx_bytes_per_s", "nvlink_tx_bytes_per_s")


@dataclass(frozen=True)
class Wish:
    """What somebody wants to see.

    Args:
        interval_s: seconds between two frames.
        bandwidth, nvlink: whether the rates over PCIe, and over NVLink, are wanted.
    """

    interval_s: float = 1.0
    bandwidth: bool = False
    nvlink: bool = False

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Wish:
        """Raises `HelperError` where the parameters are wrong."""
        interval_s = params.get("interval_s", 1.0)
        number = isinstance(interval_s, (int, float)) and not isinstance(interval_s, bool)
        if not number or not SHORTEST_S <= interval_s <= LONGEST_S:
            raise HelperError(
                Kind.INVALID,
                f"interval_s is {interval_s!r:.40}",
                hint=f"it is a number of seconds from {SHORTEST_S:g} to {LONGEST_S:g}",
            )
        return cls(interval_s, bool(params.get("bandwidth")), bool(params.get("nvlink")))


class Watch:
    """One who watches; made by `Feed.watch`."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self._newest: Optional[Values] = None
        self._offered = asyncio.Event()
        self._offered_at = self._given_at = -LONGEST_S
        self._processes: Dict[int, Any] = {}
        self._services: Any = None

    def offer(self, frame: Values, *, now: float, tick_s: float) -> None:
        """Take a frame, in place of one that was not taken, unless it comes too early.

        Args:
            now: by a clock that nobody sets.
            tick_s: seconds between two that are offered.
        """
        if now - self._given_at > self.wish.interval_s - tick_s / 2:
            self._newest, self._offered_at = frame, now
            self._offered.set()

    async def frame(self) -> Values:
        """The newest frame that was not given yet; waits for one."""
        await self._offered.wait()
        self._offered.clear()
        assert self._newest is not None
        frame, self._newest = self._newest, None
        self._given_at = self._offered_at
        return self._changes(frame)

    def _changes(self, frame: Values) -> Values:
        known, self._processes = self._processes, {}
        gpus: List[Values] = []
        for gpu in frame["gpus"]:
            shown = self._wanted(gpu)
            self._processes[gpu["index"]] = gpu["processes"]
            if known.get(gpu["index"]) == gpu["processes"]:
                del shown["processes"]
            gpus.append(shown)
        changed = {**frame, "gpus": gpus}
        if frame["services"] == self._services:
            del changed["services"]
        self._services = frame["services"]
        return changed

    def _wanted(self, gpu: Values) -> Values:
        unwanted = (*(() if self.wish.bandwidth else _PCIE), *(() if self.wish.nvlink else _NVLINK))
        return {name: value for name, value in gpu.items() if name not in unwanted}
