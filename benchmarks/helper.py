"""What a resident helper costs: memory, CPU when idle, and how long it stays.

    python benchmarks/helper.py [--quick]

Limits: 45 MB resident also after a download, no CPU when idle, gone 60 s after its last reason. The
peer for memory is a Python that has imported asyncio and does nothing, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gswarm_tui.devices import Device
from gswarm_tui.fleet import Fleet
from gswarm_tui.home import Home
from gswarm_tui.hub import server
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.models import Models
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry

MIB = 2**20
IDLE_EXIT_S = 60.0
SIZE = 256 * MIB


def resident(pid: int) -> float:
    """MiB, as the kernel counts them (VmRSS)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / MIB


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peer() -> float:
    """MiB of a Python that has imported asyncio."""
    code = "import asyncio, sys; print(flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    found = resident(process.pid)
    process.communicate()
    return found


def make_model(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with (folder / "model.safetensors").open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))


async def measure(place: Path, *, idle_exit_s: float, watch_s: float) -> None:
    spec = NodeSpec("node1", "localhost", root=str(place / "node1"), connection="local")
    inventory = Inventory({"node1": spec})
    home = Home(place / "home")
    make_model(place / "hub" / "bench" / "model")
    async with server.running(place / "hub") as hub:
        os.environ["HF_ENDPOINT"] = hub.url
        with Database(home.database) as database:
            async with Fleet(inventory, home, idle_exit_s=idle_exit_s) as fleet:
                info = await fleet.node("node1").call("node.info")
                pid = info["helper"]["pid"]
                print(f"after node.info     {resident(pid):6.1f} MiB")
                models = Models(fleet, Registry(database))
                await models.download(
                    "m", "hf://bench/model", [Device("node1", "disk")], progress=lambda _: None
                )
                await models.verify("m", None, progress=lambda _: None)
                print(f"after a download    {resident(pid):6.1f} MiB ({SIZE / MIB:.0f} MiB model)")
                before, began = cpu_seconds(pid), time.monotonic()
                await asyncio.sleep(watch_s)
                used = cpu_seconds(pid) - before
                print(f"idle                {used / (time.monotonic() - began):6.2%} of a core")
    began = time.monotonic()
    while Path(f"/proc/{pid}").exists() and time.monotonic() - began < idle_exit_s + 30:
        await asyncio.sleep(0.1)
    print(f"gone after          {time.monotonic() - began:6.1f} s (asked for {idle_exit_s:g})")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="an idle exit of 2 s, not 60")
    quick = parser.parse_args().quick
    print(f"python and asyncio  {peer():6.1f} MiB")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(
            measure(
                Path(folder),
                idle_exit_s=2.0 if quick else IDLE_EXIT_S,
                watch_s=5.0 if quick else 20.0,
            )
        )


if __name__ == "__main__":
    main()
