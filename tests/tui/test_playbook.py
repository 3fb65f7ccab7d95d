"""Choosing a playbook, its variables as a form, and running it."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from textual import events

from gswarm_tui.cli.context import Settings
from gswarm_tui.errors import GswarmError, PlaybookError
from gswarm_tui.inventory import Inventory, NodeSpec
from gswarm_tui.tui.acting import CommandLine, Recording, run_playbook
from gswarm_tui.tui.playbook_files import asks, entries, explained, told
from gswarm_tui.tui.screens.playbook import PlaybookView, VariableInput
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.watch.simulation.hostile import NASTY

from .some_jobs import PICTURE
from .stage import SIZES, Stage, harmless, on_stage

Same = Callable[[Stage, str], None]

INVENTORY = Inventory({"node1": NodeSpec("node1", "10.0.0.1")})
TEXT = """\
version: 1
name: nightly
description: greets ${vars.whom}
vars:
  whom: world
  times: {type: integer, default: 2, description: how often}
  where: {type: node, description: the machine}
  loud: {type: boolean, default: true}
  how: {type: text, default: warmly, choices: [warmly, coldly]}
  nodes: [node1]
secrets:
  token: {env: GREETING_TOKEN}
  other: {file: not-there}
actions:
  - {action_id: hello, action_type: noop}
"""
GOOD = """\
version: 1
vars:
  whom: {type: text, default: world, choices: [world, moon]}
  times: {type: integer, default: 2}
actions:
  - {action_id: hello, action_type: noop}
  - {action_id: again, action_type: noop, dependencies: [hello]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    below = tmp_path / "books"
    (below / "more").mkdir(parents=True)
    (below / "good.yaml").write_text(GOOD)
    (below / "asks.yml").write_text(TEXT)
    (below / "notes.txt").write_text("no playbook")
    (below / ".hidden.yaml").write_text("")
    monkeypatch.chdir(below)
    return below


async def settle(stage: Stage) -> None:
    """Until files were read."""
    await done(stage, "folder", "read")
    await done(stage, "explain")


async def done(stage: Stage, *groups: str) -> None:
    """Until what is done beside the screen has been done."""
    await stage.pilot.pause()
    workers = [worker for worker in stage.app.workers if worker.group in groups]
    if workers:
        await stage.app.workers.wait_for_complete(workers)
        await stage.pilot.pause()


async def chosen(stage: Stage, name: str) -> PlaybookView:
    await stage.open("playbooks")
    return await picked(stage, name)


async def picked(stage: Stage, name: str) -> PlaybookView:
    await settle(stage)
    table: LineTable[Any] = stage.view.query_one(LineTable)
    while table.current.name != name:
        await stage.press("j")
    await stage.press("enter")
    await settle(stage)
    assert isinstance(stage.view, PlaybookView)
    return stage.view


# Files


def test_a_folder_has_folders_and_yaml_files(folder: Path) -> None:
    assert [entry.name for entry in entries(folder)] == ["..", "more/", "asks.yml", "good.yaml"]
    with pytest.raises(GswarmError, match="No such file"):
        entries(folder / "gone")
    assert entries(Path("/"))[0].name != ".."


def test_what_a_playbook_asks_for(folder: Path) -> None:
    found = asks(folder / "asks.yml", {"GREETING_TOKEN": "secret-value"})
    assert [(each.name, each.type, each.default) for each in found.variables] == [
        ("whom", "text", "world"),
        ("times", "integer", "2"),
        ("where", "node", None),
        ("loud", "boolean", "true"),
        ("how", "text", "warmly"),
        ("nodes", "list", "[node1]"),
    ]
    assert found.variables[3].choices == ("true", "false")
    assert found.variables[4].choices == ("warmly", "coldly")
    assert [(each.name, each.is_set) for each in found.secrets] == [
        ("token", True),
        ("other", False),
    ]
    assert "secret-value" not in repr(found)
    assert not asks(folder / "asks.yml", {}).secrets[0].is_set


def test_what_is_wrong_is_said_as_the_form_has_it() -> None:
    error = PlaybookError("-e seconds=abc is not a number", hint="give it with -e model=…")
    assert list(told(error)) == ["`seconds`: abc is not a number", "give `model` one"]


def test_what_it_would_do(folder: Path) -> None:
    lines = explained(folder / "good.yaml", {"times": "3"}, INVENTORY)
    assert "again" in "\n".join(lines)
    with pytest.raises(PlaybookError, match="times"):
        explained(folder / "good.yaml", {"times": "many"}, INVENTORY)


# The file picker


@pytest.mark.usefixtures("folder")
async def test_going_through_folders(folder: Path) -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("playbooks")
        await settle(stage)
        assert "good.yaml" in stage.text()
        assert "notes.txt" not in stage.text()
        assert "gswarm example" not in stage.text()
        await stage.press("j", "enter")
        await settle(stage)
        assert stage.line_with(str(folder / "more"))
        assert "no playbook is here: `gswarm example --output examples`" in stage.text()
        await stage.press("u")
        await settle(stage)
        assert "asks.yml" in stage.text()
        (folder / "new.yaml").write_text(GOOD)
        await stage.press("ctrl+r")
        await settle(stage)
        assert "new.yaml" in stage.text()
        await stage.press("slash", *"good", "enter")
        assert "asks.yml" not in stage.text()
        await stage.press("escape", "escape")
        assert stage.view.WORD == "fleet"


async def test_a_folder_or_a_file_is_typed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", str(folder))
    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        assert stage.app.obey("playbooks ~/more") is None
        await settle(stage)
        assert stage.line_with(str(folder / "more"))
        assert stage.app.obey("playbooks ~/good.yaml") is None
        await settle(stage)
        assert stage.app.trail() == ("Fleet", "Playbooks", "Playbook good.yaml")
        await stage.press("escape")
        assert "asks.yml" in stage.text()
        assert stage.app.obey("playbooks ~/none") is None
        await settle(stage)
        assert "cannot be read: No such file" in stage.text()
        said = "`jobs` is all of them: nothing can follow it; / filters"
        assert stage.app.obey("jobs failed") == said


@pytest.mark.parametrize(
    ("typed", "why"), [("x" * 300, "File name too long"), ("loop", "Too many levels")]
)
async def test_a_path_that_cannot_be_looked_at_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, typed: str, why: str
) -> None:
    monkeypatch.chdir(folder)
    (folder / "loop").symlink_to("loop")
    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        assert stage.app.obey(f"playbooks {typed}") is None
        await settle(stage)
        assert f"cannot be read: {why}" in stage.text()


