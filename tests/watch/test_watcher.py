from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.errors import (
    AuthenticationError,
    HostKeyError,
    NodeError,
    RemoteError,
    UnreachableError,
)
from gswarm_tui.inventory.nodespec import Capabilities, NodeSpec
from gswarm_tui.state.database import Database
from gswarm_tui.state.models import Registry
from gswarm_tui.watch.nodewatch import NodeWatch, Wishes
from gswarm_tui.watch.series import gpu_key
from gswarm_tui.watch.snapshot import (
    Concern,
    Event,
    FleetSnapshot,
    GpuState,
    NodeState,
    Service,
)
from gswarm_tui.watch.watcher import FleetWatcher

from .fake import FakeNode, Listening, gpu

QUICK = Wishes(interval_s=0.01, status_s=0.01, first_delay_s=0.001)


@asynccontextmanager
async def watching(
    nodes: Sequence[FakeNode], database: Path | None = None
) -> AsyncIterator[tuple[FleetWatcher, Listening]]:
    listening = Listening()
    watcher = FleetWatcher(nodes, database, wishes=QUICK)
    running = asyncio.create_task(watcher.run(listening))
    try:
        yield watcher, listening
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.wait([running])


def state(picture: FleetSnapshot, name: str = "n1") -> NodeState:
    node = picture.node(name)
    assert node is not None
    return node.state


def texts(picture: FleetSnapshot) -> list[str]:
    return [event.text for event in picture.events]


async def test_the_first_picture_comes_before_any_node_has_answered() -> None:
    node = FakeNode()
    node.hangs = True
    async with watching([node]) as (_, listening):
        first = await listening.until(lambda picture: True)
        assert [n.state for n in first.nodes] == [NodeState.CONNECTING]
        assert first.node("n1").labels == (("rack", "r1"),)  # type: ignore[union-attr]
        assert first.events == ()


async def test_frames_become_gpus_with_what_they_are() -> None:
    node = FakeNode()
    async with watching([node]) as (watcher, listening):
        await node.watched.wait()
        node.tell(gpu(0), gpu(1, util_percent=0))
        picture = await listening.until(lambda p: p.nodes[0].gpus and p.nodes[0].gpus[0].name)
        assert [each.uuid for each in picture.nodes[0].gpus] == ["GPU-0", "GPU-1"]
        assert picture.nodes[0].driver == "580.1"
        assert picture.nodes[0].system == "Debian GNU/Linux 13 (trixie)"
        assert picture.nodes[0].host.cpu_percent == 12.5
        assert watcher.settled
        key = gpu_key("n1", 0, "util_percent")
        await listening.until(lambda p: 90.0 in watcher.history.seconds(key, 3, p.time))
        assert node.asked.count("metrics.describe") == 1


async def test_one_that_hangs_and_one_that_is_down_delay_nobody() -> None:
    good, hanging, down = FakeNode("n1"), FakeNode("n2"), FakeNode("n3")
    hanging.hangs = True
    down.refuses = UnreachableError("no route to host", where="n3")
    async with watching([good, hanging, down]) as (_, listening):
        await good.watched.wait()
        good.tell(gpu(0))
        picture = await listening.until(
            lambda p: p.nodes[0].gpus and state(p, "n3") is NodeState.UNREACHABLE
        )
        assert state(picture, "n2") is NodeState.CONNECTING
        assert [each.concern for each in picture.attention] == [Concern.UNREACHABLE]
        count = len(listening.pictures)
        await listening.until(lambda p: len(listening.pictures) > count + 3)


async def test_a_node_that_goes_and_comes_back() -> None:
    node = FakeNode()
    async with watching([node]) as (_, listening):
        await node.watched.wait()
        node.tell(gpu(0))
        await listening.until(lambda p: p.nodes[0].gpus)
        node.lose(UnreachableError("connection lost", where="n1"))
        gone = await listening.until(lambda p: state(p) is NodeState.UNREACHABLE)
        assert (gone.nodes[0].gpus, gone.nodes[0].gpu_count) == ((), 1)
        assert gone.nodes[0].error == "connection lost"
        node.refuses = None
        await node.watched.wait()
        node.tell(gpu(0))
        back = await listening.until(lambda p: p.nodes[0].gpus)
        assert texts(back) == ["does not answer: connection lost", "answers again"]


@pytest.mark.parametrize(
    "refusal", [AuthenticationError("not accepted"), HostKeyError("another key")]
)
async def test_one_that_does_not_accept_us_is_not_asked_again(refusal: NodeError) -> None:
    node = FakeNode()
    node.refuses = refusal
    watch = NodeWatch(node, QUICK, changed=lambda: None, job_of=lambda key: None)
    async with asyncio.timeout(30):
        await watch.run()
    assert node.attempts == 1
    assert watch.node(0.0).error == refusal.message


async def test_one_that_cannot_be_reached_is_tried_again() -> None:
    node = FakeNode()
    node.refuses = UnreachableError("no route to host")
    async with watching([node]) as (_, listening):
        await listening.until(lambda p: node.attempts > 3)


