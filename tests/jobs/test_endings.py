"""Runs that end early: cancelled, or by a fault of the database or of who watches."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gswarm_tui.errors import GswarmError, StateError
from gswarm_tui.jobs import Event, Runner
from gswarm_tui.jobs.events import (
    TaskFinished,
    TaskStarted,
)
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.states import State

from .runs import Watcher, check, checks, states

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels

MakePlan = Callable[..., Plan]


async def test_cancelling_ends_what_runs_and_begins_no_more(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    fake.holds[check("b")] = asyncio.Event()
    plan = make_plan(checks({"a": [], "b": [], "c": ["b"]}))
    recorder, runner = Watcher(), Runner(plan, models, database)
    run = asyncio.create_task(runner.run(recorder))
    await recorder.until(TaskFinished, "a")
    runner.cancel()
    result = await run
    assert states(result) == {"a": "succeeded", "b": "cancelled", "c": "cancelled"}
    assert (result.state, result.exit_code) == (State.CANCELLED, 130)
    assert fake.cancelled == [check("b")]
    assert fake.ended == [check("a"), check("b")]
    (job,) = jobs.recent()
    assert job.state is State.CANCELLED
    assert {str(task.state) for task in jobs.tasks(job.id)} == {"succeeded", "cancelled"}


async def test_a_task_that_ends_with_an_error_when_it_is_cancelled(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    """As a node's helper may answer: the job was cancelled all the same."""

    async def check_health(url: str, **_: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise GswarmError("the operation was cancelled") from None

    fake.check_health = check_health  # type: ignore[method-assign,assignment]
    recorder, runner = Watcher(), Runner(make_plan(checks({"a": []})), models, database)
    run = asyncio.create_task(runner.run(recorder))
    await recorder.until(TaskStarted, "a")
    await asyncio.sleep(0)
    runner.cancel()
    result = await run
    assert states(result) == {"a": "failed"}
    assert result.exit_code == 130


async def test_cancelling_the_coroutine_does_the_same_and_raises(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    fake.holds[check("a")] = asyncio.Event()
    recorder = Watcher()
    run = asyncio.create_task(
        Runner(make_plan(checks({"a": [], "b": ["a"]})), models, database).run(recorder)
    )
    await recorder.until(TaskStarted, "a")
    await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert fake.cancelled == [check("a")]
    (job,) = jobs.recent()
    assert job.state is State.CANCELLED
    assert [str(task.state) for task in jobs.tasks(job.id)] == ["cancelled", "cancelled"]


async def test_work_that_somebody_else_cancelled_is_a_failure(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    fake.failures[check("a")] = asyncio.CancelledError()  # type: ignore[assignment]
    result = await Runner(make_plan(checks({"a": []})), models, database).run()
    assert states(result) == {"a": "failed"}
    assert str(result.tasks[0].error) == "its work was cancelled elsewhere"


async def test_a_database_that_cannot_be_written_ends_the_run(
    make_plan: MakePlan,
    models: Models,
    fake: FakeModels,
    database: Database,
    jobs: Jobs,
    tmp_path: Path,
) -> None:
    fake.holds[check("b")] = asyncio.Event()
    recorder = Watcher()
    run = asyncio.create_task(
        Runner(make_plan(checks({"a": [], "b": []})), models, database).run(recorder)
    )
    await recorder.until(TaskStarted, "b")
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("DROP TABLE tasks")
    connection.close()
    with pytest.raises(StateError, match="no such table"):
        await run
    assert fake.cancelled == [check("b")]


async def test_an_observer_that_fails_ends_the_run(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    fake.holds[check("b")] = asyncio.Event()

    def observer(event: Event) -> None:
        if isinstance(event, TaskFinished):
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await Runner(make_plan(checks({"a": [], "b": []})), models, database).run(observer)
    assert fake.cancelled == [check("b")]
    assert jobs.recent()[0].state is State.CANCELLED