async def test_the_folder_that_one_began_in_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        assert stage.app.obey("playbooks") is None
        await settle(stage)
        await stage.press("escape")
        assert stage.view.WORD == "fleet"


async def test_a_folder_that_cannot_be_read(folder: Path) -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("playbooks")
        await settle(stage)
        (folder / "more").rmdir()
        await stage.press("j", "enter")
        await settle(stage)
        assert "No such file" in stage.text()
        await stage.press("enter")
        await settle(stage)
        assert "good.yaml" in stage.text()


# The form


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.usefixtures("folder")
async def test_the_screen(size: tuple[int, int], same_as_before: Same) -> None:
    async with on_stage(PICTURE, size=size, inventory=INVENTORY) as stage:
        await chosen(stage, "good.yaml")
        same_as_before(stage, f"playbook-{size[0]}x{size[1]}")


@pytest.mark.usefixtures("folder")
async def test_what_is_wrong_is_said_and_it_is_not_run() -> None:
    actor = Recording()
    async with on_stage(PICTURE, size=SIZES[2], inventory=INVENTORY, actor=actor) as stage:
        await chosen(stage, "asks.yml")
        assert "it cannot be run" in stage.text()
        assert "✖ not set" in stage.line_with("token  ✖")
        assert "how often" in stage.text()
        await stage.press("ctrl+r")
        await settle(stage)
        assert not actor.proposed
        assert "asks.yml cannot be run" in stage.text()


@pytest.mark.usefixtures("folder")
async def test_values_are_explained_then_it_is_run_and_its_job_is_shown(folder: Path) -> None:
    actor = Recording(job=9)
    async with on_stage(PICTURE, inventory=INVENTORY, actor=actor) as stage:
        await chosen(stage, "good.yaml")
        boxes = list(stage.view.query(VariableInput))
        assert [box.variable for box in boxes] == ["whom", "times"]
        assert boxes[0].has_focus
        await stage.press("tab", *"many")
        await settle(stage)
        assert "whole number" in " ".join(stage.text().split())
        await stage.press(*["backspace"] * 4, "7")
        await settle(stage)
        assert "what it would do" in stage.text()
        await stage.press("ctrl+r")
        await settle(stage)
        await done(stage, "deeds")
        (deed,) = actor.proposed
        path = str(folder / "good.yaml")
        assert deed.commands == (("run", path, "-e", "times=7", "--detach"),)
        await stage.press("enter")
        await done(stage, "deeds")
        assert actor.done == [deed]
        assert (stage.view.WORD, stage.view.subject) == ("job", "9")
        assert stage.app.trail() == ("Fleet", "Jobs", "Job 9")


