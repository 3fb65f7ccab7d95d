"""The screens of all models and of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from textual.widgets import Input

from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.model import ModelView
from gswarm_tui.tui.screens.models import ModelsView
from gswarm_tui.tui.widgets.dialog import FormScreen, NoticeScreen, PlanScreen
from gswarm_tui.tui.widgets.model_table import ModelTable
from gswarm_tui.watch.snapshot import Copy, FleetSnapshot, Model

from . import some_models
from .fleets import NOW, fleet, node, simulated
from .some_models import placed, without_services
from .stage import LARGE, MIDDLE, SIZES, SMALL, Stage, harmless, on_stage

SameAsBefore = Callable[[Stage, str], None]


def row(stage: Stage, name: str) -> str:
    """The model's line in the table, not that below it."""
    return next(line for line in stage.lines() if line[1:].startswith(name))


async def put_cursor_on(stage: Stage, name: str) -> None:
    table = stage.app.screen.query_one(ModelTable)
    await stage.press("g", *["j"] * [r.name for r in table.rows].index(name))


async def test_a_mark_for_each_tier_and_the_share_of_what_comes() -> None:
    async with on_stage(placed(), size=MIDDLE) as stage:
        await stage.open("models")
        assert "alpha " in stage.text()
        words = row(stage, "llama").split()
        assert words[-2:] == ["■", "■▣▲●"]
        assert row(stage, "rotten").split()[-2:] == ["■", "✗✗"]
        assert row(stage, "qwen").split()[-3:] == ["◌", "◐", "40%"]
        assert row(stage, "paper").split()[-2:] == ["·", "·"]
        assert "✓ all" in row(stage, "llama")
        assert "✗ 2 of 3 bad" in row(stage, "rotten")
        legend = stage.line_with("in flight, loading  ◌ partial")
        for word in ("disk", "dram", "gpu", "serving", "damaged"):
            assert word in legend


async def test_free_space_stands_above_each_node() -> None:
    async with on_stage(placed(), size=MIDDLE) as stage:
        await stage.open("models")
        free, head = stage.line_with("free on disk"), stage.line_with("VERIFIED")
        assert free.index("1.2T") == head.index("alpha")
        assert free.index("3.0G") == head.index("beta")


async def test_on_a_narrow_terminal_there_are_counts_and_details() -> None:
    async with on_stage(placed(), size=SMALL) as stage:
        await stage.open("models")
        assert row(stage, "llama").split()[1:] == ["16.0", "GB", "2", "1", "1", "●", "1"]
        head, coming = stage.line_with("MODEL"), row(stage, "qwen")
        assert head.index("UNDER WAY") == coming.index("◐ 40 %")
        assert head.index("NOT WHOLE") == coming.index("◌ 1") == row(stage, "rotten").index("✗ 2")
        assert "alpha:  disk ■ ready" in stage.text()
        assert "beta:  disk ■ ready" in stage.text()
        await put_cursor_on(stage, "paper")
        assert "no node has it" in stage.text()


async def test_nodes_are_in_the_order_of_the_inventory_after_those_where_bytes_come() -> None:
    names = [f"n{number}" for number in range(8, 12)]
    copies = [Copy("llama", "r", f"{name}:disk", "ready", 10**9) for name in reversed(names)]
    copies[1] = replace(copies[1], state="in flight", done_bytes=10**8)
    picture = fleet(
        *map(node, names),
        models=(Model("llama", None, None, 10**9, tuple(copies), True),),
    )
    async with on_stage(picture, size=SMALL) as stage:
        await stage.open("models")
        where = [line.partition(":")[0].strip() for line in stage.lines() if ":  disk" in line]
        assert where == ["n10", "n8", "n9", "n11"]


async def test_the_words_change_with_the_width() -> None:
    async with on_stage(placed(), size=SMALL) as stage:
        await stage.open("models")
        assert "alpha " not in stage.text()
        await stage.pilot.resize_terminal(*MIDDLE)
        await stage.pilot.pause()
        assert "alpha " in stage.text()


@pytest.mark.parametrize("keys", [("L", "H"), ("shift+right", "shift+left"), (">", "<")])
async def test_other_nodes_are_shown(keys: tuple[str, str]) -> None:
    names = {">": "greater_than_sign", "<": "less_than_sign"}
    right, left = (names.get(key, key) for key in keys)
    snapshot, _ = simulated()
    async with on_stage(snapshot, size=MIDDLE) as stage:
        await stage.open("models")
        before = stage.line_with("MODEL")
        assert "gpu-01" in before
        await stage.press(right)
        assert "gpu-01" not in stage.line_with("MODEL")
        assert "◂" in stage.line_with("free on disk")
        await stage.press(*[right] * 40)
        assert "gpu-32" in stage.line_with("MODEL")
        assert "▸" not in stage.text()
        await stage.press(*[left] * 40)
        assert stage.line_with("MODEL") == before


