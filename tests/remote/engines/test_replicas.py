"""Engines as real processes: ready, failing, cancelled, adopted, ended."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import http, processtable, records
from gswarm_remote.engines import planning, readiness, workplace
from gswarm_remote.engines import replicas as module
from gswarm_remote.engines.order import Order
from gswarm_remote.engines.replica import FAILED, MOVE, READY, SERVE, STALE, Replica
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.metrics.gpus import Snapshot
from gswarm_remote.models.stage import stage
from gswarm_remote.node import Node
from gswarm_remote.process import ProcessRecord

from ..helpers import until


def order(config: dict[str, Any], **more: Any) -> Order:
    settings: dict[str, Any] = {"devices": ("gpu0",), "engine": "command", "timeout_s": 30.0}
    return Order("tiny", None, config=config, **{**settings, **more})


def quiet(report: dict[str, Any]) -> None:
    pass


async def started(node: Node, wanted: Order) -> Replica:
    replica, already = await node.replicas.start(wanted, quiet)
    assert not already
    return replica


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.5)


async def test_it_is_ready_when_a_token_was_answered(node: Node, engine: Any) -> None:
    reports: list[dict[str, Any]] = []
    replica, already = await node.replicas.start(order(engine.config()), reports.append)
    assert (replica.state, already) == (READY, False)
    asked = [request["line"].split()[:2] for request in engine.requests()]
    assert asked == [["GET", "/health"], ["POST", "/v1/completions"]]
    assert json.loads(engine.requests()[-1]["body"])["max_tokens"] == 1
    assert {report["phase"] for report in reports} == {"load", "check"}
    assert replica.path == str(node.store("disk").open("tiny")[1])
    assert node.replicas.running() == 1


async def test_its_environment_is_its_own(
    node: Node, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    config = {**engine.config(), "env": {"FROM_CONFIG": "1"}}
    replica = await started(node, order(config, devices=("gpu1",), env={"FROM_ORDER": "2"}))
    answer = await http.request("GET", replica.endpoint.url("/env"))
    env = json.loads(answer.text)
    assert env["HF_HUB_OFFLINE"] == "1"
    assert env["CUDA_VISIBLE_DEVICES"] == "1"
    assert (env["FROM_CONFIG"], env["FROM_ORDER"]) == ("1", "2")
    assert "secret" not in env.values()
    assert Path(env["TMPDIR"]).stat().st_mode & 0o777 == 0o700
    record = next(node.paths.engines.glob("*.json")).read_text()
    assert "FROM_" not in record


async def test_over_a_unix_socket_in_a_folder_of_its_own(node: Node, engine: Any) -> None:
    replica = await started(node, order(engine.config(listen="--uds {uds}")))
    assert replica.endpoint.uds is not None
    path = Path(replica.endpoint.uds)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    await node.replicas.stop(replica.id)
    assert not path.parent.exists()
    assert list(node.paths.engines.iterdir()) == []


async def test_one_that_ends_early_fails_with_its_own_last_lines(node: Node, engine: Any) -> None:
    with pytest.raises(HelperError) as raised:
        await node.replicas.start(order(engine.config("--exit", "3")), quiet)
    error = raised.value
    assert error.kind == Kind.ENGINE_FAILED
    assert "exited with status 3 before it was ready" in error.message
    lines = error.message.splitlines()[1:]
    assert [line.strip() for line in lines] == [
        *(f"line {number}" for number in range(16, 30)),
        "CUDA out of memory",
    ]
    assert "\x1b" not in error.message
    assert Path(str(error.where)).read_text().startswith("line 0\n")
    assert node.replicas.list() == []


async def test_one_that_never_gets_healthy_is_ended_with_its_workers(
    node: Node, engine: Any
) -> None:
    config = engine.config("--sick", "--deaf", "--worker")
    with pytest.raises(HelperError, match="was not healthy in time") as raised:
        await node.replicas.start(order(config, timeout_s=1.5), quiet)
    assert raised.value.kind == Kind.ENGINE_FAILED
    worker = ProcessRecord.of(int((engine.folder / "worker").read_text()))
    assert worker is None or not worker.alive()
    assert list(node.paths.engines.iterdir()) == []


async def test_cancelling_ends_one_that_is_not_ready(node: Node, engine: Any) -> None:
    work = asyncio.ensure_future(node.replicas.start(order(engine.config("--sick")), quiet))
    await until(engine.requests)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert node.replicas.list() == []
    assert list(node.paths.engines.iterdir()) == []


async def test_two_who_want_the_same_share_one(node: Node, engine: Any) -> None:
    config = engine.config("--sick")
    first = asyncio.ensure_future(node.replicas.start(order(config), quiet))
    await until(engine.requests)
    second = asyncio.ensure_future(node.replicas.start(order(config), quiet))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert [replica["state"] for replica in node.replicas.list()] == ["starting"]
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert node.replicas.list() == []


async def test_asked_again_it_is_the_one_that_runs_and_move_keeps_it(
    node: Node, engine: Any
) -> None:
    config = engine.config()
    first = await started(node, order(config, started_by=SERVE))
    again, already = await node.replicas.start(order({}, engine=None, started_by=MOVE), quiet)
    assert already
    assert (again.id, again.started_by) == (first.id, MOVE)
    third, _ = await node.replicas.start(order(config, started_by=SERVE), quiet)
    assert third.started_by == MOVE


async def test_another_config_or_model_on_its_gpu_is_refused(node: Node, engine: Any) -> None:
    await started(node, order(engine.config()))
    with pytest.raises(HelperError, match="another revision or config") as raised:
        await node.replicas.start(order(engine.config("--deaf")), quiet)
    assert raised.value.kind == Kind.IN_USE
    wider = order(engine.config(), devices=("gpu0", "gpu1"))
    with pytest.raises(HelperError, match="gpu0 is held by tiny"):
        await node.replicas.start(wider, quiet)


async def test_a_copy_has_to_be_where_it_is_loaded_from(node: Node, engine: Any) -> None:
    with pytest.raises(HelperError, match="tiny is not in dram") as raised:
        await node.replicas.start(order(engine.config(), devices=("dram",)), quiet)
    assert raised.value.kind == Kind.NOT_FOUND
    with pytest.raises(HelperError, match="other is not on this node's disk"):
        await node.replicas.start(replace(order(engine.config()), model="other"), quiet)


async def test_a_port_of_its_own_that_is_taken_is_not_taken_for_it(node: Node, engine: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        config = {**engine.config(listen=f"--port {port}"), "port": port}
        with pytest.raises(HelperError, match=f"port {port} is taken by") as raised:
            await node.replicas.start(order(config), quiet)
    assert raised.value.kind == Kind.PORT_TAKEN
    replica = await started(node, order(config))
    assert replica.endpoint.port == port


async def test_a_gpu_loads_what_is_staged(node: Node, engine: Any) -> None:
    disk, dram = node.store("disk"), node.store("dram")
    stage(
        *(disk, dram, "tiny", None),
        remove_source=False,
        report=quiet,
        cancelled=threading.Event(),
    )
    replica = await started(node, order(engine.config()))
    assert (replica.tier, replica.path) == ("dram", str(dram.open("tiny")[1]))
    await node.replicas.stop(replica.id)
    disk.delete("tiny")
    replica = await started(node, order(engine.config()))
    assert replica.tier == "dram"


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (Snapshot([]), "this node has no gpu0; it has no GPU"),
        (Snapshot([{"index": 1}, {"index": 2}]), "this node has no gpu0; it has gpu1, gpu2"),
        (Snapshot(None, "the driver hangs"), "cannot be told: the driver hangs"),
    ],
)
async def test_a_gpu_has_to_be_there(
    node: Node, snapshot: Snapshot, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer() -> Snapshot:
        return snapshot

    monkeypatch.setattr(node.gpus, "snapshot", answer)
    with pytest.raises(HelperError, match=reason) as raised:
        await node.replicas.start(order({}, engine="mlx"), quiet)
    assert "dram" in str(raised.value.hint)


# What was not foreseen


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on no record can be written."""

    def fill() -> None:
        def refuse(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(records.os, "fsync", refuse)

    return fill


async def test_a_full_disk_starts_nothing_and_says_so(
    node: Node, engine: Any, full_disk: Callable[[], None]
) -> None:
    full_disk()
    with pytest.raises(HelperError, match="No space left on device") as raised:
        await node.replicas.start(order(engine.config()), quiet)
    assert raised.value.kind == Kind.NO_SPACE
    assert (node.replicas.list(), engine.requests()) == ([], [])
    assert list(node.paths.engines.iterdir()) == []


async def test_on_a_full_disk_engines_are_adopted_noticed_and_ended(
    node: Node, engine: Any, full_disk: Callable[[], None]
) -> None:
    first = await started(node, order(engine.config()))
    second = await started(node, order(engine.config(), devices=("gpu1",)))
    full_disk()
    assert first.process is not None
    os.kill(first.process.pid, signal.SIGKILL)
    await until(lambda: not first.alive())
    fresh = await next_helper(node)
    assert {found["state"] for found in fresh.replicas.list()} == {FAILED, READY}
    assert {found["state"] for found in node.replicas.list()} == {FAILED, READY}
    assert await fresh.replicas.stop(second.id)
    assert not second.alive()
    assert [found["id"] for found in fresh.replicas.list()] == [first.id]


@pytest.mark.parametrize("fault", [OSError(errno.EMFILE, "Too many"), RuntimeError("a bug")])
async def test_what_was_not_foreseen_leaves_no_device_taken(
    node: Node, engine: Any, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(planning, "spawn", fail)
        with pytest.raises(HelperError, match=r"could not be started: .*(Too many|a bug)"):
            await node.replicas.start(order(engine.config()), quiet)
    assert node.replicas.list() == []
    await started(node, order(engine.config()))


async def test_one_that_cannot_be_ended_is_stale_until_it_can(
    node: Node, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await started(node, order(engine.config()))

    def fail(*_: object, **more: object) -> list[int]:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(module.process, "terminate", fail)
        with pytest.raises(HelperError, match="could not be ended: Too many open files"):
            await node.replicas.stop(replica.id)
    assert replica.alive()
    assert [found["state"] for found in node.replicas.list()] == [STALE]
    assert await node.replicas.stop(replica.id)
    assert not replica.alive()


async def test_one_that_nobody_brings_up_is_not_taken_for_ready(node: Node, engine: Any) -> None:
    replica = await started(node, order(engine.config()))
    node.replicas._update(replica.id, state="starting")
    with pytest.raises(HelperError, match="is starting, and nobody waits for it"):
        await node.replicas.start(order(engine.config()), quiet)


async def test_a_log_that_is_too_long_is_cut_and_its_end_kept(
    node: Node, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await started(node, order(engine.config()))
    path = Path(replica.log)
    os.truncate(path, 3_000_000)
    with path.open("ab") as file:
        file.write(b"the end")
    node.replicas.running()
    await asyncio.sleep(0)
    assert path.stat().st_size == 3_000_007
    await until(lambda: node.replicas._trimming.done())  # type: ignore[union-attr]
    monkeypatch.setattr(workplace, "MAX_LOG", 3_000_000)
    node.replicas.running()
    await until(lambda: path.stat().st_size == 0)
    kept = path.with_name(path.name + ".old").read_bytes()
    assert (len(kept), kept[-7:]) == (2**20, b"the end")


async def test_an_interpreter_that_hangs_is_not_waited_for_by_who_cancels(
    node: Node, place: Path
) -> None:
    python = place / "python"
    python.write_text(f"#!/bin/sh\ntouch {place}/asked\nsleep 600\n")
    python.chmod(0o755)
    node.settings["engines"] = {"mlx": {"python": str(python)}}
    stage(
        *(node.store("disk"), node.store("dram"), "tiny", None),
        remove_source=False,
        report=quiet,
        cancelled=threading.Event(),
    )
    wanted = order({}, engine="mlx", devices=("dram",))
    work = asyncio.ensure_future(node.replicas.start(wanted, quiet))
    await until((place / "asked").exists)
    work.cancel()
    await asyncio.wait([work], timeout=20)
    assert work.cancelled()
    assert [e for e in processtable.entries() if _runs(e.pid, str(python))] == []


def _runs(pid: int, program: str) -> bool:
    return program in processtable.command_line(pid)


# What the next helper finds


async def test_a_helper_that_leaves_ends_nothing_that_loads(node: Node, engine: Any) -> None:
    work = asyncio.ensure_future(node.replicas.start(order(engine.config("--late")), quiet))
    await until(engine.requests)
    node.leaving = True
    work.cancel()  # as `cancel_all` does
    await asyncio.wait([work])
    for start in list(node.replicas._starts.values()):  # as asyncio.run does at the end
        start.task.cancel()
        await asyncio.wait([start.task])
    [left] = node.replicas.list()
    fresh = await next_helper(node)
    [found] = fresh.replicas.list()
    assert (found["state"], found["pid"]) == ("starting", left["pid"])
    (engine.folder / "go").touch()
    again, already = await fresh.replicas.start(order(engine.config("--late")), quiet)
    assert already
    assert again.process is not None
    assert (again.state, again.process.pid) == (READY, left["pid"])
    node.leaving = False


async def next_helper(node: Node) -> Node:
    """Another helper's view of the same root, as after a SIGKILL of the first."""
    fresh = Node(node.paths)
    fresh.replicas.adopt()
    return fresh


async def test_one_that_answers_is_taken_over(node: Node, engine: Any) -> None:
    before = await started(node, order(engine.config()))
    fresh = await next_helper(node)
    found = fresh.replicas.get(before.id)
    assert found == before
    again, already = await fresh.replicas.start(order(engine.config()), quiet)
    assert already
    assert again.id == before.id
    assert await fresh.replicas.stop(before.id)
    assert not before.alive()


async def test_one_that_was_loading_gets_ready(node: Node, engine: Any) -> None:
    replica = await started(node, order(engine.config()))
    node.replicas._update(replica.id, state="starting")
    fresh = await next_helper(node)
    assert [found["state"] for found in fresh.replicas.list()] == ["starting"]
    again, already = await fresh.replicas.start(order({}), quiet)
    assert (again.state, already) == (READY, True)


async def test_one_that_died_has_failed(node: Node, engine: Any) -> None:
    replica = await started(node, order(engine.config()))
    assert replica.process is not None
    os.kill(replica.process.pid, signal.SIGKILL)
    await until(lambda: not replica.alive())
    [seen] = node.replicas.list()
    assert (seen["state"], seen["reason"]) == (FAILED, "it was killed by SIGKILL")
    fresh = await next_helper(node)
    [found] = fresh.replicas.list()
    assert found["state"] == FAILED
    assert fresh.replicas.running() == 0
    again = await started(fresh, order(engine.config()))
    assert again.id != replica.id
    await fresh.replicas.stop(again.id)


async def test_a_pid_that_is_another_process_is_stale_and_nothing_is_killed(
    node: Node, engine: Any
) -> None:
    replica = await started(node, order(engine.config()))
    assert replica.process is not None
    # As if the engine had died, and its pid had come round to a process of somebody else.
    other = replace(replica.process, start_time=replica.process.start_time - 1)
    node.replicas._update(replica.id, process=other)
    fresh = await next_helper(node)
    [found] = fresh.replicas.list()
    assert found["state"] == STALE
    assert "another process" in found["reason"]
    assert replica.alive()
    node.replicas._update(replica.id, process=replica.process)


async def test_one_that_lives_and_does_not_answer_is_stale_until_it_does(
    node: Node, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = await started(node, order(engine.config()))
    assert replica.process is not None
    monkeypatch.setattr(readiness, "HEALTH_TIMEOUT_S", 0.2)
    os.kill(replica.process.pid, signal.SIGSTOP)
    fresh = Node(node.paths)
    try:
        fresh.replicas.adopt()
        await until(lambda: fresh.replicas.list()[0]["state"] == STALE)
    finally:
        os.kill(replica.process.pid, signal.SIGCONT)
    await until(lambda: fresh.replicas.list()[0]["state"] == READY)


async def test_a_record_that_is_damaged_stops_nothing(node: Node, engine: Any) -> None:
    (node.paths.engines / "a.json").write_text("{half")
    (node.paths.engines / "b.json").write_text('{"id": "b"}')
    replica = await started(node, order(engine.config()))
    record = (node.paths.engines / f"{replica.id}.json").read_text()
    odd = {**json.loads(record), "id": "c", "started_at": "today"}
    (node.paths.engines / "c.json").write_text(json.dumps(odd))
    fresh = await next_helper(node)
    assert [found["id"] for found in fresh.replicas.list()] == [replica.id]
    for name in "abc":
        (node.paths.engines / f"{name}.json").unlink()


async def test_its_log_can_be_read_also_when_it_is_gone(node: Node, engine: Any) -> None:
    with pytest.raises(HelperError) as raised:
        await node.replicas.start(order(engine.config("--exit", "1")), quiet)
    replica_id = Path(str(raised.value.where)).stem.replace("engine-", "", 1)
    assert node.replicas.log_tail(replica_id, 2) == "line 29\nCUDA out of memory"
    with pytest.raises(HelperError, match="no replica's id"):
        node.replicas.log_tail("../helper", 2)
