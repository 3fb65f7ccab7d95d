"""Identifies processes for longer than their pids do, which are reused.

A process is known by its start in kernel ticks since the boot and by the boot's id, as on nodes
(`gswarm_remote.process`), so changes of the clock or of the hostname do not matter. A process of
another pid namespace, such as a container's, cannot be looked up by its pid here: it counts as
alive until the machine is restarted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self, final

_NAMESPACE: Final = Path("/proc/self/ns/pid")


@final
@dataclass(frozen=True, slots=True)
class Process:
    """A process of this machine, for certain.

    Args:
        start_time: in the system's own unit, to be compared and never read; seconds since the
            epoch where ``boot_id`` is empty.
        boot_id: the machine's boot; empty in what version 1 of the database wrote.
        namespace: of its number; empty where the system has only one.
    """

    pid: int
    start_time: float
    boot_id: str
    namespace: str = ""

    @classmethod
    def this(cls) -> Self:
        """The one that asks."""
        from gswarm_remote import processtable

        entry = processtable.entry(os.getpid())
        assert entry is not None
        return cls(os.getpid(), entry.start_time, _boot_id(), _namespace())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made of one.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        return cls(
            int(data["pid"]),
            float(data["start_time"]),
            str(data["boot_id"]),
            str(data["namespace"]),
        )

    @property
    def is_here(self) -> bool:
        """Whether its number means the same process here as it did there."""
        return self.boot_id == _boot_id() and self.namespace == _namespace()

    @property
    def is_alive(self) -> bool:
        """Whether it may still run; a zombie does not."""
        if not self.boot_id:
            return self._is_alive_by_clock()
        if self.boot_id != _boot_id():
            return False
        if self.namespace != _namespace():
            return True
        from gswarm_remote import processtable

        entry = processtable.entry(self.pid)
        return entry is not None and entry.start_time == self.start_time and not entry.dead

    def _is_alive_by_clock(self) -> bool:
        import psutil

        try:
            return abs(psutil.Process(self.pid).create_time() - self.start_time) < 2.0
        except psutil.Error:
            return False


@cache
def _boot_id() -> str:
    from gswarm_remote import processtable

    return processtable.boot_id()


@cache
def _namespace() -> str:
    """``pid:[4026531836]`` on Linux, namespaces(7)."""
    try:
        return str(_NAMESPACE.readlink())
    except OSError:
        return ""
