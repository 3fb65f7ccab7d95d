"""Leases and work on nodes in the name of attempts: taken, lost, ended before new work begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gswarm_tui.errors import RemoteError
from gswarm_tui.jobs.events import (
    TaskWaiting,
)
from gswarm_tui.models.leases import Want
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.states import State

from .runs import COMMAND, LOST, Runs

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels


async def test_leases_are_taken_in_the_name_of_the_attempt_and_dropped_after_it(
    run: Runs, fake: FakeModels, jobs: Jobs
) -> None:
    fake.leased_elsewhere = ["waiting for node1:gpu0, held by job 9 of ana@box (serve x)"]
    text = """
  - {action_id: load, action_type: move, model_name: m, devices: ["node1:disk", "node1:gpu0"]}
"""
    result = await run(text)
    job = jobs.get(result.job_id)
    assert job is not None
    wants = {"node1": [Want(model="m", tier="disk", shared=True), Want(device="gpu0")]}
    key = f"{job.key}/load/1"
    assert fake.leases == [("take", key, wants), ("drop", key, ["node1"])]
    assert (fake.who[0].job, fake.who[0].does) == (1, "move load")
    reasons = [event.reason for event in run.events.of(TaskWaiting)]
    assert reasons == [*fake.leased_elsewhere, None]


async def test_what_a_retry_begins_anew_is_ended_on_its_nodes_first(
    run: Runs, fake: FakeModels, jobs: Jobs
) -> None:
    text = COMMAND.replace("RETRY", "retry: 1")
    fake.failures["command", "node1"] = LOST
    await run(text)
    assert fake.task_cancels == []
    jobs.reset(1, from_task="work")
    fake.failures.clear()
    assert (await run(text, 1)).exit_code == 0
    job = jobs.get(1)
    assert job is not None
    assert fake.task_cancels == [("node1", f"{job.key}/work/")]
    # It has succeeded: there is nothing left that could go on.
    jobs.reset(1, from_task="work")
    assert (await run(text, 1)).exit_code == 0
    assert len(fake.task_cancels) == 1


async def test_what_is_resumed_is_not_ended(run: Runs, fake: FakeModels, jobs: Jobs) -> None:
    fake.failures["command", "node1"] = LOST
    text = COMMAND.replace("RETRY", "retry: {attempts: 2, backoff: 0.001}")
    await run(text)
    jobs.reset(1, retry=True)
    fake.failures.clear()
    assert (await run(text, 1)).exit_code == 0
    assert fake.task_cancels == []


async def test_after_a_time_limit_nothing_begins_until_the_older_work_is_ended(
    run: Runs, fake: FakeModels
) -> None:
    fake.holds["command", "node1"] = asyncio.Event()
    fake.unreachable = {"node1"}
    text = COMMAND.replace(
        "RETRY", "timeout: 10ms, retry: {attempts: 3, backoff: 0.001, on: [timeout, unreachable]}"
    )
    result = await run(text)
    assert [attempt.error for attempt in run.attempts(1)] == [
        "it took longer than 0.01 s",
        "node1: no route",
        "node1: no route",
    ]
    assert result.exit_code != 0
    assert len(fake.calls) == 1


async def test_an_attempt_ends_when_somebody_else_has_its_lease(
    run: Runs, fake: FakeModels
) -> None:
    text = """
  - {action_id: load, action_type: move, model_name: m, devices: ["node1:disk", "node1:gpu0"]}
"""
    fake.holds["move", "m"] = asyncio.Event()
    task = asyncio.create_task(run(text))
    while not fake.calls:
        await asyncio.sleep(0)
    sentence = "its lease on node1:gpu0 was taken by job 3 of eve@lab (serve x) meanwhile"
    fake.lose(sentence)
    fake.lose("and another one")
    (ended,) = (await task).tasks
    assert ended.error is not None
    assert (str(ended.error), ended.error.kind) == (sentence, "in_use")
    assert fake.cancelled == [("move", "m")]


async def test_a_cancel_counts_more_than_a_lost_lease(run: Runs, fake: FakeModels) -> None:
    text = """
  - {action_id: load, action_type: move, model_name: m, devices: ["node1:disk", "node1:gpu0"]}
"""
    fake.holds["move", "m"] = asyncio.Event()
    runner = run.runner(text)
    task = asyncio.create_task(runner.run())
    while not fake.calls:
        await asyncio.sleep(0)
    runner.cancel()
    await asyncio.sleep(0)
    fake.lose("somebody else has it")
    assert (await task).state is State.CANCELLED


async def test_where_a_command_left_its_output_is_said_for_here_too(
    run: Runs, fake: FakeModels, jobs: Jobs
) -> None:
    fake.failures["command", "node1"] = RemoteError(
        "make ended with status 2", kind="failed", hint="all that it wrote is in /x/output there"
    )
    result = await run(COMMAND.replace("RETRY", "retry: 1"))
    error = result.tasks[0].error
    assert error is not None
    said = "all that it wrote is in /x/output there; here: gswarm job logs 1 work"
    assert error.hint == said
    assert jobs.tasks(1)[0].hint == said
