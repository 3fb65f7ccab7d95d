"""The line in which one types."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from gswarm_tui.watch.snapshot import FleetSnapshot

from .stage import Stage, on_stage


async def batch(stage: Stage, text: str) -> None:
    """Have keys come in one piece, as they do over a slow ssh."""
    names = {":": "colon", "/": "slash", "\r": "enter"}
    for character in text:
        event = events.Key(names.get(character, character), character)
        event.set_sender(stage.app)
        stage.app._driver.send_message(event)  # type: ignore[union-attr]
    await stage.pilot.pause()


async def test_what_is_typed_ahead_is_for_the_prompt() -> None:
    async with on_stage(FleetSnapshot(1.0)) as stage:
        await batch(stage, ":events\r")
        assert stage.view.WORD == "events"


async def test_a_filter_that_is_typed_ahead_with_signs_in_it() -> None:
    async with on_stage(FleetSnapshot(1.0)) as stage:
        await batch(stage, "/a:b/c")
        assert stage.view.filter == "a:b/c"
        assert isinstance(stage.app.focused, Input)
