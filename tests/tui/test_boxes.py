"""Boxes over a screen: what asks, shows and says something there, and a talk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import pytest
from textual.geometry import Region
from textual.screen import Screen

from gswarm_tui.inventory import Inventory, NodeSpec
from gswarm_tui.tui.acting import Deed, Recording
from gswarm_tui.tui.screens.chat import ChatScreen
from gswarm_tui.tui.screens.choice import ChoiceScreen
from gswarm_tui.tui.talking import Echo
from gswarm_tui.tui.widgets.dialog import (
    Field,
    Flag,
    Form,
    FormScreen,
    NoticeScreen,
    PlanScreen,
)

from .some_jobs import PICTURE
from .some_models import service
from .stage import SIZES, Stage, on_stage

SameAsBefore = Callable[[Stage, str], None]

LOW: Final = (80, 11)
INVENTORY: Final = Inventory(
    {f"node{number:02}": NodeSpec(f"node{number:02}", "10.0.0.1") for number in range(90)}
)

DEED: Final = Deed(
    "delete llama from alpha:disk",
    (("model", "delete", "llama", "--device", "alpha:disk"),),
    losses=("the last whole copy of llama",),
)
FORM: Final = Form(
    "delete llama",
    (Field("from", "from", words=("alpha:disk",), hint="alpha:disk"), Flag("force", "even in use")),
    lambda _: DEED,
    about="it is on alpha:disk and beta:disk",
)
PLAN: Final = ("delete llama from alpha:disk: would do", "free on alpha:disk: 1.0 TB")

BOXES: Final[dict[str, tuple[Callable[[], Screen[Any]], str]]] = {
    "form": (lambda: FormScreen(FORM), "Enter shows the plan"),
    "plan": (lambda: PlanScreen(DEED, Recording(plan=PLAN)), "Enter does it"),
    "notice": (lambda: NoticeScreen("delete failed", "alpha: no route to host"), "Enter closes"),
    "choice": (lambda: ChoiceScreen("sort by", ["name", "state"], "state"), "sort by"),
    "chat": (lambda: ChatScreen(service(), Echo()), "say something"),
}
"""How each is made, and what is on the screen when it is there."""


@pytest.mark.parametrize("size", [*SIZES, LOW], ids=str)
@pytest.mark.parametrize("name", BOXES)
async def test_it_looks_as_before_and_the_screen_beneath_does_not_move(
    name: str, size: tuple[int, int], same_as_before: SameAsBefore
) -> None:
    make, said = BOXES[name]
    async with over_a_screen(size) as stage:
        before = stage.lines()
        stage.app.push_screen(make())
        await stage.shows(said)
        assert around(stage, stage.lines()) == around(stage, before)
        if size != LOW:
            same_as_before(stage, f"{name}-{size[0]}x{size[1]}")


LINES: Final = tuple(f"line {number}" for number in range(99))
LONG: Final[dict[str, Callable[[], Screen[Any]]]] = {
    "form": lambda: FormScreen(replace(FORM, about="\n".join(LINES))),
    "plan": lambda: PlanScreen(DEED, Recording(plan=LINES)),
    "notice": lambda: NoticeScreen("delete failed", "\n".join(LINES)),
}


@pytest.mark.parametrize(("size", "above", "below"), [((80, 24), 2, 1), ((80, 11), 0, 0)])
@pytest.mark.parametrize("name", LONG)
async def test_a_long_one_leaves_the_head_and_the_keys_of_the_screen_beneath(
    name: str, size: tuple[int, int], above: int, below: int
) -> None:
    async with over_a_screen(size) as stage:
        before = stage.lines()
        stage.app.push_screen(LONG[name]())
        await stage.shows("Enter")
        box = region(stage)
        assert (box.y, box.bottom) == (above, size[1] - below)
        assert around(stage, stage.lines()) == around(stage, before)


@asynccontextmanager
async def over_a_screen(size: tuple[int, int]) -> AsyncIterator[Stage]:
    """A screen that has something everywhere, for a box over it."""
    async with on_stage(PICTURE, size=size, inventory=INVENTORY) as stage:
        await stage.open("inventory")
        yield stage


def around(stage: Stage, lines: list[str]) -> list[str]:
    """What is beside, above and below the box on top, but for the keys that do not count there."""
    box = region(stage)
    rows = range(box.y, box.bottom)
    return [
        f"{line[: box.x]}|{line[box.right :]}" if y in rows else line
        for y, line in enumerate(lines[:-1])
    ]


def region(stage: Stage) -> Region:
    """Where the box on top is."""
    found = stage.app.screen.query(
        "Screen > VerticalScroll, Screen > Vertical, Screen > OptionList"
    )
    return found.first().region
