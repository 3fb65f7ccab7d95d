"""Everything that is known of something: times as times, amounts as amounts, and as they are."""

from __future__ import annotations

from datetime import datetime

import pytest
import yaml

from gswarm_tui.tui.screens.describe import DescribeScreen, as_yaml
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.watch.snapshot import Event, Gpu, GpuState, Host, Node, NodeState, Transfer

from .fleets import racks
from .stage import SMALL, on_stage

NOW = 1_795_248_407.367
SHOWN = f"{datetime.fromtimestamp(NOW).astimezone():%Y-%m-%d %H:%M:%S} (1795248407.367)"


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (Event(NOW, "info", "a", "b"), {"time": SHOWN}),
        (Event(1e300, "info", "a", "b"), {"time": 1e300}),
        (Node("a", "h", NodeState.UP, NOW, sampled_at=NOW), {"since": SHOWN, "sampled_at": SHOWN}),
        (Node("a", "h", NodeState.UP, NOW, silent_s=125.0), {"silent_s": "2 min 5 s (125)"}),
        (
            Host(
                memory_total_bytes=25_276_502_016, net_rx_bytes_per_s=1_234_567.8, cpu_percent=3.5
            ),
            {
                "memory_total_bytes": "25.3 GB (25276502016)",
                "net_rx_bytes_per_s": "1.2 MB/s (1234568)",
                "cpu_percent": 3.5,
            },
        ),
        (
            Gpu("a", 0, GpuState.OK, xid=((79, NOW),), idle_since=NOW, idle_at_least=True),
            {"xid": [[79, SHOWN]], "idle_since": SHOWN, "idle_at_least": True},
        ),
        (
            Node("a", "h", NodeState.UP, NOW, labels=(("rack", "r01"), ("fast", ""))),
            {"labels": {"rack": "r01", "fast": ""}, "state": "up"},
        ),
        (Node("a", "h", NodeState.UP, NOW, silent_s=9.0), {"state": "hung"}),
        (
            Transfer("m", "s", "t", "p", 0, None, None, None, job=17),
            {"done_bytes": "0 B (0)", "job": 17},
        ),
    ],
)
def test_numbers_can_be_read(thing: object, said: dict[str, object]) -> None:
    found = yaml.safe_load(as_yaml(thing))
    assert {name: found[name] for name in said} == said


@pytest.mark.parametrize("label", ["plain", "räck", "🐝", "\ud800", "a\u2028b", "yes"])
def test_every_text_comes_back(label: str) -> None:
    found = as_yaml(Node("a", "h", NodeState.UP, NOW, labels=(("rack", label),)))
    assert yaml.safe_load(found)["labels"] == {"rack": label}
    assert "🐝" in found or label != "🐝"


async def test_only_the_lines_in_sight_of_many_things_are_drawn() -> None:
    async with on_stage(racks(), size=SMALL) as stage:
        stage.app.push_screen(DescribeScreen("all", *racks().nodes * 11))
        await stage.pilot.pause()
        lines = stage.app.screen.query_one(Lines)
        assert lines.size.height > 5_000
        assert len(lines._strips) < 100
        await stage.press("end")
        await stage.shows("# 1 more")
        await stage.press("home")
        await stage.shows("name: ")


async def test_a_long_line_is_wrapped_below_itself() -> None:
    node = Node("a", "h", NodeState.UP, NOW, error="no " * 60)
    async with on_stage(racks(), size=SMALL) as stage:
        stage.app.push_screen(DescribeScreen("a", node))
        await stage.pilot.pause()
        assert stage.text().count("no ") == 60