@pytest.mark.usefixtures("folder")
async def test_from_the_job_of_a_playbook_the_way_back_is_the_jobs_as_they_were() -> None:
    async with on_stage(PICTURE, inventory=INVENTORY, actor=Recording(job=9)) as stage:
        await stage.open("jobs")
        jobs = stage.view
        await stage.press("n")
        await picked(stage, "good.yaml")
        await stage.press("ctrl+r")
        await settle(stage)
        await done(stage, "deeds")
        await stage.press("enter")
        await done(stage, "deeds")
        assert stage.app.trail() == ("Fleet", "Jobs", "Job 9")
        await stage.press("escape")
        assert stage.view is jobs


async def test_a_file_that_was_mended_is_read_again_before_it_is_run(folder: Path) -> None:
    file, actor = folder / "good.yaml", Recording()
    file.write_text(GOOD.replace("noop,", "nope,"))
    async with on_stage(PICTURE, inventory=INVENTORY, actor=actor) as stage:
        await chosen(stage, "good.yaml")
        assert "it cannot be run" in stage.text()
        await stage.press("tab", "7")
        await settle(stage)
        file.write_text(GOOD)
        await stage.press("ctrl+r")
        await settle(stage)
        await done(stage, "deeds")
        (deed,) = actor.proposed
        assert "times=7" in deed.commands[0]


async def test_a_file_that_changes_changes_its_form_and_keeps_what_was_given(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gswarm_tui.tui.screens.playbook._LOOK_S", 1e6)  # the test looks itself
    file = folder / "good.yaml"
    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        await chosen(stage, "good.yaml")
        view = stage.view
        assert isinstance(view, PlaybookView)
        await stage.press("tab", "7")
        made = list(view.query(VariableInput))
        view.look()
        await done(stage, "look")
        assert list(view.query(VariableInput)) == made  # nothing is new
        file.write_text(GOOD.replace("vars:", "vars:\n  more: {type: text, default: x}"))
        os.utime(file, (1, 1))
        view.look()
        await done(stage, "look")
        assert [box.variable for box in view.query(VariableInput)] == ["more", "whom", "times"]
        assert view.values == {"times": "7"}
        assert getattr(view.focused, "variable", None) == "times"
        file.unlink()
        view.look()
        await done(stage, "look")
        assert "it cannot be run" in stage.text()


@pytest.mark.usefixtures("folder")
async def test_moving_in_the_form() -> None:
    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        await chosen(stage, "good.yaml")
        first, second = stage.view.query(VariableInput)
        await stage.press("enter")
        assert second.has_focus
        await stage.press("up")
        assert first.has_focus
        await stage.press("down", "pagedown", "pageup")
        assert second.has_focus
        await stage.press("escape")
        assert stage.view.WORD == "playbooks"


@pytest.mark.usefixtures("folder")
async def test_it_is_explained_once_at_a_time_and_at_last_with_the_newest_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Mapping[str, str]] = []
    began, may_end = threading.Event(), threading.Event()

    def slow(file: Path, values: Mapping[str, str], inventory: Inventory) -> list[str]:
        asked.append(values)
        began.set()
        assert may_end.wait(10)
        return ["explained"]

    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        view = await chosen(stage, "good.yaml")
        monkeypatch.setattr("gswarm_tui.tui.screens.playbook.explained", slow)
        box = view.query_one(VariableInput)
        for text in ("m", "mo", "moon"):
            box.value = text
            for _ in range(20):  # not the pilot: it would wait for the thread
                await asyncio.sleep(0)
            assert await asyncio.to_thread(began.wait, 10)
        assert asked == [{"whom": "m"}]
        may_end.set()
        await settle(stage)
        assert asked == [{"whom": "m"}, {"whom": "moon"}]


async def test_what_the_file_said_before_it_changed_is_not_shown_after_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gswarm_tui.tui.screens.playbook._LOOK_S", 1e6)  # the test looks itself
    file, began, may_end = folder / "good.yaml", threading.Event(), threading.Event()

    def slow(file: Path, values: Mapping[str, str], inventory: Inventory) -> list[str]:
        said = file.read_text()
        if not began.is_set():
            began.set()
            assert may_end.wait(10)
        return [said.splitlines()[-1]]

    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        view = await chosen(stage, "good.yaml")
        assert isinstance(view, PlaybookView)
        monkeypatch.setattr("gswarm_tui.tui.screens.playbook.explained", slow)
        view.query_one(VariableInput).value = "m"
        await asyncio.sleep(0)
        assert await asyncio.to_thread(began.wait, 10)
        file.write_text(f"{GOOD}\n# the new one")
        os.utime(file, (1, 1))
        view.look()
        for _ in range(20):  # not the pilot: it would wait for the thread
            await asyncio.sleep(0.001)
        may_end.set()
        await settle(stage)
        await done(stage, "look")
        assert "# the new one" in stage.text()


