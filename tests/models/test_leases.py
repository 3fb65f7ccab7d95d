"""Leases of several nodes: one order over all controllers, all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gswarm_tui.errors import RemoteError, UnreachableError
from gswarm_tui.fleet import TASK
from gswarm_tui.models import Models
from gswarm_tui.models.leases import Want, Who

from .fake import FakeFleet

ANA = Who(17, "ana", "laptop", "serve m")
GPU = Want(device="gpu0")
FILES = Want(model="m", tier="disk", shared=True)


@pytest.fixture(autouse=True)
def task() -> Iterator[str]:
    token = TASK.set("j/a/1")
    yield "j/a/1"
    TASK.reset(token)


def ignore(sentence: str) -> None: ...


async def test_what_is_taken_is_held_by_the_task_and_let_go(
    fleet: FakeFleet, models: Models, task: str
) -> None:
    await models.take_leases({"node1": [GPU, FILES], "node2": []}, ANA, ignore, ignore)
    assert fleet["node1"].leases == {
        task: [
            {"device": "gpu0", "shared": False},
            {"model": "m", "tier": "disk", "shared": True},
        ]
    }
    assert fleet["node1"].asked("lease.take")[0]["who"] == {
        "job": 17,
        "user": "ana",
        "host": "laptop",
        "does": "serve m",
    }
    assert fleet["node2"].calls == []
    assert fleet["node1"].standing.leases[task].params["task"] == task
    await models.drop_leases(["node1", "node2"])
    assert fleet["node1"].leases == fleet["node1"].standing.leases == {}


async def test_nodes_are_taken_by_machine_and_root_not_by_what_an_inventory_calls_them(
    fleet: FakeFleet, models: Models
) -> None:
    fleet["node1"].hello = {**(fleet["node1"].hello or {}), "hostname": "z"}
    fleet["node2"].hello = {**(fleet["node2"].hello or {}), "hostname": "a"}
    fleet["node1"].held["gpu0"] = "job 3 of eve@desk (move)"
    told: list[str] = []
    taking = asyncio.ensure_future(
        models.take_leases({"node1": [GPU], "node2": [GPU]}, ANA, told.append, ignore)
    )
    while not told:
        await asyncio.sleep(0)
    assert told == ["waiting for node1:gpu0, held by job 3 of eve@desk (move)"]
    assert fleet["node2"].leases
    fleet["node1"].release("gpu0")
    await taking
    assert fleet["node1"].leases


async def test_a_cancelled_wait_gives_back_what_was_taken(fleet: FakeFleet, models: Models) -> None:
    fleet["node2"].held["m on disk"] = "another user's helper"
    told: list[str] = []
    taking = asyncio.ensure_future(
        models.take_leases({"node1": [GPU], "node2": [FILES]}, ANA, told.append, ignore)
    )
    while not told:
        await asyncio.sleep(0)
    assert told == ["waiting for m on node2:disk, held by another user's helper"]
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert fleet["node1"].leases == fleet["node2"].leases == {}


async def test_a_node_that_cannot_be_reached_leaves_nothing_held(
    fleet: FakeFleet, models: Models
) -> None:
    fleet["node2"].unreachable = "no route"
    with pytest.raises(UnreachableError):
        await models.take_leases({"node1": [GPU], "node2": [GPU]}, ANA, ignore, ignore)
    assert fleet["node1"].leases == {}


async def test_an_answer_that_is_an_error_leaves_nothing_held(
    fleet: FakeFleet, models: Models
) -> None:
    fleet["node2"].refuse("lease.take", "permission")
    with pytest.raises(RemoteError):
        await models.take_leases({"node1": [GPU], "node2": [GPU]}, ANA, ignore, ignore)
    assert fleet["node1"].leases == {}


async def test_an_old_helper_is_passed_over(fleet: FakeFleet, models: Models) -> None:
    fleet["node1"].hello = {"boot_id": "b", "root": "/r", "capabilities": ["node.info"]}
    await models.take_leases({"node1": [GPU]}, ANA, ignore, ignore)
    await models.drop_leases(["node1"])
    assert await models.task_cancel("node1", "") == 0
    assert fleet["node1"].calls == []


async def test_what_a_node_does_for_a_task_is_ended(fleet: FakeFleet, models: Models) -> None:
    fleet["node1"].running = [("j/b/1", "model.fetch"), ("k/a/1", "model.fetch")]
    assert await models.task_cancel("node1", "j/") == 1
    assert fleet["node1"].running == [("k/a/1", "model.fetch")]
