"""The watcher on a large fleet: 256 nodes with eight GPUs each, of which everything moves.

    python benchmarks/watch.py [--nodes 256]

The nodes are in memory, and send frames as real ones do. Measured, in CPU of this process:

- taking the frames of all nodes, once a second;
- one picture of them, and remembering it;
- a filter with three words over all GPUs;
- the text for Prometheus.

Then 16 helpers on this machine, started anew and found running: until every GPU of all is known.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gswarm_tui.fleet import Fleet
from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.watch import exposition, filters
from gswarm_tui.watch.nodewatch import Wishes
from gswarm_tui.watch.series import record
from gswarm_tui.watch.watcher import FleetWatcher

GPUS = 8
ROUNDS = 10
PROCESS = {"pid": 7, "user": "ana", "command": "python train.py", "memory_bytes": 60 * 10**9}
NUMBERS = (
    *("memory_util_percent", "memory_used_bytes", "temperature_c", "sm_clock_mhz"),
    *("memory_clock_mhz", "pstate", "ecc_corrected", "ecc_uncorrected", "remapped_rows"),
)


class MemoryNode:
    """A node that sends what it is told to."""

    def __init__(self, name: str) -> None:
        self.spec = NodeSpec(name, name)
        self.send: Callable[[dict[str, Any]], None] | None = None

    async def connect(self) -> None:
        pass

    async def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Any:
        if method == "metrics.describe":
            gpus = [{"index": i, "uuid": f"GPU-{i}", "name": "NVIDIA H100"} for i in range(GPUS)]
            return {"version": "1", "driver": "580", "gpus": gpus}
        if method == "node.status":
            return {}
        self.send = progress
        return await asyncio.get_running_loop().create_future()


def frame(*, whole: bool) -> dict[str, Any]:
    gpus = []
    for index in range(GPUS):
        gpu: dict[str, Any] = dict.fromkeys(NUMBERS, 5)
        gpu |= {"index": index, "util_percent": random.randrange(100), "power_w": random.random()}
        gpu |= {"throttle": [], "xid": [], "lost": False}
        if whole:
            gpu["processes"] = [PROCESS]
        gpus.append(gpu)
    host = {"cpu_percent": random.random(), "load1": 2.0, "memory_used_bytes": 10**11}
    return {"static": "1", "state": "ok", "silent_s": 0.0, "gpus": gpus, "host": host}


def cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


async def in_memory(count: int) -> dict[str, float]:
    nodes = [MemoryNode(f"node{number}") for number in range(count)]
    watcher = FleetWatcher(nodes, wishes=Wishes(interval_s=3600.0))
    running = asyncio.create_task(watcher.run(lambda picture: None))
    while any(node.send is None for node in nodes):
        await asyncio.sleep(0.01)
    taking, drawing = [], []
    for number in range(ROUNDS):
        frames = [{"frame": frame(whole=number == 0)} for _ in nodes]

        def take(frames: list[dict[str, Any]] = frames) -> None:
            for node, each in zip(nodes, frames, strict=True):
                assert node.send is not None
                node.send(each)

        taking.append(cpu_ms(take))
        await asyncio.sleep(0.1)
        drawing.append(cpu_ms(lambda: record(watcher.history, watcher.picture())))
    picture = copy.copy(watcher.picture())
    chosen = filters.parse("util>20 user=ana h100")
    found = {
        "frames of all nodes, ms": statistics.median(taking),
        "a picture, remembered, ms": statistics.median(drawing),
        "a filter of three words, ms": cpu_ms(lambda: chosen.rows(picture.nodes)),
        "the text for Prometheus, ms": cpu_ms(lambda: exposition.text(picture)),
    }
    running.cancel()
    await asyncio.wait([running])
    return found


async def until_known(nodes: list[NodeSpec], home: Home) -> float:
    """Seconds until what every GPU is and does is known."""
    inventory = Inventory(nodes={node.name: node for node in nodes})
    async with Fleet(inventory, home, idle_exit_s=10, notice=lambda _: None) as fleet:
        watcher = FleetWatcher([fleet.node(node.name) for node in nodes], home.database)
        known = asyncio.Event()
        began = time.monotonic()
        running = asyncio.create_task(
            watcher.run(lambda picture: known.set() if watcher.settled else None)
        )
        await known.wait()
        took = time.monotonic() - began
        running.cancel()
        await asyncio.wait([running])
        return took


async def on_this_machine(count: int = 16) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="gs-") as folder:
        home = Home(Path(folder) / "home")
        simulate = {"gpus": GPUS, "seed": 1}
        nodes = [
            NodeSpec(
                f"n{number}",
                "localhost",
                connection="local",
                root=f"{folder}/{number}",
                simulate=simulate,
            )
            for number in range(count)
        ]
        await until_known(nodes[:1], home)  # what is fetched and built once
        found = {
            "16 nodes, helpers started, s": await until_known(nodes[1:] + nodes[:1], home),
            "16 nodes, helpers running, s": await until_known(nodes, home),
        }
        down = [NodeSpec(f"d{number}", "127.0.0.9", port=1) for number in range(count)]
        found["no node reachable, s"] = await until_known(down, home)
        return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--nodes", type=int, default=256)
    chosen = options.parse_args()
    found = asyncio.run(in_memory(chosen.nodes)) | asyncio.run(on_this_machine())
    for name, value in found.items():
        print(f"{name:32}{value:>10.2f}")


if __name__ == "__main__":
    main()