async def test_enter_shows_every_copy_of_a_model() -> None:
    async with on_stage(placed()) as stage:
        await stage.open("models")
        await stage.press("enter")
        assert stage.app.trail()[-1] == "Model llama"
        assert "✓ verified" in stage.line_with("beta:disk")
        assert "0123456789ab" in stage.line_with("alpha:disk")
        assert "● ready at http://beta:8000 on beta gpu0" in stage.text()
        await stage.press("escape")
        assert isinstance(stage.view, ModelsView)
        await put_cursor_on(stage, "qwen")
        await stage.press("enter")
        assert "◐ in flight 40 %     4.0 GB" in stage.line_with("beta:disk")
        assert "◌ partial 6 %        1.0 GB" in stage.line_with("alpha:disk")
        assert "credentials" in stage.line_with("alpha:disk")


async def test_a_copy_that_a_cpu_computes_from_says_so() -> None:
    copy = Copy("llama", "abc", "alpha:dram", "ready", 10, verified=True, engine="ready")
    model = Model("llama", None, None, 10, (copy,), registered=True)
    async with on_stage(fleet(models=(model,)), size=SMALL) as stage:
        await stage.open("model", "llama")
        assert " ▣ ready, loaded " in stage.line_with("alpha:dram")
        starting = replace(copy, engine="starting")
        await stage.push(fleet(models=(replace(model, copies=(starting,)),)))
        assert " ▣ ready, loading " in stage.line_with("alpha:dram")


def loading(phase: str | None = "load", **fields: Any) -> FleetSnapshot:
    """Beta loads lone onto two GPUs, from what has just come to its disk, to serve it."""
    known = {"state": "starting", "size_bytes": None, "hash": None, "verified": None}
    copies = [
        some_models.copy("lone", f"beta:gpu{n}", **known, phase=phase, started_at=NOW - 40)
        for n in (0, 1)
    ]
    before = placed()
    models = [
        replace(each, copies=(*each.copies, *copies)) if each.name == "lone" else each
        for each in before.models
    ]
    return replace(before, models=tuple(models), **fields)


TO_BE_SERVED = some_models.service("lone", state="starting", port=None, url=None, service="")


async def test_what_an_engine_loads_is_under_way() -> None:
    async with on_stage(loading(), size=SMALL) as stage:
        await stage.open("models")
        assert row(stage, "lone").split()[-2:] == ["◐", "loading"]
        await put_cursor_on(stage, "lone")
        said = "beta:  gpu0 ◐ loading for 40 s   gpu1 ◐ loading for 40 s   disk"
        assert said in stage.text()
        await stage.push(loading("check", starting=(TO_BE_SERVED,)))
        assert "gpu0 ◐ checking for 40 s   gpu1 ◐ checking" in stage.text()
        await stage.push(loading(None))
        assert "gpu0 ◐ starting for 40 s" in stage.text()


async def test_a_cell_of_the_matrix_has_what_is_loaded_and_what_will_be_served() -> None:
    async with on_stage(loading(), size=MIDDLE) as stage:
        await stage.open("models")
        assert row(stage, "lone").split()[-2:] == ["■", "◐"]
        assert "◐ in flight, loading" in stage.text()
        await stage.push(loading(starting=(TO_BE_SERVED,)))
        assert row(stage, "lone").split()[-2:] == ["■", "◐◐"]
        await put_cursor_on(stage, "lone")
        assert "◐ to be served" in stage.line_with("beta:  gpu0")
        # Published, and its engine is not ready yet.
        published = some_models.service("lone", state="starting")
        await stage.push(loading(services=(published,)))
        assert row(stage, "lone").split()[-2:] == ["■", "◐◐"]


async def test_several_that_load_are_counted_by_their_engines() -> None:
    picture = loading()
    lone = next(model for model in picture.models if model.name == "lone")
    other = replace(lone.copies[-1], device="alpha:gpu0")
    models = (replace(lone, copies=(*lone.copies, other)),)
    async with on_stage(replace(picture, models=models), size=SMALL) as stage:
        await stage.open("models")
        assert "◐ 2 loading" in row(stage, "lone")
        comes = some_models.copy("lone", "alpha:dram", "in flight", done_bytes=1)
        models = (replace(lone, copies=(*lone.copies, comes)),)
        await stage.push(replace(picture, models=models))
        assert "◐ 2 coming" in row(stage, "lone")


