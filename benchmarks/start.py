"""How long `gswarm-tui` takes from its start to the first whole screen.

    python benchmarks/start.py [ROUNDS]

- with 16 nodes on this machine, whose helpers run and which have simulated GPUs: until the screen
  says that all of them are up, and how many GPUs they have; at most 1.5 s;
- with 16 nodes of which none answers (their address takes no connection): until their table is
  there; at most 0.5 s.

It runs in a pseudo-terminal, as it does for a user. Medians; ends with 1 where a limit is passed.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from tui import Terminal

NODES = 16
LIMITS = {"16 local nodes": 1.5, "no reachable node": 0.5}
ARGV = [sys.executable, "-m", "gswarm_tui.tui"]


def inventory(folder: Path, nodes: dict[str, object]) -> Path:
    file = folder / "inventory.yaml"
    file.write_text(yaml.safe_dump({"nodes": nodes}))
    return file


def local(folder: Path) -> Path:
    return inventory(
        folder,
        {
            f"node{number:02}": {
                "connection": "local",
                "root": str(folder / f"root{number}"),
                "simulate": {"gpus": 8},
            }
            for number in range(NODES)
        },
    )


def silent(folder: Path) -> Path:
    """Nodes of TEST-NET-1, which no machine has."""
    return inventory(folder, {f"node{n:02}": {"host": f"192.0.2.{n + 1}"} for n in range(NODES)})


def start(file: Path, *wanted: bytes) -> float:
    """Seconds until all that is wanted is on the screen."""
    argv = [*ARGV, "-i", str(file), "--data-dir", str(file.parent / "data")]
    terminal = Terminal(argv, 120, 40)
    seen, end = b"", time.monotonic() + 60
    while not all(each in seen for each in wanted):
        if time.monotonic() > end:
            raise SystemExit(f"{wanted} did not come: {seen[-2000:]!r}")
        seen += terminal.read(end - time.monotonic())
    took = time.monotonic() - terminal.began
    terminal.press(b"q")
    while terminal.process.poll() is None:
        terminal.read(0.1)
    os.close(terminal.master)
    return took


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    os.environ["GSWARM_IDLE_EXIT"] = "20"
    late = False
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GSWARM_RUN_DIR"] = str(Path(folder) / "run")
        for name, made, wanted in (
            ("16 local nodes", local, (b"16/16", b"128 GPUs", b"node15", b"Go to")),
            ("no reachable node", silent, (b"0/16", b"node15", b"Go to")),
        ):
            place = Path(folder) / made.__name__
            place.mkdir()
            file = made(place)
            cold = start(file, *wanted)
            found = statistics.median(start(file, *wanted) for _ in range(rounds))
            late |= found > LIMITS[name]
            print(f"{name:<20} {found:5.2f} s, at most {LIMITS[name]} s; the first {cold:.2f} s")
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
