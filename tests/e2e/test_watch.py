"""A fleet watched over real sshd, while helpers hang, die and come back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gswarm_tui.fleet import Fleet
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.watch.nodewatch import Wishes
from gswarm_tui.watch.snapshot import FleetSnapshot, Node, NodeState
from gswarm_tui.watch.watcher import FleetWatcher

from .conftest import Site

QUICK = Wishes(interval_s=0.1, status_s=0.1, first_delay_s=0.05, silent_s=0.5)
SIMULATED = {"gpus": 2, "pattern": "busy", "seed": 1}


@dataclass
class Watched:
    """What a watcher shows."""

    fleet: Fleet
    newest: FleetSnapshot = field(default_factory=lambda: FleetSnapshot(0.0))
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, picture: FleetSnapshot) -> None:
        self.newest = picture
        self.news.set()

    def node(self, name: str) -> Node:
        node = self.newest.node(name)
        assert node is not None
        return node

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not true():
                self.news.clear()
                await self.news.wait()

    async def helper(self, name: str) -> int:
        pid: int = (await self.fleet.node(name).call("node.info"))["helper"]["pid"]
        return pid


@asynccontextmanager
async def watched(site: Site, *nodes: NodeSpec) -> AsyncIterator[Watched]:
    async with site.fleet(*nodes) as fleet:
        seen = Watched(fleet)
        watcher = FleetWatcher(
            [fleet.node(node.name) for node in nodes], fleet.home.database, wishes=QUICK
        )
        running = asyncio.create_task(watcher.run(seen.take))
        try:
            await seen.until(lambda: seen.newest.nodes and watcher.settled)
            yield seen
            assert not running.done()
        finally:
            running.cancel()
            await asyncio.wait([running])


def sites_nodes(site: Site, count: int) -> list[NodeSpec]:
    server = site.sshd()
    return [site.node(server, f"node{n}", simulate=SIMULATED) for n in range(1, count + 1)]


async def test_a_helper_that_hangs_delays_nobody_and_comes_back(ssh_site: Site) -> None:
    async with watched(ssh_site, *sites_nodes(ssh_site, 2)) as seen:
        assert [len(node.gpus) for node in seen.newest.nodes] == [2, 2]
        pid = await seen.helper("node2")
        os.kill(pid, signal.SIGSTOP)
        try:
            await seen.until(lambda: seen.node("node2").state is NodeState.UNREACHABLE)
            assert "it has said nothing for" in (seen.node("node2").error or "")
            before = seen.node("node1").sampled_at or 0.0
            await seen.until(lambda: (seen.node("node1").sampled_at or 0.0) > before + 0.3)
            assert seen.node("node1").state is NodeState.UP
        finally:
            os.kill(pid, signal.SIGCONT)
        await seen.until(lambda: len(seen.node("node2").gpus) == 2)


async def test_a_helper_that_is_killed_is_started_again(ssh_site: Site) -> None:
    async with watched(ssh_site, *sites_nodes(ssh_site, 1)) as seen:
        os.kill(await seen.helper("node1"), signal.SIGKILL)
        await seen.until(lambda: seen.node("node1").state is NodeState.UNREACHABLE)
        await seen.until(lambda: len(seen.node("node1").gpus) == 2)
        said = [event.text for event in seen.newest.events]
        assert said[0].startswith("does not answer: connection lost")
        assert said[1] == "answers again"


async def test_a_server_that_is_not_there_is_found_when_it_is(ssh_site: Site) -> None:
    server = ssh_site.sshd()
    node = ssh_site.node(server, simulate=SIMULATED)
    server.stop()
    async with watched(ssh_site, node) as seen:
        assert seen.node("node1").state is NodeState.UNREACHABLE
        assert "Connection refused" in (seen.node("node1").error or "")
        ssh_site.sshd("again", port=server.port, host_key=server.host_key)
        await seen.until(lambda: len(seen.node("node1").gpus) == 2)
