"""One GPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.screens.gpu import GpuView
from gswarm_tui.watch.snapshot import Hardware, Link, MigInstance

from .fleets import GB, NOW, fleet, gpu, node, process, racks, showcase, simulated, troubled
from .stage import SIZES, SMALL, Stage, harmless, on_stage

SameAsBefore = Callable[[Stage, str], None]
TALL = (120, 70)


async def test_every_number_has_its_unit() -> None:
    hardware = Hardware(
        "00000000:1B:00.0", 1, "9.0", 18, (Link(1, "NODE", True), Link(2, "SYS", False)),
        (MigInstance(3, "MIG-1", "1g.10gb", 10 * GB),),
    )  # fmt: skip
    one = gpu(
        "one",
        0,
        37.0,
        memory_util_percent=21.0,
        sm_clock_mhz=1980.0,
        memory_clock_mhz=2619.0,
        fan_percent=45.0,
        pstate=2,
        ecc_corrected=7,
        ecc_uncorrected=3,
        remapped_rows=1,
        pcie_rx_bytes_per_s=2e9,
        pcie_tx_bytes_per_s=1e9,
        throttle=("hardware thermal slowdown",),
        xid=((79, NOW - 60), (31, NOW - 3600)),
        hardware=hardware,
    )
    async with on_stage(fleet(node("one", one)), size=TALL) as stage:
        await stage.open("gpu", "one:gpu0")
        text = stage.text()
        for part in (
            "37 %", "21 %", "61.0 GB of 80.0 GB", "60 °C", "400 W of 700 W", "1980 MHz", "2619 MHz",
            "45 %", "P2", "hardware thermal slowdown", "in 2.0 GB/s out 1.0 GB/s", "1B:00.0",
            "gpu1 NV18", "gpu2 SYS", "1g.10gb", "MIG-1", "GPU-one-0",
        ):  # fmt: skip
            assert part in text
        assert text.index("XID 79 (GPU has fallen off the bus)  at") < text.index("XID 31 (")
        assert " 3" in stage.line_with("ECC uncorrected")
        assert "4242" in stage.line_with("python train.py")


@pytest.mark.parametrize("width", [80, 100, 120, 132, 160, 200, 250])
async def test_no_number_is_cut_while_there_is_room(width: int) -> None:
    one = gpu("one", 0, nvlink_rx_bytes_per_s=16.9e9, nvlink_tx_bytes_per_s=16.8e9)
    async with on_stage(fleet(node("one", one)), size=(width, 70)) as stage:
        await stage.open("gpu", "one:gpu0")
        assert "in 16.9 GB/s out 16.8 GB/s" in stage.line_with("NVLink ")


async def test_what_is_not_told_is_a_dash() -> None:
    bare = gpu("one", 0, None, power_w=None, temperature_c=None, memory_used_bytes=None)
    async with on_stage(fleet(node("one", bare)), size=TALL) as stage:
        await stage.open("gpu", "one:gpu0")
        assert stage.line_with(" utilisation  -")
        assert "- of 700 W" in stage.text()


async def test_of_a_gpu_whose_driver_hangs_nothing_is_said_to_be_so() -> None:
    async with on_stage(troubled(), size=TALL) as stage:
        await stage.open("gpu", "ill:gpu2")
        assert "not known: the driver does not tell" in stage.text()
        assert stage.line_with("slowed by").rstrip().endswith("-")
        assert " - of -" not in stage.text()
        await stage.open("gpu", "ill:gpu6")
        assert "no process is on a GPU" in stage.text()
        assert "nothing" in stage.line_with("slowed by")


async def test_who_holds_it_without_computing() -> None:
    async with on_stage(troubled(), size=TALL) as stage:
        await stage.open("gpu", "ill:gpu5")
        assert "ana holds 60.0 GB and has not computed for 2 h" in stage.text()
        assert stage.text().count("2 h") == 1
        assert "gpu5: ana" not in stage.text()
        await stage.open("gpu", "ill:gpu6")
        assert "idle for 2 h" in stage.text()
        assert "held" not in stage.text()
        await stage.open("gpu", "ill:gpu0")
        assert "✗ lost" in stage.lines()[2]


async def test_what_is_wrong_stands_at_the_top_and_no_ok_above_it() -> None:
    async with on_stage(troubled(), size=TALL) as stage:
        await stage.open("gpu", "deaf:gpu1")
        assert "‖ driver hangs  the GPU driver has not answered for 2 min" in stage.lines()[3]
        await stage.open("gpu", "ill:gpu3")
        assert "✗ XID error" in stage.lines()[3]
        assert "● ok" not in stage.text()
        await stage.open("gpu", "ill:gpu4")
        assert "● ok" in stage.lines()[2]


async def test_where_there_is_no_process_to_signal_that_is_said() -> None:
    async with on_stage(troubled(), size=TALL, actor=Recording()) as stage:
        await stage.open("gpu", "ill:gpu6")
        await stage.press("x")
        assert "there is nothing to signal" in stage.text()


async def test_plots_of_ten_minutes_or_of_a_day() -> None:
    async with on_stage(racks(), size=TALL) as stage:
        await stage.open("gpu", "beta:gpu1")
        assert "90 %  mean 90 %" in stage.line_with("utilisation")
        await stage.press("t")
        assert "90 %  mean 90 %" in stage.line_with("utilisation")


async def test_its_keys() -> None:
    asked: list[str] = []

    def shell(name: str) -> list[str]:
        asked.append(name)
        return [sys.executable, "-c", ""]

    async with on_stage(racks(), shell=shell) as stage:
        await stage.open("gpu", "beta:gpu1")
        stage.app.suspend = nullcontext  # type: ignore[method-assign, assignment]
        await stage.press("s")
        assert asked == ["beta"]
        await stage.press("ctrl+d", "ctrl+u", "j", "k", "enter")
        assert "process 4242 on beta:gpu1" in stage.text()
        await stage.press("escape", "d")
        assert isinstance(stage.app.screen, DescribeScreen)
        assert "uuid: GPU-beta-1" in stage.text()
        await stage.press("escape")
        assert isinstance(stage.app.screen, GpuView)


async def test_what_is_below_is_reached_by_keys() -> None:
    snapshot, history = simulated()
    async with on_stage(snapshot, size=SMALL, history=history) as stage:
        await stage.open("gpu", "gpu-01:gpu0")
        page = stage.view.query_one("#page")
        assert page.scroll_y == 0
        assert "compute capability" not in stage.text()
        await stage.press(*["ctrl+d"] * 4)
        assert page.scroll_y > 0
        assert "compute capability" in stage.text()
        await stage.press(*["ctrl+u"] * 4)
        assert page.scroll_y == 0


async def test_typed_with_its_name() -> None:
    async with on_stage(racks()) as stage:
        await stage.type(":gpu gamma:gpu7")
        await stage.press("enter")
        assert stage.view.crumb == "GPU gamma:gpu7"


async def test_a_gpu_that_nobody_tells_of_any_more() -> None:
    async with on_stage(racks()) as stage:
        await stage.open("gpu", "beta:gpu1")
        await stage.push(fleet(node("beta", error="the helper ended")))
        assert "beta has not told of it: the helper ended" in stage.text()
        await stage.push(fleet())
        assert "beta is not in the inventory any more" in stage.text()
        await stage.press("d", "t")
        assert isinstance(stage.app.screen, GpuView)


async def test_a_command_of_ten_thousand_characters_is_cut() -> None:
    many = node("one", gpu("one", 0, processes=(process(command="x" * 10_000),)))
    async with on_stage(fleet(many), size=TALL) as stage:
        await stage.open("gpu", "one:gpu0")
        assert "xxx…" in stage.line_with("4242")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_hostile_names_are_harmless(size: tuple[int, int]) -> None:
    snapshot, history = simulated(6, hostile=True)
    async with on_stage(snapshot, size=size, history=history) as stage:
        for each in snapshot.nodes:
            await stage.open("gpu", f"{each.name}:gpu1")
            assert harmless(stage.strips())
            assert any(word in stage.text() for word in ("● ok", "‖ silent", "has not told of it"))


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_it_looks_as_before(size: tuple[int, int], same_as_before: SameAsBefore) -> None:
    snapshot, history = showcase()
    async with on_stage(snapshot, size=size, history=history) as stage:
        await stage.open("gpu", "node-01:gpu2")
        same_as_before(stage, f"gpu-{size[0]}x{size[1]}")
