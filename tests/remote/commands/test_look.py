"""Whether what a command would create is on its node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.errors import HelperError, Kind

from ... import pythons
from ..helpers import Helpers, other_users_can


async def test_looking_whether_it_is_there_runs_nothing(helpers: Helpers, place: Path) -> None:
    helper = helpers.start()
    params = {"cwd": str(place), "creates": "made"}
    assert await helper.ask("command.look", params) == {"there": False}
    (place / "made").touch()
    assert await helper.ask("command.look", params) == {"there": True}
    home = await helper.ask("command.look", {"creates": "~"})
    assert home == {"there": True}
    assert await helper.ask("task.list", {"prefix": ""}) == []


LOOKS: list[tuple[str, dict[str, Any]]] = [
    ("command.look", {"creates": "PATH"}),
    ("command.run", {"task": "j/a/1", "argv": ["true"], "creates": "PATH"}),
    ("command.run", {"task": "j/a/1", "argv": ["true"], "cwd": "PATH"}),
]


async def refused(helpers: Helpers, path: Path, **start: Any) -> list[tuple[str, str | None]]:
    """The kind and the place of each error, wherever a path is looked at."""
    helper = helpers.start(**start)
    found = []
    for method, params in LOOKS:
        given = {key: str(path) if value == "PATH" else value for key, value in params.items()}
        with pytest.raises(HelperError) as caught:
            await helper.ask(method, given)
        found.append((caught.value.kind, caught.value.where))
    return found


@pytest.mark.parametrize("python", [pytest.param(None, id="this"), pytest.param("3.9", id="3.9")])
async def test_a_path_that_cannot_be_is_named(
    helpers: Helpers, place: Path, python: str | None
) -> None:
    found = pythons.find(python) if python else None
    if python and found is None:
        pytest.skip(f"there is no Python {python}")
    path = place / ("A" * 300)
    start = {"python": str(found)} if found else {}
    assert await refused(helpers, path, **start) == [(Kind.INVALID, str(path))] * 3


@pytest.mark.skipif(not other_users_can(), reason="nobody else can run a helper here")
async def test_where_a_user_may_not_look_it_is_said(helpers: Helpers, place: Path) -> None:
    for path in (place, place / "theirs", place / "run-65534", place / "shm"):
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
    os.chown(place / "run-65534", 65534, 65534)
    (place / "locked").mkdir(mode=0o700)
    path = place / "locked" / "made"
    path.mkdir()
    assert (
        await refused(helpers, path, root="theirs", uid=65534) == [(Kind.PERMISSION, str(path))] * 3
    )
