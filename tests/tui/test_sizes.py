"""Every screen and every box on terminals from one cell to half a thousand columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from textual.screen import Screen

from gswarm_tui.errors import UsageError
from gswarm_tui.tui.acting import Deed, Recording
from gswarm_tui.tui.screens.chat import ChatScreen
from gswarm_tui.tui.screens.choice import ChoiceScreen
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.help import HelpScreen
from gswarm_tui.tui.screens.playbook import PlaybookView
from gswarm_tui.tui.screens.service_log import ServiceLogScreen
from gswarm_tui.tui.talking import Echo
from gswarm_tui.tui.views import VIEWS
from gswarm_tui.tui.widgets.dialog import Field, Flag, Form, FormScreen, NoticeScreen, PlanScreen
from gswarm_tui.watch.snapshot import FleetSnapshot

from .some_jobs import JOBS
from .some_models import placed, service
from .stage import Stage, on_stage
from .test_acting import DANGEROUS

SIZES = ((1, 1), (9, 2), (19, 4), (39, 9))
LARGEST = (500, 200)
SUBJECTS = {"node": "alpha", "gpu": "alpha:gpu0", "model": "llama", "job": "9", "log": "9"}
FORM = Form(
    "delete", (Field("from", "from", "x", ("alpha:disk",)), Flag("b", "b")), lambda _: DANGEROUS
)


def picture() -> FleetSnapshot:
    return replace(placed(), jobs=JOBS)


def boxes() -> list[Screen[object]]:
    return [
        ChatScreen(service(), Echo()),
        ChoiceScreen("sort by", ["a", "b"]),
        DescribeScreen("llama", *placed().models),
        FormScreen(FORM),
        HelpScreen("Fleet", "What there is.", [], ["fleet"]),
        NoticeScreen("failed", "alpha: no route to host"),
        PlanScreen(DANGEROUS, Recording()),
        ServiceLogScreen(service(), Echo()),
    ]


async def fits(stage: Stage, size: tuple[int, int]) -> None:
    """Nothing ends, and the screen is as large as the terminal."""
    await stage.pilot.resize_terminal(*size)
    await stage.pilot.pause()
    assert {len(line.rstrip("\n")) for line in stage.lines()} <= set(range(size[0] + 1))
    assert len(stage.lines()) == size[1]


@pytest.mark.parametrize("word", VIEWS)
async def test_every_screen_at_every_size(word: str) -> None:
    async with on_stage(picture(), talker=Echo()) as stage:
        await stage.open(word, SUBJECTS.get(word))
        for size in SIZES:
            await fits(stage, size)
            await stage.press("j")


async def test_the_form_of_a_playbook_at_every_size(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\nactions: []\n")
    async with on_stage(picture()) as stage:
        stage.app.push_screen(PlaybookView(str(file)))
        for size in SIZES:
            await fits(stage, size)


async def test_every_box_at_every_size() -> None:
    async with on_stage(picture()) as stage:
        for box in boxes():
            stage.app.push_screen(box)
            for size in SIZES:
                await fits(stage, size)
            await stage.press("escape")


@pytest.mark.parametrize("word", ["fleet", "node", "models"])
async def test_the_largest_terminal(word: str) -> None:
    async with on_stage(picture(), size=LARGEST) as stage:
        await stage.open(word, SUBJECTS.get(word))
        await fits(stage, LARGEST)


async def test_what_has_no_room_says_how_much_it_needs() -> None:
    async with on_stage(picture(), size=(12, 4)) as stage:
        assert "needs 20×5" in stage.lines()[0]
        await stage.pilot.resize_terminal(20, 5)
        await stage.pilot.pause()
        assert "gswarm" in stage.lines()[0]
        assert "alpha" in stage.text()


async def test_a_notice_leaves_a_small_terminal_to_the_table() -> None:
    async with on_stage(picture(), size=(20, 5), toasts=True) as stage:
        await stage.open("jobs")
        for word in ("first", "second"):
            stage.app.notify(f"{word}: something that is longer than a line of this terminal")
        await stage.pilot.pause()
        await stage.shows("second")
        assert "first" not in stage.text()  # the newest one counts
        assert "second" in stage.lines()[1]
        stage.line_with("STATE")
        stage.line_with("Help")


async def test_a_long_trail_keeps_its_end() -> None:
    async with on_stage(picture(), size=(34, 20)) as stage:
        await stage.open("models")
        stage.app.open_view("model", "llama")
        stage.app.open_view("node", "alpha")
        await stage.pilot.pause()
        assert stage.lines()[1].strip() == "… › Model llama › Node alpha"


async def test_a_notice_hides_no_key_of_a_box_and_no_legend() -> None:
    async with on_stage(picture(), size=(80, 24), toasts=True) as stage:
        await stage.open("models")
        below = stage.lines()[4:]
        stage.app.notify("serve llama on alpha:gpu0, a free port: job 17 " * 3, severity="error")
        await stage.shows("✗ serve llama")
        assert stage.lines()[4:] == below
        stage.app.push_screen(PlanScreen(DANGEROUS, Recording(plan=("a line",) * 40)))
        await stage.shows("will be lost")
        stage.line_with("✗ serve llama")
        await stage.press("end")
        stage.line_with("Esc leaves")


async def test_a_long_plan_keeps_its_command_and_its_keys_in_sight() -> None:
    plan = tuple(f"line {number}" for number in range(40))
    async with on_stage(picture(), size=(80, 24)) as stage:
        stage.app.push_screen(PlanScreen(DANGEROUS, Recording(plan=plan)))
        await stage.shows("line 0")
        for key in ("home", "end"):
            await stage.press(key)
            stage.line_with("the same by hand:")
            stage.line_with("gswarm model")
            stage.line_with("Enter does it")
            stage.line_with("Esc leaves")
        stage.line_with("line 39")
        assert "line 0 " not in stage.text()
        command = " ".join(f"--option-{number}" for number in range(200))
        stage.app.push_screen(PlanScreen(replace(DANGEROUS, commands=((command,),)), Recording()))
        await stage.shows("Enter does it")
        stage.line_with("will be lost")
        await stage.press("end")
        stage.line_with("--option-199")
        stage.line_with("Enter does it")


MANY = tuple(Field(f"f{number}", f"field {number}") for number in range(25))


@pytest.mark.parametrize("size", [(80, 24), (80, 10), (40, 10)])
async def test_a_form_keeps_its_keys_in_sight_and_what_is_typed(size: tuple[int, int]) -> None:
    def make(given: Mapping[str, str]) -> Deed:
        raise UsageError("where to", hint="write a device")

    async with on_stage(picture(), size=size) as stage:
        stage.app.push_screen(FormScreen(Form("download", (*MANY, Flag("keep", "keep it")), make)))
        await stage.shows("field 0")
        for number in range(len(MANY)):
            stage.line_with("Enter shows")
            stage.line_with("Esc leaves")
            stage.line_with(f"field {number} ")
            await stage.press("tab")
        stage.line_with("[ ] keep it")
        await stage.press("shift+tab", *["up"] * 20, "enter")
        stage.line_with("✗ where to")
        stage.line_with("write a device")
        stage.line_with("Enter shows")
        await stage.press("x")
        assert " x" in stage.line_with("field 4 ")
        stage.line_with("Enter shows")


@pytest.mark.parametrize("size", [(80, 24), (80, 10), (40, 10)])
async def test_a_notice_keeps_its_key_in_sight(size: tuple[int, int]) -> None:
    text = "\n".join(f"line {number}" for number in range(40))
    async with on_stage(picture(), size=size) as stage:
        stage.app.push_screen(NoticeScreen("failed", text))
        await stage.shows("line 0")
        stage.line_with("Enter closes this")
        await stage.press("end")
        stage.line_with("line 39")
        stage.line_with("Enter closes this")


async def test_a_plan_in_few_lines_keeps_its_keys_and_scrolls_its_command() -> None:
    plan = tuple(f"line {number}" for number in range(40))
    async with on_stage(picture(), size=(80, 10)) as stage:
        stage.app.push_screen(PlanScreen(DANGEROUS, Recording(plan=plan)))
        await stage.shows("will be lost")
        stage.line_with("Enter does it")
        assert "gswarm model" not in stage.text()
        await stage.press("end")
        stage.line_with("gswarm model")
        stage.line_with("Enter does it")
        assert stage.text().count("the same by hand") == 1
        await stage.pilot.resize_terminal(80, 24)
        await stage.pilot.pause()
        assert stage.text().count("the same by hand") == 1