async def test_a_bug_that_a_node_meets_costs_that_node_and_not_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = NodeWatch._look

    def look(watch: NodeWatch, answer: Any) -> None:
        if watch.node(0.0).name == "n1":
            raise ZeroDivisionError("oops")
        original(watch, answer)

    monkeypatch.setattr(NodeWatch, "_look", look)
    async with watching([FakeNode("n1"), FakeNode("n2")]) as (_, listening):
        picture = await listening.until(
            lambda p: state(p) is NodeState.UNREACHABLE and state(p, "n2") is NodeState.UP
        )
    (lost, _) = picture.nodes
    assert lost.error == "a bug in gswarm met what it said: ZeroDivisionError: oops"


async def test_a_helper_without_metrics_still_has_models() -> None:
    node = FakeNode()
    node.no_metrics = RemoteError("no method 'metrics.watch'", kind="unsupported")
    node.status = {"copies": [COPY]}
    async with watching([node]) as (watcher, listening):
        picture = await listening.until(lambda p: p.models and p.nodes[0].error)
        assert state(picture) is NodeState.UP
        assert picture.nodes[0].error == "no metrics: no method 'metrics.watch'"
        assert watcher.settled


async def test_one_that_cannot_tell_its_models_still_has_metrics() -> None:
    node = FakeNode()
    node.status = RemoteError("Input/output error", kind="internal")
    async with watching([node]) as (_, listening):
        await node.watched.wait()
        node.tell(gpu(0))
        picture = await listening.until(lambda p: p.nodes[0].gpus and p.nodes[0].error)
        assert picture.nodes[0].error == "its models are not known: Input/output error"


async def test_a_driver_that_hangs_is_told_with_its_age() -> None:
    node = FakeNode()
    async with watching([node]) as (_, listening):
        await node.watched.wait()
        node.tell(gpu(0))
        await listening.until(lambda p: p.nodes[0].gpus and p.nodes[0].gpus[0].name)
        error = "the GPU driver has not answered for 6 s"
        node.tell(state="hung", error=error, silent_s=6.0)
        hung = await listening.until(lambda p: p.nodes[0].silent_s)
        assert [each.state for each in hung.nodes[0].gpus] == [GpuState.SILENT] * 2
        assert hung.nodes[0].error == error
        assert hung.attention[0].concern is Concern.HUNG
        node.tell(gpu(0))
        after = await listening.until(lambda p: not p.nodes[0].silent_s)
        assert after.nodes[0].error is None
        assert texts(after)[-2:] == [
            "the GPU driver does not answer",
            "the GPU driver answers again",
        ]


def test_one_that_says_nothing_any_more_does_not_look_alive() -> None:
    now = 1000.0
    watch = NodeWatch(
        FakeNode(), Wishes(), changed=lambda: None, job_of=lambda key: None, clock=lambda: now
    )
    watch._hear()  # as the first answer does
    assert watch.node(now + 15).state is NodeState.UP
    silent = watch.node(now + 60)
    assert (silent.state, silent.error) == (
        NodeState.UNREACHABLE,
        "it has said nothing for 60 s",
    )
    watch._hear()
    assert watch.node(now).state is NodeState.UP


async def test_gpus_that_the_inventory_expects() -> None:
    node = FakeNode(spec=NodeSpec("n1", "n1", capabilities=Capabilities(gpus=(0, 1, 2))))
    async with watching([node]) as (watcher, listening):
        assert watcher.picture().nodes[0].gpu_count == 3
        await node.watched.wait()
        node.tell(gpu(0), gpu(1))
        picture = await listening.until(lambda p: p.nodes[0].gpus)
        assert picture.nodes[0].gpus[2].state is GpuState.MISSING
        assert [each.concern for each in picture.attention] == [Concern.MISSING]


@pytest.mark.parametrize("report", [{}, {"frame": None}, {"frame": 7}, {"frame": {"gpus": 3}}])
async def test_garbage_in_place_of_a_frame(report: dict[str, Any]) -> None:
    node = FakeNode()
    node.status = {"copies": [None, 3, {"name": 5}], "services": "x", "operations": [[]]}
    node.static = "garbage"
    async with watching([node]) as (_, listening):
        await node.watched.wait()
        node.send(report)
        count = len(listening.pictures)
        await listening.until(lambda p: len(listening.pictures) > count + 2)


COPY = {
    "name": "llama",
    "revision": "abc",
    "tier": "disk",
    "state": "ready",
    "size": 1000,
    "hash": "ab" * 32,
    "source": "hf://org/llama",
    "done": 1000,
    "waiting": None,
    "metadata": {"type": "llm"},
}
SERVICE = {
    "id": "s1",
    "model": "llama",
    "replica": "r1",
    "devices": ["gpu1"],
    "engine": "vllm",
    "address": "0.0.0.0",
    "port": 8000,
    "state": "ready",
    "reason": None,
    "requests": 3,
    "started_at": "2026-11-21T05:00:00+00:00",
}
REPLICA = {"id": "r1", "model": "llama", "revision": "abc", "devices": ["gpu1"], "state": "ready"}


