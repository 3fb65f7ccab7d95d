"""Where pictures of the fleet come from: the seam between the screens and the real fleet or a
simulated one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gswarm_tui.watch.rings import History
from gswarm_tui.watch.snapshot import FleetSnapshot

Listener = Callable[[FleetSnapshot], None]


class Source(Protocol):
    """Gives a `FleetSnapshot` a tick to its listener, in the event loop's thread."""

    @property
    def history(self) -> History:
        """What was before."""
        ...

    async def run(self, listener: Listener) -> None:
        """Watch until cancelled. The first picture comes at once, before any node has answered."""
        ...
