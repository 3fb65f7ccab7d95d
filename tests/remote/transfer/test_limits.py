"""What a transfer is bound by, on a clock that moves where the work does."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.models import files as files_module
from gswarm_remote.models import piece as piece_module
from gswarm_remote.models.files import digest_file
from gswarm_remote.models.manifest import Plan, PlanFile
from gswarm_remote.models.store import Store
from gswarm_remote.transfer import assemble as assemble_module
from gswarm_remote.transfer import crew as crew_module
from gswarm_remote.transfer import receiving as receiving_module
from gswarm_remote.transfer.download import HttpSource
from gswarm_remote.transfer.limits import DISK, HASH, RELAY, SOURCE, WRITER, Doing, Limits
from gswarm_remote.transfer.progress import Meter
from gswarm_remote.transfer.receiving import Receiving

from ..models.conftest import Bytes, fetch, plan_of

BIG = os.urandom(5500)
FILES = {"a": b"first", "b": BIG, "last": b"last"}
PLAN = plan_of(FILES)


class Clock:
    """Seconds that pass when a test says so; read and moved by several threads."""

    def __init__(self) -> None:
        self._now = 0.0
        self._guard = threading.Lock()

    def __call__(self) -> float:
        with self._guard:
            return self._now

    def pass_by(self, seconds: float) -> None:
        with self._guard:
            self._now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(piece_module, "PIECE", 1000)
    return Store(tmp_path / "models")


# The times of workers


def test_what_takes_most_of_the_time_bounds_it(clock: Clock) -> None:
    limits = Limits(clock=clock)
    with limits.worker() as one, limits.worker() as two:
        one.turn_to(SOURCE)
        two.turn_to(DISK)
        clock.pass_by(1)
        assert limits.word() is None  # half and half
        two.turn_to(SOURCE)
        clock.pass_by(1)
        assert limits.word() == SOURCE


def test_what_has_gone_counts_and_what_waits_its_turn_does_not(clock: Clock) -> None:
    limits = Limits(clock=clock)
    with limits.worker() as idle:
        idle.turn_to(None)
        with limits.worker() as gone:
            gone.turn_to(HASH)
            clock.pass_by(1)
    assert limits.word() == HASH


def test_only_the_last_seconds_count(clock: Clock) -> None:
    limits = Limits(clock=clock)
    with limits.worker() as doing:
        doing.turn_to(DISK)
        clock.pass_by(60)
        assert limits.word() == DISK
        doing.turn_to(SOURCE)
        for _ in range(10):
            clock.pass_by(0.5)
            said = limits.word()
        assert said == SOURCE
        doing.turn_to(None)
        for _ in range(10):
            clock.pass_by(0.6)
            said = limits.word()
        assert said is None


def test_what_has_hardly_begun_says_nothing(clock: Clock) -> None:
    limits = Limits(clock=clock)
    assert limits.word() is None
    with limits.worker() as doing:
        doing.turn_to(DISK)
        clock.pass_by(0.4)
        assert limits.word() is None
        clock.pass_by(0.1)
        assert limits.word() == DISK


def test_who_waits_for_a_writer_waits_for_what_that_one_does(clock: Clock) -> None:
    limits = Limits(clock=clock)
    with limits.worker() as reader, limits.writer() as writer:
        writer.turn_to(HASH)
        reader.turn_to(RELAY)
        clock.pass_by(1)
        assert limits.word() == RELAY  # however busy the writer is
        reader.turn_to(WRITER)
        clock.pass_by(3)
        assert limits.word() == HASH


# A whole transfer


def bound_by(
    store: Store,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Callable[[PlanFile, int], None]], Any] = lambda before: Bytes(FILES, before),
    plan: Plan = PLAN,
    **seconds: float,
) -> str | None:
    """What is said when all but the last file is there; `seconds` pass in each piece's steps."""
    monkeypatch.setattr(assemble_module, "Meter", functools.partial(Meter, clock=clock))
    monkeypatch.setattr(crew_module, "TICK_S", 0.001)
    said: list[str | None] = []
    told = threading.Event()

    class Reports(list[dict[str, Any]]):
        def append(self, report: dict[str, Any]) -> None:
            if report["phase"] == "download" and report["done"] == 5505:
                said.append(report["limited_by"])
                told.set()

    def before(file: PlanFile, offset: int) -> None:
        if file.path == "last":
            assert told.wait(30)
        else:
            clock.pass_by(seconds.get("source", 0))

    monkeypatch.setattr(piece_module, "_sync_data", lambda _: clock.pass_by(seconds.get("disk", 0)))
    fetch(store, plan, make(before), workers=1, reports=Reports())
    return said[0]


