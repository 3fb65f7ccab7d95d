"""The sampler runs on the oldest and the newest Python that nodes have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgpack
import nvitop
import psutil
import pynvml
import pytest

from ... import pythons

REMOTE = Path(__file__).parents[3] / "remote"

SCRIPT = """
import asyncio, sys, time
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from gswarm_remote.metrics.feed import Feed
from gswarm_remote.metrics.watching import Wish
from gswarm_remote.metrics import gpus, handlers, serving
async def services():
    return []
async def main():
    order = {"models": "/", "simulate": {"gpus": 2, "pattern": "busy"}, "began": time.time()}
    feed = Feed(lambda: order, services)
    with feed.watch(Wish(0.1, True, True)) as watch:
        frame = await watch.frame()
        print(frame["state"], frame["error"], len(frame["gpus"]), frame["gpus"][0]["pstate"])
    await feed.close()
    snapshot = await gpus.Reader(lambda: order).snapshot()
    print(len(snapshot.gpus), snapshot.error)
asyncio.run(main())
"""


@pytest.mark.parametrize("version", ["3.9", "3.13"])
def test_sampler_on(version: str, tmp_path: Path) -> None:
    python = pythons.find(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    for module in (msgpack, nvitop, psutil):
        folder = Path(str(module.__file__)).parent
        (tmp_path / folder.name).symlink_to(folder)
    (tmp_path / "pynvml.py").symlink_to(Path(str(pynvml.__file__)))
    result = subprocess.run(
        [python, "-I", "-S", "-W", "error", "-c", SCRIPT, str(REMOTE), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stderr == ""
    assert result.stdout.splitlines() == ["ok None 2 0", "2 None"]
