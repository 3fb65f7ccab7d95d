"""How long `gswarm --help` takes beside `python -c "import typer, rich"`: at most 2.5 times.

    python benchmarks/help.py [ROUNDS]

Both are started in turn, so that a busy machine is busy for both; the medians are compared. Ends
with 1 where the limit is passed.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

LIMIT = 2.5
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    'python -c "import typer, rich"': [sys.executable, "-c", "import typer, rich"],
    "gswarm --help": [sys.executable, "-m", "gswarm_tui.cli", "--help"],
}
PEER, OURS = list(COMMANDS)[1:]


def measure(rounds: int) -> dict[str, float]:
    """The median of each command's wall time in seconds; a first round warms the caches."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for count in range(rounds + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            if count:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> int:
    medians = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
    for name, seconds in medians.items():
        print(f"{name:<32} {seconds * 1000:6.1f} ms")
    ratio = medians[OURS] / medians[PEER]
    print(f"ratio {ratio:.2f}, at most {LIMIT}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
