"""A fleet whose nodes are scripted: connecting once, again, and not again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import wire
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.rpc import Call, Handler, Peer

from gswarm_tui import fleet as fleets
from gswarm_tui.connect.base import ForwardingRefused, Stream, Transport
from gswarm_tui.connect.bootstrap import HelperSpec
from gswarm_tui.connect.helper import HelperConnection, is_newer
from gswarm_tui.errors import (
    AuthenticationError,
    DeviceError,
    GswarmError,
    HostKeyError,
    RemoteError,
    UnreachableError,
)
from gswarm_tui.fleet import TASK, Fleet, Node, in_the_name_of_the_task
from gswarm_tui.home import Home
from gswarm_tui.inventory import Inventory
from gswarm_tui.inventory.nodespec import Capabilities, NodeSpec
from gswarm_tui.standing import Lease


class Transportation:
    """Counts what is asked of it; `failures` come first, one for each attempt to dial."""

    def __init__(self, *failures: GswarmError) -> None:
        self.failures = list(failures)
        self.dialled = 0
        self.lost = False
        self.forwards: list[tuple[str, int]] = []
        self.refuses: str | None = None
        self.closed = False

    async def dial(self, spec: NodeSpec) -> Transport:
        self.dialled += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.lost = False
        return self  # type: ignore[return-value]

    @contextlib.asynccontextmanager
    async def reverse(self, host: str, port: int) -> AsyncIterator[int]:
        if self.refuses:
            raise ForwardingRefused(self.refuses)
        self.forwards.append((host, port))
        yield 4444
        self.forwards.remove((host, port))

    async def close(self) -> None:
        self.closed = True


class Helpers:
    """A connector to helpers that run here, in the test."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self.handlers: dict[str, Handler] = {"node.configure": self._configure, **handlers}
        self.configured: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.connected = 0
        self.ends: list[Peer] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def _configure(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:
        self.configured.append(params)
        return params

    async def connect(self, transport: Transport, spec: HelperSpec) -> HelperConnection:
        self.connected += 1
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        handlers = {name: self._noted(name, handler) for name, handler in self.handlers.items()}
        peer = Peer(reader, writer, handlers)
        self.ends.append(peer)
        self._tasks.append(asyncio.ensure_future(peer.run()))
        stream = Stream(*await asyncio.open_connection(sock=ours))
        return HelperConnection(stream, {"hash": "h", "pid": self.connected}, self._bulk)

    def _noted(self, name: str, handler: Handler) -> Handler:
        async def noted(call: Call, params: dict[str, Any]) -> Any:
            self.asked.append(name)
            return await handler(call, params)

        return noted

    async def _bulk(self) -> Stream:
        raise wire.ConnectionLost("gone")

    async def close(self) -> None:
        for peer in self.ends:
            peer.close()
        await asyncio.gather(*self._tasks)


Make = Callable[..., Node]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes nodes, and lets go of them and of their helpers."""
    nodes: list[Node] = []
    helpers: list[Helpers] = []

    def node(
        transport: Transportation | None = None,
        connector: Helpers | None = None,
        *,
        spec: NodeSpec | None = None,
    ) -> Node:
        helpers.append(connector or Helpers({}))
        nodes.append(
            Node(
                spec or NodeSpec("node1", "host1"),
                (transport or Transportation()).dial,
                helpers[-1],  # type: ignore[arg-type]
                HelperSpec("node1", "~/.gswarm"),
            )
        )
        return nodes[-1]

    yield node
    for made in nodes:
        await made.close()
    for connector in helpers:
        await connector.close()


async def answer(call: Call, params: dict[str, Any]) -> dict[str, Any]:
    call.progress({"phase": "think", "done": 1})
    return {"asked": params}


async def refuse(call: Call, params: dict[str, Any]) -> None:
    raise HelperError(Kind.NO_SPACE, "the disk is full", where="/models", hint="make room")


async def hang(call: Call, params: dict[str, Any]) -> None:
    await asyncio.Event().wait()


async def test_a_node_is_connected_to_once_however_many_ask(make: Make) -> None:
    transport, helpers = Transportation(), Helpers({"ask": answer})
    spec = NodeSpec("node1", "host1", models="/m", capabilities=Capabilities(disk=7))
    node = make(transport, helpers, spec=spec)
    assert node.state == "new"
    answers = await asyncio.gather(*(node.call("ask", {"n": n}) for n in range(20)))
    assert answers == [{"asked": {"n": n}} for n in range(20)]
    assert (transport.dialled, helpers.connected) == (1, 1)
    assert helpers.configured == [spec.node_settings()]
    assert helpers.configured[0]["disk_quota"] == 7
    assert node.state == "connected"
    assert node.hello == {"hash": "h", "pid": 1}


async def test_progress_arrives(make: Make) -> None:
    node = make(connector=Helpers({"ask": answer}))
    reports: list[dict[str, Any]] = []
    await node.call("ask", progress=reports.append)
    assert [(report["phase"], report["done"]) for report in reports] == [("think", 1)]


async def test_an_error_of_the_helper_names_node_and_place(make: Make) -> None:
    node = make(connector=Helpers({"ask": refuse}))
    with pytest.raises(RemoteError, match=r"^node1: /models: the disk is full$") as caught:
        await node.call("ask")
    assert (caught.value.kind, caught.value.hint) == ("no_space", "make room")
    assert node.state == "connected"


async def test_a_call_under_way_fails_and_the_next_connects_again(make: Make) -> None:
    transport, helpers = Transportation(), Helpers({"hang": hang, "ask": answer})
    node = make(transport, helpers)
    asked = asyncio.ensure_future(node.call("hang"))
    while not helpers.ends:
        await asyncio.sleep(0)
    while node.state != "connected":
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    helpers.ends[0].close()
    with pytest.raises(UnreachableError, match=r"^node1: connection lost"):
        await asked
    assert node.state == "lost"
    await node.call("ask")
    assert (transport.dialled, helpers.connected) == (1, 2)  # the helper went, ssh did not


async def test_a_lost_connection_is_made_again_with_patience(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleets, "_FIRST_DELAY_S", 0)
    transport, helpers = Transportation(), Helpers({"ask": answer})
    node = make(transport, helpers)
    await node.call("ask")
    transport.lost = True
    transport.failures = [UnreachableError("down", where="node1")] * 3
    helpers.ends[0].close()
    while node.state != "lost":
        await asyncio.sleep(0)
    await node.call("ask")
    assert transport.dialled == 5
    assert node.state == "connected"


async def lost_in_a_task(node: Node, helpers: Helpers) -> asyncio.Task[Any]:
    """A command of the task j/a/1, whose node was lost and is being connected to again."""
    TASK.set("j/a/1")
    asked = asyncio.ensure_future(node.call("command.run"))
    while "command.run" not in helpers.asked:
        await asyncio.sleep(0)
    helpers.ends[0].close()
    while node.state != "connecting":
        await asyncio.sleep(0)
    return asked


async def test_a_cancel_while_the_node_is_lost_is_passed_on_when_it_is_there_again(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleets, "_FIRST_DELAY_S", 0.01)
    cancelled: list[dict[str, Any]] = []

    async def cancel(call: Call, params: dict[str, Any]) -> dict[str, int]:
        cancelled.append(params)
        return {"cancelled": 1}

    transport, helpers = Transportation(), Helpers({"command.run": hang, "task.cancel": cancel})
    node = make(transport, helpers)
    await node.connect()
    transport.failures = [UnreachableError("down", where="node1")] * 2
    transport.lost = True
    asked = await lost_in_a_task(node, helpers)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert cancelled == [{"prefix": "j/a/1"}]


async def test_a_cancel_that_cannot_be_passed_on_is_no_end(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleets, "_FIRST_DELAY_S", 0.01)
    transport, helpers = Transportation(), Helpers({"command.run": hang})
    node = make(transport, helpers)
    await node.connect()
    transport.failures = [UnreachableError("down", where="node1")] * 100
    transport.lost = True
    asked = await lost_in_a_task(node, helpers)
    asked.cancel()
    with pytest.raises(UnreachableError, match=r"^node1: the cancel could not .* go on: down$"):
        await asked


async def test_a_cancel_while_the_node_answers_is_passed_on_once(make: Make) -> None:
    helpers = Helpers({"command.run": hang})  # which knows no task.cancel
    node = make(connector=helpers)
    TASK.set("j/a/1")
    asked = asyncio.ensure_future(node.call("command.run"))
    while "command.run" not in helpers.asked:
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_the_first_connection_is_tried_once(make: Make) -> None:
    transport = Transportation(UnreachableError("down", where="node1"))
    node = make(transport, Helpers({"ask": answer}))
    with pytest.raises(UnreachableError, match="down"):
        await node.call("ask")
    assert (transport.dialled, node.state) == (1, "failed")
    assert await node.call("ask")
    assert (node.state, node.error) == ("connected", None)


@pytest.mark.parametrize("kind", [AuthenticationError, HostKeyError])
async def test_a_refusal_is_final(make: Make, kind: type[GswarmError]) -> None:
    transport = Transportation(kind("no", where="node1"))
    node = make(transport)
    outcomes = await asyncio.gather(*(node.connect() for _ in range(5)), return_exceptions=True)
    assert all(isinstance(outcome, kind) for outcome in outcomes)
    with pytest.raises(kind):
        await node.connect()
    assert transport.dialled == 1


async def test_who_gives_up_waiting_takes_nothing_from_the_others(make: Make) -> None:
    node = make(connector=Helpers({"ask": answer}))
    first = asyncio.ensure_future(node.call("ask"))
    second = asyncio.ensure_future(node.call("ask", {"n": 2}))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == {"asked": {"n": 2}}
    assert first.cancelled()


async def test_closing_while_connecting(make: Make) -> None:
    node = make()
    waiting = asyncio.ensure_future(node.connect())
    await asyncio.sleep(0)
    await node.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_bulk_connection_that_cannot_be_made(make: Make) -> None:
    with pytest.raises(UnreachableError, match="connection lost: gone"):
        await make().open_bulk("token")


@pytest.mark.parametrize(
    ("url", "host", "port", "there"),
    [
        ("http://127.0.0.1:8000/a?b=c", "127.0.0.1", 8000, "http://127.0.0.1:4444/a?b=c"),
        ("http://localhost", "localhost", 80, "http://127.0.0.1:4444"),
        ("https://[::1]/x", "::1", 443, "https://127.0.0.1:4444/x"),
    ],
)
async def test_a_url_of_this_machine_is_brought_to_the_node(
    make: Make, url: str, host: str, port: int, there: str
) -> None:
    transport = Transportation()
    async with make(transport).expose(url) as reachable:
        assert reachable == there
        assert transport.forwards == [(host, port)]
    assert transport.forwards == []


async def test_other_urls_stay_as_they_are(make: Make) -> None:
    transport = Transportation()
    async with make(transport).expose("https://example.org/x") as reachable:
        assert reachable == "https://example.org/x"
    local = make(transport, spec=NodeSpec("node1", "localhost", connection="local"))
    async with local.expose("http://127.0.0.1:8000/") as reachable:
        assert reachable == "http://127.0.0.1:8000/"
    assert transport.dialled == 0


async def test_a_server_that_forwards_no_port_is_named(make: Make) -> None:
    transport = Transportation()
    transport.refuses = "denied"
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:8000 answers on this machine only"):
        async with make(transport).expose("http://127.0.0.1:8000/"):
            raise AssertionError("it was exposed")


async def test_what_fails_inside_a_block_is_not_taken_for_a_refusal(make: Make) -> None:
    with pytest.raises(ForwardingRefused, match="mine"):
        async with make().expose("http://127.0.0.1:8000/"):
            raise ForwardingRefused("mine")


async def test_a_fleet_knows_its_nodes_and_asks_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {
        name: NodeSpec(name, f"10.0.0.{number}", root=str(tmp_path / name))
        for number, name in enumerate(("node1", "node2"))
    }

    async def call(self: Node, method: str, params: object = None) -> str:
        if self.name == "node2":
            raise UnreachableError("down", where=self.name)
        return f"{self.name} {method}"

    monkeypatch.setattr(Node, "call", call)
    async with Fleet(Inventory(nodes=nodes), Home(tmp_path / "data")) as fleet:
        assert fleet.node("node1") is fleet.node("10.0.0.0")
        with pytest.raises(DeviceError):
            fleet.node("node3")
        answers = await fleet.gather(["node1", "node2", "node1"], "ask")
    assert list(answers) == ["node1", "node2"]
    assert answers["node1"] == "node1 ask"
    assert isinstance(answers["node2"], UnreachableError)


@pytest.mark.parametrize(
    ("theirs", "replace"),
    [
        ({"hash": "ours", "built": ["0.1.0", 50]}, False),
        ({"hash": "x", "built": ["0.1.0", 99]}, True),
        ({"hash": "x", "built": ["0.1.0", 101]}, False),
        ({"hash": "x", "built": ["0.1.0", 100]}, False),
        ({"hash": "x", "built": ["0.0.9", 500]}, True),
        ({"hash": "x", "built": ["0.10.0", 1]}, False),
        ({"hash": "x"}, True),
    ],
)
def test_the_newest_helper_wins(
    monkeypatch: pytest.MonkeyPatch, theirs: dict[str, Any], replace: bool
) -> None:
    monkeypatch.setattr("gswarm_tui.connect.helper.bundle_hash", lambda: "ours")
    monkeypatch.setattr("gswarm_tui.connect.helper.built", lambda: ("0.1.0", 100))
    assert is_newer(theirs) is replace


def test_only_what_a_helper_keeps_is_asked_for_in_the_name_of_a_task() -> None:
    assert in_the_name_of_the_task("model.fetch", {"tier": "disk"}) == {"tier": "disk"}
    token = TASK.set("j/a/1")
    try:
        named = in_the_name_of_the_task("model.fetch", {"tier": "disk"})
        assert named == {"tier": "disk", "task": "j/a/1"}
        assert in_the_name_of_the_task("lease.take", {"task": "own"}) == {"task": "own"}
        assert in_the_name_of_the_task("engine.stop", {"id": "e"}) == {"id": "e"}
    finally:
        TASK.reset(token)


async def test_a_lease_is_taken_again_over_a_new_connection(make: Make) -> None:
    asked: list[dict[str, Any]] = []
    again = asyncio.Event()

    async def take(call: Call, params: dict[str, Any]) -> None:
        asked.append(params)
        again.set()
        raise HelperError(Kind.PERMISSION, "no")

    helpers = Helpers({"lease.take": take, "node.info": answer})
    node = make(connector=helpers)
    await node.call("node.info")
    assert asked == []
    lease = {"task": "j/a/1", "wants": [], "who": {}}
    node.standing.leases["j/a/1"] = Lease(lease, lost=lambda _: None)
    helpers.ends[-1].close()
    while node.state != "lost":
        await asyncio.sleep(0)
    await node.call("node.info")
    await asyncio.wait_for(again.wait(), 10)
    assert asked == [lease]
    assert node.state == "connected"


async def test_a_lease_that_is_dropped_is_not_asked_for_any_longer(make: Make) -> None:
    asking, given_up = asyncio.Event(), asyncio.Event()

    async def take(call: Call, params: dict[str, Any]) -> None:
        asking.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    helpers = Helpers({"lease.take": take, "node.info": answer})
    node = make(connector=helpers)
    await node.call("node.info")
    node.standing.leases["j/a/1"] = Lease({"task": "j/a/1"}, lost=lambda _: None)
    helpers.ends[-1].close()
    while node.state != "lost":
        await asyncio.sleep(0)
    await node.call("node.info")
    await asyncio.wait_for(asking.wait(), 10)
    node.standing.forget("j/b/1")
    assert node.standing.leases
    node.standing.forget("j/a/1")
    await asyncio.wait_for(given_up.wait(), 10)
    assert not node.standing.leases


async def test_who_relies_on_a_lease_is_told_that_somebody_else_has_it(make: Make) -> None:
    told: list[dict[str, Any]] = []
    given_up = asyncio.Event()

    async def take(call: Call, params: dict[str, Any]) -> None:
        call.progress({"device": "gpu0", "holder": "job 3 of eve@lab (serve tiny)"})
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    helpers = Helpers({"lease.take": take, "node.info": answer})
    node = make(connector=helpers)
    await node.call("node.info")
    node.standing.leases["j/a/1"] = Lease({"task": "j/a/1"}, lost=told.append)
    helpers.ends[-1].close()
    while node.state != "lost":
        await asyncio.sleep(0)
    await node.call("node.info")
    await asyncio.wait_for(given_up.wait(), 10)
    assert [report["holder"] for report in told] == ["job 3 of eve@lab (serve tiny)"]
