"""A GPU is held by its engine's own process, against every helper of the machine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.engines import gpulock, replicas
from gswarm_remote.engines.order import Order
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.leases import folder
from gswarm_remote.metrics.gpus import Snapshot
from gswarm_remote.node import Node
from gswarm_remote.paths import locate

from ..conftest import clear
from ..helpers import until

LOCK = "gpu-GPU-0.engine"


def with_gpus(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer() -> Snapshot:
        return Snapshot([{"index": index, "uuid": f"GPU-{index}"} for index in (0, 1)])

    monkeypatch.setattr(node.gpus, "snapshot", answer)


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "GRACE_S", 0.5)


@pytest.fixture
async def ours(node: Node, monkeypatch: pytest.MonkeyPatch) -> Node:
    with_gpus(node, monkeypatch)
    return node


@pytest.fixture
async def theirs(place: Path, node: Node, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """Another node root of the machine, with the same models folder."""
    other = Node(locate(str(place / "other"), models=str(node.paths.models)))
    with_gpus(other, monkeypatch)
    yield other
    await clear(other)


def order(config: dict[str, Any], *devices: str) -> Order:
    return Order("tiny", None, devices=devices, engine="command", config=config, timeout_s=30.0)


async def start(node: Node, engine: Any, *devices: str) -> Any:
    replica, _ = await node.replicas.start(order(engine.config(), *devices), lambda report: None)
    return replica


async def test_another_root_of_the_machine_is_refused_the_gpu_and_told_why(
    ours: Node, theirs: Node, engine: Any
) -> None:
    replica = await start(ours, engine, "gpu0")
    with pytest.raises(HelperError) as caught:
        await start(theirs, engine, "gpu1", "gpu0")
    assert caught.value.kind == Kind.IN_USE
    user = folder.user_name(os.getuid())
    assert replica.process is not None
    assert caught.value.message == (
        f"gpu0 is held by command of tiny ({user}, process {replica.process.pid})"
    )
    await start(theirs, engine, "gpu1")  # what was refused has let go of it
    await ours.replicas.stop(replica.id)
    assert folder.try_hold(folder.folder() / LOCK) is not None


async def test_the_engine_holds_it_when_no_helper_is_there(
    ours: Node, theirs: Node, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await start(ours, engine, "gpu0")
    assert replica.process is not None
    assert (
        folder.try_hold(folder.folder() / LOCK) is None
    )  # nothing here has it open but the engine
    os.kill(replica.process.pid, 9)
    await until(lambda: not replica.process.alive())
    await start(theirs, engine, "gpu0")


async def test_an_engine_that_cannot_be_started_leaves_it_free(ours: Node) -> None:
    config = {"command": ["/no/such/program", "{port}"]}
    with pytest.raises(HelperError):
        await ours.replicas.start(order(config, "gpu0"), lambda report: None)
    lock = folder.try_hold(folder.folder() / LOCK)
    assert lock is not None
    lock.release()


async def test_its_place_is_what_a_helper_that_starts_it_again_gets(
    ours: Node, engine: Any
) -> None:
    first = await start(ours, engine, "gpu0")
    await ours.replicas.stop(first.id)
    second = await start(ours, engine, "gpu0")
    assert second.id != first.id


async def test_without_a_driver_there_is_nothing_to_lock(node: Node) -> None:
    assert await gpulock.names(node, ("gpu0",)) == []
    assert await gpulock.names(node, ("dram",)) == []
