"""`scripts/demo` as a newcomer runs it: an empty HOME, a real engine, and nothing left behind."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from gswarm_remote.paths import identity_of

from . import sshd
from .bad_days.lab import until

ROOT = Path(__file__).parents[2]
SENTENCE = "there was a lab whose models moved from node to node"
TIMEOUT_S = 600  # the script makes its environment first, where there is none


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody with an empty HOME, and a folder for temporary files that nobody else uses."""

    home: Path
    temporary: Path

    @property
    def environment(self) -> dict[str, str]:
        # pip asks rustc for its version, and rustup's makes itself a folder in HOME.
        folders = os.environ["PATH"].split(":")
        folders = [folder for folder in folders if not Path(folder, "rustc").exists()]
        return {
            "PATH": ":".join(folders),
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            # What pip has downloaded before is no part of what is tried here.
            "PIP_CACHE_DIR": str(Path.home() / ".cache" / "pip"),
        }

    def runs(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(map(str, words)),
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def place(self) -> Path | None:
        """The folder of the demo that is up."""
        return next(self.temporary.glob("gswarm-demo.*"), None)

    def left(self, place: Path) -> list[object]:
        """What is still there of a demo that was in `place`."""
        shared = Path(f"/dev/shm/gswarm-{os.getuid()}")
        staged = [shared / identity_of(place / f"node{number}") for number in (1, 2, 3)]
        return [
            *sshd.processes_below(place),
            *(folder for folder in staged if folder.exists()),
            *self.temporary.iterdir(),
            *(path for path in self.home.iterdir() if path.name != ".cache"),
        ]


def check_nothing_is_left(newcomer: Newcomer, place: Path) -> None:
    """A helper that was told to go needs a moment."""
    with suppress(AssertionError):
        until(lambda: not newcomer.left(place), "the end of all processes", timeout_s=10)
    assert newcomer.left(place) == []


@pytest.fixture
def newcomer() -> Iterator[Newcomer]:
    if importlib.util.find_spec("mlx_lm") is None:
        pytest.skip("MLX is not installed here (the extra cpu), so the demo would not run")
    with tempfile.TemporaryDirectory(prefix="gs-") as folder:
        made = Newcomer(Path(folder, "home"), Path(folder, "tmp"))
        made.home.mkdir()
        made.temporary.mkdir()
        yield made
        for pid in sshd.processes_below(Path(folder)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_the_demo_answers_in_words_and_leaves_nothing(newcomer: Newcomer) -> None:
    places: list[Path] = []

    def look() -> None:
        places.append(until(newcomer.place, "the demo's folder", timeout_s=TIMEOUT_S))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    done = newcomer.runs("scripts/demo")
    assert done.returncode == 0, done
    assert "Traceback" not in done.stdout + done.stderr
    assert (
        len(re.findall(r"^  tiny-llama  http://127\.0\.0\.1:\d+ ", done.stdout, re.MULTILINE)) == 2
    )
    assert len(re.findall(rf"^  node[12]: .*{SENTENCE}", done.stdout, re.MULTILINE)) == 2
    (place,) = places
    check_nothing_is_left(newcomer, place)


def test_a_demo_that_is_kept_can_be_looked_at_and_stopped(newcomer: Newcomer) -> None:
    kept = newcomer.runs("scripts/demo", "--keep")
    assert kept.returncode == 0, kept
    place = newcomer.place()
    assert place is not None
    told = re.search(r"Look around with\n(.*)and stop it with\n(.*)", kept.stdout, re.DOTALL)
    assert told, kept
    looked = newcomer.runs("bash", "-euc", told[1])
    assert looked.returncode == 0, looked
    assert len(re.findall(r"^node[123] +up ", looked.stdout, re.MULTILINE)) == 3
    assert "node1:disk, node1:dram, node2:disk, node2:dram" in looked.stdout
    assert looked.stdout.count("http://127.0.0.1:") == 2
    (curl,) = re.findall(r"^  curl .*", kept.stdout, re.MULTILINE)
    assert SENTENCE in newcomer.runs("bash", "-c", curl).stdout
    stopped = newcomer.runs(*told[2].split())
    assert (stopped.returncode, stopped.stderr) == (0, ""), stopped
    check_nothing_is_left(newcomer, place)
    again = newcomer.runs(*told[2].split())
    assert again.returncode == 2
    assert "No demo is running in" in again.stderr


def test_ctrl_c_in_the_demo_leaves_nothing(newcomer: Newcomer) -> None:
    demo = subprocess.Popen(
        [ROOT / "scripts" / "demo"],
        cwd=ROOT,
        env=newcomer.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    with demo.stdout:
        until(lambda: ": load " in demo.stdout.readline(), "an engine on its way")
        place = newcomer.place()
        os.killpg(demo.pid, signal.SIGINT)
        rest = demo.stdout.read()
    assert demo.wait(timeout=60) == 130, rest
    assert place is not None
    assert "Traceback" not in rest
    check_nothing_is_left(newcomer, place)
