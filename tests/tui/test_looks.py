"""How the screens look that no other file compares: boxes, and the choice of a playbook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.screen import Screen

from gswarm_tui.tui.playbook_files import Entry
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.playbooks import PlaybooksView
from gswarm_tui.tui.screens.service_log import ServiceLogScreen
from gswarm_tui.tui.talking import Echo

from .fleets import NOW
from .some_jobs import JOBS
from .some_models import placed, service
from .stage import SIZES, Stage, on_stage

SameAsBefore = Callable[[Stage, str], None]
FOLDER = Path("/srv/playbooks")
ENTRIES = [
    Entry(FOLDER.parent, "..", None, None),
    Entry(FOLDER / "nightly", "nightly", None, NOW - 86_400),
    Entry(FOLDER / "roll-out.yaml", "roll-out.yaml", 2_345, NOW - 3_600),
    Entry(FOLDER / "smoke-test.yml", "smoke-test.yml", 512, NOW - 60),
]


class Log(Echo):
    """An engine with something to tell."""

    async def log(self, service: object) -> str:
        lines = [f"INFO 01-15 07:59:{number:02} engine.py: step {number}" for number in range(60)]
        return "\n".join([*lines, "ERROR 01-15 08:00:00 engine.py: " + "CUDA out of memory " * 9])


BOXES: dict[str, Callable[[], Screen[None]]] = {
    "describe": lambda: DescribeScreen("llama", placed().models[0]),
    "service-log": lambda: ServiceLogScreen(service(), Log()),
    "playbooks": lambda: PlaybooksView(str(FOLDER)),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_as_before(
    size: tuple[int, int], same_as_before: SameAsBefore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gswarm_tui.tui.screens.playbooks.entries", lambda folder: ENTRIES)
    async with on_stage(replace(placed(), jobs=JOBS), size=size) as stage:
        await stage.open("jobs")
        await stage.press("question_mark")
        same_as_before(stage, f"help-{size[0]}x{size[1]}")
        await stage.press("escape")
        for name, make in BOXES.items():
            stage.app.push_screen(make())
            await stage.pilot.pause()
            same_as_before(stage, f"{name}-{size[0]}x{size[1]}")
            await stage.press("escape")
