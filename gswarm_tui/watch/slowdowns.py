"""When GPUs are slowed, and when they are not any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from gswarm_tui.watch.snapshot import Attention, Concern, Event, FleetSnapshot, Gpu, GpuState

PAUSE_S: Final = 30.0
"""A shorter pause is no end: near its limit a GPU is slowed every other second."""

_Place = tuple[str, int]


@final
class Slowdowns:
    """The GPUs whose clocks are held down, by what needs a look from picture to picture."""

    def __init__(self) -> None:
        self._seen_at: dict[_Place, float] = {}

    def between(self, before: FleetSnapshot, after: FleetSnapshot) -> list[Event]:
        """What begins and what ends; what is so when a GPU is first seen is no event."""
        slowed = {place: each for each in after.attention if (place := _slowed(each)) is not None}
        new = slowed.keys() - self._seen_at.keys()
        found = [
            Event(after.time, "warning", place[0], f"gpu{place[1]}: {slowed[place].text}")
            for place in sorted(new)
            if (gpu := _gpu(before, place)) is not None and gpu.state is GpuState.OK
        ]
        self._seen_at.update(dict.fromkeys(slowed, after.time))
        return [*found, *self._ends(after)]

    def _ends(self, after: FleetSnapshot) -> Iterator[Event]:
        over = [place for place, seen in self._seen_at.items() if after.time - seen > PAUSE_S]
        for place in over:
            del self._seen_at[place]
            gpu = _gpu(after, place)
            # Where nobody tells, nothing is known to have ended.
            if gpu is not None and gpu.state is GpuState.OK and gpu.throttle is not None:
                text = f"gpu{place[1]}: clocks are not held down any more"
                yield Event(after.time, "info", place[0], text)


def _slowed(each: Attention) -> _Place | None:
    if each.concern is not Concern.THROTTLED or each.gpu is None:
        return None
    return each.node, each.gpu


def _gpu(picture: FleetSnapshot, place: _Place) -> Gpu | None:
    node = picture.node(place[0])
    gpus = () if node is None else node.gpus
    return next((gpu for gpu in gpus if gpu.index == place[1]), None)
