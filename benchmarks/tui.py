"""The terminal on a large fleet: 256 nodes with eight GPUs each, every second, on one core.

    python benchmarks/tui.py [--nodes 256] [--seconds 20] [--size 160x50]

The application runs in a process of its own on a pseudo-terminal, as it does for a user. Measured:

- CPU a tick, of the whole process less what the simulated fleet needs to compute itself;
- bytes to the terminal a second, once the first screen is there;
- from a key to the line that it moves the cursor to, as the terminal sees it;
- resident memory, with the history of every GPU;
- from the start of the process to the first whole screen.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import pty
import random
import resource
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator
from pathlib import Path

LIMITS = {
    "CPU a tick, ms": 40.0,
    "key to paint p95, ms": 50.0,
    "bytes a second": 5000.0,
    "resident, MB": 250.0,
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--nodes", type=int, default=256)
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--size", default="160x50")
    options.add_argument("--computed", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.report is not None:
        serve(chosen.nodes, int(chosen.seconds), chosen.report, computed=chosen.computed)
        return
    columns, lines = (int(part) for part in chosen.size.split("x"))
    found = measure(chosen.nodes, chosen.seconds, columns, lines)
    for name, value in found.items():
        limit = LIMITS.get(name)
        said = "" if limit is None else f"   limit {limit:,.0f}" + "  OVER" * (value > limit)
        print(f"{name:32}{value:>12,.1f}{said}")


# The application, in its own process


def serve(nodes: int, count: int, report: Path, *, computed: bool) -> None:
    """Run the application until it is told to quit, then write what it used in `count` ticks.

    Args:
        computed: the pictures are computed before, so that what keys wait for are the screens.
    """
    from gswarm_tui.tui.app import GswarmApp
    from gswarm_tui.watch.rings import History
    from gswarm_tui.watch.series import record
    from gswarm_tui.watch.simulated import SimulatedSource
    from gswarm_tui.watch.source import Listener

    class Timed:
        """The simulated fleet, with what its own computing takes taken down."""

        def __init__(self) -> None:
            self.fleet = SimulatedSource(nodes=nodes)
            self.spent = 0.0
            self.ticks = 0
            self.began = self.ended = 0.0

        @property
        def history(self) -> History:
            return self.fleet.history

        async def run(self, listener: Listener) -> None:
            start = time.time()
            ahead = [self.fleet.picture(start + second) for second in range(_AHEAD * computed)]
            listener(self.fleet.picture(start))
            while True:
                await asyncio.sleep(1.0 - time.time() % 1.0)
                before = time.process_time()
                if ahead:
                    snapshot = ahead[self.ticks % len(ahead)]
                else:
                    snapshot = self.fleet.picture(time.time())
                    record(self.fleet.history, snapshot)
                after = time.process_time()
                listener(snapshot)
                if self.ticks == _WARM:
                    self.began = after
                elif _WARM < self.ticks <= _WARM + count:
                    self.spent += after - before
                    self.ended = after
                self.ticks += 1

        def focus(self, job_id: int | None) -> None:
            self.fleet.focus(job_id)

        def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
            return self.fleet.log(job_id, action_id, attempt)

    source = Timed()
    GswarmApp(source).run()
    cpu = source.ended - source.began - source.spent
    used = {
        "cpu_ms": cpu / count * 1000,
        "fleet_ms": source.spent / count * 1000,
        "resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    report.write_text(json.dumps(used))


_AHEAD = 12
_WARM = 2
"""So many ticks do not count: modules are imported, styles are computed."""


# The terminal


class Terminal:
    """A terminal that counts what it is sent.

    Args:
        pinned: the program has one core, always the same.
    """

    def __init__(self, argv: list[str], columns: int, lines: int, *, pinned: bool = True) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        cores = sorted(os.sched_getaffinity(0))[-1 if pinned else 0 :]
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            argv,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        os.close(slave)
        self.received = 0

    def read(self, seconds: float) -> bytes:
        """What comes in that time, or as soon as something has come."""
        ready, _, _ = select.select([self.master], [], [], max(0.0, seconds))
        if not ready:
            return b""
        try:
            data = os.read(self.master, 1 << 16)
        except OSError:  # the application has ended
            return b""
        self.received += len(data)
        return data

    def until(self, text: bytes, seconds: float) -> float:
        """The moment at which a text has come."""
        end, seen = time.monotonic() + seconds, b""
        while time.monotonic() < end:
            seen = (seen + self.read(end - time.monotonic()))[-100_000:]
            if text in seen:
                return time.monotonic()
        raise SystemExit(f"{text!r} did not appear within {seconds} s: {seen[-2000:]!r}")

    def watch(self, seconds: float) -> int:
        """How many bytes come in that time."""
        before, end = self.received, time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(end - time.monotonic())
        return self.received - before

    def press(self, key: bytes) -> None:
        os.write(self.master, key)


def measure(nodes: int, seconds: float, columns: int, lines: int) -> dict[str, float]:
    from gswarm_tui.watch.simulated import SimulatedSource

    names = [node.name for node in SimulatedSource(nodes=nodes).picture(time.time()).nodes]
    used, live = run(names, seconds, columns, lines)
    _, alone = run(names, 1.0, columns, lines, "--computed")
    return {
        **used,
        "key to paint p50, ms": statistics.median(alone) * 1000,
        "key to paint p95, ms": percentile(alone, 0.95) * 1000,
        "beside the fleet's own p95, ms": percentile(live, 0.95) * 1000,
    }


def run(
    names: list[str], seconds: float, columns: int, lines: int, *more: str
) -> tuple[dict[str, float], list[float]]:
    """The figures of one run, and how long each key took."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        argv = [sys.executable, __file__, "--nodes", str(len(names)), "--seconds", str(seconds)]
        terminal = Terminal([*argv, "--report", str(report), *more], columns, lines)
        start = terminal.until(b"Go to", 60) - terminal.began
        terminal.watch(4.0)
        sent = terminal.watch(seconds) / seconds
        rows = range(min(30, len(names)))
        paints = [paint(terminal, names[row], b"j") for row in rows[1:]]
        paints += [paint(terminal, names[row], b"k") for row in rows[-2::-1]]
        terminal.press(b"q")
        terminal.watch(1.0)
        terminal.process.wait(30)
        used = json.loads(report.read_text())
    figures = {
        "start to first screen, ms": start * 1000,
        "CPU a tick, ms": used["cpu_ms"],
        "the fleet's own CPU a tick, ms": used["fleet_ms"],
        "bytes a second": sent,
        "resident, MB": used["resident_mb"],
    }
    return figures, paints


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def paint(terminal: Terminal, name: str, key: bytes) -> float:
    """From a key to the line with that name, at any moment of a tick."""
    terminal.watch(random.uniform(0.05, 0.35))
    before = time.monotonic()
    terminal.press(key)
    return terminal.until(name.encode(), 10) - before


if __name__ == "__main__":
    main()
