"""The lock of a playbook: one run has it, and the others do what they were told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gswarm_tui.errors import LockedOutError, TimedOutError
from gswarm_tui.jobs import overlap
from gswarm_tui.jobs.overlap import Holder, Lock, Overlap, acquire
from gswarm_tui.processes import Process
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob

NAME = "Deploy / the 7B"

HOLDS = """
import asyncio, sys
from pathlib import Path
from gswarm_tui.jobs.overlap import Overlap, acquire

lock = asyncio.run(acquire(Path(sys.argv[1]), sys.argv[2], Overlap.FAIL, None, say=print))
lock.name_holder(int(sys.argv[3]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with Database(tmp_path / "gswarm.db") as database:
        yield Jobs(database)


class Other:
    """Another process that holds the lock until its stdin ends."""

    def __init__(self, folder: Path, job_id: int = 17) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, folder, NAME, str(job_id)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def end(self) -> None:
        self.process.communicate()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    started = Other(tmp_path)
    yield started
    started.end()


async def take(folder: Path, jobs: Jobs, overlap: Overlap, **options: Any) -> Lock | None:
    options.setdefault("say", lambda _: None)
    return await acquire(folder, NAME, overlap, jobs, **options)


async def told(folder: Path, jobs: Jobs, name: str = NAME) -> str | None:
    """What another run is told, which does not wait; None where the lock is free."""
    said: list[str] = []
    lock = await acquire(folder, name, Overlap.SKIP, jobs, say=said.append)
    if lock is None:
        return said[0]
    with lock:
        return None


async def test_a_lock_names_its_holder_and_is_gone_after(tmp_path: Path, jobs: Jobs) -> None:
    lock = await take(tmp_path, jobs, Overlap.FAIL)
    assert lock is not None
    with lock:
        lock.name_holder(3)
        who = f"is under way: job 3, process {os.getpid()} since"
        assert who in str(await told(tmp_path, jobs))
        assert await told(tmp_path, jobs, "Deploy   the 7B") is None, "another name, another lock"
    assert await told(tmp_path, jobs) is None


async def test_fail_names_who_has_it(tmp_path: Path, jobs: Jobs, other: Other) -> None:
    with pytest.raises(LockedOutError) as raised:
        await take(tmp_path, jobs, Overlap.FAIL)
    said = f"another run of {NAME} is under way: job 17, process {other.process.pid} since "
    assert str(raised.value).startswith(said)
    assert "gswarm job show 17" in str(raised.value.hint)
    assert raised.value.exit_code == 4


async def test_skip_says_so(tmp_path: Path, jobs: Jobs, other: Other) -> None:
    said: list[str] = []
    assert await take(tmp_path, jobs, Overlap.SKIP, say=said.append) is None
    (sentence,) = said
    assert sentence.startswith(f"skipped: another run of {NAME} is under way: job 17")


async def test_wait_says_for_whom_and_has_it_after(
    tmp_path: Path, jobs: Jobs, other: Other
) -> None:
    def say(sentence: str) -> None:
        said.append(sentence)
        other.end()

    said: list[str] = []
    lock = await take(tmp_path, jobs, Overlap.WAIT, say=say)
    assert lock is not None
    lock.release()
    assert said[0].startswith(f"waiting: another run of {NAME} is under way: job 17, process")
    assert len(said) == 1


async def test_waiting_has_an_end(tmp_path: Path, jobs: Jobs, other: Other) -> None:
    with pytest.raises(TimedOutError, match=r"within 0.05 s: another run of .* job 17") as raised:
        await take(tmp_path, jobs, Overlap.WAIT, timeout_s=0.05, spent_s=0.01)
    assert raised.value.exit_code == 5


async def test_waiting_can_be_cancelled(tmp_path: Path, jobs: Jobs, other: Other) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    waiting = asyncio.create_task(take(tmp_path, jobs, Overlap.WAIT))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_killed_holder_holds_nothing_and_is_not_named(
    tmp_path: Path, jobs: Jobs, other: Other
) -> None:
    other.process.kill()
    other.process.wait()
    lock = await take(tmp_path, jobs, Overlap.FAIL)
    assert lock is not None
    lock.release()


async def test_the_previous_run_is_cancelled_by_its_job(tmp_path: Path, jobs: Jobs) -> None:
    job_id = jobs.create(NewJob(NAME, "deploy.yaml", {}, []))
    other = Other(tmp_path, job_id)

    async def end_when_asked() -> None:
        while not jobs.cancel_requests(job_id)[0]:
            await asyncio.sleep(0)
        other.end()

    said: list[str] = []
    asked = asyncio.create_task(end_when_asked())
    lock = await take(tmp_path, jobs, Overlap.CANCEL_PREVIOUS, say=said.append)
    await asked
    assert lock is not None
    lock.release()
    assert len(said) == 1
    assert said[0].startswith(f"cancelling the other run of {NAME}: job {job_id}, process")


async def test_one_that_does_not_end_is_told_by_a_signal(
    tmp_path: Path, jobs: Jobs, other: Other
) -> None:
    said: list[str] = []
    lock = await take(tmp_path, jobs, Overlap.CANCEL_PREVIOUS, say=said.append, patience_s=0.0)
    assert lock is not None
    lock.release()
    assert said[1] == f"it has not ended in 0 s: process {other.process.pid} gets a TERM"
    assert other.process.wait(timeout=10) == -signal.SIGTERM


async def test_a_lock_is_handed_over_without_a_gap(tmp_path: Path, jobs: Jobs) -> None:
    lock = await take(tmp_path, jobs, Overlap.FAIL)
    assert lock is not None
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=[lock.descriptor],
    )
    lock.hand_over()
    assert await told(tmp_path, jobs) is not None
    child.communicate()
    assert await told(tmp_path, jobs) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"job": 1}', json.dumps({"pid": 1})])
