"""Eight hours of a lively fleet on the screens, without waiting for them: memory has to stay flat.

    python benchmarks/soak.py [--hours 8] [--nodes 32] [--size 160x50]

Each simulated second has a picture; each simulated minute another screen, by keys. The first 90
minutes fill the history and Textual's caches of lines and styles; what is resident after them is
compared with what is at the end. Ends with 1 where it grew by more than 5 %.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import AsyncIterator

import psutil

from gswarm_tui.tui.app import GswarmApp
from gswarm_tui.tui.views import SUBJECTS, VIEWS
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.series import record
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.source import Listener

LIMIT = 1.05
WARM_S = 5400
BEGIN = 1_800_000_000.0
SCREENS = [word for word in VIEWS if word not in SUBJECTS]


class Driven:
    """The simulated fleet, whose seconds come when they are asked for."""

    def __init__(self, nodes: int) -> None:
        self.fleet = SimulatedSource(nodes=nodes, clock=lambda: BEGIN)
        self.listener: Listener | None = None

    @property
    def history(self) -> History:
        return self.fleet.history

    async def run(self, listener: Listener) -> None:
        self.listener = listener
        self.tick(0)
        await asyncio.Event().wait()

    def tick(self, second: int) -> None:
        assert self.listener is not None
        snapshot = self.fleet.picture(BEGIN + second)
        record(self.history, snapshot)
        self.listener(snapshot)

    def focus(self, job_id: int | None) -> None:
        self.fleet.focus(job_id)

    def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
        return self.fleet.log(job_id, action_id, attempt)


async def soak(seconds: int, nodes: int, size: tuple[int, int]) -> dict[int, float]:
    """Resident megabytes by the simulated second, each ten minutes."""
    source, found = Driven(nodes), {}
    app = GswarmApp(source)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for second in range(1, seconds + 1):
            source.tick(second)
            await asyncio.sleep(0)
            if second % 10 == 0:
                await pilot.press("j")
            if second % 60 == 0:
                word = SCREENS[second // 60 % len(SCREENS)]
                await pilot.press("colon", *word, "enter")
            await pilot.pause()
            if second % 600 == 0:
                gc.collect()
                found[second] = psutil.Process().memory_info().rss / 1e6
                print(f"{second / 3600:5.2f} h {found[second]:8.1f} MB", flush=True)
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--hours", type=float, default=8.0)
    options.add_argument("--nodes", type=int, default=32)
    options.add_argument("--size", default="160x50")
    chosen = options.parse_args()
    columns, lines = (int(part) for part in chosen.size.split("x"))
    began = time.monotonic()
    found = asyncio.run(soak(int(chosen.hours * 3600), chosen.nodes, (columns, lines)))
    first = next((value for second, value in found.items() if second >= WARM_S), None)
    if first is None:
        raise SystemExit("nothing to compare: take two hours or more")
    last = list(found.values())[-1]
    print(f"{chosen.hours:g} h in {time.monotonic() - began:.0f} s")
    print(f"resident: {first:.1f} MB after 90 minutes, {last:.1f} MB at the end", end="; ")
    print(f"ratio {last / first:.3f}, at most {LIMIT}")
    return 0 if last / first <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