async def test_the_screen_of_a_model_says_what_loads_it_and_for_how_long() -> None:
    async with on_stage(loading(starting=(TO_BE_SERVED,)), size=SMALL) as stage:
        await stage.open("model", "lone")
        stage.line_with("◐ loading on beta gpu0, gpu1 for 40 s, to be served")
        assert "◐ loading" in stage.line_with("beta:gpu1")
        published = some_models.service("lone", state="starting")
        await stage.push(loading(services=(published,)))
        stage.line_with("◐ starting at http://beta:8000 on beta gpu0")


async def test_the_endpoints_that_have_no_room_are_counted() -> None:
    services = tuple(some_models.service(url=f"http://beta:{8000 + n}") for n in range(29))
    picture = replace(loading(), services=services)
    async with on_stage(picture, size=SMALL) as stage:
        await stage.open("model", "llama")
        shown = sum("● ready at" in line for line in stage.lines())
        stage.line_with(f"and {29 - shown} more: :services has them")
        await stage.pilot.resize_terminal(80, 160)
        await stage.pilot.pause()
        await stage.push(replace(picture, time=NOW + 1))
        stage.line_with("http://beta:8028")
        assert "more: :services" not in stage.text()


async def test_a_damaged_copy_says_how_many_files_and_when_they_were_read() -> None:
    async with on_stage(placed()) as stage:
        await stage.open("model", "rotten")
        assert "✗ damaged" in stage.line_with("beta:disk")
        assert "✗ 2 bad files" in stage.line_with("beta:disk")
        assert "✗ by its owner" in stage.line_with("beta:dram")
        day = datetime.fromtimestamp(NOW).astimezone()
        assert f"✓ {day:%Y-%m-%d %H:%M}" in stage.line_with("alpha:disk")


async def test_a_model_that_went_away_says_so() -> None:
    async with on_stage(placed()) as stage:
        await stage.open("model", "llama")
        await stage.push(fleet(node("alpha")))
        assert "no node that answers has llama" in stage.text()
        await stage.press("X")
        assert "what it was meant for has gone" in stage.notices()[-1]
        for key in ("X", "d"):
            await stage.press(key)
            assert stage.on_top is NoticeScreen
            assert "no node that answers has llama: D downloads it" in stage.text()
            await stage.press("enter")
        await stage.press("D", *"hf://org/name", "tab", *"alpha:disk", "enter")
        line = "gswarm model download llama --source hf://org/name --device alpha:disk"
        assert line in stage.text()


async def test_download_asks_where_shows_its_plan_and_is_done() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await put_cursor_on(stage, "paper")
        await stage.press("D")
        assert stage.on_top is FormScreen
        await stage.press(*"al", "tab", "enter")
        assert stage.on_top is PlanScreen
        assert "gswarm model download paper --device alpha:disk" in stage.text()
        await stage.press("enter")
        assert [deed.title for deed in actor.done] == ["download paper to alpha:disk"]


async def test_marked_models_are_downloaded_together() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await stage.press("space", "space", "D", *"beta:disk", "enter", "enter")
        assert [deed.title for deed in actor.done] == ["download llama, lone to beta:disk"]
        assert len(actor.done[0].actions) == 2


@pytest.mark.parametrize("key", ["C", "R"])
async def test_copy_replicates_a_whole_copy(key: str) -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await put_cursor_on(stage, "lone")
        await stage.press(key, *"beta:disk", "enter", "enter")
        assert [deed.title for deed in actor.done] == ["copy lone from alpha:disk to beta:disk"]


async def test_marked_models_are_copied_and_moved_each_from_where_it_is() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await stage.press("space", "space", "C")
        assert "llama: 16.0 GB from alpha:disk, lone: 2.0 GB from alpha:disk" in stage.text()
        await stage.press(*"beta:disk", "enter", "enter")
        await stage.press("M", *"beta:disk", "enter", "enter")
        title = "llama, lone from alpha:disk to beta:disk"
        assert [deed.title for deed in actor.done] == [f"copy {title}", f"move {title}"]
        assert len(actor.done[1].actions) == 2
        await put_cursor_on(stage, "paper")
        await stage.press("space", "C", *"beta:disk", "enter")
        assert "no node has a whole copy of paper" in stage.text()


async def test_a_move_keeps_its_source_unless_it_is_told_not_to() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await put_cursor_on(stage, "lone")
        await stage.press("M", *"beta:dram", "enter")
        assert "--keep-source" in stage.text()
        await stage.press("q", "M", *"beta:dram", "tab", "tab", "space", "enter")
        assert "--no-keep-source" in stage.text()
        assert "LAST COPY ON A DISK" in stage.text()
        await stage.press("enter")
        assert actor.done[0].losses


