"""Keys that come in one piece, as over a slow line: each finds what the one before it has done."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from contextlib import nullcontext

import pytest
from textual._xterm_parser import XTermParser
from textual.widgets import Input

from gswarm_tui.errors import UsageError
from gswarm_tui.tui.acting import Deed, Recording
from gswarm_tui.tui.screens.help import HelpScreen
from gswarm_tui.tui.widgets.dialog import Field, Flag, Form, FormScreen, PlanScreen
from gswarm_tui.tui.widgets.fleet_table import FleetTable
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.prompt import Prompt
from gswarm_tui.tui.widgets.tick import Tick

from .fleets import fleet, node
from .some_jobs import PICTURE
from .some_models import placed
from .stage import Stage, on_stage
from .test_acting import DEED


async def burst(stage: Stage, text: str) -> None:
    """What a terminal sends, in one piece: through Textual's own parser, as its driver does it."""
    parser = XTermParser()
    driver = stage.app._driver
    assert driver is not None
    for event in [*parser.feed(text), *parser.feed("")]:
        driver.process_message(event)
    await stage.pilot.pause()
    while stage.app.turns._going_on is not None:
        await stage.pilot.pause()
    await stage.pilot.pause()


async def test_what_is_typed_after_enter_is_not_part_of_the_filter() -> None:
    nodes = fleet(*(node(f"gpu-{number}") for number in range(5)), node("other"))
    async with on_stage(nodes) as stage:
        await burst(stage, "/gpu\rjj")
        assert stage.view.filter == "gpu"
        table = stage.app.focused
        assert isinstance(table, FleetTable)
        assert (table.cursor, len(table.rows)) == (2, 5)


@pytest.mark.parametrize(
    ("keys", "typed"),
    [
        ("/abc\x15xyz", "xyz"),  # Ctrl-U
        ("/abc\x17xyz", "xyz"),  # Ctrl-W
        ("/one two\x1b[D\x1b[D\x1b[Dx", "one xtwo"),
        ("/ab\x7f\x7fcd", "cd"),
        ("/a:b/c?", "a:b/c?"),
        (":mod\t", "models"),
        (":node al\t", "node alpha"),
    ],
)
async def test_keys_that_mend_what_is_typed(keys: str, typed: str) -> None:
    async with on_stage(placed()) as stage:
        await burst(stage, keys)
        assert isinstance(stage.app.focused, Prompt)
        assert stage.app.focused.value == typed


async def test_what_is_typed_ahead_is_for_the_screen_that_it_leads_to() -> None:
    async with on_stage(PICTURE) as stage:
        await burst(stage, ":jobs\rjj")
        assert stage.view.WORD == "jobs"
        assert stage.view.query_one(LineTable).cursor == 2
        await burst(stage, "\r?")
        assert stage.app.trail()[-1].startswith("Job ")
        assert isinstance(stage.app.screen, HelpScreen)


async def test_esc_and_enter_one_after_the_other() -> None:
    async with on_stage(PICTURE) as stage:
        await burst(stage, ":jobs\r/night\rj/lost\rg:events\r")
        assert [view.WORD for view in stage.app.views] == ["fleet", "events"]
    async with on_stage(PICTURE) as stage:
        await burst(stage, ":nonsense\r tail\r")
        assert isinstance(stage.app.focused, Prompt)
        assert stage.app.focused.value == "nonsense tail"


async def test_a_form_is_filled_in_one_piece() -> None:
    actor = Recording(plan=("as asked",))
    answers: list[Mapping[str, str]] = []

    def make(given: Mapping[str, str]) -> Deed:
        answers.append(dict(given))
        return DEED

    form = Form(
        "copy",
        (Field("to", "to", "", ("beta:disk",)), Field("port", "port", "8"), Flag("keep", "keep")),
        make,
    )
    async with on_stage(placed(), actor=actor) as stage:
        stage.app.deeds.ask(form)
        await stage.pilot.pause()
        await burst(stage, "x\x15bet\t\t\x158000\t \r\r")
        assert answers == [{"to": "beta:disk", "port": "8000", "keep": "yes"}]
        # The second Enter was pressed before there was a plan to see.
        assert isinstance(stage.app.screen, PlanScreen)
        assert actor.done == []
        await burst(stage, "\r")
        assert actor.done == [DEED]


async def test_what_a_form_said_is_gone_when_it_is_mended() -> None:
    def make(given: Mapping[str, str]) -> Deed:
        raise UsageError("where to")

    form = Form("copy", (Field("to", "to"),), make)
    async with on_stage(placed()) as stage:
        stage.app.deeds.ask(form)
        await stage.pilot.pause()
        await burst(stage, "\r")
        assert "✗ where to" in stage.text()
        await burst(stage, "x")
        assert "✗ where to" not in stage.text()
        assert isinstance(stage.app.screen, FormScreen)


