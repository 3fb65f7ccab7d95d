"""A program on a node, as the controller asks for it."""

from __future__ import annotations

import pytest

from gswarm_tui.errors import RemoteError
from gswarm_tui.fleet import TASK
from gswarm_tui.models import Models
from gswarm_tui.models.results import CommandResult
from gswarm_tui.progress import Progress

from .fake import FakeFleet


async def test_it_returns_what_came_of_it_and_streams_what_it_wrote(
    fleet: FakeFleet, models: Models
) -> None:
    fleet["node1"].commands["make"] = {"output": "built\n"}
    told: list[Progress] = []
    result = await models.command(
        "node1", ["make", "all"], cwd="/src", env={"A": "b"}, progress=told.append
    )
    assert result == CommandResult("node1", 0, "built\n", skipped=False, seconds=0.5)
    assert [report.output for report in told] == ["built\n"]
    asked = fleet["node1"].asked("command.run")[0]
    assert (asked["argv"], asked["cwd"], asked["env"]) == (["make", "all"], "/src", {"A": "b"})


async def test_outside_a_job_each_is_known_by_something_of_its_own(
    fleet: FakeFleet, models: Models
) -> None:
    await models.command("node1", ["true"])
    await models.command("node1", ["true"])
    tasks = [asked["task"] for asked in fleet["node1"].asked("command.run")]
    assert len(set(tasks)) == 2


async def test_within_a_task_it_is_asked_for_by_its_key(fleet: FakeFleet, models: Models) -> None:
    token = TASK.set("j/a/1")
    try:
        await models.command("node1", ["true"])
    finally:
        TASK.reset(token)
    assert fleet["node1"].asked("command.run")[0]["task"] == "j/a/1"


async def test_a_status_that_is_not_0_is_an_error(fleet: FakeFleet, models: Models) -> None:
    fleet["node1"].commands["false"] = {"status": 1}
    with pytest.raises(RemoteError) as caught:
        await models.command("node1", ["false"])
    assert caught.value.kind == "failed"
