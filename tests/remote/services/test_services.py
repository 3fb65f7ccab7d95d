"""Services as real processes: published, streaming, drained, adopted, taken back."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import http, processtable, records
from gswarm_remote.engines import replicas
from gswarm_remote.engines.order import Order
from gswarm_remote.engines.replica import MOVE
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.node import Node
from gswarm_remote.services import proof
from gswarm_remote.services.offer import Offer

from ..helpers import until

Params = dict[str, Any]


def quiet(report: Params) -> None:
    pass


def params(engine: Any, *arguments: str, **more: Any) -> Params:
    config = engine.config(*arguments)
    return {"model": "tiny", "devices": ["gpu0"], "engine": "command", "config": config, **more}


async def serve(node: Node, wanted: Params) -> Params:
    return await node.services.start(Offer.from_params(wanted), quiet)


async def stop(node: Node, *, drain_s: float = 5.0) -> list[Params]:
    return await node.services.stop("tiny", None, drain_s=drain_s)


def url(service: Params) -> str:
    return f"http://127.0.0.1:{service['port']}"


async def complete(service: Params, key: str | None = None, **more: Any) -> http.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    body = json.dumps({"model": "tiny", "prompt": "Hello", **more}).encode()
    return await http.request("POST", url(service) + "/v1/completions", headers=headers, body=body)


@asynccontextmanager
async def streaming(service: Params, ahead: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
    """A streamed completion, read up to the engine's first chunk."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service["port"])
    body = json.dumps({"model": "tiny", "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await asyncio.wait_for(reader.readuntil(b"data: one\n\n"), 20)
    if ahead:
        writer.write(ahead)
        writer.write_eof()
    try:
        yield reader
    finally:
        writer.close()


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "GRACE_S", 0.5)


async def test_a_model_is_served_when_a_request_was_answered(node: Node, engine: Any) -> None:
    service = await serve(node, params(engine))
    assert (service["state"], service["already"], service["guarded"]) == ("ready", False, False)
    assert (service["address"], service["engine"]) == ("127.0.0.1", "command")
    assert service["requests"] == 0
    answer = await complete(service)
    assert json.loads(answer.text)["choices"][0]["text"] == "fine"
    await until(lambda: node.services.list()[0]["requests"] == 1)
    assert node.replicas.list()[0]["started_by"] == "serve"
    assert node.services.running() == 1
    [stopped] = await stop(node)
    assert stopped["id"] == service["id"]
    assert (node.services.list(), node.replicas.list()) == ([], [])
    assert list(node.paths.services.iterdir()) == []
    with pytest.raises(HelperError, match="no connection"):
        await complete(service)


async def test_asked_again_it_is_the_one_that_is_there(node: Node, engine: Any) -> None:
    first = await serve(node, params(engine))
    again = await serve(node, params(engine, port=first["port"]))
    assert again == {**first, "already": True}
    for other, reason in (
        ({"port": 1 + first["port"] % 65000}, "at 127.0.0.1 port"),
        ({"api_key": "k"}, "without a key"),
        ({"names": ["small"]}, "as tiny"),
    ):
        with pytest.raises(HelperError, match=reason) as raised:
            await serve(node, params(engine, **other))
        assert raised.value.kind == Kind.IN_USE


async def test_the_key_is_in_no_record_and_no_command_line(node: Node, engine: Any) -> None:
    service = await serve(node, params(engine, api_key="open-sesame", address="0.0.0.0"))
    assert service["guarded"]
    assert (await complete(service)).status == 401
    assert (await complete(service, "open-sesame")).status == 200
    for path in node.paths.root.rglob("*"):
        assert not path.is_file() or b"open-sesame" not in path.read_bytes()
    assert "open-sesame" not in " ".join(processtable.command_line(service["pid"]))
    assert "open-sesame" not in str(processtable.environment(service["pid"]))
    assert "open-sesame" not in (engine.folder / "requests").read_text()
    same = await serve(node, params(engine, api_key="open-sesame", address="0.0.0.0"))
    assert same["already"]
    with pytest.raises(HelperError, match="with another key"):
        await serve(node, params(engine, api_key="other", address="0.0.0.0"))


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"address": "0.0.0.0"}, "there is no key"),
        ({"address": "node1", "api_key": "k"}, "is no IP address"),
        ({"address": "192.0.2.1", "api_key": "k"}, "cannot be bound"),
        ({"port": 70000}, "is no port"),
        ({"api_key": "with space"}, "the key is empty"),
        ({"names": "tiny"}, "list of names"),
    ],
)
async def test_an_offer_is_checked_before_anything_is_started(
    node: Node, engine: Any, more: Params, reason: str
) -> None:
    with pytest.raises(HelperError, match=reason):
        await serve(node, params(engine, **more))
    assert engine.requests() == []


