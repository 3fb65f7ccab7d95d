"""The leases that tasks have on a node, kept across all its connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

from gswarm_remote import wire
from gswarm_remote.errors import HelperError

from gswarm_tui.connect.helper import HelperConnection


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that a task has on a node.

    Args:
        params: as it was asked for.
        lost: is told who has it, in the words of the helper's report, where the connection or the
            helper was lost and somebody else was faster then.
    """

    params: Mapping[str, Any]
    lost: Callable[[dict[str, Any]], None]


@final
class Standing:
    """The leases of tasks on one node; its `Node` asks for them again over each new connection.

    They may end with a connection or a helper.

    Attributes:
        leases: by the tasks' keys; who takes one puts it here, and who drops it forgets it.
    """

    def __init__(self) -> None:
        self.leases: dict[str, Lease] = {}
        self._renewals: dict[asyncio.Task[None], str] = {}

    def forget(self, task: str) -> None:
        """A task is about to drop its lease: it is not asked for again, nor longer."""
        self.leases.pop(task, None)
        for renewal, whose in self._renewals.items():
            if whose == task:
                renewal.cancel()

    def renew(self, helper: HelperConnection) -> None:
        """Ask for all of them again, without waiting for the answers."""
        for task, lease in self.leases.items():
            renewal = asyncio.ensure_future(_renew(helper, lease))
            self._renewals[renewal] = task
            renewal.add_done_callback(self._renewals.pop)

    def close(self) -> None:
        """Ask for nothing any more."""
        for renewal in self._renewals:
            renewal.cancel()


async def _renew(helper: HelperConnection, lease: Lease) -> None:
    """Take a lease again; where somebody else was faster, whoever relies on it is told."""
    renewal = asyncio.current_task()
    assert renewal is not None

    def listen(report: dict[str, Any]) -> None:
        lease.lost(report)
        renewal.cancel()  # it is of no use any more when they have done

    with contextlib.suppress(HelperError, wire.WireError, OSError):
        await helper.peer.call("lease.take", lease.params, progress=listen)
