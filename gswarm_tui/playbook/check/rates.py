"""How fast earlier tasks of the same kind were, to say how long one may take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import Any, Final, final

from gswarm_tui.devices import Device
from gswarm_tui.state.records import TaskRecord
from gswarm_tui.state.states import State

SMALLEST: Final = 10**6
"""Bytes from which a transfer tells something about the next one."""

NEWEST: Final = 10
"""Tasks that count, for each kind and place."""


@final
class Rates:
    """Bytes a second of tasks that moved a model, or read it again.

    Args:
        history: tasks that ended, the newest first.
    """

    def __init__(self, history: Iterable[TaskRecord] = ()) -> None:
        self._rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        for task in history:
            if task.state is State.SUCCEEDED and task.result is not None:
                self._note(task.action_type, task.result)

    def seconds(self, action_type: str, moves: Mapping[Device, int | None]) -> float | None:
        """How long it may take to move these bytes side by side, by the median of the newest tasks
        of that type that went to the same devices; None where one of them is not known."""
        known = [self._one(action_type, device, size) for device, size in moves.items()]
        found = [seconds for seconds in known if seconds is not None]
        return max(found) if found and len(found) == len(known) else None

    def _one(self, action_type: str, device: Device, size: int | None) -> float | None:
        rates = self._rates.get((action_type, str(device)))
        return None if size is None or not rates else size / median(rates[:NEWEST])

    def _note(self, action_type: str, result: Mapping[str, Any]) -> None:
        seconds = result.get("seconds")
        if not isinstance(seconds, int | float) or seconds <= 0:
            return
        for device, size in _sizes(result):
            if isinstance(size, int) and size >= SMALLEST:
                self._rates[action_type, device].append(size / seconds)


def _sizes(result: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The bytes for each device: of copies that were read, else of what was brought to all."""
    devices, copies = result.get("devices"), result.get("copies")
    if isinstance(copies, list):
        for copy in copies:
            yield str(copy.get("device")), copy.get("size")
    elif isinstance(devices, list) and result.get("already") is False:
        for device in devices:
            yield str(device), result.get("size")
