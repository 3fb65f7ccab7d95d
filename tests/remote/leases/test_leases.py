"""Leases: real locks, taken all or nothing, in turn, and gone with whoever held them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from gswarm_remote.errors import HelperError, Kind
from gswarm_remote.leases import folder
from gswarm_remote.leases.leases import Leases
from gswarm_remote.leases.wants import Want
from gswarm_remote.operations import OperationTable, Report
from gswarm_remote.rpc import Call
from gswarm_remote.tasks.entry import Entry

from ..helpers import Helpers, other_users_can, until

ANA = {"job": 17, "user": "ana", "host": "laptop", "does": "serve llama-7b"}
EVE = {"job": 3, "user": "eve", "host": "desk", "does": "move m"}
GPU0 = Want("gpu0", None, False, "gpu-GPU-0.lock")
GPU1 = Want("gpu1", None, False, "gpu-GPU-1.lock")
READS = Want("disk", "m", True, "model-m.lock")
WRITES = Want("disk", "m", False, "model-m.lock")


class Caller:
    """As much of a `Call` as a lease uses; `lose` ends its connection."""

    def __init__(self) -> None:
        self.connection_lost = False
        self.entry: Entry | None = None
        self.connection = object()
        self.reports: list[dict[str, Any]] = []
        self._told: list[Any] = []

    def progress(self, report: dict[str, Any]) -> None:
        self.reports.append(report)

    def when_lost(self, told: Any) -> None:
        self._told.append(told)

    def cancel(self) -> None: ...

    def lose(self) -> None:
        self.connection_lost = True
        for told in self._told:
            told()


class Helper:
    """The leases of one helper in this process: flocks of two of them exclude each other."""

    def __init__(self) -> None:
        self.operations = OperationTable()
        self.leases = Leases(self.operations, grace_s=0.02)

    async def take(self, task: str, *wants: Want, who: Any = ANA, by: Any = None) -> Caller:
        caller = by or Caller()
        await self.leases.take(cast("Call", caller), task, wants, who)
        return cast("Caller", caller)

    def begin(self, task: str, *wants: Want, who: Any = ANA, by: Any = None) -> asyncio.Task[Any]:
        return asyncio.ensure_future(self.take(task, *wants, who=who, by=by))

    def what(self) -> list[str]:
        return [lease["what"] for lease in self.leases.list()]


@pytest.fixture(autouse=True)
def place_of_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GSWARM_LEASE_DIR", str(tmp_path / "leases"))
    return tmp_path / "leases"


@pytest.fixture
async def here() -> AsyncIterator[Helper]:
    helper = Helper()
    yield helper
    await helper.leases.close()


@pytest.fixture
async def there() -> AsyncIterator[Helper]:
    helper = Helper()
    yield helper
    await helper.leases.close()


async def test_what_is_taken_is_told_of_and_let_go(here: Helper, place_of_leases: Path) -> None:
    await here.take("t", GPU0, READS)
    assert here.what() == ["gpu0", "m on disk"]
    assert here.leases.list()[0]["who"] == "job 17 of ana@laptop (serve llama-7b)"
    assert place_of_leases.stat().st_mode & 0o7777 == 0o1777
    assert here.leases.drop("t")
    assert not here.leases.drop("t")
    assert here.what() == []
    assert list(place_of_leases.iterdir()) == []


async def test_another_helper_waits_and_is_told_who_holds_it(here: Helper, there: Helper) -> None:
    await here.take("t", GPU0)
    caller = Caller()
    waiting = there.begin("u", GPU0, who=EVE, by=caller)
    await until(lambda: caller.reports)
    assert caller.reports == [
        {
            "phase": "waiting",
            "message": "gpu0 is held by job 17 of ana@laptop (serve llama-7b)",
            "device": "gpu0",
            "model": None,
            "holder": "job 17 of ana@laptop (serve llama-7b)",
        }
    ]
    here.leases.drop("t")
    await waiting
    assert there.what() == ["gpu0"]


async def test_those_who_read_share_and_one_who_writes_does_not(
    here: Helper, there: Helper
) -> None:
    await here.take("t", READS)
    await there.take("u", READS)
    caller = Caller()
    writing = here.begin("w", WRITES, by=caller)
    await until(lambda: caller.reports)
    assert caller.reports[0]["holder"].endswith(" and 1 more")
    here.leases.drop("t")
    there.leases.drop("u")
    await writing


async def test_it_is_all_or_nothing(here: Helper, there: Helper) -> None:
    await here.take("t", GPU1)
    caller = Caller()
    waiting = there.begin("u", GPU0, GPU1, by=caller)
    await until(lambda: caller.reports)
    await here.take("v", GPU0)  # whoever waits holds nothing
    here.leases.drop("t")
    here.leases.drop("v")
    await waiting
    assert there.what() == ["gpu0", "gpu1"]


async def test_first_come_first_served_and_nobody_else_is_held_up(here: Helper) -> None:
    await here.take("t", READS)
    writing = here.begin("w", WRITES, GPU1)
    later = Caller()
    reading = here.begin("r", READS, by=later)
    await until(lambda: later.reports)
    assert "which waits itself" in later.reports[0]["holder"]
    await here.take("free", GPU0)
    here.leases.drop("t")
    await writing
    here.leases.drop("w")
    await reading


async def test_the_same_task_asks_again_and_has_the_same_lease(here: Helper) -> None:
    await here.take("t", GPU0, READS)
    await here.take("t", READS, GPU0)
    assert here.what() == ["gpu0", "m on disk"]
    with pytest.raises(HelperError) as caught:
        await here.take("t", GPU1)
    assert caught.value.kind == Kind.INVALID


async def test_a_task_does_not_wait_for_itself_at_another_node_of_the_machine(
    here: Helper, there: Helper
) -> None:
    await here.take("t", WRITES)
    await there.take("t", WRITES)
    there.leases.drop("t")
    assert folder.try_hold(folder.folder() / WRITES.lock) is None


async def test_one_who_waits_and_cancels_leaves_the_queue(here: Helper) -> None:
    await here.take("t", GPU0)
    waiting = here.begin("u", GPU0)
    behind = here.begin("v", GPU0)
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    here.leases.drop("t")
    await behind
    assert [lease["task"] for lease in here.leases.list()] == ["v"]


async def test_a_lease_that_is_dropped_while_it_waits_is_an_error_to_whoever_waits(
    here: Helper,
) -> None:
    await here.take("t", GPU0)
    waiting = here.begin("j/u/1", GPU0)
    await asyncio.sleep(0)
    assert here.leases.drop_all("j/") == 1
    with pytest.raises(HelperError) as caught:
        await waiting
    assert caught.value.kind == Kind.CANCELLED


async def test_a_lost_connection_ends_it_after_a_while(here: Helper) -> None:
    caller = await here.take("t", GPU0)
    caller.lose()
    assert here.what() == ["gpu0"]
    await until(lambda: not here.what())


async def test_a_lost_connection_also_gives_up_the_place_of_one_who_waits(here: Helper) -> None:
    await here.take("t", GPU0)
    caller = Caller()
    waiting = here.begin("u", GPU0, by=caller)
    await asyncio.sleep(0)
    caller.lose()
    waiting.cancel()
    await until(lambda: len(here.leases) == 1)


async def test_whoever_comes_back_in_time_keeps_it(here: Helper) -> None:
    caller = await here.take("t", GPU0)
    caller.lose()
    await here.take("t", GPU0)
    await asyncio.sleep(0.05)  # longer than the grace
    assert here.what() == ["gpu0"]


async def test_it_stays_while_the_task_has_something_running(here: Helper) -> None:
    finish = asyncio.Event()

    async def work(report: Report, cancelled: Any) -> None:
        await finish.wait()

    here.operations.start_unasked(Entry("t", "model.fetch", "d"), kind="fetch", key=1, work=work)
    caller = await here.take("t", GPU0)
    caller.lose()
    await asyncio.sleep(0.05)  # longer than the grace
    assert here.what() == ["gpu0"]
    finish.set()
    await until(lambda: not here.what())


async def test_a_folder_that_is_no_folder_for_all_is_refused(
    here: Helper, place_of_leases: Path
) -> None:
    place_of_leases.symlink_to("/tmp")
    with pytest.raises(HelperError) as caught:
        await here.take("t", GPU0)
    assert caught.value.kind == Kind.PERMISSION
    assert len(here.leases) == 0


async def test_a_lock_that_is_a_link_is_not_followed(here: Helper, place_of_leases: Path) -> None:
    victim = folder.folder().parent / "victim"
    (place_of_leases / GPU0.lock).symlink_to(victim)
    with pytest.raises(HelperError):
        await here.take("t", GPU0)
    assert not victim.exists()


MODEL = {"model": "m", "tier": "disk", "shared": False}


async def test_a_killed_helper_lets_go_and_two_roots_with_one_models_folder_exclude_each_other(
    helpers: Helpers, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSWARM_LEASE_DIR", str(place / "leases"))
    first, second = helpers.start("one"), helpers.start("two")
    for helper in (first, second):
        await helper.ask("node.configure", {"models": str(place / "shared")})
    async with first.connected() as ours, second.connected() as theirs:
        await ours.call("lease.take", {"task": "t", "wants": [MODEL], "who": ANA})
        status = await ours.call("node.status", {})
        assert [(lease["task"], lease["what"]) for lease in status["leases"]] == [
            ("t", "m on disk")
        ]
        told: list[dict[str, Any]] = []
        waiting = asyncio.ensure_future(
            theirs.call(
                "lease.take", {"task": "u", "wants": [MODEL], "who": EVE}, progress=told.append
            )
        )
        await until(lambda: told)
        assert told[0]["holder"] == "job 17 of ana@laptop (serve llama-7b)"
        first.kill()
        assert await waiting == {"lease": "u"}


async def test_a_lease_is_a_reason_to_stay_and_a_term_lets_go(
    helpers: Helpers, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSWARM_LEASE_DIR", str(place / "leases"))
    helper = helpers.start()
    async with helper.connected() as peer:
        wants = [{"device": "gpu0", "shared": False}]
        await peer.call("lease.take", {"task": "t", "wants": wants, "who": {}})
        info = await peer.call("node.info", {})
        assert "1 lease" in info["helper"]["reasons"]
    helper.process.terminate()
    await asyncio.to_thread(helper.process.wait, 10)
    assert list((place / "leases").iterdir()) == []


@pytest.mark.skipif(not other_users_can(), reason="nobody else can run a helper here")
async def test_another_users_lease_is_waited_for_and_named(
    helpers: Helpers, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSWARM_LEASE_DIR", str(place / "leases"))
    for path in (place, place / "theirs", place / "run-65534", place / "shm"):
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
    os.chown(place / "run-65534", 65534, 65534)
    ours, theirs = helpers.start("root"), helpers.start("theirs", uid=65534)
    for helper in (ours, theirs):
        await helper.ask("node.configure", {"models": str(place / "shared")})
    async with theirs.connected() as first, ours.connected() as second:
        await first.call("lease.take", {"task": "t", "wants": [MODEL], "who": EVE})
        told: list[dict[str, Any]] = []
        waiting = asyncio.ensure_future(
            second.call(
                "lease.take", {"task": "u", "wants": [MODEL], "who": ANA}, progress=told.append
            )
        )
        await until(lambda: told)
        assert told[0]["holder"] == "job 3 of eve@desk (move m)"
        await first.call("lease.drop", {"task": "t"})
        await waiting
