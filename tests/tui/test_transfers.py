"""The screen of what is on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gswarm_tui.playbook.actions.base import Use
from gswarm_tui.tui.screens.choice import ChoiceScreen
from gswarm_tui.tui.screens.describe import DescribeScreen
from gswarm_tui.tui.widgets.transfer_table import TransferTable, left_s

from .fleets import GB, simulated
from .some_jobs import RUNNING
from .some_models import placed, transfer, without_services
from .stage import SIZES, SMALL, Stage, harmless, on_stage

SameAsBefore = Callable[[Stage, str], None]
TWO = replace(
    placed(),
    transfers=(
        transfer(),
        transfer(
            model="llama",
            source="alpha:disk",
            rate_bytes_per_s=0.0,
            done_bytes=None,
            job=None,
            limit=None,
        ),
    ),
)


async def test_from_where_to_where_how_fast_and_for_how_long() -> None:
    async with on_stage(TWO, size=(160, 40)) as stage:
        await stage.open("transfers")
        line = stage.line_with("hf://Qwen")
        for part in ("beta:disk", "40 %", "100 MB/s", "1 min 0 s", "the disk of beta", "17"):
            assert part in line
        assert "███▎" in line
        assert "2 transfers, 100 MB/s together" in stage.text()
        assert "what limits it: the disk of beta" in stage.text()
        assert "stalled" in stage.line_with("alpha:disk")


async def test_rate_and_time_left_have_room_on_a_small_terminal() -> None:
    async with on_stage(TWO, size=SMALL) as stage:
        await stage.open("transfers")
        assert "40 %   100 MB/s    1 min 0 s" in stage.line_with("qwen")


async def test_two_of_long_names_are_told_apart_on_a_small_terminal() -> None:
    source = "hf://deepseek-ai/DeepSeek-R1-Distill-Qwen-14B-GPTQ-Int8"
    some = [
        transfer(model="deepseek-r1-14b", source=source),
        transfer(model="deepseek-r1-32b", source="gpu-03:disk"),
        transfer(model="deepseek-r1-32b", source="gpu-04:disk"),
    ]
    async with on_stage(replace(TWO, transfers=tuple(some)), size=SMALL) as stage:
        await stage.open("transfers")
        stage.line_with("deepseek-r1-14b   hf://deep")
        stage.line_with("deepseek-r1-32b   gpu-03:disk")
        stage.line_with("deepseek-r1-32b   gpu-04:disk")
        stage.line_with(f" {source} → beta:disk")
        stage.line_with("what limits it: the disk of beta")


async def test_who_waits_for_a_slot_of_the_network() -> None:
    of = Use(("network", "beta"), "transfers to beta", exclusive=False).label
    waits = replace(RUNNING, waiting=f"waiting for {of}, held by job 17 (download qwen)")
    async with on_stage(replace(TWO, jobs=(waits, replace(waits, id=10))), size=(200, 40)) as stage:
        await stage.open("transfers")
        line = stage.line_with("together")
        assert "job 9 (and 1 more): waiting for the network of beta" in line
        assert line.rstrip().endswith("held by job 17 (download qwen)")


def test_time_left_is_not_known_without_rate_or_size() -> None:
    assert left_s(transfer()) == 60.0
    assert left_s(transfer(rate_bytes_per_s=None)) is None
    assert left_s(transfer(total_bytes=None)) is None
    assert left_s(transfer(done_bytes=11 * GB)) == 0.0


async def test_sort_filter_and_describe() -> None:
    async with on_stage(TWO) as stage:
        await stage.open("transfers")
        table = stage.app.screen.query_one(TransferTable)
        await stage.press("o")
        assert type(stage.app.screen) is ChoiceScreen
        await stage.press("j", "enter")
        assert [row.model for row in table.rows] == ["llama", "qwen"]
        await stage.press("d")
        assert type(stage.app.screen) is DescribeScreen
        await stage.press("escape", "slash", *"qwen", "enter")
        assert [row.model for row in table.rows] == ["qwen"]
        assert "1 of 2 transfers, 100 MB/s together" in stage.text()
        await stage.press("slash", *"xx", "enter")
        assert "0 of 2 transfers" in stage.text()
        assert "nothing fits the filter; Esc takes it away" in stage.text()
        assert "nothing is on its way" not in stage.text()
        await stage.press("escape")
        assert "2 transfers, 100 MB/s together" in stage.text()


async def test_enter_goes_to_the_job_or_describes() -> None:
    async with on_stage(TWO) as stage:
        await stage.open("transfers")
        await stage.press("enter")
        assert stage.app.trail()[-1] == "Job 17"
        await stage.press("escape", "j", "enter")
        assert type(stage.app.screen) is DescribeScreen


async def test_nothing_on_its_way_says_so() -> None:
    async with on_stage(without_services()) as stage:
        await stage.open("transfers")
        assert "nothing is on its way" in stage.text()
        await stage.press("d", "enter")
        assert stage.app.screen is stage.view


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_are_harmless(size: tuple[int, int]) -> None:
    snapshot, _ = simulated(hostile=True)
    async with on_stage(snapshot, size=size) as stage:
        await stage.open("transfers")
        assert harmless(stage.strips())


@pytest.mark.parametrize("size", SIZES)
async def test_it_looks_as_before(size: tuple[int, int], same_as_before: SameAsBefore) -> None:
    snapshot, history = simulated()
    async with on_stage(snapshot, size=size, history=history) as stage:
        await stage.open("transfers")
        same_as_before(stage, f"transfers-{size[0]}x{size[1]}")
