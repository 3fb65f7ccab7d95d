"""Operations: once for equal requests, beyond a lost connection, ended by the last who cancels."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.operations import OperationTable, Report, in_thread
from gswarm_remote.rpc import Call


class Requester:
    """As much of a `Call` as an operation uses."""

    def __init__(self) -> None:
        self.connection_lost = False
        self.entry = None
        self.reports: list[dict[str, Any]] = []

    def progress(self, report: dict[str, Any]) -> None:
        self.reports.append(report)


class Work:
    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.finish = asyncio.Event()
        self.runs = 0
        self.report: Report | None = None
        self.cancelled: threading.Event | None = None

    async def __call__(self, report: Report, cancelled: threading.Event) -> str:
        self.runs += 1
        self.report, self.cancelled = report, cancelled
        self.started.set()
        await self.finish.wait()
        return "result"


def ask(table: OperationTable, requester: Requester, work: Work) -> asyncio.Task[Any]:
    call = cast("Call", requester)
    return asyncio.ensure_future(table.run(call, kind="fetch", key=("m", "disk"), work=work))


async def test_equal_requests_share_the_work_and_its_progress() -> None:
    table, work = OperationTable(), Work()
    first, second = Requester(), Requester()
    tasks = [ask(table, first, work), ask(table, second, work)]
    await work.started.wait()
    assert work.report is not None
    work.report({"done": 5})
    assert [operation["done"] for operation in table.list()] == [5]
    work.finish.set()
    assert await asyncio.gather(*tasks) == ["result", "result"]
    assert work.runs == 1
    assert first.reports == second.reports == [{"done": 5}]
    assert len(table) == 0


async def test_a_lost_connection_leaves_the_work_running() -> None:
    table, work, requester = OperationTable(), Work(), Requester()
    task = ask(table, requester, work)
    await work.started.wait()
    requester.connection_lost = True
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(table) == 1
    later = ask(table, Requester(), work)
    work.finish.set()
    assert await later == "result"
    assert work.runs == 1


async def test_the_last_who_cancels_ends_the_work() -> None:
    table, work = OperationTable(), Work()
    first, second = ask(table, Requester(), work), ask(table, Requester(), work)
    await work.started.wait()
    assert work.cancelled is not None
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert len(table) == 1
    assert not work.cancelled.is_set()
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    assert len(table) == 0
    assert work.cancelled.is_set()


async def test_cancelled_work_has_ended_when_the_cancel_returns() -> None:
    table = OperationTable()
    entered = threading.Event()
    ended: list[str] = []

    async def work(report: Report, cancelled: threading.Event) -> None:
        def body() -> None:
            entered.set()
            cancelled.wait()
            ended.append("thread")
            raise HelperError(Kind.CANCELLED, "cancelled")

        await in_thread(body)

    call = cast("Call", Requester())
    task = asyncio.ensure_future(table.run(call, kind="copy", key="k", work=work))
    await asyncio.get_running_loop().run_in_executor(None, entered.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["thread"]
    assert len(table) == 0


async def test_in_thread_returns_and_raises() -> None:
    assert await in_thread(sum, [1, 2]) == 3
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 / 0)
