"""Bulk connections: tokens, and bytes both ways over real Unix sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import random
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import wire
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.models import piece as piece_module
from gswarm_remote.models.manifest import FileEntry, Manifest, Plan
from gswarm_remote.models.store import Store
from gswarm_remote.node import Node
from gswarm_remote.paths import locate
from gswarm_remote.transfer import bulk
from gswarm_remote.transfer import receiving as receiving_end
from gswarm_remote.transfer.readahead import SentPiece
from gswarm_remote.transfer.receiving import Receiving
from gswarm_remote.transfer.worker import Backlog, Worker
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PIECE = 10_000
FILES = {
    "config.json": b"{}",
    "empty": b"",
    "model.safetensors": random.Random(2).randbytes(45_000),
}
MODEL = Manifest(
    name="tiny",
    revision="r1",
    source="test",
    files=tuple(
        FileEntry(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in FILES.items()
    ),
    published_at="2026-01-01T00:00:00.000Z",
)
PLAN = Plan.from_manifest(MODEL)
CONFIG, EMPTY, WEIGHTS = range(3)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piece_module, "PIECE", PIECE)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for path, data in FILES.items():
        (folder / path).write_bytes(data)
    return folder


def missing(store: Store) -> list[SentPiece]:
    with store.open_partial(PLAN) as opened:
        return [(index, offset, length or 0) for index, offset, length in opened.missing()]


def bytes_of(pieces: list[SentPiece]) -> bytes:
    contents = list(FILES.values())
    return b"".join(contents[index][offset : offset + length] for index, offset, length in pieces)


# Tokens


async def nothing(reader: Any, writer: Any) -> None:
    pass


def refused(table: bulk.BulkTable, token: object) -> HelperError:
    with pytest.raises(HelperError) as caught:
        table.claim(token)
    return caught.value


def test_a_token_opens_its_session_once() -> None:
    table = bulk.BulkTable()
    token, other = table.offer(nothing), table.offer(bulk.send)
    assert table.claim(token) is nothing
    assert refused(table, token).kind == Kind.PERMISSION
    assert table.claim(other) is bulk.send


def test_a_token_expires_after_a_minute() -> None:
    now = 0.0
    table = bulk.BulkTable(clock=lambda: now)
    early, late = table.offer(nothing), table.offer(nothing)
    now = 59.9
    assert table.claim(early) is nothing
    now = 60.0
    assert "for a minute" in str(refused(table, late).hint)


def test_tokens_that_nobody_uses_are_limited_and_expire() -> None:
    now = 0.0
    table = bulk.BulkTable(clock=lambda: now)
    for _ in range(bulk.MAX_TOKENS):
        table.offer(nothing)
    with pytest.raises(HelperError, match="wait for their connection"):
        table.offer(nothing)
    now = 61.0
    assert table.claim(table.offer(nothing)) is nothing


@given(
    st.one_of(
        st.none(),
        st.integers(),
        st.text(),
        st.binary(),
        st.lists(st.text()),
        st.floats(),
        st.just("é"),
    )
)
def test_a_token_that_was_not_offered_is_refused_whatever_it_is(token: object) -> None:
    table = bulk.BulkTable()
    offered = table.offer(nothing)
    assert refused(table, token).kind == Kind.PERMISSION
    assert refused(table, offered[:-1]).kind == Kind.PERMISSION
    assert table.claim(offered) is nothing


# Both ways over a Unix socket


class Served:
    """A Unix socket behind which `session` is done with each connection."""

    def __init__(self, path: Path, session: Callable[[Any, Any], Awaitable[None]]) -> None:
        self._path = str(path)
        self._session = session
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Served:
        self._server = await asyncio.start_unix_server(self._connected, self._path, limit=2**20)
        self.reader, self.writer = await asyncio.open_unix_connection(self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
        await asyncio.wait_for(self.ended.wait(), 10)
        self._server.close()
        await self._server.wait_closed()

    async def _connected(self, reader: Any, writer: Any) -> None:
        try:
            await self._session(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self.ended.set()

    async def answer(self) -> wire.Response:
        message = await asyncio.wait_for(wire.read(self.reader), 10)
        assert isinstance(message, wire.Response)
        return message


def receiving(tmp_path: Path, store: Store, pieces: list[SentPiece], plan: Plan = PLAN) -> Served:
    return Served(tmp_path / "s", Receiving(lambda: store.open_partial(plan), pieces).run)


async def test_received_pieces_are_durable_and_answered_with_one_frame(
    tmp_path: Path, store: Store
) -> None:
    pieces = missing(store)
    assert pieces == [
        (CONFIG, 0, 2),
        *((WEIGHTS, offset, min(PIECE, 45_000 - offset)) for offset in range(0, 45_000, PIECE)),
    ]
    async with receiving(tmp_path, store, pieces) as connection:
        connection.writer.write(bytes_of(pieces))
        answer = await connection.answer()
    assert (answer.error, answer.result) == (None, {"received": 45_002})
    assert missing(store) == []
    with store.open_partial(PLAN) as opened:
        got = {path: (opened.files / path).read_bytes() for path in FILES}
    assert got == FILES


async def test_a_cut_connection_keeps_the_pieces_that_came_whole(
    tmp_path: Path, store: Store
) -> None:
    pieces = missing(store)
    async with receiving(tmp_path, store, pieces) as connection:
        connection.writer.write(bytes_of(pieces)[: 2 + 2 * PIECE + 1])
        connection.writer.write_eof()
        answer = await connection.answer()
    assert answer.error is not None
    assert answer.error["kind"] == Kind.INCOMPLETE
    assert answer.error["message"] == "the sender ended after 20003 of 45002 bytes"
    assert missing(store) == pieces[3:]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(cut=st.integers(0, 45_001), chunk=st.integers(1, 20_000))
async def test_however_short_a_stream_is_only_whole_pieces_count(
    tmp_path_factory: pytest.TempPathFactory, cut: int, chunk: int
) -> None:
    folder = tmp_path_factory.mktemp("short")
    store = Store(folder / "models")
    pieces = missing(store)
    async with receiving(folder, store, pieces) as connection:
        data = bytes_of(pieces)[:cut]
        for start in range(0, cut, chunk):
            connection.writer.write(data[start : start + chunk])
            await connection.writer.drain()
        connection.writer.write_eof()
        answer = await connection.answer()
    assert answer.error is not None
    assert answer.error["kind"] == Kind.INCOMPLETE
    ends = [sum(piece[2] for piece in pieces[: count + 1]) for count in range(len(pieces))]
    assert missing(store) == [piece for index, piece in enumerate(pieces) if ends[index] > cut]


async def test_a_full_disk_is_answered_while_the_sender_still_sends(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    pieces = missing(store) * 400  # more than all buffers on the way hold
    monkeypatch.setattr(piece_module.PieceWriter, "write", full)
    async with receiving(tmp_path, store, pieces) as connection:

        async def send_all() -> None:
            with contextlib.suppress(OSError):
                for _ in range(400):
                    connection.writer.write(bytes(45_002))
                    await connection.writer.drain()

        sending = asyncio.ensure_future(send_all())
        answer = await connection.answer()
        sending.cancel()
        await asyncio.wait([sending])
    assert answer.error is not None
    assert answer.error["kind"] == Kind.NO_SPACE
    assert "tiny needs" in answer.error["message"]


async def test_a_piece_that_came_another_way_meanwhile_is_read_past(
    tmp_path: Path, store: Store
) -> None:
    pieces = missing(store)
    with store.open_partial(PLAN) as opened, opened.piece_writer(WEIGHTS, PIECE) as piece:
        piece.write(FILES["model.safetensors"][PIECE : 2 * PIECE])
        piece.commit()
    async with receiving(tmp_path, store, pieces) as connection:
        connection.writer.write(bytes_of(pieces))
        assert (await connection.answer()).error is None
    assert missing(store) == []


async def test_two_senders_of_one_model_do_not_write_at_once(tmp_path: Path, store: Store) -> None:
    pieces = missing(store)
    with store.open_partial(PLAN):
        async with receiving(tmp_path, store, pieces) as connection:
            answer = await connection.answer()
    assert answer.error is not None
    assert answer.error["kind"] == Kind.IN_USE


async def test_a_sender_that_falls_silent_is_given_up(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving_end, "IDLE_S", 0.01)
    async with receiving(tmp_path, store, missing(store)) as connection:
        answer = await connection.answer()
    assert answer.error is not None
    assert answer.error["kind"] == Kind.UNREACHABLE


async def test_exactly_the_pieces_that_are_asked_for_are_sent(
    tmp_path: Path, model_folder: Path
) -> None:
    pieces = [(WEIGHTS, 100, 7), (CONFIG, 0, 2), (WEIGHTS, 0, 45_000)]
    files = {CONFIG: model_folder / "config.json", WEIGHTS: model_folder / "model.safetensors"}

    async def session(reader: Any, writer: Any) -> None:
        await bulk.send(writer, files, pieces)

    async with Served(tmp_path / "s", session) as connection:
        got = await connection.reader.read()
    assert got == bytes_of(pieces)


async def test_a_file_that_became_shorter_cuts_the_connection(
    tmp_path: Path, model_folder: Path
) -> None:
    files = {CONFIG: model_folder / "config.json", WEIGHTS: model_folder / "model.safetensors"}
    pieces = [(CONFIG, 0, 2), (WEIGHTS, 0, 45_000)]
    (model_folder / "model.safetensors").write_bytes(b"short")

    async def session(reader: Any, writer: Any) -> None:
        await bulk.send(writer, files, pieces)

    async with Served(tmp_path / "s", session) as connection:
        with contextlib.suppress(ConnectionResetError):
            assert len(await connection.reader.read()) <= 2


async def test_a_receiver_that_goes_ends_the_sending(tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(50 * 2**20)

    async def session(reader: Any, writer: Any) -> None:
        await bulk.send(writer, {0: big}, [(0, 0, 50 * 2**20)])

    async with Served(tmp_path / "s", session) as connection:
        await connection.reader.readexactly(1000)
    assert connection.ended.is_set()


# The thread behind it


async def test_after_a_job_has_failed_no_other_is_done() -> None:
    done: list[int] = []

    def fail() -> None:
        raise OSError(errno.EIO, "broken")

    with Worker("test") as worker:
        first, second = worker.do(fail), worker.do(done.append, 1)
        with pytest.raises(OSError, match="broken"):
            await first
        with pytest.raises(HelperError):
            await second
    assert done == []


async def test_whoever_gives_a_backlog_too_much_waits() -> None:
    let_go = threading.Event()
    with Worker("test") as worker:
        backlog = Backlog(worker, limit=10)
        await backlog.put(let_go.wait, 10, size=6)
        more = asyncio.ensure_future(backlog.put(lambda: None, size=6))
        await asyncio.wait([more], timeout=0.02)
        waited = not more.done()
        let_go.set()
        await more
        await backlog.finish()
    assert waited


# The methods, with a node behind them


class Requester:
    """As much of an `rpc.Call` as operations need."""

    connection_lost = False
    entry = None

    def progress(self, report: dict[str, Any]) -> None:
        pass


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setenv("GSWARM_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("GSWARM_DRAM_DIR", str(tmp_path / "dram"))
    (tmp_path / "dram").mkdir()
    return Node(locate(str(tmp_path / "root")))


async def ask(node: Node, method: str, **params: Any) -> Any:
    return await node.handlers()[method](Requester(), params)  # type: ignore[arg-type]


async def refusal(node: Node, method: str, **params: Any) -> HelperError:
    with pytest.raises(HelperError) as caught:
        await ask(node, method, **params)
    return caught.value


async def receive_all(tmp_path: Path, node: Node) -> dict[str, Any]:
    begun = await ask(node, "model.receive.begin", manifest=MODEL.to_dict(), tier="disk")
    session = node.bulk_session(begun["token"])
    async with Served(tmp_path / "s", session) as connection:
        connection.writer.write(bytes_of([tuple(piece) for piece in begun["missing"]]))
        assert (await connection.answer()).error is None
    copy = await ask(node, "model.receive.finish", manifest=MODEL.to_dict(), tier="disk")
    assert isinstance(copy, dict)
    return copy


async def test_a_model_is_received_and_published(tmp_path: Path, node: Node) -> None:
    begun = await ask(node, "model.receive.begin", manifest=MODEL.to_dict(), tier="disk")
    assert (begun["done"], begun["total"], len(begun["missing"])) == (0, 45_002, 6)
    copy = await receive_all(tmp_path, node)
    assert (copy["state"], copy["hash"], copy["size"]) == ("ready", MODEL.hash, 45_002)
    assert {path: (Path(copy["path"]) / path).read_bytes() for path in FILES} == FILES
    again = await ask(node, "model.receive.begin", manifest=MODEL.to_dict(), tier="disk")
    assert again["present"]["hash"] == MODEL.hash


async def test_what_another_model_has_is_not_asked_of_the_sender(
    tmp_path: Path, node: Node
) -> None:
    await receive_all(tmp_path, node)
    other = Manifest.from_dict({**MODEL.to_dict(), "name": "other"})
    begun = await ask(node, "model.receive.begin", manifest=other.to_dict(), tier="disk")
    assert (begun["missing"], begun["done"]) == ([], 45_002)
    assert "token" not in begun
    copy = await ask(node, "model.receive.finish", manifest=other.to_dict(), tier="disk")
    assert (copy["name"], copy["state"]) == ("other", "ready")


async def begin(node: Node) -> Any:
    return await ask(node, "model.receive.begin", manifest=MODEL.to_dict(), tier="disk")


async def first_piece_is_there(node: Node) -> None:
    while not node.store("disk").copies("disk")[0]["done"]:
        await asyncio.sleep(0)


async def test_a_sender_that_is_silent_makes_way_for_the_next(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving_end, "SILENCE_S", 0.02)
    session = node.bulk_session((await begin(node))["token"])
    async with Served(tmp_path / "s", session) as connection:
        connection.writer.write(bytes_of([(CONFIG, 0, 2)]))
        await first_piece_is_there(node)
        again = await begin(node)
    assert len(again["missing"]) == 5
    assert "token" in again


async def test_a_sender_that_sends_is_not_disturbed(
    tmp_path: Path, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving_end, "SILENCE_S", 0.05)
    session = node.bulk_session((await begin(node))["token"])
    async with Served(tmp_path / "s", session) as connection:
        connection.writer.write(bytes_of([(CONFIG, 0, 2)]))
        await first_piece_is_there(node)

        async def trickle() -> None:
            while True:
                connection.writer.write(b"x")
                await asyncio.sleep(0.001)

        sending = asyncio.ensure_future(trickle())
        try:
            error = await refusal(
                node, "model.receive.begin", manifest=MODEL.to_dict(), tier="disk"
            )
        finally:
            sending.cancel()
    assert (error.kind, "another controller" in error.message) == (Kind.IN_USE, True)


async def test_finishing_too_early_says_that_bytes_are_missing(node: Node) -> None:
    error = await refusal(node, "model.receive.finish", manifest=MODEL.to_dict(), tier="disk")
    assert error.kind == Kind.INCOMPLETE


async def test_bytes_that_are_not_the_promised_ones_are_not_published(
    tmp_path: Path, node: Node
) -> None:
    begun = await ask(node, "model.receive.begin", manifest=MODEL.to_dict(), tier="disk")
    async with Served(tmp_path / "s", node.bulk_session(begun["token"])) as connection:
        connection.writer.write(bytes(45_002))
        assert (await connection.answer()).error is None
    error = await refusal(node, "model.receive.finish", manifest=MODEL.to_dict(), tier="disk")
    assert error.kind == Kind.MISMATCH
    assert not (node.paths.models / "tiny").exists()


async def test_pieces_of_a_published_model_are_sent(tmp_path: Path, node: Node) -> None:
    await receive_all(tmp_path, node)
    pieces = [[WEIGHTS, 40_000, 5_000], [CONFIG, 0, 2]]
    begun = await ask(
        node, "model.send.begin", name="tiny", revision=None, tier="disk", pieces=pieces
    )
    assert begun["total"] == 5_002
    async with Served(tmp_path / "s2", node.bulk_session(begun["token"])) as connection:
        got = await connection.reader.read()
    assert got == bytes_of([tuple(piece) for piece in pieces])


@pytest.mark.parametrize(
    "pieces",
    [
        None,
        [],
        [[3, 0, 1]],
        [[-1, 0, 1]],
        [[0, 0, 3]],
        [[0, -1, 1]],
        [[0, 0, 0]],
        [[0, 0]],
        [["0", 0, 1]],
        [[0, True, 1]],
        "abc",
    ],
)
async def test_pieces_that_the_model_does_not_have_are_refused(
    tmp_path: Path, node: Node, pieces: object
) -> None:
    await receive_all(tmp_path, node)
    error = await refusal(
        node, "model.send.begin", name="tiny", revision="r1", tier="disk", pieces=pieces
    )
    assert error.kind == Kind.INVALID


async def test_a_plan_asked_for_twice_at_once_is_downloaded_once(server: Any, node: Node) -> None:
    for path, data in FILES.items():
        server.files[f"/{path}"] = data
    plan = PLAN.to_dict()
    for file in plan["files"]:
        file["url"] = server.url("/" + file["path"])
    asking = {"plan": plan, "tier": "dram", "origin": server.origin}
    asking["headers"] = {"Authorization": "Bearer x"}
    copies = await asyncio.gather(*(ask(node, "model.fetch", **asking) for _ in range(2)))
    assert [copy["already"] for copy in copies] == [False, False]
    assert copies[0]["path"].startswith(str(node.paths.dram))
    assert len(server.asked) == 6
    assert {asked.authorization for asked in server.asked} == {"Bearer x"}
    assert (await ask(node, "model.fetch", **asking))["already"] is True
    assert len(server.asked) == 6


async def test_one_whose_credentials_died_with_the_helper_says_what_it_waits_for(
    server: Any, node: Node
) -> None:
    plan = PLAN.to_dict()
    for file in plan["files"]:
        file["url"] = server.url("/" + file["path"])
    asking: dict[str, Any] = {"plan": plan, "tier": "disk", "origin": server.origin}
    secret = {"Authorization": "Bearer hf_secret"}
    seen: list[Any] = []

    def fault(exchange: Any) -> bool:
        seen.append([copy["waiting"] for copy in node.store("disk").copies("disk")])
        exchange.answer(401)
        return True

    server.fault = fault
    await refusal(node, "model.fetch", **asking, headers=secret)
    assert seen[0] == ["credentials"]
    status = await ask(node, "node.status")
    assert [(c["state"], c["waiting"]) for c in status["copies"]] == [("partial", "credentials")]
    left = [path for path in node.paths.root.rglob("*") if path.is_file()]
    assert not any(b"hf_secret" in path.read_bytes() for path in left)
    await refusal(node, "model.fetch", **asking)
    assert [c["waiting"] for c in (await ask(node, "node.status"))["copies"]] == [None]
    server.fault = lambda exchange: False
    for path, data in FILES.items():
        server.files[f"/{path}"] = data
    await ask(node, "model.fetch", **asking, headers=secret)
    status = await ask(node, "node.status")
    assert [(c["state"], c["waiting"]) for c in status["copies"]] == [("ready", None)]


async def test_while_it_is_fetched_it_waits_for_nothing(server: Any, node: Node) -> None:
    let_go, stalled = threading.Event(), threading.Event()

    def stall(exchange: Any) -> bool:
        stalled.set()
        return not let_go.wait(20)

    server.fault = stall
    for path, data in FILES.items():
        server.files[f"/{path}"] = data
    plan = PLAN.to_dict()
    for file in plan["files"]:
        file["url"] = server.url("/" + file["path"])
    asking: dict[str, Any] = {"plan": plan, "tier": "disk", "origin": server.origin}
    asking["headers"] = {"Authorization": "Bearer x"}
    fetching = asyncio.ensure_future(ask(node, "model.fetch", **asking))
    await asyncio.get_running_loop().run_in_executor(None, stalled.wait, 10)
    assert [c["waiting"] for c in (await ask(node, "node.status"))["copies"]] == [None]
    let_go.set()
    await fetching


async def test_a_download_that_is_cancelled_ends_though_its_source_has_stalled(
    server: Any, node: Node
) -> None:
    let_go, stalled = threading.Event(), threading.Event()

    def stall(exchange: Any) -> bool:
        stalled.set()
        let_go.wait(20)
        return True

    server.fault = stall
    plan = PLAN.to_dict()
    for file in plan["files"]:
        file["url"] = server.url("/x")
    fetching = asyncio.ensure_future(ask(node, "model.fetch", plan=plan, tier="disk"))
    await asyncio.get_running_loop().run_in_executor(None, stalled.wait, 10)
    fetching.cancel()
    await asyncio.wait([fetching], timeout=10)
    let_go.set()
    assert fetching.cancelled()
    assert len(node.operations) == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"headers": {"Cookie": "x"}}, "Authorization, and nothing else"),
        ({"headers": {"Authorization": "a\r\nHost: b"}, "origin": "https://h"}, "line of ASCII"),
        ({"headers": {"Authorization": "a"}}, "needs the origin"),
        ({"headers": {"Authorization": "a"}, "origin": "file:///x"}, "not an http or https URL"),
        ({"tier": "gpu0"}, "not a place for files"),
        ({"tier": None}, "not a place for files"),
        ({"plan": {"name": "../x"}}, "not a model name"),
    ],
)
async def test_a_malformed_request_to_fetch_is_refused(
    node: Node, changes: dict[str, Any], says: str
) -> None:
    error = await refusal(
        node, "model.fetch", **{"plan": PLAN.to_dict(), "tier": "disk", **changes}
    )
    assert says in error.message
