"""What reading 8 GPUs with 40 processes each second costs, beside nvitop's own loop and gpustat.

    python benchmarks/sampler.py [--seconds 60]

All of them read the same simulated driver, in one run, side by side; the processes are real ones
that sleep, so that looking them up costs what it costs. gpustat has to be installed by hand. The
simulated driver costs CPU itself, in all three. Limits of gswarm's: 1.5 % of a core, 45 MB.

The peers: nvitop's snapshots of devices and processes, as its documentation has its loop;
gpustat's query, as ``gpustat --interval 1 --json`` makes it. The helper's part is what passing the
frames on to one who watches costs the helper.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

REMOTE = Path(__file__).parents[1] / "remote"
sys.path.insert(0, str(REMOTE))

GPUS, EACH = 8, 5
CONFIG = {"gpus": GPUS, "model": "H100", "pattern": "busy", "processes": EACH}
WARM_S = 5.0
MB = 1e6
READERS = ("gswarm", "nvitop", "gpustat", "helper")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--pids", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        pids = [int(word) for word in arguments.pids.split(",")]
        measure(arguments.read, pids, arguments.seconds)
    else:
        compare(arguments.seconds)


def compare(seconds: float) -> None:
    with sleepers(GPUS * EACH) as pids:
        words = ["--seconds", str(seconds), "--pids", ",".join(map(str, pids))]
        started = {
            reader: subprocess.Popen(
                [sys.executable, __file__, "--read", reader, *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "MSGPACK_PUREPYTHON": "1"},  # as nodes have it
            )
            for reader in READERS
        }
        for reader, process in started.items():
            output, errors = process.communicate()
            if process.returncode:
                last = (errors.decode().strip().splitlines() or ["no output"])[-1]
                print(f"{reader:8} not measured: {last}")
                continue
            found = json.loads(output)
            each = "" if found["ms"] is None else f"   {found['ms']:5.1f} ms a reading"
            print(f"{reader:8} {found['cpu']:6.2%} of a core   {found['mb']:5.1f} MB{each}")


@contextlib.contextmanager
def sleepers(count: int) -> Iterator[list[int]]:
    started = [subprocess.Popen(["sleep", "100000"]) for _ in range(count)]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


# One reader, in a process of its own


def measure(reader: str, pids: Sequence[int], seconds: float) -> None:
    """Read once a second; print CPU and memory after the warming up."""
    install(pids)
    marks: list[tuple[float, float]] = []
    begin = {"gswarm": sampler, "nvitop": nvitop, "gpustat": gpustat, "helper": helper}[reader]
    begin(lambda: marks.append((time.monotonic(), cpu())), seconds)
    marks = [mark for mark in marks if mark[0] >= marks[0][0] + WARM_S]
    (began, before), (ended, after) = marks[0], marks[-1]
    used = after - before
    print(
        json.dumps(
            {
                "cpu": used / (ended - began),
                "mb": resident() / MB,
                "ms": None if reader == "helper" else 1000 * used / (len(marks) - 1),
            }
        )
    )


def install(pids: Sequence[int]) -> None:
    """The simulated driver, with processes that there are."""
    from gswarm_remote.metrics import simulated
    from gswarm_remote.metrics.processes import Table
    from gswarm_remote.metrics.simulation import Simulation

    simulate = Simulation.processes

    def processes(self: Simulation, gpu: int, now: float) -> list[Any]:
        of_gpu = pids[gpu * EACH : (gpu + 1) * EACH]
        found = zip(of_gpu, simulate(self, gpu, now), strict=True)
        return [replace(process, pid=pid) for pid, process in found]

    table = Table()
    Simulation.processes = processes  # type: ignore[method-assign]
    Simulation.facts = lambda self, pid: table.facts(pid)  # type: ignore[method-assign]
    simulated.install(CONFIG, time.time())


def sampler(tick: Callable[[], None], seconds: float) -> None:
    """gswarm's, as the helper starts it, for as long; its frames are thrown away."""
    from gswarm_remote.metrics.sampler import Sampler

    pipe = io.BytesIO()

    def write(message: dict[str, Any]) -> None:
        pipe.seek(0)
        pipe.write(json.dumps(message).encode())
        if "frame" in message:
            tick()

    order = {
        "interval_s": 1.0,
        "hung_s": 5.0,
        "bandwidth": False,
        "nvlink": False,
        "gpus": True,
        "models": "/",
        "simulate": CONFIG,
        "began": time.time(),
    }
    running = Sampler(order, write)
    threading.Thread(target=running.run, daemon=True).start()
    time.sleep(seconds)


def nvitop(tick: Callable[[], None], seconds: float) -> None:
    from nvitop.api import Device, GpuProcess

    devices = Device.all()

    def read() -> None:
        found = [process for device in devices for process in device.processes().values()]
        GpuProcess.take_snapshots(found, failsafe=True)
        for device in devices:
            device.as_snapshot()

    each_second(read, tick, seconds)


def gpustat(tick: Callable[[], None], seconds: float) -> None:
    from gpustat import GPUStatCollection

    def read() -> None:
        GPUStatCollection.new_query().print_json(io.StringIO())

    each_second(read, tick, seconds)


def helper(tick: Callable[[], None], seconds: float) -> None:
    """The helper's part: the sampler itself is a child, which does not count here."""
    from gswarm_remote import wire
    from gswarm_remote.metrics.feed import Feed
    from gswarm_remote.metrics.watching import Wish

    async def services() -> list[Any]:
        return []

    async def watch() -> None:
        order = {"models": "/", "simulate": CONFIG, "began": time.time()}
        feed = Feed(lambda: order, services)
        until = time.monotonic() + seconds
        with feed.watch(Wish()) as watched:
            while time.monotonic() < until:
                wire.pack(wire.Notification("progress", {"frame": await watched.frame(), "id": 1}))
                tick()
        await feed.close()

    asyncio.run(watch())


def each_second(read: Callable[[], None], tick: Callable[[], None], seconds: float) -> None:
    due = time.monotonic()
    until = due + seconds
    while due < until:
        read()
        tick()
        due += 1.0
        time.sleep(max(0.0, due - time.monotonic()))


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


if __name__ == "__main__":
    main()
