"""How long `gswarm-tui` takes from its start to the first whole screen.

    python benchmarks/start.py [ROUNDS]

It runs in a pseudo-terminal, as it does for a user; what it sends is put on a screen of 120 × 40.
The first screen is whole when every node of the inventory stands there with its state, be it
`connecting`, and so do the keys at the bottom. Measured are

- with 16 nodes of which none answers (their addresses take no connection), until the first screen
  is whole: at most 0.5 s;
- with 16 nodes on this machine, whose helpers run and which have simulated GPUs, the same; until
  all of them are shown as up; and until all their GPUs are known, for which 16 samplers have to be
  started: at most 1.5 s.

Beside it, in the same run, what nobody can be faster than who uses Textual: its import, and an
application of one word. CPU is that of the process, user and system, when its screen is whole.
Medians of rounds in which all of these take turns; ends with 1 where a limit is passed. `chrt -r 1`
before it (as root) gives it, on a machine that does other work, what it would have on a quiet one.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from tui import Terminal

NODES = 16
NAMES = [f"node{number:02}" for number in range(NODES)]
COLUMNS, LINES = 120, 40
LIMITS = {("no node reachable", "first screen"): 0.5, ("16 local nodes", "all GPUs known"): 1.5}
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    BINDINGS = [("q", "quit", "Quit")]
    def compose(self):
        yield Static("ready")
Bare().run()
"""

Whole = Callable[[str], bool]
"""Whether a screen shows what is waited for."""


class Screen:
    """What stands on a terminal: as much of one as it takes to read text where it was put."""

    _PART = re.compile(
        r"\x1b\[(?P<line>\d+);(?P<column>\d+)H|\x1b\[[0-9;?<>=$]*[A-Za-z]|\x1b[\]P_].*?(?:\x07|\x1b\\)"
        r"|\x1b[^\[\]P_]|(?P<end>\r?\n)|(?P<text>[^\x1b\r\n]+)|[\r\n]",
        re.DOTALL,
    )

    def __init__(self) -> None:
        self._lines = [[" "] * COLUMNS for _ in range(LINES)]
        self._y = self._x = 0
        self._rest = b""

    def feed(self, data: bytes) -> None:
        data = self._rest + data
        whole = data.rfind(b"\x1b")  # what it begins may not have come to its end
        if whole < len(data) - 64:
            whole = len(data)
        text = data[:whole].decode(errors="ignore")
        self._rest = data[whole:]
        for part in self._PART.finditer(text):
            if part["line"]:
                self._y, self._x = int(part["line"]) - 1, int(part["column"]) - 1
            elif part["end"]:
                self._y, self._x = self._y + 1, 0
            elif part["text"]:
                for character in part["text"]:
                    if self._y < LINES and self._x < COLUMNS:
                        self._lines[self._y][self._x] = character
                    self._x += 1

    @property
    def text(self) -> str:
        return "\n".join("".join(line) for line in self._lines)


def with_states(screen: str) -> bool:
    """Every node with its state, and the keys."""
    states = re.findall(r"(node\d\d) +\S (?:connecting|unreachable|up)\b", screen)
    return set(states) >= set(NAMES) and "Go to" in screen


MOMENTS: Mapping[str, Mapping[str, Whole]] = {
    "a bare Textual application": {"first screen": lambda screen: "ready" in screen},
    "no node reachable": {"first screen": with_states},
    "16 local nodes": {
        "first screen": with_states,
        "all nodes up": lambda screen: f"{NODES}/{NODES} nodes" in screen,
        "all GPUs known": lambda screen: f"{NODES * 8} GPUs" in screen,
    },
}


def start(argv: list[str], moments: Mapping[str, Whole]) -> dict[str, float]:
    """Seconds until each of these moments has come, and the CPU used until the first one."""
    terminal = Terminal([sys.executable, *argv], COLUMNS, LINES, pinned=False)
    screen, found, end = Screen(), dict[str, float](), time.monotonic() + 60
    while missing := [name for name in moments if name not in found]:
        if time.monotonic() > end:
            raise SystemExit(f"{missing} did not come:\n{screen.text}")
        screen.feed(terminal.read(end - time.monotonic()))
        shown = screen.text
        for name in missing:
            if moments[name](shown):
                found[name] = time.monotonic() - terminal.began
                if "CPU" not in found:
                    times = psutil.Process(terminal.process.pid).cpu_times()
                    found["CPU"] = times.user + times.system
    terminal.press(b"q")
    while terminal.process.poll() is None:
        terminal.read(0.1)
    os.close(terminal.master)
    return found


def imported() -> float:
    """Seconds for Textual to be imported, with Python's own start."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import textual.app"], check=True)
    return time.monotonic() - began


def command(folder: Path, name: str, nodes: Mapping[str, object]) -> list[str]:
    place = folder / name
    place.mkdir()
    file = place / "inventory.yaml"
    file.write_text(yaml.safe_dump({"nodes": nodes}))
    return ["-m", "gswarm_tui.tui", "-i", str(file), "--data-dir", str(place / "data")]


def local(root: Path) -> Iterable[tuple[str, object]]:
    for name in NAMES:
        yield name, {"connection": "local", "root": str(root / name), "simulate": {"gpus": 8}}


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    os.environ["GSWARM_IDLE_EXIT"] = "60"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["GSWARM_RUN_DIR"] = str(folder / "run")
        silent = {name: {"host": f"192.0.2.{1 + NAMES.index(name)}"} for name in NAMES}
        commands = {
            "a bare Textual application": ["-c", BARE],
            "no node reachable": command(folder, "silent", silent),
            "16 local nodes": command(folder, "local", dict(local(folder / "roots"))),
        }
        cold = {each: start(argv, MOMENTS[each]) for each, argv in commands.items()}
        floor, seen = [], {each: list[dict[str, float]]() for each in commands}
        for _ in range(rounds):
            floor.append(imported())
            for each, argv in commands.items():
                seen[each].append(start(argv, MOMENTS[each]))
    print(f"load of the machine (of {os.cpu_count()} cores): {os.getloadavg()[0]:.1f}")
    print(f"import textual.app: {statistics.median(floor):.2f} s")
    late, bare = False, 0.0
    for each, runs in seen.items():
        for name in runs[0]:
            found = statistics.median(run[name] for run in runs)
            line = f"{each}: {name} {found:.2f} s (the very first time {cold[each][name]:.2f} s)"
            if name == "first screen":
                bare = bare or found
                line += f", {found / bare:.2f} × the bare one"
            if limit := LIMITS.get((each, name)):
                late |= found > limit
                line += f", at most {limit} s" + "  OVER" * (found > limit)
            print(line)
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