async def test_serve_asks_on_what() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await stage.press("S", *"beta:g", "tab", "tab", *"8080", "enter", "enter")
        assert [deed.title for deed in actor.done] == ["serve llama on beta:gpu0"]
        assert "8080" in actor.done[0].commands[0]


async def test_marked_models_are_served_each_on_its_own() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await stage.press("space", "space", "S", *"beta:g", "tab", "tab", *"alpha:gpu0", "enter")
        await stage.press("enter")
        assert actor.done[0].commands[1] == ("model", "serve", "lone", "--device", "alpha:gpu0")
        assert [action["devices"] for action in actor.done[0].actions] == [
            ["beta:gpu0"],
            ["alpha:gpu0"],
        ]


async def test_delete_asks_from_where_and_names_what_is_lost() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await put_cursor_on(stage, "lone")
        await stage.press("X", *"beta:disk", "enter")
        assert "beta:disk has none of lone" in stage.text()
        await stage.press(*["backspace"] * 9, *"al", "tab", "enter")
        assert "LAST COPY ANYWHERE: nothing whole is left of lone" in stage.text()
        await stage.press("enter")
        assert [deed.title for deed in actor.done] == ["delete lone from alpha:disk"]


async def test_verify_asks_where_and_becomes_a_job() -> None:
    actor = Recording(plan=("verify llama on alpha:disk: would do", "  reads 16.0 GB"))
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await stage.press("V")
        assert stage.on_top is FormScreen
        assert "there are copies on alpha:disk, beta:disk, beta:dram" in stage.text()
        await stage.press("enter")
        assert stage.on_top is PlanScreen
        assert "reads 16.0 GB" in stage.text()
        await stage.press("enter", "V", *"beta:disk", "enter", "enter")
        places = [deed.actions[0]["devices"] for deed in actor.done]
        assert places == [["alpha:disk", "beta:disk", "beta:dram"], ["beta:disk"]]
        assert all(deed.is_playbook for deed in actor.done)


async def test_marked_models_are_verified_and_deleted_together() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("models")
        await stage.press("space", "space", "V", "enter", "enter")
        await stage.press("X", *"alpha:disk", "enter", "enter")
        assert [deed.title for deed in actor.done] == [
            "verify llama, lone on alpha:disk, beta:disk, beta:dram",
            "delete llama, lone from alpha:disk",
        ]
        assert len(actor.done[0].actions) == 2
        assert actor.done[1].losses[-1] == "in all 32.0 GB"


async def test_a_model_without_files_is_not_verified() -> None:
    async with on_stage(placed(), actor=Recording()) as stage:
        await stage.open("models")
        await put_cursor_on(stage, "paper")
        await stage.press("V", "enter")
        assert "there is no whole copy to verify" in stage.text()


async def test_one_copy_at_a_time_is_moved() -> None:
    async with on_stage(placed(), actor=Recording()) as stage:
        await stage.open("model", "llama")
        await stage.press("ctrl+space", "M")
        assert stage.on_top is NoticeScreen
        assert "one place at a time: 4 are marked" in stage.text()


async def test_the_keys_on_a_copy_are_for_it() -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor) as stage:
        await stage.open("model", "llama")
        await stage.press("j", "X")
        assert "llama on beta:disk is removed" in stage.text()
        await stage.press("enter", "V", "enter", "C", *"alpha:dram", "enter", "enter")
        assert [deed.title for deed in actor.done] == [
            "delete llama from beta:disk",
            "verify llama on beta:disk",
            "copy llama from beta:disk to alpha:dram",
        ]
        await stage.press("j", "j", "M")
        assert "beta:gpu0" in stage.line_with("│ from")
        await stage.press("escape", "S")
        assert "beta:gpu0" in stage.line_with("│ device")


async def test_filter_and_describe() -> None:
    async with on_stage(placed()) as stage:
        await stage.open("models")
        await stage.press("slash", *"qwen", "enter")
        assert [r.name for r in stage.app.screen.query_one(ModelTable).rows] == ["qwen"]
        await stage.press("d")
        assert stage.on_top is DescribeScreen
        assert "hf://Qwen/Qwen3" in stage.text()
        await stage.press("escape", "slash", "home", "!", "enter")
        assert "qwen" not in [r.name for r in stage.app.screen.query_one(ModelTable).rows]


