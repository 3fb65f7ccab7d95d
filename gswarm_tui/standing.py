"""The leases that tasks have on a node, kept over all its connections."""

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
        leases: by the tasks' keys; who takes one puts it here, and who drops it takes it out.
    """

    def __init__(self) -> None:
        self.leases: dict[str, Lease] = {}
        self._renewals: set[asyncio.Task[None]] = set()

    def renew(self, helper: HelperConnection) -> None:
        """Ask for all of them again, without waiting for the answers."""
        for lease in self.leases.values():
            renewal = asyncio.ensure_future(_renew(helper, lease))
            self._renewals.add(renewal)
            renewal.add_done_callback(self._renewals.discard)

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
