"""The line in which one types."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from gswarm_tui.tui.widgets.prompt import Prompt, completions
from gswarm_tui.watch.snapshot import FleetSnapshot

from .fleets import fleet, node
from .some_models import placed
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


def prompt(stage: Stage) -> Prompt:
    return stage.view.query_one(Prompt)


async def test_tab_completes_goes_on_to_names_and_goes_round() -> None:
    async with on_stage(fleet(node("alpha"), node("beta"))) as stage:
        await stage.press("colon")
        await stage.type("no")
        seen = []
        for key in ("tab", "tab", "tab", "tab", "shift+tab", "shift+tab"):
            await stage.press(key)
            seen.append(prompt(stage).value)
        expected = ["node ", "node alpha", "node beta", "node alpha", "node beta", "node alpha"]
        assert seen == expected
        await stage.press("enter")
        assert (stage.view.WORD, stage.view.subject) == ("node", "alpha")


async def test_tab_goes_through_what_fits_and_words_that_need_a_name_are_the_last() -> None:
    async with on_stage(placed()) as stage:
        await stage.press("colon")
        await stage.type("mo")
        await stage.press("tab")
        assert prompt(stage).value == "models"
        await stage.press("tab")
        assert prompt(stage).value == "model "
        await stage.press("shift+tab")
        assert prompt(stage).value == "models"
        await stage.press("tab", "tab")
        assert prompt(stage).value == "model llama"
        await stage.press("backspace", "tab")
        assert prompt(stage).value == "model llama"


def test_what_is_typed_whole_is_completed_first() -> None:
    words = {"": ["jobs", "job", "log"], "job": ["9"], "log": ["9"]}
    assert completions(lambda start: words.get(start, []), "job") == ["job ", "jobs"]
    assert completions(lambda start: words.get(start, []), "") == ["jobs", "job ", "log "]
    assert completions(lambda start: words.get(start, []), "job 9") == []


async def test_a_filter_is_not_completed_from_the_screens() -> None:
    async with on_stage(fleet()) as stage:
        await stage.press("slash")
        await stage.type("fle")
        await stage.press("tab", "right")
        assert prompt(stage).value == "fle"
        assert stage.app.focused is prompt(stage)