async def test_ctrl_u_and_ctrl_d_delete_in_a_line_and_pages_scroll(folder: Path) -> None:
    names = [f"v{number}" for number in range(20)]
    vars_ = {name: {"type": "text", "default": "x"} for name in names}
    actions = [{"action_id": name, "action_type": "noop"} for name in names]
    (folder / "good.yaml").write_text(json.dumps({"vars": vars_, "actions": actions}))
    async with on_stage(PICTURE, size=SIZES[0], inventory=INVENTORY) as stage:
        view = await chosen(stage, "good.yaml")
        await stage.press(*"some words", *["left"] * 5, "ctrl+d", "ctrl+u")
        await settle(stage)
        assert view.values == {"v0": "ords"}
        explained, form = view.query_one("#explained"), view.query_one("#form")
        assert explained.scroll_offset.y == 0
        await stage.press("pagedown")
        assert (explained.scroll_offset.y > 0, form.scroll_offset.y) == (True, 0)
        await stage.press("pageup")
        assert explained.scroll_offset.y == 0
        await stage.press("down", "down")
        assert getattr(view.focused, "variable", None) == "v2"


@pytest.mark.parametrize(
    ("before", "pasted", "value"),
    [
        ("", "a\nb,\n", "[a, b]"),
        ("", "- a\n- b", "[a, b]"),
        ("", "[a,\n b]", "[a, b]"),
        ("[x, ", "a\nb", "[x, a, b"),
        ("", "[a, b]", "[a, b]"),
    ],
)
async def test_lines_that_are_pasted_into_a_list_are_its_items(
    folder: Path, before: str, pasted: str, value: str
) -> None:
    (folder / "good.yaml").write_text("vars: {nodes: {type: list, default: [n1]}}\nactions: []\n")
    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        view = await chosen(stage, "good.yaml")
        view.query_one(VariableInput).value = before
        stage.app.post_message(events.Paste(pasted))
        await settle(stage)
        assert view.values == {"nodes": value}


@pytest.mark.usefixtures("folder")
async def test_without_an_inventory_and_in_read_only_mode(folder: Path) -> None:
    async with on_stage(PICTURE) as stage:
        await chosen(stage, "good.yaml")
        assert "no inventory" in stage.text()
    actor = Recording()
    async with on_stage(PICTURE, inventory=INVENTORY, actor=actor, read_only=True) as stage:
        await chosen(stage, "good.yaml")
        await stage.press("ctrl+r")
        assert not actor.proposed
        assert "--read-only" in stage.text()


async def test_hostile_files_are_harmless(folder: Path) -> None:
    for number, nasty in enumerate(NASTY):
        name = nasty.replace("/", "")[:60].replace("\x00", "")
        book = {"version": 1, "name": nasty, "description": nasty, "actions": []}
        book["vars"] = {"v": {"type": "text", "default": nasty, "description": nasty}}
        (folder / f"{number}{name}.yaml").write_text(json.dumps(book))
    async with on_stage(PICTURE, inventory=INVENTORY) as stage:
        await stage.open("playbooks")
        await settle(stage)
        assert harmless(stage.strips())
        for _ in NASTY:
            await stage.press("j", "enter")
            await settle(stage)
            assert harmless(stage.strips())
            if isinstance(stage.view, PlaybookView):
                await stage.press("escape")


# By the command line


async def test_the_command_line_checks_and_runs_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(
        f"nodes: {{n1: {{connection: local, root: {tmp_path}/n1}}}}"
    )
    settings = Settings(data_dir=tmp_path / "home", inventory_path=tmp_path / "inventory.yaml")
    actor = CommandLine(settings)
    deed = run_playbook(folder / "good.yaml", {"times": "3"})
    proposal = await actor.propose(deed)
    assert any("hello" in line or "noop" in line for line in proposal.plan)
    assert "-e times=3" in proposal.command
    begun = await asyncio.wait_for(actor.carry_out(proposal), 60)
    assert begun.job == 1
