"""Where pictures of the fleet come from: the seam between the screens and the real fleet or a
simulated one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
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

    def focus(self, job_id: int | None) -> None:
        """Have the details of this job in the pictures from now on; None: of none."""
        ...

    def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
        """The log of a job, or of an attempt of one of its tasks: what is there, then what comes,
        in pieces, with ``\n`` at the end of each line. It does not end by itself."""
        ...
