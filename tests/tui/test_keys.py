"""The line with the keys: it is right, the mouse works on it, and it is drawn when it changes."""

from __future__ import annotations

import pytest
from textual import events

from gswarm_tui.tui.views import VIEWS
from gswarm_tui.tui.widgets.keys import Keys

from .fleets import fleet
from .some_models import placed
from .stage import SMALL, Stage, on_stage


def keys(stage: Stage) -> Keys:
    return stage.view.query_one(Keys)


def said(stage: Stage) -> str:
    return keys(stage).render_line(0).text


async def test_a_click_on_a_key_presses_it() -> None:
    async with on_stage(fleet()) as stage:
        await stage.pilot.click(Keys, offset=(said(stage).index("Help"), 0))
        await stage.pilot.pause()
        assert stage.app.screen is not stage.view
        await stage.press("escape")
        await stage.pilot.click(Keys, offset=(stage.app.size.width - 1, 0))
        assert stage.app.screen is stage.view


async def test_it_is_drawn_when_other_keys_count(monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_stage(fleet()) as stage:
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
    async with on_stage(fleet(), size=(27, 10)) as stage:
        assert said(stage) == " v Cards  n Group … ? Help "
        line = keys(stage)

        def turn(kind: type[events.MouseEvent]) -> None:
            line.post_message(kind(line, 0, 0, 0, 0, 0, False, False, False, 0, 0))

        turn(events.MouseScrollDown)
        await stage.pilot.pause()
        assert said(stage).rstrip() == "… n Group  o Sort … ? Help"
        await stage.pilot.click(Keys, offset=(said(stage).index("Help"), 0))
        await stage.pilot.pause()
        assert stage.app.screen is not stage.view
        await stage.press("escape")
        for _ in range(20):
            turn(events.MouseScrollDown)
        await stage.pilot.pause()
        assert said(stage).rstrip() == "… / Filter  ? Help"
        for _ in range(20):
            turn(events.MouseScrollUp)
        await stage.pilot.pause()
        assert said(stage).startswith(" v Cards")


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


async def test_the_key_under_the_mouse_is_seen() -> None:
    async with on_stage(fleet(), size=SMALL) as stage:
        before = keys(stage).render_line(0)
        await stage.pilot.hover(Keys, offset=(2, 0))
        after = keys(stage).render_line(0)
        assert after.text == before.text
        assert [s.style for s in after][:2] != [s.style for s in before][:2]
        assert [s.style for s in after][2:] == [s.style for s in before][2:]
        await stage.pilot.hover(None, offset=(2, 5))
        assert list(keys(stage).render_line(0)) == list(before)