async def test_models_services_and_their_rates() -> None:
    node = FakeNode()
    node.status = {"copies": [COPY], "replicas": [REPLICA], "services": [SERVICE]}
    async with watching([node]) as (_, listening):
        await node.watched.wait()
        row = {"service": "s1", "running": 4, "generation_tokens_per_s": 812.5, "requests": 9}
        node.tell(gpu(0), gpu(1), services=[row])
        picture = await listening.until(lambda p: p.services and p.services[0].running)
        (model,) = picture.models
        assert (model.name, model.source, model.type) == ("llama", "hf://org/llama", "llm")
        assert [(copy.device, copy.state) for copy in model.copies] == [
            ("n1:disk", "ready"),
            ("n1:gpu1", "ready"),
        ]
        assert model.copies[0].hash == "sha256:" + "ab" * 32
        assert not model.registered
        assert picture.services == (
            Service(
                *("llama", "n1", ("n1:gpu1",), "vllm", "ready", "0.0.0.0", 8000),
                url="http://n1.example:8000",
                service="s1",
                replica="r1",
                started_at=1795237200.0,
                requests=9,
                running=4,
                generation_tokens_per_s=812.5,
            ),
        )
        assert [each.models for each in picture.nodes[0].gpus] == [(), ("llama",)]
        node.status = {"copies": [COPY]}
        after = await listening.until(lambda p: not p.services)
        assert "llama is not served on n1 any more" in texts(after)
        assert after.nodes[0].gpus[1].models == ()


async def test_a_download_and_its_end() -> None:
    node = FakeNode()
    operation = {
        "kind": "fetch",
        "model": "llama",
        "tier": "disk",
        "phase": "download",
        "done": 400,
        "total": 1000,
        "rate": 50.0,
        "started_at": 77.0,
        "tasks": ["somebody-elses/a/1"],
    }
    node.status = {
        "copies": [{**COPY, "state": "partial", "done": 400, "hash": None}],
        "operations": [operation, {"kind": "command", "model": None, "tier": None}],
    }
    async with watching([node]) as (_, listening):
        picture = await listening.until(lambda p: p.transfers)
        (transfer,) = picture.transfers
        assert (transfer.source, transfer.target) == ("hf://org/llama", "n1:disk")
        assert (transfer.done_bytes, transfer.total_bytes) == (400, 1000)
        assert (transfer.rate_bytes_per_s, transfer.started_at) == (50.0, 77.0)
        assert transfer.job is None
        (copy,) = picture.models[0].copies
        assert (copy.state, copy.done_bytes) == ("in flight", 400)
        node.status = {"copies": [COPY]}
        after = await listening.until(lambda p: not p.transfers)
        assert texts(after)[-1] == "llama is on n1:disk"


async def test_registered_models_and_what_others_write(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Database(path) as database:
        registry = Registry(database)
        registry.put("qwen", source="hf://Qwen/x", type="llm")
        async with watching([], path) as (_, listening):
            picture = await listening.until(lambda p: p.models)
            assert [(m.name, m.registered, m.source) for m in picture.models] == [
                ("qwen", True, "hf://Qwen/x")
            ]
            registry.put("llama", source="hf://org/llama")
            await listening.until(lambda p: len(p.models) == 2)


async def test_a_database_that_cannot_be_used_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("this is no database, and long enough to be looked at by SQLite" * 50)
    async with watching([FakeNode()], path) as (_, listening):
        picture = await listening.until(lambda p: len(listening.pictures) > 3)
        assert [event.level for event in picture.events if event.about == "jobs"] == ["error"]


async def test_what_did_not_change_is_the_same_object() -> None:
    node = FakeNode()
    node.status = {"copies": [COPY], "services": [SERVICE]}
    async with watching([node]) as (watcher, listening):
        await node.watched.wait()
        node.tell(gpu(0))
        one = await listening.until(
            lambda p: p.nodes[0].gpus and p.nodes[0].gpus[0].name and p.models
        )
        count = len(listening.pictures)
        other = await listening.until(lambda p: len(listening.pictures) > count + 2)
        assert other is not one
        for name in ("models", "services", "transfers", "attention", "events"):
            assert getattr(other, name) is getattr(one, name), name
        assert other.nodes[0] is one.nodes[0]
        watcher.note(Event(1.0, "info", "llama", "deleted", command="gswarm model delete llama"))
        after = await listening.until(lambda p: p.events != one.events)
        assert after.events[-1].command == "gswarm model delete llama"


async def test_leaving_does_not_wait_for_a_node_that_hangs() -> None:
    class Stuck(FakeNode):
        async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
            try:
                return await super().call(method, *args, **kwargs)
            except asyncio.CancelledError:
                await never.wait()
                raise

    never = asyncio.Event()
    node = Stuck()
    async with asyncio.timeout(8):
        async with watching([node]):
            await node.watched.wait()
    never.set()
