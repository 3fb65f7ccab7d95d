"""The `Source` of an inventory's fleet, which it opens and closes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import final

from gswarm_tui.fleet import Fleet
from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory
from gswarm_tui.watch.nodewatch import Wishes
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.snapshot import Event
from gswarm_tui.watch.source import Listener
from gswarm_tui.watch.watcher import FleetWatcher


@final
class FleetSource:
    """A fleet of its own for as long as it is watched.

    Args:
        inventory: its nodes.
        home: the controller's data directory.

    Raises:
        StateError: the data directory cannot be used.
    """

    def __init__(self, inventory: Inventory, home: Home, wishes: Wishes) -> None:
        self._fleet = Fleet(inventory, home, notice=self._note)
        nodes = [self._fleet.node(name) for name in inventory.nodes]
        self._watcher = FleetWatcher(nodes, home.database, wishes=wishes)

    @property
    def history(self) -> History:
        return self._watcher.history

    def focus(self, job_id: int | None) -> None:
        self._watcher.focus(job_id)

    def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
        return self._watcher.log(job_id, action_id, attempt)

    async def run(self, listener: Listener) -> None:
        """Watch until cancelled, then close the connections."""
        async with self._fleet:
            await self._watcher.run(listener)

    def _note(self, sentence: str) -> None:
        """What would be printed on stderr would be in the middle of the screen."""
        self._watcher.note(Event(time.time(), "info", "gswarm", sentence))
