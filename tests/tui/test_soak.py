"""A minute of a lively fleet, with every screen shown in it: memory stays as it is.

Eight hours' worth is measured by benchmarks/soak.py.
"""

from __future__ import annotations

import gc
from collections import Counter

from textual.widget import Widget

from gswarm_tui.tui.views import SUBJECTS, VIEWS
from gswarm_tui.watch.simulated import SimulatedSource

from .stage import Stage, on_stage

BEGIN = 1_800_000_000.0
PART_S = 20
SCREENS = [word for word in VIEWS if word not in SUBJECTS]
MAY_GROW = 1.1
"""Textual's caches of styles and lines go on filling for a while; they have a longest size."""


async def show(stage: Stage, fleet: SimulatedSource, begin: float) -> tuple[int, Counter[str]]:
    """Show a part, every screen in it; how many objects there are then, and which widgets."""
    for second in range(PART_S):
        if second % 2 == 0:
            await stage.open(SCREENS[second // 2 % len(SCREENS)])
        await stage.push(fleet.picture(begin + second))
    await stage.open("fleet")
    gc.collect()
    objects = gc.get_objects()
    return len(objects), Counter(
        type(each).__name__ for each in objects if isinstance(each, Widget)
    )


async def test_memory_is_flat() -> None:
    fleet = SimulatedSource(nodes=2, clock=lambda: BEGIN)
    async with on_stage(fleet.picture(BEGIN)) as stage:
        await show(stage, fleet, BEGIN)  # modules, styles, caches
        before, widgets = await show(stage, fleet, BEGIN + PART_S)
        after, widgets_after = await show(stage, fleet, BEGIN + 2 * PART_S)
    assert widgets_after == widgets
    assert after < MAY_GROW * before, f"{before:,} objects became {after:,}"
