"""Themes, and keys of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.binding import Binding

from gswarm_tui.config import THEMES, TuiConfig, load
from gswarm_tui.errors import UsageError
from gswarm_tui.home import Home
from gswarm_tui.tui import keymap, theme
from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.app import wrong_keys
from gswarm_tui.tui.widgets.line_table import LineTable

from .fleets import racks
from .some_jobs import PICTURE
from .stage import Stage, on_stage


def test_the_settings_know_the_themes() -> None:
    assert tuple(theme.ALL) == THEMES


@pytest.mark.parametrize(
    ("environ", "suited"),
    [
        ({"COLORTERM": "truecolor", "TERM": "xterm-256color"}, "dark"),
        ({"COLORTERM": "24bit"}, "dark"),
        ({"TERM": "xterm-256color"}, "ansi"),
        ({"TERM": "linux"}, "ansi"),
    ],
)
def test_a_terminal_of_few_colours_gets_its_own(environ: dict[str, str], suited: str) -> None:
    assert theme.suited(environ) == suited


@pytest.mark.parametrize("name", THEMES)
async def test_the_cursor_can_be_told_and_states_differ_in_every_theme(name: str) -> None:
    async with on_stage(PICTURE, config=TuiConfig(theme=name)) as stage:
        await stage.open("jobs")
        assert stage.app.theme == name
        under, other = styles(stage, "nightly"), styles(stage, "roll-out")
        assert under != other
        assert len({styles(stage, word) for word in ("✖ failed", "✔ succeeded", "? lost")}) == 3


async def test_the_sixteen_colours_are_the_terminal_s_own() -> None:
    async with on_stage(PICTURE, config=TuiConfig(theme="ansi")) as stage:
        await stage.open("jobs")
        colours = {
            colour
            for strip in stage.strips()
            for segment in strip
            if segment.style is not None
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None
        }
        assert all(colour.is_default or colour.type.value <= 1 for colour in colours), colours
        assert "reverse" in styles(stage, "nightly")


def styles(stage: Stage, text: str) -> str:
    """The style of the line that has a text, where the text begins."""
    for strip in stage.strips():
        place = strip.text.find(text)
        if place >= 0:
            (segment, *_) = strip.crop(place, place + 1)
            return str(segment.style)
    raise AssertionError(text)


async def test_the_theme_command() -> None:
    async with on_stage(PICTURE) as stage:
        assert stage.app.theme == "dark"
        await stage.press("colon")
        await stage.type("theme light")
        await stage.press("enter")
        assert stage.app.theme == "light"
        stage.app.obey("theme purple")
        stage.app.obey("theme")
        assert stage.app.theme == "light"
        assert "ansi" in stage.app.words_after("theme")
        assert "theme" in stage.app.words_after("")


async def test_keys_of_the_user_s_own() -> None:
    keys = {"cancel": "f4", "down": "ctrl+n", "go-to": "semicolon"}
    actor = Recording()
    async with on_stage(PICTURE, config=TuiConfig(keys=keys), actor=actor) as stage:
        await stage.open("jobs")
        await stage.press("C")
        assert not actor.proposed
        table = stage.view.query_one(LineTable)
        await stage.press("ctrl+n")
        assert table.cursor == 1
        await stage.press("j")
        assert table.cursor == 1
        await stage.press("k", "f4")
        assert [deed.commands for deed in actor.proposed] == [(("job", "cancel", "9"),)]
        await stage.press("escape", "question_mark")
        assert "f4" in stage.line_with("Cancel")
        await stage.press("escape", "semicolon")
        await stage.type("events")
        await stage.press("enter")
        assert stage.view.WORD == "events"


async def test_an_action_that_is_none() -> None:
    with pytest.raises(UsageError, match="there is no action `cancle`; did you mean `cancel`") as e:
        async with on_stage(PICTURE, config=TuiConfig(keys={"cancle": "f4"})):
            pass
    assert e.value.hint is None


async def test_actions_that_are_called_like_it_are_named_where_none_is_meant() -> None:
    *_, hint = await refused({"superkey": "f4"})
    assert hint.startswith("an action is called as the help screen (?) has it: ")
    assert hint.count(",") == 7


def test_what_is_wrong_with_the_settings_and_with_the_keys_is_said_at_once(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config.write_text(
        "tui:\n  theme: lihgt\n  keys:\n    mark: ''\n    cancle: f4\n    sort: d\n"
        "    retry: superkey\n"
    )
    with pytest.raises(UsageError) as caught:
        load(home, {"GSWARM_QUEUE_RETRY_COUNT": "many"}, wrong_keys)
    where = [line.removeprefix(f"{home.config}:") for line in str(caught.value).splitlines()]
    assert [line.partition(" ")[0] for line in where] == [
        *("2:10:", "4:5:", "$GSWARM_QUEUE_RETRY_COUNT:", "5:5:", "6:5:", "7:5:")
    ]
    assert "`sort`: `d` is the key of" in where[4]


async def test_all_actions_that_are_none_are_said_with_their_places(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.config.write_text("tui:\n  keys:\n    fly: f1\n    cancel: f2\n    sotr: f3\n")
    with pytest.raises(UsageError) as caught:
        async with on_stage(PICTURE, config=load(home, {}).tui):
            pass
    assert str(caught.value).splitlines() == [
        f"{home.config}:3:5: tui.keys: there is no action `fly`",
        f"{home.config}:5:5: tui.keys: there is no action `sotr`; did you mean `sort`?",
    ]
    with pytest.raises(UsageError) as caught:
        async with on_stage(PICTURE, config=load(home, {"GSWARM_TUI_KEYS": "fly=f1"}).tui):
            pass
    assert caught.value.where == "$GSWARM_TUI_KEYS"


async def refused(keys: dict[str, str]) -> list[str]:
    """What is said of keys, and of the hint the last line."""
    with pytest.raises(UsageError) as caught:
        async with on_stage(PICTURE, config=TuiConfig(keys=keys)):
            pass
    return [*str(caught.value).splitlines(), caught.value.hint or ""]


async def test_a_key_that_is_none() -> None:
    *said, hint = await refused(
        {"down": "foo+bar", "up": "pagup", "sort": "ctrl+entr", "filter": ""}
    )
    assert said == [
        "tui.keys: tui.keys: `down`: there is no key `foo+bar`",
        "tui.keys: tui.keys: `up`: there is no key `pagup`; did you mean `pageup`?",
        "tui.keys: tui.keys: `sort`: there is no key `ctrl+entr`; did you mean `ctrl+enter`?",
        "tui.keys: tui.keys: `filter`: there is no key ``",
    ]
    assert "a key is one character, or a word such as " in hint


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"sort": "j"}, "`sort`: `j` is the key of `down` on Fleet"),
        ({"shell": "f4", "sort": "s,f4"}, "`shell`: `f4` is the key of `sort` on Fleet"),
        ({"cancel": "f4", "retry": "f4"}, "`cancel`: `f4` is the key of `retry` on Jobs"),
        ({"follow": "space"}, "`follow`: `space` is the key of `page-down` on Log"),
        ({"down": "?"}, "`down`: `?` is the key of `help` on Fleet"),
        ({"go-to": "ctrl+i"}, "`go-to`: `tab` is the key of `the-next-table` on Fleet"),
        ({"filter": "q"}, "`filter`: `q` is the key of `quit` on Fleet"),
        ({"down": "right"}, "`down`: `right` is the key of `open` on Fleet"),
    ],
)
async def test_a_key_that_another_action_has(keys: dict[str, str], said: str) -> None:
    assert f"tui.keys: tui.keys: {said}" in await refused(keys)


async def test_the_keys_that_an_action_has_can_be_written_with_another_one() -> None:
    config = TuiConfig(keys={"open": "enter,l,right,f4"})
    async with on_stage(PICTURE, config=config) as stage:
        await stage.open("jobs")
        await stage.press("l")
        assert stage.view.WORD == "log"  # as without it
        await stage.press("escape", "f4")
        assert stage.view.WORD == "job"
        await stage.press("escape", "right")
        assert stage.view.WORD == "job"
    async with on_stage(PICTURE, config=TuiConfig(keys={**config.keys, "log": "f5"})) as stage:
        await stage.open("jobs")
        await stage.press("l")
        assert stage.view.WORD == "job"


async def test_two_that_share_a_key_can_share_another_one() -> None:
    config = TuiConfig(keys={"cards": "f4", "lines": "f4"})
    async with on_stage(racks(), config=config) as stage:
        shown = stage.view.has_class("-cards")
        for _ in range(2):
            await stage.press("f4")
            shown = not shown
            assert stage.view.has_class("-cards") is shown


async def test_keys_can_be_changed_for_one_another() -> None:
    keys = {"sort": "s", "shell": "o,O", "down": "j,ctrl+n,;", "chat": "f4", "follow": "f4"}
    async with on_stage(PICTURE, config=TuiConfig(keys=keys)) as stage:
        await stage.open("jobs")
        table = stage.view.query_one(LineTable)
        await stage.press("semicolon", "j")
        assert table.cursor == 2
        await stage.press("s")
        assert stage.app.screen is not stage.view


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("?", ("question_mark",)),
        ("Esc", ("escape",)),
        ("shift+a", ("A",)),
        ("Ctrl+G", ("ctrl+g",)),
        ("shift+ctrl+left", ("ctrl+shift+left",)),
        ("ctrl+space", ("ctrl+space", "ctrl+@")),
        ("+", ("plus",)),
        ("ä", ("ä",)),
        ("F4", ("f4",)),
        ("G", ("G",)),
    ],
)
def test_keys_as_they_are_written(written: str, keys: tuple[str, ...]) -> None:
    assert keymap.read_key(written) == keys


@pytest.mark.parametrize(
    "written", ["", "ctrl+", "f25", "hyperspace", "ctrl+alt", "++", "\t", "ab"]
)
def test_what_is_no_key(written: str) -> None:
    with pytest.raises(ValueError, match="there is no key"):
        keymap.read_key(written)


def test_names_of_actions() -> None:
    assert keymap.name_of(Binding("x", "a", "Go to")) == "go-to"
    assert keymap.name_of(Binding("x", "a", "10 min or 24 h")) == "10-min-or-24-h"
    assert keymap.name_of(Binding("x", "a")) == ""
