"""What other processes ask of a run, and what it waits for with them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gswarm_tui.errors import GswarmError, StateError
from gswarm_tui.jobs import Runner, submit
from gswarm_tui.jobs.events import (
    TaskFinished,
    TaskWaiting,
)
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.queue import Claim, Queue
from gswarm_tui.state.states import State

from .runs import Recorder, Runs, asks, check, states

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels


async def test_another_process_asks_for_the_end_of_a_job(
    run: Runs, fake: FakeModels, tmp_path: Path
) -> None:
    fake.holds[check("a")] = asyncio.Event()
    task = asyncio.create_task(run(asks("a") + asks("b", "dependencies: [a]")))
    while not fake.calls:
        await asyncio.sleep(0)
    with Database(tmp_path / "state.db") as other:
        Jobs(other).request_cancel(1)
    result = await task
    assert states(result) == {"a": "cancelled", "b": "cancelled"}
    assert result.exit_code == 130


async def test_an_end_that_was_asked_for_before_the_process_began_is_heard(
    run: Runs, fake: FakeModels, jobs: Jobs, tmp_path: Path
) -> None:
    job_id = submit(run.plan(asks("a")), jobs)
    jobs.request_cancel(job_id)
    with Database(tmp_path / "state.db") as later:
        result = await Runner(run.plan(asks("a")), run.models, later, job_id=job_id).run()
    assert states(result) == {"a": "cancelled"}
    assert fake.calls == []


async def test_another_process_asks_for_the_end_of_a_task(
    run: Runs, fake: FakeModels, jobs: Jobs, tmp_path: Path
) -> None:
    fake.holds[check("a")] = asyncio.Event()
    text = asks("a") + asks("b", "dependencies: [a]") + asks("c")
    task = asyncio.create_task(run(text))
    while check("a") not in fake.calls:
        await asyncio.sleep(0)
    with Database(tmp_path / "state.db") as other:
        Jobs(other).request_cancel_task(1, "a")
    result = await task
    assert states(result) == {"a": "cancelled", "b": "skipped", "c": "succeeded"}
    because = {task.task.action_id: task.because for task in result.tasks}
    assert because["b"] == "needs a, which was cancelled"
    assert (result.state, result.exit_code) == (State.CANCELLED, 130)
    fake.holds.clear()
    jobs.reset(1)
    assert states(await run(text, 1)) == dict.fromkeys("abc", "succeeded")


async def test_a_job_has_failed_where_more_than_its_cancelled_tasks_went_wrong(
    run: Runs, fake: FakeModels, tmp_path: Path
) -> None:
    fake.holds[check("a")] = asyncio.Event()
    fake.failures[check("c")] = GswarmError("no")
    task = asyncio.create_task(run(asks("a") + asks("c")))
    while not run.events.of(TaskFinished):
        await asyncio.sleep(0)
    with Database(tmp_path / "state.db") as other:
        Jobs(other).request_cancel_task(1, "a")
    assert (await task).state is State.FAILED


async def test_a_task_waits_for_what_another_job_holds_and_says_for_whom(
    run: Runs, fake: FakeModels, jobs: Jobs, tmp_path: Path
) -> None:
    load = """
  - {action_id: load, action_type: move, model_name: MODEL, devices: ["node1:disk", "node1:gpu0"]}
"""
    fake.holds["move", "one"] = asyncio.Event()
    first = asyncio.create_task(run(load.replace("MODEL", "one")))
    while not fake.calls:
        await asyncio.sleep(0)
    with Database(tmp_path / "state.db") as other:
        events = Recorder()
        second = Runner(run.plan(load.replace("MODEL", "two")), run.models, other)
        waiting = asyncio.create_task(second.run(events))
        while not events.of(TaskWaiting):
            await asyncio.sleep(0)
        reason = "waiting for node1:gpu0, held by job 1 (move load)"
        assert events.of(TaskWaiting)[0].reason == reason
        assert [task.waiting for task in Queue(other).tasks(State.READY)] == [reason]
        fake.holds["move", "one"].set()
        assert (await first).exit_code == 0
        assert (await waiting).exit_code == 0
    assert jobs.get(2) is not None


async def test_a_run_whose_job_was_marked_as_lost_says_so_and_ends(
    run: Runs, fake: FakeModels, jobs: Jobs, database: Database
) -> None:
    fake.holds[check("a")] = asyncio.Event()
    task = asyncio.create_task(run(asks("a")))
    while not fake.calls:
        await asyncio.sleep(0)
    database.execute("UPDATE jobs SET process_started = 0")
    jobs.mark_lost()
    fake.holds[check("a")].set()
    with pytest.raises(StateError, match="job 1 is lost by now, and cannot go on here"):
        await task
    job = jobs.get(1)
    assert job is not None
    assert job.state is State.LOST


async def test_a_job_that_holds_nothing_in_the_queue_any_more_is_passed_over(
    run: Runs, fake: FakeModels, jobs: Jobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead process holds a GPU in the queue; whoever waits for it looks after that."""
    monkeypatch.setattr("gswarm_tui.jobs.journal._LOST_EVERY_S", 0.0)
    dead = submit(run.plan(asks("a")), jobs)
    jobs.begin(dead)
    jobs.enter(dead, [("a", [Claim("device/node1:gpu0", "node1:gpu0", exclusive=True)])])
    assert len(jobs.admit(dead, 9)) == 1
    text = """
  - {action_id: load, action_type: move, model_name: m, devices: ["node1:disk", "node1:gpu0"]}
"""
    task = asyncio.create_task(run(text))
    while not run.events.of(TaskWaiting):
        await asyncio.sleep(0)
    database.execute("UPDATE jobs SET process_started = 0 WHERE id = ?", (dead,))
    assert (await task).exit_code == 0
    lost = jobs.get(dead)
    assert lost is not None
    assert lost.state is State.LOST
