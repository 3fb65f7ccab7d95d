"""`gswarm-tui` as a user has it: in a terminal, on nodes behind real sshd with simulated GPUs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from . import tmux
from .conftest import Site
from .sshd import Server

NODES = ("node1", "node2", "node3")
DEPTHS = {
    "16": {"TERM": "xterm", "COLORTERM": ""},
    "256": {"TERM": "screen-256color", "COLORTERM": ""},
    "true": {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
}
SHOWN = {"16": {"16"}, "256": {"16", "256"}, "true": {"16", "256", "true"}}
"""What a terminal of each depth may be sent; with 256 the terminal's own colours are taken."""

LINES = tuple(f"{name}       ● up" for name in NODES)
CARDS = tuple(f"━ {name}:gpu0 ━|─ {name}:gpu0 ─" for name in NODES)
FIRST_GPU = {80: LINES, 120: CARDS, 300: CARDS}
"""How a node is seen on the fleet's screen, by the terminal's width."""


@pytest.fixture(autouse=True)
def _there_is_a_terminal() -> None:
    reason = tmux.missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def servers(ssh_site: Site) -> list[Server]:
    """A server for each node."""
    return [ssh_site.sshd(name) for name in NODES]


@pytest.fixture
def inventory(ssh_site: Site, servers: list[Server], fetched: Path) -> Path:
    """Three nodes with two GPUs each."""
    cache = ssh_site.controller / ".cache/gswarm"
    cache.mkdir(parents=True)
    for shared in ("wheels", "bundles"):
        (fetched / shared).mkdir(exist_ok=True)
        (cache / shared).symlink_to(fetched / shared)
    nodes = {
        name: {
            "host": server.addresses[0],
            "port": server.port,
            "root": str(ssh_site.folder / "roots" / name),
            "simulate": {"gpus": 2, "model": "H100", "pattern": "train", "seed": 1},
        }
        for name, server in zip(NODES, servers, strict=True)
    }
    file = ssh_site.folder / "inventory.yaml"
    file.write_text(yaml.safe_dump({"nodes": nodes}))
    return file


@pytest.fixture(params=[("16", 80, 24), ("256", 120, 40), ("true", 300, 90)], ids=lambda p: p[0])
def screen(
    request: pytest.FixtureRequest, inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tmux.Terminal]:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    depth, columns, lines = request.param
    with tmux.terminal(columns, lines) as terminal:
        program = Path(sys.executable).parent / "gswarm-tui"
        terminal.start([str(program), "-i", str(inventory)], DEPTHS[depth])
        terminal.until("3/3 nodes", "6 GPUs")
        assert terminal.colours - SHOWN[depth] == set()
        assert depth != "true" or "true" in terminal.colours
        yield terminal


def given_back(screen: tmux.Terminal, code: int) -> None:
    """The terminal is as it was, and the program ended with `code`."""
    text = screen.until(f"ended with {code}", "isig")
    assert "NEEDS A LOOK" not in text
    assert "Traceback" not in text
    assert " icanon" in text
    assert "-icanon" not in text
    assert "-echo " not in text
    assert not any(screen.modes.values()), screen.modes


def test_a_round_through_the_screens(screen: tmux.Terminal) -> None:
    assert screen.modes["alternate_on"]
    first, second, third = FIRST_GPU[screen.columns]
    screen.until(first, second, third)

    screen.type("/node2")
    screen.until("filter: node2", second, without=third)
    screen.press("Enter")
    screen.press("Escape")
    screen.until(first, second, third, without="filter")

    screen.press("Enter")
    screen.until("Fleet › Node node2|Fleet › GPU node2:gpu0")
    screen.press("Escape")
    screen.until(first, second, third, without="›")

    screen.type(":events")
    screen.press("Enter")
    screen.until("Fleet › Events")
    screen.press("?")
    screen.until("Everything that happened,")
    screen.press("Escape")
    screen.until("Fleet › Events", without="Everything that happened,")

    screen.type(":models")
    screen.press("Enter")
    screen.until("Fleet › Models")
    screen.type(":jobs")
    screen.press("Enter")
    screen.until("Fleet › Jobs")

    screen.resize(100, 30)
    screen.until("Fleet › Jobs")
    screen.press("q")
    given_back(screen, 0)


@pytest.mark.parametrize("screen", [("256", 80, 24)], indirect=True, ids=["256"])
def test_bad_days(screen: tmux.Terminal, servers: list[Server]) -> None:
    """A node goes, keys are answered all the same; then the program is told to end."""
    servers[1].stop()
    screen.until("2/3 nodes", "unreachable")
    screen.type(":events")
    screen.press("Enter")
    screen.until("Fleet › Events", "node2")
    screen.press("Escape")
    screen.until("unreachable", without="›")

    os.kill(screen.process, signal.SIGTERM)
    given_back(screen, 128 + signal.SIGTERM)
