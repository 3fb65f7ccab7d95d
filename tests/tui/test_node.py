"""One node."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.node import NodeView
from gswarm_tui.tui.widgets.gpu_table import GpuTable
from gswarm_tui.tui.widgets.plots import Plots
from gswarm_tui.watch.snapshot import Copy, GpuState, Host, Model, NodeState, Service

from .fleets import GB, NOW, fleet, gpu, later, lost, node, racks, showcase, simulated, troubled
from .stage import LARGE, SIZES, Stage, harmless, on_stage

SameAsBefore = Callable[[Stage, str], None]
TALL = (150, 120)


async def test_it_has_state_load_gpus_and_processes() -> None:
    known = Host(
        cpu_percent=12.0, cpu_count=64, load1=3.5, load5=2.0, load15=1.0, disk_free_bytes=7 * GB
    )
    one = node("one", gpu("one", 0, 37.0), host=known, driver="580.95.05", system="Debian 13")
    async with on_stage(fleet(one), size=TALL) as stage:
        await stage.open("node", "one")
        for part in ("● up, answers for 2 h", "10.0.0.1", "Debian 13", "driver 580.95.05"):
            assert part in stage.lines()[2]
        for part in ("12 % of 64", "3.5 2.0 1.0", "7.0 GB free"):
            assert part in stage.text()
        assert " 37 %" in stage.line_with("61.0/80.0 GB")
        assert "python train.py" in stage.line_with("4242")


async def test_what_is_wrong_is_said_at_the_top() -> None:
    async with on_stage(troubled(), size=TALL) as stage:
        await stage.open("node", "gone")
        assert "✗ unreachable" in stage.lines()[2]
        assert "no route to host" in stage.lines()[3]
        assert stage.text().count("no route to host") == 1
        assert stage.text().count("✗ unreachable") == 1
        assert stage.text().count("not known: the node does not answer") == 4
        assert "no model is here" not in stage.text()
        await stage.open("node", "ill")
        assert "gpu5: ana holds" in stage.line_with("z held but idle")
        assert " gpu0 " in stage.line_with("✗ lost")


async def test_the_age_of_a_driver_that_hangs_is_said_once() -> None:
    error = "the GPU driver has not answered for 845 s"
    deaf = node("deaf", lost("deaf", 0, GpuState.SILENT), silent_s=845.0, error=error)
    async with on_stage(fleet(deaf), size=TALL) as stage:
        await stage.open("node", "deaf")
        assert "14 min" in stage.text()
        assert "845 s" not in stage.text()


async def test_which_processes_there_are_is_not_known_of_a_driver_that_hangs() -> None:
    free = gpu("one", 1, processes=())
    async with on_stage(troubled(), size=TALL) as stage:
        await stage.open("node", "deaf")
        assert "not known: the driver does not tell" in stage.text()
        assert "no process is on" not in stage.text()
        await stage.open("node", "one")
        await stage.push(fleet(node("one", lost("one", 0), free)))
        assert "no process is on the GPUs that tell theirs" in stage.text()


async def test_what_a_node_that_answers_has_not_is_said() -> None:
    told = node("one", sampled_at=NOW)
    async with on_stage(fleet(told, node("new", state=NodeState.CONNECTING)), size=TALL) as stage:
        await stage.open("node", "one")
        for said in ("has no GPU", "no process is on", "no model is here", "nothing is served"):
            assert said in stage.text()
        await stage.push(fleet(replace(told, error="the driver is too old")))
        assert "no GPU is known of this node" in stage.text()
        await stage.open("node", "new")
        await stage.push(fleet(told, node("new", state=NodeState.CONNECTING)))
        assert stage.text().count("not known yet") == 4


async def test_models_and_services_of_this_node_only() -> None:
    here = Copy("llama", "abc", "one:disk", "ready", 15 * GB, verified=True)
    there = Copy("qwen", "def", "two:disk", "ready", 15 * GB)
    models = tuple(Model(c.model, None, None, None, (c,), True) for c in (here, there))
    service = Service(
        "llama", "one", ("one:gpu0",), "vllm", "ready", "127.0.0.1", 8000, None, "s", "r",
        generation_tokens_per_s=1234.0, running=3,
    )  # fmt: skip
    picture = fleet(node("one", gpu("one", 0)), node("two"), models=models, services=(service,))
    async with on_stage(picture, size=TALL) as stage:
        await stage.open("node", "one")
        assert "15.0 GB" in stage.line_with("✓ verified")
        assert "1,234" in stage.line_with(" 8000")
        assert "qwen" not in stage.text()
        loading = replace(service, state="starting", port=None, service="", replica="")
        others = [replace(loading, devices=("one:gpu1",)), replace(loading, node="two")]
        await stage.push(replace(picture, services=(), starting=(loading, *others)))
        assert stage.text().count("◐ starting") == 2


async def test_plots_are_of_ten_minutes_or_of_a_day() -> None:
    async with on_stage(racks(), size=TALL) as stage:
        await stage.open("node", "alpha")
        assert "nothing known of the last 10 min" in stage.text()
        assert "10 %  mean 10 %" in stage.line_with("  GPUs  ")
        await stage.press("t")
        assert "nothing known of the last 24 h" in stage.text()
        await stage.press("t")
        assert "nothing known of the last 10 min" in stage.text()


async def test_plots_follow_the_pictures() -> None:
    async with on_stage(racks(), size=TALL) as stage:
        await stage.open("node", "alpha")
        for second in range(1, 4):
            await stage.push(later(racks(), second))
        text = stage.line_with("GPU power")
        assert "3.2 kW  mean 3.2 kW, most 3.2 kW" in text


async def test_it_is_laid_out_for_its_width_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    widths: set[int] = set()
    lay_out = Plots._lay_out

    def noted(plots: Plots) -> None:
        widths.add(plots.size.width)
        lay_out(plots)

    monkeypatch.setattr(Plots, "_lay_out", noted)
    async with on_stage(racks(), size=(200, 30)) as stage:
        await stage.open("node", "alpha")
        await stage.push(racks())
    assert len(widths - {0}) == 1


async def test_enter_opens_the_gpu_and_escape_comes_back() -> None:
    async with on_stage(racks()) as stage:
        await stage.open("node", "alpha")
        await stage.press("j", "j", "enter")
        assert stage.view.crumb == "GPU alpha:gpu2"
        await stage.press("escape")
        assert isinstance(stage.view, NodeView)
        await stage.press("h")
        assert stage.view.crumb == "Fleet"


async def test_tab_and_ctrl_d_reach_what_is_below() -> None:
    snapshot, history = simulated()
    async with on_stage(snapshot, size=(80, 24), history=history) as stage:
        await stage.press("enter")
        page = stage.view.query_one("#page")
        assert stage.view.query_one(GpuTable).has_focus
        assert page.scroll_y == 0
        await stage.press("ctrl+d")
        assert page.scroll_y > 0
        await stage.press("ctrl+u")
        assert page.scroll_y == 0
        await stage.press("tab", "tab")
        assert not stage.view.query_one(GpuTable).has_focus


async def test_d_tells_everything() -> None:
    async with on_stage(racks()) as stage:
        await stage.open("node", "beta")
        await stage.press("d")
        assert isinstance(stage.app.screen, DescribeScreen)
        assert "name: beta" in stage.text()


async def test_s_leaves_the_screen_to_a_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "was here"
    asked: list[str] = []

    def shell(name: str) -> list[str]:
        asked.append(name)
        return [sys.executable, "-c", f"open({str(trace)!r}, 'w')"]

    async with on_stage(racks(), shell=shell) as stage:
        await stage.open("node", "beta")
        await stage.shows("s Shell")
        monkeypatch.setattr(stage.app, "suspend", nullcontext)  # a test has no terminal to give
        await stage.press("s")
        assert asked == ["beta"]
        assert trace.exists()


async def test_a_shell_that_cannot_be_had_is_told_of() -> None:
    async with on_stage(racks(), shell=lambda name: None) as stage:
        await stage.open("node", "beta")
        await stage.press("s")
        assert "beta is not in the inventory" in stage.text()
    async with on_stage(racks(), shell=lambda name: ["true"]) as stage:
        await stage.open("node", "beta")
        await stage.press("s")
        assert "this terminal cannot be left to a shell" in stage.text()


async def test_a_program_that_is_not_there_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_stage(racks(), shell=lambda name: ["/nonexistent/ssh"]) as stage:
        await stage.open("node", "beta")
        monkeypatch.setattr(stage.app, "suspend", nullcontext)
        await stage.press("s")
        assert "/nonexistent/ssh could not be started: No such file" in stage.text()


async def test_without_a_way_to_a_shell_its_key_is_not_shown_and_says_why() -> None:
    async with on_stage(racks()) as stage:
        await stage.open("node", "beta")
        assert "Shell" not in stage.text()
        await stage.press("s")
        assert "a browser has no terminal that a shell could have" in stage.text()
        await stage.press("escape")
        assert isinstance(stage.app.screen, NodeView)


async def test_who_may_change_nothing_gets_no_shell() -> None:
    async with on_stage(racks(), shell=lambda name: ["true"], read_only=True) as stage:
        await stage.open("node", "beta")
        assert "Shell" not in stage.text()
        await stage.press("s")
        assert "with --read-only" in stage.text()


async def test_topology_is_shown_where_it_is_known() -> None:
    snapshot, history = simulated()
    async with on_stage(snapshot, size=LARGE, history=history) as stage:
        await stage.open("node", "gpu-01")
        assert "how they reach each other" in stage.text()
        assert "NV18" in stage.text()


async def test_a_node_that_left_the_inventory() -> None:
    async with on_stage(racks()) as stage:
        await stage.open("node", "beta")
        await stage.push(fleet())
        assert "beta is not in the inventory any more" in stage.text()
        await stage.press("d", "enter", "t")
        assert isinstance(stage.app.screen, NodeView)


async def test_typed_with_its_name() -> None:
    async with on_stage(racks()) as stage:
        await stage.type(":node be")
        await stage.press("tab", "enter")
        assert stage.view.crumb == "Node beta"
        await stage.type(":node nobody")
        await stage.press("enter")
        assert "there is no node nobody" in stage.text()


async def test_plots_survive_a_node_without_gpus() -> None:
    async with on_stage(fleet(node("bare"), node("broken", lost("broken", 0)))) as stage:
        for name in ("bare", "broken"):
            await stage.open("node", name)
            assert stage.view.query_one(Plots).display
        assert stage.app.snapshot.time == NOW


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_hostile_names_are_harmless(size: tuple[int, int]) -> None:
    snapshot, history = simulated(6, hostile=True)
    async with on_stage(snapshot, size=size, history=history) as stage:
        for each in snapshot.nodes:
            await stage.open("node", each.name)
            assert harmless(stage.strips())
            await stage.press("ctrl+d")
            assert harmless(stage.strips())


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_it_looks_as_before(size: tuple[int, int], same_as_before: SameAsBefore) -> None:
    snapshot, history = showcase()
    async with on_stage(snapshot, size=size, history=history) as stage:
        await stage.open("node", "node-01")
        same_as_before(stage, f"node-{size[0]}x{size[1]}")
