"""An engine on its way to being ready, and those who wait for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Dict, Set

from ..operations import Report
from .replica import Replica


@dataclass
class Start:
    """The work, who hears how far it is, and how many would miss it."""

    task: asyncio.Task[Replica]
    reports: Set[Report] = field(default_factory=set)
    waiting: int = 0
    unwanted: bool = False

    async def cancel(self) -> None:
        """End it; a helper that goes cancels its tasks too, and that leaves the engine."""
        self.unwanted = True
        self.task.cancel()
        await asyncio.wait([self.task])

    def report(self, progress: Dict[str, Any]) -> None:
        for report in list(self.reports):
            report(progress)
