"""What the bad days happen to: one hub for all tests, and a lab of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import Site
from .lab import Lab, Models, hub_server
from .tap import Tap, tapped


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models.make(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def hub(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with hub_server(models, tmp_path_factory.mktemp("hub") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory, fetched: Path) -> Path:
    """The user's cache folder, with what other tests have fetched for nodes already."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "gswarm").mkdir(mode=0o700)
    for shared in ("wheels", "bundles"):
        (fetched / shared).mkdir(exist_ok=True)
        (folder / "gswarm" / shared).symlink_to(fetched / shared)
    return folder


@pytest.fixture
def tap(hub: str) -> Iterator[Tap]:
    with tapped(hub) as made:
        yield made


@pytest.fixture
def lab(site: Site, cache: Path, tap: Tap) -> Lab:
    """A controller and a local node, `node1`; the hub is behind `tap`."""
    made = Lab(site, cache=cache, hub=tap.url)
    made.nodes(node1={})
    return made
