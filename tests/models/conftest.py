from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gswarm_tui.models import Models
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry

from .fake import FakeFleet


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Database(tmp_path / "gswarm.db") as database:
        yield Registry(database)


@pytest.fixture
def models(fleet: FakeFleet, registry: Registry) -> Models:
    return Models(fleet, registry)  # type: ignore[arg-type]
