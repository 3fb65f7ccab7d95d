"""The line with the keys: it is right, the mouse works on it, and it is drawn when it changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.screen import Screen
from textual.widgets import Input

from gswarm_tui.tui.screens.chat import ChatScreen
from gswarm_tui.tui.screens.choice import ChoiceScreen
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.help import HelpScreen
from gswarm_tui.tui.screens.playbook import PlaybookView
from gswarm_tui.tui.screens.service_log import ServiceLogScreen
from gswarm_tui.tui.talking import Echo
from gswarm_tui.tui.views import VIEWS
from gswarm_tui.tui.widgets.dialog import NoticeScreen
from gswarm_tui.tui.widgets.keys import Keys

from .fleets import fleet, gpu, node, racks
from .some_jobs import PICTURE
from .some_models import placed, service
from .stage import SMALL, Stage, on_stage


def keys(stage: Stage) -> Keys:
    return stage.view.query_one(Keys)


def said(stage: Stage) -> str:
    return keys(stage).render_line(0).text


async def test_a_click_on_a_key_presses_it() -> None:
    async with on_stage(racks()) as stage:
        await stage.pilot.click(Keys, offset=(said(stage).index("Help"), 0))
        await stage.pilot.pause()
        assert stage.app.screen is not stage.view
        await stage.press("escape")
        await stage.pilot.click(Keys, offset=(stage.app.size.width - 1, 0))
        assert stage.app.screen is stage.view


async def test_it_is_drawn_when_other_keys_count(monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_stage(racks()) as stage:
        drawn: list[str] = []
        monkeypatch.setattr(keys(stage), "refresh", lambda: drawn.append("again"))
        stage.view.refresh_bindings()
        await stage.press("j", "k")
        assert drawn == []
        await stage.press("colon")
        assert "Cards" not in said(stage)
        await stage.press("escape")
        assert "Cards" in said(stage)
        assert drawn == ["again", "again"]


async def test_where_there_is_no_room_the_wheel_moves_it_and_no_key_is_cut() -> None:
    async with on_stage(racks(), size=(27, 10)) as stage:
        assert said(stage) == " ⏎ Open  v Cards … ? Help  "
        line = keys(stage)

        def turn(kind: type[events.MouseEvent]) -> None:
            line.post_message(kind(line, 0, 0, 0, 0, 0, False, False, False, 0, 0))

        turn(events.MouseScrollDown)
        await stage.pilot.pause()
        assert said(stage).rstrip() == "… v Cards … ? Help"
        await stage.pilot.click(Keys, offset=(said(stage).index("Help"), 0))
        await stage.pilot.pause()
        assert stage.app.screen is not stage.view
        await stage.press("escape")
        for _ in range(20):
            turn(events.MouseScrollDown)
        await stage.pilot.pause()
        assert said(stage).rstrip() == "… d Describe  ? Help"
        for _ in range(20):
            turn(events.MouseScrollUp)
        await stage.pilot.pause()
        assert said(stage).startswith(" ⏎ Open  v Cards")


@pytest.mark.parametrize("word", VIEWS)
async def test_the_screen_s_own_keys_come_first_and_help_is_always_seen(word: str) -> None:
    async with on_stage(placed(), size=SMALL) as stage:
        await stage.open(word, {"node": "alpha", "gpu": "alpha:gpu0", "model": "llama"}.get(word))
        await stage.shows("? Help")
        shown = said(stage).rstrip()
        assert shown.endswith("? Help")
        own = [f" {key.shown} {key.does} " for key in keys(stage)._keys]
        assert shown.startswith("".join(own[:3]).rstrip())
        assert not own[0].startswith((" : ", " esc "))
        assert own[0] == " ⏎ Open " or not stage.view.ENTER
        assert " ⏎ Open " not in own[1:]


async def test_the_key_under_the_mouse_is_seen() -> None:
    async with on_stage(racks(), size=SMALL) as stage:
        before = keys(stage).render_line(0)
        await stage.pilot.hover(Keys, offset=(2, 0))
        after = keys(stage).render_line(0)
        assert after.text == before.text
        assert [s.style for s in after][:2] != [s.style for s in before][:2]
        assert [s.style for s in after][2:] == [s.style for s in before][2:]
        await stage.pilot.hover(None, offset=(2, 5))
        assert list(keys(stage).render_line(0)) == list(before)


async def test_while_one_types_the_keys_are_those_that_work_there() -> None:
    async with on_stage(racks()) as stage:
        await stage.press("colon")
        await stage.shows("Complete")
        assert said(stage).split() == ["⏎", "Go", "tab", "Complete", "esc", "Leave"]
        await stage.press("escape", "slash")
        await stage.shows("Keep")
        assert said(stage).split() == ["⏎", "Keep", "esc", "Leave"]
        await stage.press("escape")
        await stage.shows("Cards")


async def test_in_a_form_the_keys_are_not_those_that_would_be_typed(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("version: 1\nvars:\n  whom: world\nactions: []\n")
    async with on_stage(racks()) as stage:
        await stage.app.push_screen(PlaybookView(str(file)))
        await stage.shows("Run")
        await stage.shows("whom")
        assert isinstance(stage.app.focused, Input)
        stage.view.refresh_bindings()
        await stage.shows("^r Run")
        await stage.pilot.pause()
        assert "Go to" not in said(stage)


async def test_esc_says_that_it_takes_the_filter_away() -> None:
    async with on_stage(racks(), size=(160, 30)) as stage:
        assert "esc " not in said(stage)
        await stage.press("slash", "u", "p", "enter")
        await stage.shows("esc Clear filter")
        await stage.press("escape")
        await stage.shows("Group")
        assert "esc " not in said(stage)
        await stage.open("node", "alpha")
        await stage.shows("esc Back")


@pytest.mark.parametrize(
    ("box", "shown"),
    [
        (lambda: ChatScreen(service(), Echo()), "pgup Up  pgdn Down  ⏎ Send  esc Leave"),
        (lambda: DescribeScreen("llama", service()), "esc Close"),
        (lambda: HelpScreen("Fleet", "What there is.", [], []), "esc Close"),
        (lambda: ChoiceScreen("by", ["a", "b"]), "⏎ Select  esc Leave"),
        (lambda: ServiceLogScreen(service(), Echo()), "r Read it again  esc Close"),
    ],
)
async def test_a_box_has_the_keys_that_work_in_it(
    box: Callable[[], Screen[object]], shown: str
) -> None:
    async with on_stage(racks()) as stage:
        stage.app.push_screen(box())
        await stage.shows(shown)
        assert stage.lines()[-1].strip() == shown
        await stage.press("escape")
        await stage.shows("⏎ Open  v Cards")


async def test_below_a_form_no_key_is_shown() -> None:
    async with on_stage(racks()) as stage:
        stage.app.push_screen(NoticeScreen("failed", "no route to host"))
        await stage.pilot.pause()
        assert said(stage).strip() == ""
        await stage.press("enter")
        assert said(stage).startswith(" ⏎ Open  v Cards")


async def test_other_keys_have_the_room_that_is_left() -> None:
    async with on_stage(fleet(node("alpha", gpu("alpha", 0))), size=(120, 30)) as stage:
        await stage.press("v")
        await stage.shows("Group")
        shown = said(stage).split("  ")
        last = ["/ Filter", "space Mark", "d Describe", "? Help"]
        assert [each.strip() for each in shown if each.strip()][-4:] == last
        assert "Focus" not in said(stage)
        await stage.pilot.resize_terminal(70, 30)
        await stage.pilot.pause()
        assert "Filter" in said(stage)
        assert "Describe" not in said(stage)
        assert said(stage).rstrip().endswith("… ? Help")


async def test_the_key_of_the_queue_says_what_it_does_now() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("jobs")
        await stage.shows("p Pause the queue")
        await stage.push(replace(PICTURE, queue_paused=True))
        await stage.shows("p Open the queue")
        await stage.press("p")
        await stage.shows("resume the queue")