async def test_a_text_that_comes_key_by_key_is_typed_in_few_pieces() -> None:
    """A terminal that pastes without saying so; `:` and `/` are keys of their own elsewhere."""
    text = "hf://org/name: " + "é漢 x" * 500
    form = Form("copy", (Field("to", "to"), Field("from", "from")), lambda _: DEED)
    async with on_stage(placed()) as stage:
        stage.app.deeds.ask(form)
        await stage.pilot.pause()
        box = stage.app.focused
        assert isinstance(box, Input)
        changes: list[str] = []
        stage.app.screen.watch(box, "value", lambda value: changes.append(value), init=False)
        await burst(stage, f"{text}\x7f\x7fend\tnext")
        assert [each.value for each in stage.app.screen.query(Input)] == [f"{text[:-2]}end", "next"]
        assert len(changes) < 10


async def test_of_a_text_that_is_longer_than_its_line_the_end_is_seen() -> None:
    long = "x" * 200
    form = Form("copy", (Field("to", "to", f"{long}end"), Field("from", "from")), lambda _: DEED)
    async with on_stage(placed(), size=(80, 24)) as stage:
        stage.app.deeds.ask(form)
        await stage.shows("xend")
        await burst(stage, f"\x1b[200~{long}other\x1b[201~")
        await stage.shows("xother")
        await stage.pilot.resize_terminal(60, 24)
        await stage.shows("xother")


async def test_a_paste_keeps_its_place() -> None:
    async with on_stage(placed()) as stage:
        await burst(stage, "/a\x1b[200~bc\x1b[201~d\r")
        assert stage.view.filter == "abcd"
        assert not isinstance(stage.app.focused, Input)


@pytest.mark.parametrize("kind", [":", "/"])
async def test_of_several_lines_that_are_pasted_into_the_prompt_none_is_lost(kind: str) -> None:
    async with on_stage(placed()) as stage:
        await burst(stage, f"{kind}\x1b[200~node\n  alpha\r\n\x1b[201~")
        assert isinstance(stage.app.focused, Input)
        assert stage.app.focused.value == "node alpha"


PASTED = {
    "one": "one",
    " one \n": " one ",
    "alpha:disk\r\n  beta:disk\r\n\r\n": "alpha:disk beta:disk",
    "a\tb\x07c\nd": "a b�c d",
    "\n": "",
}


@pytest.mark.parametrize("text", PASTED)
async def test_of_several_lines_that_are_pasted_into_a_form_none_is_lost(text: str) -> None:
    form = Form("copy", (Field("to", "to", "x"),), lambda _: DEED)
    async with on_stage(placed()) as stage:
        stage.app.deeds.ask(form)
        await stage.pilot.pause()
        await burst(stage, f"\x1b[200~{text}\x1b[201~")
        box = stage.app.focused
        assert isinstance(box, Input)
        assert box.value == f"x{PASTED[text]}"
        stage.app.copy_to_clipboard(text)
        box.action_select_all()
        await burst(stage, "\x16")  # Ctrl-V
        assert box.value == PASTED[text]


async def test_a_tick_has_a_shape_and_is_seen_where_the_focus_is() -> None:
    form = Form("move", (Field("to", "to"), Flag("keep", "keep the source", True)), lambda _: DEED)
    async with on_stage(placed()) as stage:
        stage.app.deeds.ask(form)
        await stage.pilot.pause()
        stage.line_with("[x] keep the source")
        await stage.press("tab")
        assert isinstance(stage.app.focused, Tick)
        stage.line_with("[x] keep the source")
        await stage.press("space")
        stage.line_with("[ ] keep the source")
        assert await stage.pilot.click(Tick)
        stage.line_with("[x] keep the source")


async def test_ctrl_z_stops_all_of_us_as_a_shell_expects_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped: list[tuple[int, int, object]] = []

    def stop(group: int, number: int) -> None:
        stopped.append((group, number, signal.getsignal(number)))

    before = signal.getsignal(signal.SIGTSTP)
    monkeypatch.setattr("gswarm_tui.tui.app.os.killpg", stop)
    async with on_stage(placed()) as stage:
        monkeypatch.setattr(stage.app, "suspend", nullcontext)
        await burst(stage, "\x1a")
    assert stopped == [(0, signal.SIGTSTP, signal.SIG_DFL)]
    assert signal.getsignal(signal.SIGTSTP) == before