async def test_a_port_that_is_taken_names_its_holder(node: Node, engine: Any) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            HelperError, match=rf"port {port} is taken by .*\(pid {os.getpid()}\)"
        ) as raised:
            await serve(node, params(engine, port=port))
    assert raised.value.kind == Kind.PORT_TAKEN
    assert engine.requests() == []
    assert (await serve(node, params(engine, port=port)))["port"] == port


async def test_an_answer_streams_as_it_comes(node: Node, engine: Any) -> None:
    service = await serve(node, params(engine))
    async with streaming(service) as reader:
        # The engine has not sent its second chunk, and does not before it is let go.
        (engine.folder / "go").touch()
        rest = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 20)
    assert b"data: two" in rest


async def test_a_user_who_goes_away_is_noticed_by_the_engine(node: Node, engine: Any) -> None:
    service = await serve(node, params(engine))
    async with streaming(service):
        pass
    await until((engine.folder / "gone").exists)


async def test_a_user_who_has_sent_the_next_request_is_missed_as_well(
    node: Node, engine: Any
) -> None:
    service = await serve(node, params(engine))
    async with streaming(service, b"GET /v1/models HTTP/1.1\r\n"):
        await until((engine.folder / "gone").exists)


async def test_taking_back_waits_for_what_is_under_way(node: Node, engine: Any) -> None:
    service = await serve(node, params(engine))
    async with streaming(service) as reader:
        stopping = asyncio.ensure_future(stop(node, drain_s=30))
        await until(lambda: _refused(service["port"]))
        assert not stopping.done()
        assert [found["state"] for found in node.services.list()] == ["stopping"]
        (engine.folder / "go").touch()
        rest = await asyncio.wait_for(reader.read(), 20)
    assert rest.endswith(b"0\r\n\r\n")
    await stopping


async def test_patience_ends(node: Node, engine: Any) -> None:
    service = await serve(node, params(engine))
    async with streaming(service) as reader:
        await stop(node, drain_s=0.2)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"0\r\n\r\n")


async def test_an_engine_that_move_wanted_stays(node: Node, engine: Any) -> None:
    await serve(node, params(engine))
    order = Order("tiny", None, ("gpu0",), None, started_by=MOVE)
    await node.replicas.start(order, quiet)
    await stop(node)
    assert [replica["state"] for replica in node.replicas.list()] == ["ready"]


async def test_a_service_whose_engine_died_says_so_and_comes_back_at_its_port(
    node: Node, engine: Any
) -> None:
    first = await serve(node, params(engine))
    os.kill(node.replicas.list()[0]["pid"], signal.SIGKILL)
    await until(lambda: node.replicas.list()[0]["state"] == "failed")
    assert (await complete(first)).status == 502
    [seen] = node.services.list()
    assert (seen["state"], seen["reason"]) == ("stale", "its engine is failed")
    second = await serve(node, params(engine))
    assert (second["port"], second["already"]) == (first["port"], False)
    assert (await complete(second)).status == 200
    assert len(node.services.list()) == 1


async def test_a_forwarder_that_died_is_noticed_and_replaced(node: Node, engine: Any) -> None:
    first = await serve(node, params(engine))
    os.kill(first["pid"], signal.SIGKILL)
    await until(lambda: node.services.list()[0]["state"] == "stale")
    # How it ended is known when its last thread has: a moment after it is seen to be dead.
    killed = "its forwarder was killed by SIGKILL"
    await until(lambda: node.services.list()[0]["reason"] == killed)
    assert node.services.running() == 0
    second = await serve(node, params(engine))
    assert (second["state"], second["replica"]) == ("ready", first["replica"])


