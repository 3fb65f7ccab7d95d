"""Operations: once for equal requests, beyond a lost connection, ended by the last who cancels."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.operations import OperationTable, Report, in_thread
from gswarm_remote.rpc import Call
from gswarm_remote.tasks.entry import Entry


class Requester:
    """As much of a `Call` as an operation uses."""

    def __init__(self) -> None:
        self.connection_lost = False
        self.entry: Entry | None = None
        self.reports: list[dict[str, Any]] = []

    def cancel(self) -> None:
        raise AssertionError("it is not to be cancelled")

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
    work.report({"done": 5, "limited_by": "disk"})
    assert [(each["done"], each["limited_by"]) for each in table.list()] == [(5, "disk")]
    work.finish.set()
    assert await asyncio.gather(*tasks) == ["result", "result"]
    assert work.runs == 1
    assert first.reports == second.reports == [{"done": 5, "limited_by": "disk"}]
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


def task_of(name: str) -> Requester:
    requester = Requester()
    requester.entry = Entry(f"{name}/a/1", "model.fetch", "d")
    return requester


async def test_the_result_is_noted_for_every_task_before_it_is_given() -> None:
    noted: list[tuple[str, Any]] = []

    async def keep(entry: Entry, result: Any) -> None:
        noted.append((entry.task, result))

    table, work = OperationTable(keep), Work()
    first, second = task_of("j"), task_of("k")
    tasks = [ask(table, first, work), ask(table, second, work), ask(table, Requester(), work)]
    await work.started.wait()
    assert table.runs_for("j/a/1")
    assert table.list()[0]["tasks"] == ["j/a/1", "k/a/1"]
    for task in tasks:
        task.add_done_callback(lambda _: noted.append(("answered", None)))
    work.finish.set()
    await asyncio.gather(*tasks)
    assert sorted(noted[:2]) == [("j/a/1", "result"), ("k/a/1", "result")]


async def test_a_task_is_cancelled_whoever_asked() -> None:
    table, work = OperationTable(), Work()
    requester = task_of("j")
    lost = ask(table, requester, work)
    await work.started.wait()
    requester.connection_lost = True
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    again = ask(table, task_of("j"), work)
    await asyncio.sleep(0)
    assert await table.cancel_tasks("k/") == 0
    assert await table.cancel_tasks("j/") == 1
    with pytest.raises(asyncio.CancelledError):
        await again
    assert len(table) == 0


async def test_what_is_done_for_others_as_well_goes_on() -> None:
    table, work = OperationTable(), Work()
    ours, theirs = task_of("j"), Requester()
    mine, other = ask(table, ours, work), ask(table, theirs, work)
    ours.cancel = mine.cancel  # type: ignore[method-assign]
    await work.started.wait()
    assert await table.cancel_tasks("j/") == 1
    with pytest.raises(asyncio.CancelledError):
        await mine
    work.finish.set()
    assert await other == "result"


async def test_work_of_a_task_whose_controller_is_gone_outlasts_another_who_cancels() -> None:
    table, work = OperationTable(), Work()
    gone = task_of("j")
    lost = ask(table, gone, work)
    await work.started.wait()
    gone.connection_lost = True
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    other = ask(table, task_of("k"), work)
    await asyncio.sleep(0)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert len(table) == 1
    work.finish.set()
    assert await ask(table, task_of("j"), work) == "result"


async def test_what_goes_wrong_as_work_is_cancelled_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(report: Any, cancelled: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise HelperError(Kind.FAILED, "processes 12, 13 do not end") from None

    table, call = OperationTable(), cast("Call", Requester())
    asking = asyncio.ensure_future(table.run(call, kind="command", key="a", work=work))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert "processes 12, 13 do not end" in caplog.text
