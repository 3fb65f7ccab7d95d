"""While nodes are down every key is answered, and what went wrong is said until it was read."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory, NodeSpec
from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.app import GswarmApp
from gswarm_tui.tui.screens.help import HelpScreen
from gswarm_tui.tui.widgets.dialog import NoticeScreen
from gswarm_tui.tui.widgets.fleet_table import FleetTable
from gswarm_tui.watch.fleetsource import FleetSource
from gswarm_tui.watch.snapshot import Event, FleetSnapshot, NodeState

from .fleets import NOW, fleet, later, node
from .stage import on_stage

MOST_S = 3.0
"""For so long nothing may keep the screens from answering; a node that says nothing is waited for
much longer. Frames are 16 ms apart, but this machine does other things as well."""


@asynccontextmanager
async def longest_wait() -> AsyncIterator[list[float]]:
    """For how long at most nothing else could be done meanwhile."""
    waits = [0.0]

    async def beat() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            waits[0], before = max(waits[0], now - before), now

    beating = asyncio.create_task(beat())
    try:
        yield waits
    finally:
        beating.cancel()


async def test_every_key_is_answered_while_twenty_nodes_are_down(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as deaf, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        ports = [each.getsockname()[1] for each in (deaf, closed)]
        names = [f"node{number:02}" for number in range(20)]
        specs = {
            name: NodeSpec(name, "127.0.0.1", port=ports[number % 2])
            for number, name in enumerate(names)
        }
        inventory = Inventory(specs)
        app = GswarmApp(
            FleetSource(inventory, Home(tmp_path)), actor=Recording(), inventory=inventory
        )
        async with app.run_test(size=(120, 40)) as pilot:
            await until(lambda: any(n.state is NodeState.UNREACHABLE for n in app.snapshot.nodes))
            async with longest_wait() as waits:
                table = app.screen.query_one(FleetTable)
                await pilot.press("j", "j")
                assert table.cursor == 2
                await pilot.press("enter")
                assert app.trail()[-1] == "Node node02"
                await pilot.press("escape", "question_mark")
                assert isinstance(app.screen, HelpScreen)
                await pilot.press("escape", "slash", *"node1", "enter")
                assert len(table.rows) == 10
                for word in ("models", "services", "jobs", "transfers", "inventory", "events"):
                    await pilot.press("colon", *word, "enter")
                    assert word == app.views[-1].WORD
            assert {n.state for n in app.snapshot.nodes} == {
                NodeState.UNREACHABLE,
                NodeState.CONNECTING,
            }
            assert waits[0] < MOST_S


async def until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


def after(seconds: float, *events: Event) -> FleetSnapshot:
    return replace(later(fleet(node("one"), node("two")), seconds), events=events)


async def test_errors_are_counted_at_the_top_until_they_were_read() -> None:
    before = Event(NOW - 5, "error", "old", "was there before")
    lost = Event(NOW + 1, "error", "one", "does not answer: no route to host")
    failed = Event(NOW + 2, "error", "job 17", "nightly failed: no space")
    fine = Event(NOW + 3, "info", "one", "answers again")
    async with on_stage(after(0, before)) as stage:
        assert "in :events" not in stage.lines()[0]
        await stage.push(after(1, before, lost))
        assert "✗ 1 error, in :events" in stage.lines()[0]
        await stage.push(after(3, before, lost, failed, fine))
        await stage.open("jobs")
        await stage.push(after(9, before, lost, failed, fine))
        assert "✗ 2 errors, in :events" in stage.lines()[0]
        await stage.open("events")
        for text in ("no route to host", "no space"):
            stage.line_with(text)
        await stage.open("jobs")
        await stage.push(after(10, before, lost, failed, fine))
        assert "in :events" not in stage.lines()[0]
        await stage.push(after(11, before, lost, failed, fine, replace(lost, time=NOW + 11)))
        assert "✗ 1 error, in :events" in stage.lines()[0]


async def test_several_refusals_are_read_one_by_one_however_long_it_takes() -> None:
    async with on_stage(after(0), read_only=True) as stage:
        stage.app.deeds.tell("first", "one: no route to host")
        await stage.type(":nonsense")
        for second in range(1, 4):
            stage.app.deeds.tell(f"more {second}", "two: no space")
            await stage.push(after(60.0 * second))
        seen = []
        while isinstance(stage.app.screen, NoticeScreen):
            seen.append(
                next(
                    word for word in ("first", "more 1", "more 2", "more 3") if word in stage.text()
                )
            )
            await stage.press("enter")
        assert seen == ["first", "more 1", "more 2", "more 3"]


async def test_a_screen_that_is_none_is_said_until_that_is_mended() -> None:
    said = "✗ there is no `evnts`; did you mean `events`?"
    async with on_stage(after(0)) as stage:
        await stage.type(":evnts")
        await stage.press("enter")
        stage.line_with(said)
        await stage.push(after(60))
        stage.line_with(said)
        await stage.press("left", "left", "left")
        stage.line_with(said)
        await stage.type("e")
        assert said not in stage.text()
        await stage.press("enter")
        assert stage.view.WORD == "events"