@pytest.mark.parametrize("key", ["D", "C", "M", "S", "X", "V"])
@pytest.mark.parametrize(("word", "subject"), [("models", None), ("model", "llama")])
async def test_read_only_refuses_every_key(key: str, word: str, subject: str | None) -> None:
    actor = Recording()
    async with on_stage(placed(), actor=actor, read_only=True) as stage:
        await stage.open(word, subject)
        await stage.press(key)
        assert stage.on_top is NoticeScreen
        assert "--read-only" in stage.text()
        assert actor.proposed == []


async def test_the_cursor_stays_on_its_model() -> None:
    async with on_stage(placed()) as stage:
        await stage.open("models")
        await put_cursor_on(stage, "qwen")
        await stage.push(without_services())
        current = stage.app.screen.query_one(ModelTable).current
        assert current is not None
        assert current.name == "qwen"


async def test_a_fleet_without_models_says_so() -> None:
    async with on_stage(fleet(node("alpha")), actor=Recording()) as stage:
        await stage.open("models")
        assert "there is no model yet: D downloads the first one" in stage.text()
        assert "gswarm model download NAME --source hf://ORG/NAME --node NODE" in stage.text()
        await stage.press("enter", "L")
        assert stage.app.screen is stage.view
        for key in "RMSXVd":
            await stage.press(key)
            assert stage.on_top is NoticeScreen
            assert "there is no model here" in stage.text()
            await stage.press("enter")


async def test_the_first_model_is_downloaded_by_its_name_and_source() -> None:
    actor = Recording()
    async with on_stage(fleet(node("alpha")), actor=actor) as stage:
        await stage.open("models")
        await stage.press("D", "enter")
        assert "the line `name` is empty" in stage.text()
        await stage.press(*"qwen3", "enter")
        assert "the line `source` is empty" in stage.text()
        await stage.press("tab", *"hf://org/name", "tab", *"al", "tab", "enter", "enter")
        assert [deed.title for deed in actor.done] == ["download qwen3 to alpha:disk"]
        assert actor.done[0].actions[0]["source"] == "hf://org/name"


async def test_a_filter_that_no_model_fits_does_not_say_that_there_is_none() -> None:
    async with on_stage(placed(), actor=Recording()) as stage:
        await stage.open("models")
        await stage.press("slash", *"xx", "enter")
        assert "nothing fits the filter; Esc takes it away" in stage.text()
        assert "there is no model yet" not in stage.text()
        assert "by hand" not in stage.text()
        await stage.press("X")
        assert "nothing fits the filter" in stage.line_with("│ nothing")
        await stage.press("enter", "escape")
        assert row(stage, "qwen")


async def test_free_space_beside_a_copy_in_memory_is_that_of_the_disk() -> None:
    copy = Copy("llama", "abc", "alpha:dram", "ready", 10, verified=True)
    model = Model("llama", None, None, 10, (copy,), registered=True)
    async with on_stage(replace(placed(), models=(model,)), size=SMALL) as stage:
        await stage.open("models")
        assert "dram ▣ ready   disk 1.2 TB free" in stage.line_with("alpha:  ")


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_are_harmless(size: tuple[int, int]) -> None:
    snapshot, _ = simulated(hostile=True)
    async with on_stage(snapshot, size=size, actor=Recording()) as stage:
        await stage.open("models")
        for key in ("j", "L", "j", "H", "G", "X", "escape", "D", "a", "enter", "escape", "M"):
            await stage.press(key)
            assert harmless(stage.strips())
        await stage.press("escape", "V")
        assert harmless(stage.strips())
        await stage.press("escape", "enter")
        assert isinstance(stage.view, ModelView)
        assert harmless(stage.strips())
        await stage.press("X")
        assert harmless(stage.strips())


@pytest.mark.parametrize("size", [SMALL, MIDDLE, LARGE])
@pytest.mark.parametrize(("word", "subject"), [("models", None), ("model", "llama-3.3-70b")])
async def test_it_looks_as_before(
    word: str, subject: str | None, size: tuple[int, int], same_as_before: SameAsBefore
) -> None:
    snapshot, history = simulated()
    async with on_stage(snapshot, size=size, history=history) as stage:
        await stage.open(word, subject)
        same_as_before(stage, f"{word}-{size[0]}x{size[1]}")


async def test_an_example_in_a_form_is_a_place_that_there_is() -> None:
    async with on_stage(placed()) as stage:
        await stage.open("models")
        for key, example in (("D", "alpha:disk"), ("C", ":disk"), ("M", "gpu0"), ("S", "gpu0")):
            await stage.press(key)
            hints = [box.placeholder for box in stage.app.screen.query(Input)]
            assert any(f"{example}, several" in hint for hint in hints), (key, hints)
            assert not any("node1" in hint for hint in hints)
            await stage.press("escape")
