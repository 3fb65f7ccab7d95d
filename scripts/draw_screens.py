"""The screens of `gswarm-tui` as SVG files, from the simulated fleet at a set time.

python scripts/draw_screens.py FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from gswarm_tui.state.states import State
from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.app import GswarmApp
from gswarm_tui.tui.talking import Echo
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.source import Listener

BEGIN = 1_795_000_000.0
NOW = BEGIN + 240
SIZE = (128, 36)
SCREENS = (
    ("fleet", None),
    ("node", "gpu-03"),
    ("gpu", "gpu-03:gpu1"),
    ("models", None),
    ("services", None),
    ("transfers", None),
    ("jobs", None),
    ("job", "a running job"),
    ("log", "a running job"),
    ("playbooks", None),
    ("inventory", None),
    ("events", None),
)
"""Screens, and what they are about."""


class Still:
    """The simulated fleet at one moment."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.fleet = SimulatedSource(clock=lambda: self.now)
        self.now = NOW
        self.fleet.fill(NOW)
        self.listener: Listener | None = None

    @property
    def history(self) -> History:
        return self.fleet.history

    async def run(self, listener: Listener) -> None:
        self.listener = listener
        listener(self.fleet.picture(NOW))
        await asyncio.Event().wait()

    def focus(self, job_id: int | None) -> None:
        self.fleet.focus(job_id)
        if self.listener is not None:
            self.listener(self.fleet.picture(NOW))

    def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
        return self.fleet.log(job_id, action_id, attempt)


async def draw(folder: Path) -> None:
    """Write a file for each of `SCREENS`."""
    still = Still()
    app = GswarmApp(still, actor=Recording(), talker=Echo(), inventory=still.fleet.inventory())
    async with app.run_test(size=SIZE) as pilot:
        for word, subject in SCREENS:
            await pilot.pause()
            if subject == "a running job":
                subject = str(next(j.id for j in app.snapshot.jobs if j.state is State.RUNNING))
            app.go_to(word, subject)
            for _ in range(10):  # the log is read by a task of its own
                await pilot.pause()
            svg = app.export_screenshot(title=f"gswarm-tui: {word}")
            (folder / f"{word}.svg").write_text(svg)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1])))
