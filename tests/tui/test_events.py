"""The screen of what happened."""

from __future__ import annotations

from gswarm_tui.watch.snapshot import Event, FleetSnapshot

from .stage import on_stage


async def test_events_are_shown() -> None:
    event = Event(0.0, "warning", "node1", "is [b]gone[/b]\x1b[31m")
    async with on_stage(FleetSnapshot(1.0, events=(event,))) as stage:
        await stage.open("events")
        assert "is [b]gone[/b]�[31m" in stage.line_with("node1")
