"""docs/metrics.md has what is told, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

from gswarm_remote.metrics import hostload, reading, serving, simulation
from gswarm_remote.metrics.bandwidth import NOTHING
from gswarm_remote.metrics.feed import Feed
from gswarm_remote.metrics.idle import IdleTimes
from gswarm_remote.metrics.watching import Wish

from .conftest import Install

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"
INVENTORY = DOCUMENT.with_name("inventory.md")


def fields(heading: str) -> list[str]:
    """The names in the first table below a heading."""
    below = DOCUMENT.read_text().split(f"{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table is not None
    return re.findall(r"^\| `([^`]+)` \|", table[0], re.MULTILINE)


def test_gpus_and_processes(install: Install) -> None:
    simulated = install(gpus=1, pattern="serve")
    (device,) = reading.devices()
    values = reading.Gpu(device, simulated.facts).read()
    IdleTimes().mark([values], 0.0)  # takes one away and adds others
    assert sorted([*values, *NOTHING, "xid", "mig"]) == sorted(fields("### A GPU"))
    assert sorted(values["processes"][0]) == sorted(fields("### A process on a GPU"))
    static = reading.describe(device)
    assert sorted(static) == sorted(fields("## What does not change each second"))


def test_the_machine(tmp_path: Path) -> None:
    load = hostload.HostLoad(tmp_path)
    assert sorted({**load.space(), **load.read()}) == sorted(fields("### The machine"))


def test_services() -> None:
    named = ["service", "model", "replica", "requests", *serving.UNKNOWN]
    assert sorted(named) == sorted(fields("### A service"))
    sources = set(re.findall(r"`(vllm:[a-z_]+)`", DOCUMENT.read_text()))
    assert sources == {re.sub(r"_(sum|count)$", "", name) for name in serving.NAMES}


async def test_a_frame() -> None:
    async def services() -> list[object]:
        return []

    one = Feed(lambda: {"models": "/", "simulate": {"gpus": 1}, "began": 0.0}, services)
    with one.watch(Wish(0.1)) as watch:
        frame = await watch.frame()
    await one.close()
    assert sorted(frame) == sorted(fields("## A frame"))
    described = DOCUMENT.read_text().partition("`metrics.describe` answers `{")[2]
    assert [*one.static, "system"] == described.partition("}")[0].split(", ")


def test_words_of_throttling() -> None:
    text = DOCUMENT.read_text()
    rows = dict(re.findall(r"^\| `(0x[0-9a-f]+)` \| ([a-z ]+) \|", text, re.MULTILINE))
    assert rows == {f"{bit:#x}": word for bit, word in reading.THROTTLE_WORDS.items()}


def test_what_can_be_simulated() -> None:
    text = INVENTORY.read_text()
    for word in (*simulation.MODELS, *simulation.PATTERNS, *simulation.FAULTS):
        assert re.search(rf"\b{word}\b", text), word
