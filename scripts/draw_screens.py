"""The screens of `gswarm-tui` as SVG files, from the simulated fleet at a set time.

python scripts/draw_screens.py FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from gswarm_tui.tui.app import GswarmApp
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
    ("job", ""),
    ("events", None),
)
"""Screens, and what they are about; an empty subject is the first that there is."""


class Still:
    """The simulated fleet at one moment."""

    def __init__(self) -> None:
        self.fleet = SimulatedSource(clock=lambda: BEGIN)
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
    app = GswarmApp(Still())
    async with app.run_test(size=SIZE) as pilot:
        for word, subject in SCREENS:
            await pilot.pause()
            app.go_to(word, app.words_after(word)[0] if subject == "" else subject)
            await pilot.pause()
            await pilot.pause()
            svg = app.export_screenshot(title=f"gswarm-tui: {word}")
            (folder / f"{word}.svg").write_text(svg)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1])))