def test_a_source_that_is_slow(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bound_by(store, clock, monkeypatch, source=1, disk=0.2) == SOURCE


def test_a_disk_that_is_slow(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bound_by(store, clock, monkeypatch, source=0.2, disk=1) == DISK


def test_where_it_is_not_clear_nothing_is_said(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bound_by(store, clock, monkeypatch, source=1, disk=1) is None


def test_hashing_that_takes_longer_than_reading(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow:
        def update(self, data: bytes) -> None:
            clock.pass_by(3)

        def hexdigest(self) -> str:
            return ""

    monkeypatch.setattr(files_module.hashlib, "sha256", Slow)
    (tmp_path / "weights").write_bytes(BIG)
    doing = Doing(clock=clock)
    doing.turn_to(DISK)
    digest_file(tmp_path / "weights", doing=doing)
    spent = doing.spent(clock())
    assert (spent[DISK], spent[HASH]) == (0, 3)


# From a server


def test_a_server_that_answers_late_is_a_slow_source(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, server: Any
) -> None:
    server.files = {f"/{path}": data for path, data in FILES.items()}
    entries = tuple(
        PlanFile(path, len(data), hashlib.sha256(data).hexdigest(), url=server.url(f"/{path}"))
        for path, data in FILES.items()
    )
    plan = replace(PLAN, files=entries)

    def throttled(before: Callable[[PlanFile, int], None]) -> HttpSource:
        def fault(exchange: Any) -> bool:
            before(PlanFile(exchange.path[1:]), 0)
            return False

        server.fault = fault
        return HttpSource()

    assert bound_by(store, clock, monkeypatch, throttled, plan, source=1, disk=0.2) == SOURCE


def test_who_waits_for_its_turn_at_one_body_does_not_count(clock: Clock, server: Any) -> None:
    """A server without ranges feeds one piece at a time, however many are asked for."""
    server.ranges = False
    server.files = {"/b": BIG}
    file = PlanFile("b", len(BIG), url=server.url("/b"))
    waits = threading.Event()

    class Second(Doing):
        def turn_to(self, what: str | None) -> str | None:
            if what is None:
                waits.set()
            return super().turn_to(what)

    source = HttpSource()
    first, second = Doing(clock=clock), Second(clock=clock)
    begun = threading.Event()

    def late(exchange: Any) -> bool:
        begun.set()
        assert waits.wait(30)
        clock.pass_by(10)
        return False

    server.fault = late
    threads = [
        threading.Thread(target=source.fetch, args=(file, offset, 1000, lambda _: None, doing))
        for offset, doing in ((0, first), (1000, second))
    ]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    for thread in threads:
        thread.join(30)
    source.close()
    assert first.spent(clock())[SOURCE] == 10
    assert second.spent(clock())[SOURCE] == 0


# Over a bulk connection


async def feed(store: Store, meter: Meter, data: bytes, *, until: int) -> Callable[[], Any]:
    """Begin to receive PLAN, and send `data`; returns when `until` bytes have come."""
    with store.open_partial(PLAN) as partial:
        pieces = [(index, offset, length or 0) for index, offset, length in partial.missing()]
    receiving = Receiving(lambda: store.open_partial(PLAN), pieces, meter)
    reader, writer = asyncio.StreamReader(), Deaf()
    task = asyncio.create_task(receiving.run(reader, writer))
    reader.feed_data(data)
    while meter.report()["done"] < until:
        await asyncio.sleep(0)

    async def end() -> None:
        reader.feed_eof()
        await task

    return end


class Deaf:
    """The way back of a connection, to nobody."""

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        pass


async def test_a_controller_that_sends_no_faster(store: Store, clock: Clock) -> None:
    meter = Meter("copy", clock=clock)
    end = await feed(store, meter, b"".join(FILES.values())[:1500], until=1500)
    clock.pass_by(3)
    assert meter.report()["limited_by"] == RELAY
    await end()


async def test_a_disk_that_takes_no_more(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving_module, "IN_FLIGHT", 2000)
    goes_on, hangs = threading.Event(), threading.Event()

    def sync(_: int) -> None:
        hangs.set()
        assert goes_on.wait(30)

    monkeypatch.setattr(piece_module, "_sync_data", sync)
    meter = Meter("copy", clock=clock)
    end = await feed(store, meter, b"".join(FILES.values()), until=2006)
    assert hangs.wait(30)
    clock.pass_by(3)
    said = meter.report()["limited_by"]
    goes_on.set()
    await end()
    assert said == DISK
