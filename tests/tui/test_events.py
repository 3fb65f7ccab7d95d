"""The screen of what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.watch.snapshot import Event, FleetSnapshot

from .fleets import NOW, fleet, node
from .stage import SIZES, SMALL, Stage, on_stage

SameAsBefore = Callable[[Stage, str], None]
WHY = "roll-out-gpt-oss-120b failed: serve: the engine ended with code 1 while it was loading"
COMMAND = "gswarm model serve gpt-oss-120b --to gpu-03:gpu0 --to gpu-03:gpu1 --engine vllm"


@pytest.mark.parametrize("size", SIZES)
async def test_it_looks_as_before(size: tuple[int, int], same_as_before: SameAsBefore) -> None:
    happened = (
        Event(NOW - 90_000, "info", "job 285", "roll-out-gpt-oss-120b began, for ana"),
        Event(NOW - 600, "warning", "gpu-07", "the GPU driver has not answered for 2 min"),
        Event(NOW - 9, "info", "phi-4", "phi-4 is on gpu-05:disk, every file verified"),
        Event(NOW, "error", "job 285", WHY, COMMAND),
    )
    async with on_stage(fleet(events=happened), size=size) as stage:
        await stage.open("events")
        same_as_before(stage, f"events-{size[0]}x{size[1]}")


@pytest.mark.parametrize("width", [80, 100])
async def test_the_event_under_the_cursor_is_whole_with_its_command(width: int) -> None:
    event = Event(1.0, "error", "job 285", WHY, COMMAND)
    async with on_stage(FleetSnapshot(2.0, events=(event,)), size=(width, 24)) as stage:
        await stage.open("events")
        shown = " ".join(stage.text().split())
        assert WHY in shown
        assert COMMAND in shown


async def test_a_text_without_end_leaves_the_command_its_place() -> None:
    event = Event(1.0, "error", "job 285", "and so on " * 200, "gswarm job retry 285")
    async with on_stage(FleetSnapshot(2.0, events=(event,)), size=SMALL) as stage:
        await stage.open("events")
        stage.line_with("… d has all")
        stage.line_with("gswarm job retry 285")
        await stage.push(FleetSnapshot(3.0, events=(replace(event, text="\x1b[31m\n"),)))
        assert "\x1b" not in stage.text()


async def test_events_are_shown() -> None:
    event = Event(0.0, "warning", "node1", "is [b]gone[/b]\x1b[31m")
    async with on_stage(FleetSnapshot(1.0, events=(event,))) as stage:
        await stage.open("events")
        assert "is [b]gone[/b]�[31m" in stage.line_with("node1")


async def test_the_newest_is_first_and_comes_on_top() -> None:
    first = Event(10.0, "info", "node1", "answers")
    second = Event(20.0, "error", "node1", "does not answer: no route")
    async with on_stage(FleetSnapshot(11.0, events=(first,))) as stage:
        await stage.open("events")
        await stage.push(FleetSnapshot(21.0, events=(first, second)))
        shown = [line for line in stage.lines() if "node1" in line]
        assert ["does not answer" in line for line in shown[:2]] == [True, False]


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("error", ["gone"]),
        ("!error", ["placed", "began"]),
        ("gswarm model", ["placed"]),
        ("job 17", ["began"]),
    ],
)
async def test_the_filter_looks_at_every_word(typed: str, left: list[str]) -> None:
    events = (
        Event(1.0, "info", "job 17", "began"),
        Event(2.0, "info", "llama", "placed", command="gswarm model download llama"),
        Event(3.0, "error", "node1", "gone"),
    )
    async with on_stage(FleetSnapshot(4.0, events=events)) as stage:
        await stage.open("events")
        await stage.type(f"/{typed}")
        await stage.press("enter")
        shown = [word for word in ("gone", "placed", "began") if word in stage.text()]
        assert shown == left


async def test_enter_goes_to_what_it_is_about() -> None:
    events = (Event(1.0, "info", "node1", "answers"), Event(2.0, "info", "job 17", "began"))
    async with on_stage(fleet(node("node1"), events=events)) as stage:
        await stage.open("events")
        await stage.press("enter")
        assert isinstance(stage.app.screen, DescribeScreen), "the job is no more"
        await stage.press("escape", "j", "enter")
        assert stage.app.trail() == ("Fleet", "Events", "Node node1")


async def test_y_copies_the_command_under_the_cursor() -> None:
    done = Event(1.0, "info", "llama", "placed", command="gswarm model download llama")
    later = Event(2.0, "info", "node1", "answers")
    async with on_stage(FleetSnapshot(3.0, events=(done, later))) as stage:
        await stage.open("events")
        await stage.press("j", "y")
        assert stage.app.clipboard == "gswarm model download llama"