async def test_an_engine_that_fails_publishes_nothing(node: Node, engine: Any) -> None:
    with pytest.raises(HelperError, match="CUDA out of memory"):
        await serve(node, params(engine, "--exit", "1"))
    assert (node.services.list(), node.replicas.list()) == ([], [])


async def test_stopping_what_is_still_starting_ends_it(node: Node, engine: Any) -> None:
    starting = asyncio.ensure_future(serve(node, params(engine, "--sick")))
    await until(engine.requests)
    assert await stop(node) == []
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert (node.services.list(), node.replicas.list()) == ([], [])


async def test_stopping_what_is_not_there_is_no_failure(node: Node) -> None:
    assert await stop(node) == []


async def test_the_next_helper_takes_over(node: Node, engine: Any) -> None:
    before = await serve(node, params(engine, api_key="k"))
    await complete(before, "k")
    fresh = Node(node.paths)
    fresh.replicas.adopt()
    fresh.services.adopt()
    [found] = fresh.services.list()
    assert found == {**{k: v for k, v in before.items() if k != "already"}, "requests": 1}
    again = await serve(fresh, params(engine, api_key="k"))
    assert (again["id"], again["already"]) == (before["id"], True)
    await stop(fresh)
    assert list(node.paths.services.iterdir()) == []


async def test_one_that_was_never_announced_is_ended_by_the_next_helper(
    node: Node, engine: Any
) -> None:
    service = await serve(node, params(engine))
    node.services._update(service["id"], state="starting")
    fresh = Node(node.paths)
    fresh.replicas.adopt()
    fresh.services.adopt()
    await until(lambda: fresh.services.list() == [])
    assert _refused(service["port"])
    await fresh.replicas.stop(service["replica"])


async def test_a_helper_that_leaves_ends_nothing_that_it_publishes(node: Node, engine: Any) -> None:
    starting = asyncio.ensure_future(serve(node, params(engine, "--late")))
    await until(engine.requests)
    node.leaving = True
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert [replica["state"] for replica in node.replicas.list()] == ["starting"]
    (engine.folder / "go").touch()
    node.leaving = False
    assert (await serve(node, params(engine, "--late")))["state"] == "ready"


async def test_one_whose_forwarder_was_coming_up_keeps_its_engine(
    node: Node, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def ask_forever(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(proof, "until_answered", ask_forever)
    starting = asyncio.ensure_future(serve(node, params(engine)))
    await asked.wait()
    node.leaving = True
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    node.leaving = False
    assert [service["state"] for service in node.services.list()] == ["starting"]
    assert node.services.running() == 1
    assert [replica["state"] for replica in node.replicas.list()] == ["ready"]


async def test_on_a_full_disk_services_are_adopted_and_taken_back(
    node: Node, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await serve(node, params(engine))

    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(records.os, "fsync", refuse)
    node.replicas._update(service["replica"], state="failed")
    assert node.services.list()[0]["state"] == "stale"
    fresh = Node(node.paths)
    fresh.replicas.adopt()
    fresh.services.adopt()
    assert [found["id"] for found in fresh.services.list()] == [service["id"]]
    await stop(fresh)
    assert _refused(service["port"])
    with pytest.raises(HelperError, match="No space left") as raised:
        await serve(fresh, params(engine))
    assert raised.value.kind == Kind.NO_SPACE
    assert fresh.services.list() == []


async def test_what_was_not_foreseen_publishes_nothing_and_ends_its_engine(
    node: Node, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(proof, "until_answered", fail)
    with pytest.raises(HelperError, match="could not be published: RuntimeError: a bug"):
        await serve(node, params(engine))
    assert (node.services.list(), node.replicas.list()) == ([], [])


async def test_a_stray_file_in_its_folder_keeps_nothing(node: Node, engine: Any) -> None:
    service = await serve(node, params(engine))
    (node.paths.services / service["id"] / "core").touch()
    await stop(node)
    assert (node.services.list(), list(node.paths.services.iterdir())) == ([], [])


async def test_a_forwarder_is_small(node: Node, engine: Any) -> None:
    service = await serve(node, params(engine))
    status = Path(f"/proc/{service['pid']}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 40_000  # kB


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
