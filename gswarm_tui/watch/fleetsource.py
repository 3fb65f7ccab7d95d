"""The `Source` of an inventory's fleet, which it opens and closes.

What connects and watches takes as long to import as the first screen to draw. So it is imported
when the source is run, in a thread; until then the picture is that of the inventory.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, final

from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory
from gswarm_tui.watch.first import first_picture
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.snapshot import Event
from gswarm_tui.watch.source import Listener

if TYPE_CHECKING:
    from gswarm_tui.watch.watcher import FleetWatcher


@final
class FleetSource:
    """A fleet of its own for as long as it is watched.

    Args:
        inventory: its nodes.
        home: the controller's data directory.
        interval_s: between two pictures.

    Raises:
        StateError: the data directory cannot be used.
    """

    def __init__(self, inventory: Inventory, home: Home, *, interval_s: float = 1.0) -> None:
        self._inventory, self._home, self._interval_s = inventory, home, interval_s
        self._database, _ = home.database, home.cache
        self._history = History()
        self._watcher: FleetWatcher | None = None
        self._watching = asyncio.Event()
        self._focus: int | None = None

    @property
    def history(self) -> History:
        return self._history

    def focus(self, job_id: int | None) -> None:
        self._focus = job_id
        if self._watcher is not None:
            self._watcher.focus(job_id)

    async def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
        await self._watching.wait()
        assert self._watcher is not None
        async for text in self._watcher.log(job_id, action_id, attempt):
            yield text

    async def run(self, listener: Listener) -> None:
        """Watch until cancelled, then close the connections."""
        listener(first_picture(self._inventory.nodes.values(), time.time()))
        await asyncio.to_thread(self._import)
        from gswarm_tui.fleet import Fleet
        from gswarm_tui.watch.nodewatch import Wishes
        from gswarm_tui.watch.watcher import FleetWatcher

        async with Fleet(self._inventory, self._home, notice=self._note) as fleet:
            nodes = [fleet.node(name) for name in self._inventory.nodes]
            wishes = Wishes(interval_s=self._interval_s)
            self._watcher = FleetWatcher(
                nodes, self._database, wishes=wishes, history=self._history
            )
            self._watcher.focus(self._focus)
            self._watching.set()
            await self._watcher.run(listener)

    def _import(self) -> None:
        importlib.import_module("gswarm_tui.fleet")
        importlib.import_module("gswarm_tui.watch.watcher")
        if any(spec.connection == "ssh" for spec in self._inventory.nodes.values()):
            importlib.import_module("gswarm_tui.connect.ssh")

    def _note(self, sentence: str) -> None:
        """What would be printed on stderr would be in the middle of the screen."""
        if self._watcher is not None:
            self._watcher.note(Event(time.time(), "info", "gswarm", sentence))
