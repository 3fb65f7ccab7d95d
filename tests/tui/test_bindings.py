"""Every key does something: each binding is pressed where it should, and something is different."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

from gswarm_tui.tui import screens, widgets
from gswarm_tui.tui.app import GswarmApp
from gswarm_tui.tui.screens.help import HelpScreen
from gswarm_tui.tui.screens.jobs import JobsView
from gswarm_tui.tui.screens.view import View
from gswarm_tui.tui.views import VIEWS
from gswarm_tui.tui.widgets.line_table import LineTable

from .scenes import OPTIONS, PICTURE, SCENES, SUBJECTS, Scene
from .stage import Stage, on_stage

COMMON = ("slash", "escape", "o", "l")
"""Keys of all screens that some have no use for."""


def owners() -> Iterator[type[DOMNode]]:
    """All that have bindings of their own."""
    for package in (screens, widgets):
        for found in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            for each in vars(module).values():
                is_its = isinstance(each, type) and each.__module__ == module.__name__
                if is_its and vars(each).get("BINDINGS"):
                    yield each


def keys_of(owner: type) -> list[str]:
    bindings = [each for each in vars(owner)["BINDINGS"] if isinstance(each, Binding)]
    return [key for binding in bindings for key in binding.key.split(",")]


def state(stage: Stage) -> tuple[object, ...]:
    """All that a key can make different."""
    app = stage.app
    return (
        [tuple(strip) for strip in stage.strips()],
        [type(screen).__name__ for screen in app.screen_stack],
        app.focused,
        app.clipboard,
        stage.notices(),
        getattr(app.focused, "value", None),
        getattr(app.focused, "following", None),
    )


async def changes(stage: Stage, key: str) -> bool:
    """Whether a key makes something different."""
    before = state(stage)
    await stage.press(key)
    for _ in range(5):
        if state(stage) != before:
            return True
        await stage.pilot.pause()
    return False


async def go_home(stage: Stage) -> None:
    stage.app._notifications.clear()
    while len(stage.app.screen_stack) > 2:
        stage.app.pop_screen()
    await stage.pilot.pause()


async def those_without_effect(scene: Scene, keys: list[str]) -> list[str]:
    silent = []
    async with on_stage(scene.picture, size=scene.size, **OPTIONS) as stage:
        await scene.steps(stage)
        for key in keys:
            there = list(stage.app.screen_stack)
            has_effect = await changes(stage, key)
            if has_effect and stage.app.screen_stack == there:
                continue  # the next key can be pressed where this one has led
            await go_home(stage)
            await scene.steps(stage)
            if not (has_effect or await changes(stage, key)):
                silent.append(key)
    return silent


def test_each_binding_has_a_scene() -> None:
    assert set(owners()) == set(SCENES)


@pytest.mark.parametrize("owner", SCENES, ids=lambda owner: owner.__name__)
async def test_every_key_does_something(
    owner: type[DOMNode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    silent = keys_of(owner)
    for scene in SCENES[owner]:
        silent = await those_without_effect(scene, silent)
    assert silent == []


@pytest.mark.parametrize("key", keys_of(GswarmApp))
async def test_a_key_to_leave(key: str) -> None:
    async with on_stage(PICTURE) as stage:
        await stage.press(key)
        if key == "ctrl+z":  # there is no terminal here
            assert stage.notices() == ["⚠ there is no shell to go back to from here"]
        else:
            assert stage.app._exit


@pytest.mark.parametrize("word", VIEWS)
async def test_what_a_screen_has_of_the_common_keys_does_something_there(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own keys, and those of its widgets, have scenes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.yaml").write_text("")
    async with on_stage(PICTURE, size=(120, 40), **OPTIONS) as stage:
        await stage.open(word, SUBJECTS.get(word))
        await stage.pilot.pause()
        shown = [
            key
            for key, active in stage.view.active_bindings.items()
            if key == "enter" or (key in COMMON and active.node is stage.view)
        ]
        silent = []
        for key in shown:
            await go_home(stage)
            await stage.open(word, SUBJECTS.get(word))
            if not await changes(stage, key):
                silent.append(key)
        assert silent == []


@pytest.mark.parametrize("word", ["fleet", "gpu", "models", "services", "jobs", "job"])
async def test_who_may_change_nothing_is_shown_no_key_that_does(word: str) -> None:
    async with on_stage(PICTURE, read_only=True, **OPTIONS) as stage:
        await stage.open(word, SUBJECTS.get(word))
        view = stage.view
        assert stage.lines()[0].startswith(" gswarm  read-only")
        shown = {each.binding.action for each in view.active_bindings.values()}
        assert not shown & view.CHANGES
        pressed = [key for action in sorted(view.CHANGES) for key in keys_for(view, action)]
        assert pressed
        for key in pressed:
            await stage.press(key)
            assert "--read-only" in stage.text(), key
            await stage.press("escape")


def keys_for(view: View, action: str) -> list[str]:
    found = view._bindings.key_to_bindings.items()
    return [key for key, some in found for binding in some if binding.action == action]


async def test_help_has_what_the_focus_has() -> None:
    async with on_stage(PICTURE, size=(120, 60), **OPTIONS) as stage:
        await stage.open("node", "alpha")
        await stage.press("question_mark")
        assert isinstance(stage.app.screen, HelpScreen)
        here = [binding for binding in LineTable.BINDINGS if "mark" not in str(binding)]
        for binding in (*here, *View.BINDINGS):
            assert isinstance(binding, Binding)
            assert binding.description in stage.text() or binding.action in (
                "filter",
                "clear_filter",
                "sort",
            )


async def test_help_has_the_keys_of_the_screen_first_and_our_words_only() -> None:
    async with on_stage(PICTURE, size=(80, 24), **OPTIONS) as stage:
        await stage.open("jobs")
        await stage.press("question_mark")
        for binding in JobsView.BINDINGS:  # without scrolling
            assert isinstance(binding, Binding)
            if binding.action != "open_queue":  # it is not paused
                stage.line_with(binding.description)
        await stage.pilot.resize_terminal(80, 80)
        await stage.pilot.pause()
        text = stage.text()
        assert text.index("Pause the queue") < text.index("Page down") < text.index("Go to")
        assert "Open the job" in stage.line_with("⏎")
        assert "←" in stage.line_with("Back")
        assert "NODE:gpuN" in text
        assert "theme dark|light|ansi, q" in " ".join(text.split())
        for word in ("Scroll Left", "Page Left", "Focus Next", "selected text"):
            assert word not in text


@pytest.mark.parametrize("word", [word for word in VIEWS if word != "log"])
def test_every_screen_says_what_enter_opens(word: str) -> None:
    assert VIEWS[word].ENTER
