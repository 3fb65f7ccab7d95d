"""Whether what a command would create is on its node."""

from __future__ import annotations

from pathlib import Path

from ..helpers import Helpers


async def test_looking_whether_it_is_there_runs_nothing(helpers: Helpers, place: Path) -> None:
    helper = helpers.start()
    params = {"cwd": str(place), "creates": "made"}
    assert await helper.ask("command.look", params) == {"there": False}
    (place / "made").touch()
    assert await helper.ask("command.look", params) == {"there": True}
    home = await helper.ask("command.look", {"creates": "~"})
    assert home == {"there": True}
    assert await helper.ask("task.list", {"prefix": ""}) == []
