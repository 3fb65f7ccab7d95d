"""Nodes with a small model and a small real engine, for the tests of engines and services."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import processtable
from gswarm_remote.models import adopt
from gswarm_remote.node import Node
from gswarm_remote.paths import locate

from .helpers import Helpers

ENGINE = Path(__file__).with_name("engine.py")


@dataclass(frozen=True)
class EngineScript:
    """The engine in ``engine.py``, and what it has seen."""

    folder: Path

    def config(self, *arguments: str, listen: str = "--port {port}") -> dict[str, Any]:
        """The config with which the engine `command` runs it."""
        words = [sys.executable, str(ENGINE), *listen.split(), "--folder", str(self.folder)]
        return {"command": [*words, *arguments], "health": "/health", "ready": "completion"}

    def requests(self) -> list[dict[str, Any]]:
        path = self.folder / "requests"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def engine(tmp_path: Path) -> EngineScript:
    return EngineScript(tmp_path / "engine")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short path for a node's root and sockets; no process may outlive the test."""
    folder = Path(tempfile.mkdtemp(prefix="gs")).resolve()
    (folder / "shm").mkdir()
    monkeypatch.setenv("GSWARM_RUN_DIR", str(folder / "run"))
    monkeypatch.setenv("GSWARM_DRAM_DIR", str(folder / "shm"))
    monkeypatch.setenv("GSWARM_LEASE_DIR", str(folder / "leases"))
    yield folder
    deadline = time.monotonic() + 20
    while (left := processes_below(folder)) and time.monotonic() < deadline:
        time.sleep(0.01)  # what was killed takes a moment
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture
async def node(place: Path) -> AsyncIterator[Node]:
    """A node with the model ``tiny`` on its disk."""
    weights = place / "given"
    weights.mkdir()
    (weights / "model.gguf").write_bytes(b"weights")
    node = Node(locate(str(place / "root")))
    found = adopt.Found(weights, "tiny")
    adopt.adopt(
        node.store("disk"), found, "link", report=lambda _: None, cancelled=threading.Event()
    )
    yield node
    await clear(node)


async def clear(node: Node) -> None:
    """End all that a node runs."""
    for service in node.services.list():
        await node.services.stop(service["model"], None, drain_s=0.1)
    for replica in node.replicas.list():
        await node.replicas.stop(replica["id"])
    await node.stop()


def processes_below(folder: Path) -> list[list[str]]:
    """The command lines of processes that work below a folder."""
    return [
        processtable.command_line(entry.pid)
        for entry in processtable.entries()
        if not entry.dead and folder in (processtable.folder(entry.pid) or Path("/")).parents
    ]


@pytest.fixture
def helpers(place: Path) -> Iterator[Helpers]:
    """Starts helpers as processes; none outlives the test."""
    made = Helpers(place)
    yield made
    made.end()


@pytest.fixture
def unused_port() -> Callable[[], int]:
    """Ports that nothing listens on."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find
