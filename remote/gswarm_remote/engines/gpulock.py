"""A GPU is its engine's for as long as that lives, for all users of the machine.

The engine's own process holds the lock: it inherits the descriptor, and so do its workers. Nothing
has to be remembered or renewed: the system lets go when the last of them has ended, and an engine
that another helper adopts holds it already.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Iterator, List, Sequence, Tuple

from ..devices import gpu_indices
from ..errors import HelperError, Kind
from ..faults import explained
from ..leases import folder
from ..leases.wants import gpu_uuids
from ..process import ProcessRecord
from .replica import Replica

if TYPE_CHECKING:
    from ..node import Node

_PATIENCE_S = 3.0  # what was killed holds its GPU for as long as the driver takes to tidy up
_POLL_S = 0.1

Lock = Tuple[str, str]
"""A device, and the name of its lock file."""


async def names(node: Node, devices: Sequence[str]) -> List[Lock]:
    """The locks of those devices that are GPUs which the driver knows."""
    indices = gpu_indices(devices)
    uuids = (await gpu_uuids(node) if indices else None) or {}
    return [
        (f"gpu{index}", f"{folder.gpu_name(uuids[index])}.engine")
        for index in indices
        if index in uuids
    ]


class Locks:
    """The locks that an engine is about to inherit."""

    def __init__(self, held: List[folder.Held]) -> None:
        self._held = held

    @property
    def descriptors(self) -> List[int]:
        return [lock.descriptor for lock in self._held]

    def inherited_by(self, replica: Replica, process: ProcessRecord) -> None:
        """Say whose they are now."""
        for lock in self._held:
            lock.sign({"who": {"engine": replica.engine, "model": replica.model}}, process)


@contextlib.contextmanager
def held(locks: Sequence[Lock]) -> Iterator[Locks]:
    """Hold the locks until an engine has inherited them; blocks for up to `_PATIENCE_S` seconds.

    Raises:
        HelperError: an engine of another user or node root is on a GPU (in_use).
    """
    taken: List[folder.Held] = []
    deadline = time.monotonic() + _PATIENCE_S
    try:
        for device, name in locks:
            taken.append(_take(device, name, deadline))
        yield Locks(taken)
    finally:
        for lock in taken:
            lock.close()


def _take(device: str, name: str, deadline: float) -> folder.Held:
    try:
        path = folder.folder() / name
        while True:
            lock = folder.try_hold(path)
            if lock is not None:
                return lock
            if folder.holders(path) or time.monotonic() > deadline:
                raise HelperError(
                    Kind.IN_USE,
                    f"{device} is held by {folder.holder(path)}",
                    where=device,
                    hint="wait until that has ended, or name another GPU",
                )
            time.sleep(_POLL_S)
    except OSError as error:
        raise explained(error, f"{device} cannot be locked for the engine") from error
