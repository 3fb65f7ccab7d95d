from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gswarm_tui.cli import main
from gswarm_tui.state.database import Database

from ..models.fake import FakeFleet
from .story import Story

INVENTORY = """
nodes:
  node1: {host: 10.0.0.1, user: ada, labels: {rack: a}}
  node2: {host: 10.0.0.2, user: ada, labels: {rack: b}}
  node3: {host: 10.0.0.3, user: ada, labels: {rack: b}}
"""


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command: TypeAlias = Callable[..., Ended]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> FakeFleet:
    """The fleet that commands find, in place of `gswarm_tui.fleet.Fleet`."""
    fake = FakeFleet()
    monkeypatch.setattr("gswarm_tui.fleet.Fleet", lambda inventory, home, **_: fake)
    return fake


@pytest.fixture
def gswarm(
    fleet: FakeFleet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Runs ``gswarm ARGUMENTS…`` with a home of its own and the inventory of three nodes."""
    monkeypatch.setenv("GSWARM_HOME", str(tmp_path / "home"))
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY)
    monkeypatch.setenv("GSWARM_INVENTORY", str(inventory))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """Jobs in the database of `gswarm`."""
    with Database(tmp_path / "home" / "gswarm.db") as database:
        yield Story(database)
