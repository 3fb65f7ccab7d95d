"""Uploads and copies between nodes: real helpers, in this process, behind real Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import wire
from gswarm_remote.errors import Kind
from gswarm_remote.helper import Helper
from gswarm_remote.models import piece
from gswarm_remote.models.manifest import FileEntry, Manifest, Plan
from gswarm_remote.paths import locate
from gswarm_remote.rpc import say_hello

from gswarm_tui import transfers
from gswarm_tui.connect.base import Stream
from gswarm_tui.connect.helper import HelperConnection
from gswarm_tui.connect.local import LocalTransport
from gswarm_tui.errors import RemoteError, SourceError, UnreachableError
from gswarm_tui.fleet import TASK, Node
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.progress import Progress

PIECE = 50_000
FILES = {
    "config.json": b"{}",
    "empty": b"",
    "sub/model.safetensors": random.Random(3).randbytes(420_000),
}
SIZE = sum(map(len, FILES.values()))


@dataclass
class Machine:
    """A node with a helper of its own.

    Attributes:
        asked: methods and parameters, in order.
        bulk: the streams of its bulk connections.
        meddle: changes a bulk stream before it is used.
    """

    node: Node
    helper: Helper
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    bulk: list[Stream] = field(default_factory=list)
    meddle: Callable[[Stream], Stream] = lambda stream: stream

    def sent_pieces(self) -> list[list[int]]:
        """What was asked for in the last ``model.send.begin``."""
        pieces = [params["pieces"] for method, params in self.asked if method == "model.send.begin"]
        return list(pieces[-1])


class SocketConnector:
    """Connects to a helper that is known to listen; in the place of stage 0."""

    def __init__(self, socket: Path) -> None:
        self._socket = str(socket)
        self.machine: Machine

    async def connect(self, transport: Any, spec: Any) -> HelperConnection:
        stream = await transport.open_unix(self._socket)
        hello = await say_hello(
            stream.reader, stream.writer, {"protocol": wire.PROTOCOL, "role": "control"}
        )

        async def open_bulk() -> Stream:
            opened = await transport.open_unix(self._socket)
            self.machine.bulk.append(opened)
            return self.machine.meddle(opened)

        connection = HelperConnection(stream, hello, open_bulk)
        self._listen_in(connection)
        return connection

    def _listen_in(self, connection: HelperConnection) -> None:
        call = connection.peer.call

        async def noted(method: str, params: Any, **options: Any) -> Any:
            self.machine.asked.append((method, dict(params)))
            return await call(method, params, **options)

        connection.peer.call = noted  # type: ignore[method-assign]


MakeMachine = Callable[[str], Awaitable[Machine]]


@pytest.fixture
async def make_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeMachine]:
    monkeypatch.setattr(piece, "PIECE", PIECE)
    monkeypatch.setenv("GSWARM_RUN_DIR", str(tmp_path / "run"))
    (tmp_path / "dram").mkdir()
    monkeypatch.setenv("GSWARM_DRAM_DIR", str(tmp_path / "dram"))
    async with contextlib.AsyncExitStack() as stack:

        async def make(name: str) -> Machine:
            located = locate(str(tmp_path / name))
            lock = os.open(located.lock, os.O_RDWR | os.O_CREAT)
            stack.callback(os.close, lock)
            helper = Helper(located, lock, built=("0", 0), idle_exit_s=60)
            running = asyncio.create_task(helper.run(None))
            stack.push_async_callback(_end, running)
            while not located.socket.exists():
                await asyncio.sleep(0)
            connector = SocketConnector(located.socket)
            spec = NodeSpec(name=name, host="localhost", connection="local")
            node = Node(spec, _dial, connector, None)  # type: ignore[arg-type]
            stack.push_async_callback(node.close)
            connector.machine = Machine(node, helper)
            return connector.machine

        yield make


async def _dial(spec: NodeSpec) -> LocalTransport:
    return LocalTransport()


async def _end(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.wait([running])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def manifest_of(files: dict[str, bytes] = FILES) -> Manifest:
    return Manifest(
        name="tiny",
        revision="r1",
        source="local:/mine",
        files=tuple(
            FileEntry(path, len(data), hashlib.sha256(data).hexdigest())
            for path, data in files.items()
        ),
        published_at="2026-01-01T00:00:00.000Z",
    )


def contents(copy: dict[str, Any]) -> dict[str, bytes]:
    return {path: (Path(copy["path"]) / path).read_bytes() for path in FILES}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def slowed(machine: Machine, after: int) -> tuple[asyncio.Event, asyncio.Event]:
    """Have a node send no more than so many bytes until it is told to go on.

    Returns:
        What is set when they are sent, and what is to be set then.
    """
    stopped, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Ending):
        async def read(self, n: int = -1, /) -> bytes:
            if self._left == 0:
                stopped.set()
                await go_on.wait()
                self._left = SIZE
            return await super().read(n)

    machine.meddle = lambda stream: Stream(Slow(stream.reader, after), stream.writer)
    return stopped, go_on


# What comes over


async def test_a_folder_is_pushed_and_published(make_machine: MakeMachine, folder: Path) -> None:
    machine = await make_machine("node1")
    seen: list[Progress] = []
    copy = await transfers.push_folder(machine.node, folder, manifest_of(), "disk", seen.append)
    assert (copy["state"], copy["hash"], copy["already"]) == ("ready", manifest_of().hash, False)
    assert contents(copy) == FILES
    uploaded = [report for report in seen if report.phase == "upload"]
    assert (uploaded[-1].done, uploaded[-1].total) == (SIZE, SIZE)


async def test_a_folder_that_is_there_is_not_pushed_again(
    make_machine: MakeMachine, folder: Path
) -> None:
    machine = await make_machine("node1")
    await transfers.push_folder(machine.node, folder, manifest_of(), "disk")
    copy = await transfers.push_folder(machine.node, folder, manifest_of(), "disk")
    assert (copy["state"], copy["already"]) == ("ready", True)
    assert len(machine.bulk) == 1


async def test_while_another_brings_the_model_it_is_waited_for(
    make_machine: MakeMachine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "_AGAIN_S", 0.01)
    machine = await make_machine("node1")
    seen: list[Progress] = []
    with machine.helper.node.store("disk").open_partial(Plan.from_manifest(manifest_of())):
        push = asyncio.create_task(
            transfers.push_folder(machine.node, folder, manifest_of(), "disk", seen.append)
        )
        await until(lambda: "wait" in {report.phase for report in seen})
    copy = await push
    assert (copy["state"], contents(copy)) == ("ready", FILES)


async def test_a_single_file_is_pushed_by_its_own_path(
    make_machine: MakeMachine, folder: Path
) -> None:
    machine = await make_machine("node1")
    manifest = manifest_of({"config.json": b"{}"})
    copy = await transfers.push_folder(machine.node, folder / "config.json", manifest, "dram")
    assert (Path(copy["path"]) / "config.json").read_bytes() == b"{}"


async def test_a_model_is_copied_from_node_to_node(make_machine: MakeMachine, folder: Path) -> None:
    source, target = await make_machine("node1"), await make_machine("node2")
    await transfers.push_folder(source.node, folder, manifest_of(), "disk")
    seen: list[Progress] = []
    copy = await transfers.relay(
        source.node, target.node, "tiny", None, ("disk", "dram"), seen.append
    )
    assert (copy["tier"], copy["revision"], copy["already"]) == ("dram", "r1", False)
    assert contents(copy) == FILES
    assert max(report.done or 0 for report in seen if report.phase == "copy") == SIZE
    again = await transfers.relay(source.node, target.node, "tiny", "r1", ("disk", "dram"))
    assert again["already"] is True


# What breaks on the way


class Ending:
    """A reader that ends after so many bytes."""

    def __init__(self, reader: Any, left: int) -> None:
        self._reader = reader
        self._left = left

    async def read(self, n: int = -1, /) -> bytes:
        data: bytes = await self._reader.read(min(n, self._left))
        self._left -= len(data)
        return data

    async def readexactly(self, n: int, /) -> bytes:
        data: bytes = await self._reader.readexactly(n)
        return data


class Breaking:
    """A writer whose connection is lost after so many bytes."""

    def __init__(self, stream: Stream, left: int) -> None:
        self._stream = stream
        self._left = left

    def write(self, data: bytes, /) -> None:
        self._left -= len(data)
        self._stream.writer.write(data)

    async def drain(self) -> None:
        if self._left < 0:
            self._stream.writer.close()
            raise ConnectionResetError("connection lost")
        await self._stream.writer.drain()

    def write_eof(self) -> None:
        self._stream.writer.write_eof()

    def close(self) -> None:
        self._stream.writer.close()


async def test_a_source_that_breaks_is_named_and_the_next_call_goes_on(
    make_machine: MakeMachine, folder: Path
) -> None:
    source, target = await make_machine("node1"), await make_machine("node2")
    await transfers.push_folder(source.node, folder, manifest_of(), "disk")
    source.meddle = lambda stream: Stream(Ending(stream.reader, 120_000), stream.writer)
    with pytest.raises(UnreachableError) as caught:
        await transfers.relay(source.node, target.node, "tiny", None, ("disk", "disk"))
    assert str(caught.value) == (
        f"node1: the connection was cut while it was sending, after 120000 of {SIZE} bytes"
    )
    source.meddle = lambda stream: stream
    copy = await transfers.relay(source.node, target.node, "tiny", None, ("disk", "disk"))
    assert contents(copy) == FILES
    assert source.sent_pieces()[0] == [2, 2 * PIECE, PIECE]
    assert sum(length for _, _, length in source.sent_pieces()) == SIZE - 2 - 2 * PIECE


def has_bulk(machine: Machine) -> bool:
    """Whether the helper still has a connection beside the one for calls."""
    return machine.helper.reasons()[0] != "1 connection"


async def test_a_target_that_breaks_is_named(make_machine: MakeMachine, folder: Path) -> None:
    source, target = await make_machine("node1"), await make_machine("node2")
    await transfers.push_folder(source.node, folder, manifest_of(), "disk")
    target.meddle = lambda stream: Stream(stream.reader, Breaking(stream, 100_000))
    with pytest.raises(UnreachableError, match="cut while it was receiving") as caught:
        await transfers.relay(source.node, target.node, "tiny", None, ("disk", "disk"))
    assert caught.value.where == "node2"


async def test_a_full_disk_of_the_target_is_its_own_error(
    make_machine: MakeMachine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    machine = await make_machine("node1")
    monkeypatch.setattr(piece.PieceWriter, "write", full)
    with pytest.raises(RemoteError, match="tiny needs") as caught:
        await transfers.push_folder(machine.node, folder, manifest_of(), "disk")
    assert caught.value.kind == Kind.NO_SPACE
    assert str(caught.value).startswith("node1: ")


async def test_a_file_that_cannot_be_read_here_is_named(
    make_machine: MakeMachine, folder: Path
) -> None:
    machine = await make_machine("node1")
    (folder / "sub/model.safetensors").unlink()
    with pytest.raises(SourceError, match="No such file") as caught:
        await transfers.push_folder(machine.node, folder, manifest_of(), "disk")
    assert caught.value.where == str(folder / "sub/model.safetensors")


async def test_a_file_that_became_shorter_since_it_was_hashed_is_named(
    make_machine: MakeMachine, folder: Path
) -> None:
    machine = await make_machine("node1")
    (folder / "config.json").write_bytes(b"{")
    with pytest.raises(SourceError, match="ends at byte 1, 2 were expected") as caught:
        await transfers.push_folder(machine.node, folder, manifest_of(), "disk")
    assert caught.value.where == str(folder / "config.json")


async def test_a_file_that_changed_since_it_was_hashed_is_not_published(
    make_machine: MakeMachine, folder: Path
) -> None:
    machine = await make_machine("node1")
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(
        RemoteError, match=r"config\.json of tiny is not what was promised"
    ) as caught:
        await transfers.push_folder(machine.node, folder, manifest_of(), "disk")
    assert caught.value.kind == Kind.MISMATCH


async def test_a_node_tells_of_what_is_copied_to_it_and_from_where(
    make_machine: MakeMachine, folder: Path
) -> None:
    source, target = await make_machine("node1"), await make_machine("node2")
    await transfers.push_folder(source.node, folder, manifest_of(), "disk")
    stopped, go_on = slowed(source, 120_000)
    TASK.set("key7/copy/1")
    work = asyncio.create_task(
        transfers.relay(source.node, target.node, "tiny", None, ("disk", "dram"))
    )
    await stopped.wait()
    arriving: dict[str, Any] = {}
    while arriving.get("done") != 120_000:
        (arriving,) = (await target.node.call("node.status", {}))["operations"]
    assert (arriving["kind"], arriving["model"], arriving["tier"]) == ("receive", "tiny", "dram")
    assert (arriving["source"], arriving["tasks"]) == ("node1:disk", ["key7/copy/1"])
    assert (arriving["phase"], arriving["total"]) == ("copy", SIZE)
    go_on.set()
    assert contents(await work) == FILES
    assert (await target.node.call("node.status", {}))["operations"] == []


async def test_cancelling_ends_both_connections_and_keeps_whole_pieces(
    make_machine: MakeMachine, folder: Path
) -> None:
    source, target = await make_machine("node1"), await make_machine("node2")
    await transfers.push_folder(source.node, folder, manifest_of(), "disk")
    stopped = asyncio.Event()

    class Stalling(Ending):
        async def read(self, n: int = -1, /) -> bytes:
            if self._left == 0:
                stopped.set()
                await asyncio.Event().wait()
            return await super().read(n)

    source.meddle = lambda stream: Stream(Stalling(stream.reader, 120_000), stream.writer)
    work = asyncio.create_task(
        transfers.relay(source.node, target.node, "tiny", None, ("disk", "disk"))
    )
    await stopped.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until(lambda: not has_bulk(source) and not has_bulk(target))
    begun = await target.node.call(
        "model.receive.begin", {"manifest": manifest_of().to_dict(), "tier": "disk"}
    )
    assert begun["done"] == 2 + 2 * PIECE
