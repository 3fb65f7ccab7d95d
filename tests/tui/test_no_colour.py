"""Every screen and every box, empty and full, without colours and in the terminal's sixteen."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.color import Color

from gswarm_tui.config import TuiConfig
from gswarm_tui.inventory import Inventory
from gswarm_tui.tui.screens.playbook import PlaybookView
from gswarm_tui.tui.views import VIEWS
from gswarm_tui.watch.snapshot import FleetSnapshot

from .fleets import gpu, node, troubled
from .scenes import OPTIONS, PICTURE, SUBJECTS
from .some_jobs import DETAILS
from .stage import SMALL, Stage, on_stage
from .test_sizes import boxes

EMPTY = FleetSnapshot(1.0)
PICTURES = {"full": PICTURE, "empty": EMPTY}
MODES = ("no-color", "ansi")


@pytest.fixture(params=MODES)
def config(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[TuiConfig]:
    """One of the two ways to have few colours, or none."""
    if request.param == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")
        yield TuiConfig()
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
        yield TuiConfig(theme="ansi")


def colours(stage: Stage) -> set[Color]:
    """All that are on the screen, without those that the terminal has anyhow."""
    styles = [segment.style for strip in stage.strips() for segment in strip if segment.style]
    found = {colour for style in styles for colour in (style.color, style.bgcolor)}
    return {colour for colour in found if colour is not None and not colour.is_default}


def plain(stage: Stage) -> None:
    """Nothing there but what was wanted, and nothing that ends the application."""
    assert stage.app._exception is None
    seen = colours(stage)
    assert not seen if stage.app.no_color else all(each.type.value <= 1 for each in seen), seen


@pytest.mark.parametrize("picture", PICTURES)
async def test_every_screen(
    picture: str, config: TuiConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with on_stage(PICTURES[picture], config=config, **OPTIONS) as stage:
        for word in VIEWS:
            await stage.open(word, SUBJECTS.get(word))
            plain(stage)
            await stage.press("j", "tab", "slash", "z", "enter")
            plain(stage)
            await stage.press("escape", "question_mark")
            plain(stage)
            await stage.press("escape")


async def test_every_box(config: TuiConfig, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\nvars: {one: 1}\nactions: []\n")
    async with on_stage(PICTURE, size=SMALL, config=config, toasts=True, **OPTIONS) as stage:
        for box in (*boxes(), PlaybookView(str(file))):
            stage.app.push_screen(box)
            stage.app.notify("something was done", severity="warning")
            await stage.pilot.pause()
            plain(stage)
            await stage.press("tab", "down", "x")
            plain(stage)
            await stage.press("escape")


async def test_what_is_empty_once_it_is_there(config: TuiConfig) -> None:
    """A filter that nothing fits, a job whose tasks are not read yet, an inventory without nodes,
    GPUs as cards, and trouble."""
    job = replace(PICTURE, job_details=replace(DETAILS, tasks=()))
    cards = FleetSnapshot(1.0, nodes=(node("one", *(gpu("one", index) for index in range(8))),))
    options = {**OPTIONS, "inventory": Inventory({})}
    async with on_stage(job, config=config, **options) as stage:
        await stage.type("/zzz")
        plain(stage)
        await stage.press("enter")
        for word in ("job", "inventory"):
            await stage.open(word, SUBJECTS.get(word))
            plain(stage)
        for picture in (cards, troubled(), EMPTY):
            await stage.open("fleet")
            await stage.push(picture)
            for keys in ((), ("v",), ("v",)):
                await stage.press(*keys)
                plain(stage)


async def test_a_log_with_a_search(config: TuiConfig) -> None:
    async with on_stage(PICTURE, config=config, **OPTIONS) as stage:
        queue = stage.source.logs.setdefault((9, "serve", 2), asyncio.Queue())
        await stage.open("log", "9/serve")
        queue.put_nowait("one\n\x1b[31mtwo\x1b[0m\nthree\n")
        await queue.join()
        await stage.type("/tw")
        await stage.press("enter")
        plain(stage)
        assert "reverse" in styles_of(stage, "two")


async def test_what_is_told_by_colour_elsewhere_has_a_shape(config: TuiConfig) -> None:
    async with on_stage(PICTURE, config=config, **OPTIONS) as stage:
        await stage.open("jobs")
        assert "reverse" in styles_of(stage, "9  ▶ running")
        assert "reverse" not in styles_of(stage, "8  ✖ failed")
        await stage.press("o")
        assert styles_of(stage, "as it comes") != styles_of(stage, "job")
        await stage.press("escape", "slash")
        assert styles_of(stage, "filter: text") != styles_of(stage, "ilter: text")
        assert "dim" in styles_of(stage, "ilter: text")
        await stage.press("escape", "colon", "e", "v")
        await stage.shows("events")
        assert "dim" in styles_of(stage, "nts")


def styles_of(stage: Stage, text: str) -> str:
    """How the lowest such text is shown where it begins."""
    for strip in reversed(stage.strips()):
        place = strip.text.find(text)
        if place >= 0:
            (segment, *_) = strip.crop(place, place + 1)
            return str(segment.style)
    raise AssertionError(f"{text!r} is not on the screen:\n{stage.text()}")