async def test_a_file_that_says_nothing_names_nobody(
    tmp_path: Path, jobs: Jobs, other: Other, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "_NAMED_WITHIN_S", 0.1)
    (path,) = tmp_path.glob("*.lock")
    path.write_text(text)
    with pytest.raises(LockedOutError, match=r"is under way$"):
        await take(tmp_path, jobs, Overlap.FAIL)


def test_a_run_of_another_day_and_machine() -> None:
    since = datetime(2026, 1, 2, 3, 4, tzinfo=UTC).isoformat()
    holder = Holder(None, Process(42, 0.0, "a-boot"), "elsewhere", since)
    assert str(holder).startswith("process 42 on elsewhere since 2026-01-0")


async def test_one_that_has_just_taken_it_is_given_the_time_to_say_who_it_is(
    tmp_path: Path, jobs: Jobs
) -> None:
    lock = await take(tmp_path, jobs, Overlap.FAIL)
    assert lock is not None
    with lock:
        os.ftruncate(lock.descriptor, 0)
        second = asyncio.create_task(take(tmp_path, jobs, Overlap.FAIL))
        await asyncio.sleep(0)
        assert not second.done()
        lock.name_holder(17)
        with pytest.raises(LockedOutError, match="under way: job 17, process"):
            await second


async def test_a_full_disk_keeps_nobody_from_running(
    tmp_path: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    lock = await acquire(tmp_path, NAME, Overlap.FAIL, jobs, say=print)
    assert lock is not None
    lock.name_holder(7)
    monkeypatch.setattr(overlap, "_NAMED_WITHIN_S", 0)
    with pytest.raises(LockedOutError, match="another run of Deploy / the 7B is under way"):
        await acquire(tmp_path, NAME, Overlap.FAIL, jobs, say=print)
    lock.release()


async def test_no_reader_sees_half_a_name(tmp_path: Path, jobs: Jobs) -> None:
    lock = await take(tmp_path, jobs, Overlap.FAIL)
    assert lock is not None
    with lock:
        lock.name_holder(123456789)
        long = next(tmp_path.iterdir()).stat().st_size
        lock.name_holder(None)
        assert next(tmp_path.iterdir()).stat().st_size == long
        assert f"is under way: process {os.getpid()} since" in str(await told(tmp_path, jobs))
