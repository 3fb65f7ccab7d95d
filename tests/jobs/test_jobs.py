"""What makes a run a job: retries, limits, `always`, resuming, and that secrets stay secret."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gswarm_tui import playbook
from gswarm_tui.config import QueueConfig
from gswarm_tui.devices import Device
from gswarm_tui.errors import GswarmError, SourceError
from gswarm_tui.jobs.events import (
    JobStarted,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
)
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.states import State

from .runs import LOST, Runs, asks, check, fails_first, states

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels


def answers(fake: FakeModels, completion: str) -> None:
    """Have every health check say this."""
    original = fake.check_health

    async def check_health(target: str, **arguments: Any) -> Any:
        return replace(await original(target, **arguments), completion=completion)

    fake.check_health = check_health  # type: ignore[method-assign,assignment]


async def test_what_can_pass_is_tried_again_and_each_attempt_is_known(
    run: Runs, fake: FakeModels, jobs: Jobs
) -> None:
    fails_first(fake, "a", LOST, LOST)
    result = await run(asks("a"))
    assert states(result) == {"a": "succeeded"}
    assert result.tasks[0].attempt == 3
    assert [a.state for a in jobs.attempts(result.job_id)] == ["failed", "failed", "succeeded"]
    assert [(e.attempt, e.error.kind) for e in run.events.of(TaskRetrying)] == [
        (1, "unreachable"),
        (2, "unreachable"),
    ]
    assert [e.attempt for e in run.events.of(TaskStarted)] == [1, 2, 3]


async def test_what_cannot_pass_is_not_tried_again(run: Runs, fake: FakeModels) -> None:
    calls = fails_first(fake, "a", SourceError("no such model (404)"))
    result = await run(asks("a"))
    assert (states(result), len(calls)) == ({"a": "failed"}, 1)


async def test_an_action_says_how_often_and_after_what(run: Runs, fake: FakeModels) -> None:
    calls = fails_first(fake, "a", *[SourceError("no")] * 5)
    result = await run(asks("a", "retry: {attempts: 3, backoff: 0.001, on: [source]}"))
    assert (states(result), len(calls)) == ({"a": "failed"}, 3)
    calls = fails_first(fake, "b", LOST)
    result = await run(asks("b", "retry: 1"))
    assert (states(result), len(calls), result.exit_code) == ({"b": "failed"}, 1, 3)


async def test_while_it_waits_for_its_next_attempt_others_have_the_slot(
    run: Runs, fake: FakeModels
) -> None:
    fails_first(fake, "a", LOST)
    text = asks("a", "retry: {attempts: 2, backoff: 0.01}") + asks("b")
    result = await run(text, config=QueueConfig(max_concurrent_tasks=1))
    assert states(result) == {"a": "succeeded", "b": "succeeded"}
    began = [(e.task.action_id, e.attempt) for e in run.events.of(TaskStarted)]
    assert began == [("a", 1), ("b", 1), ("a", 2)]


async def test_an_action_that_takes_too_long_is_ended(run: Runs, fake: FakeModels) -> None:
    fake.holds["copy", "m"] = asyncio.Event()
    text = """
  - {action_id: a, action_type: copy, model_name: m, devices: ["node1:disk", "node2:disk"],
     timeout: 0.01}
"""
    result = await run(text)
    assert states(result) == {"a": "failed"}
    assert result.exit_code == 5
    assert "it took longer than" in str(result.tasks[0].error)
    assert fake.cancelled == [("copy", "m")]


async def test_a_job_that_takes_too_long_is_ended_and_says_so(
    run: Runs, fake: FakeModels, jobs: Jobs
) -> None:
    fake.holds[check("a")] = asyncio.Event()
    text = "timeout: 3s\nactions:\n" + asks("a") + asks("b", "dependencies: [a]")
    text += "always:\n" + asks("tidy")
    result = await run(text, spent_s=2.99)
    assert states(result) == {"a": "cancelled", "b": "cancelled", "tidy": "succeeded"}
    assert (result.state, result.exit_code) == (State.FAILED, 5)
    job = jobs.get(result.job_id)
    assert job is not None
    assert job.error == "the job took longer than 3 s, of which 3.0 s before it began"
    assert result.error is not None
    assert "gswarm job resume 1 --timeout TIME" in str(result.error.hint)


async def test_always_steps_run_after_a_failure_a_success_and_a_cancel(
    run: Runs, fake: FakeModels
) -> None:
    text = "actions:\n" + asks("a") + asks("b", "dependencies: [a]")
    text += "always:\n" + asks("one") + asks("two", "dependencies: [one]")
    result = await run(text)
    assert set(states(result).values()) == {"succeeded"}
    assert fake.order[-2:] == [("began", check("two")), ("ended", check("two"))]
    fake.failures[check("a")] = GswarmError("no")
    result = await run(text)
    expected = {"a": "failed", "b": "skipped", "one": "succeeded", "two": "succeeded"}
    assert (states(result), result.exit_code) == (expected, 1)
    del fake.failures[check("a")]
    fake.holds[check("a")] = asyncio.Event()
    runner = run.runner(text)
    task = asyncio.create_task(runner.run(run.events))
    while check("a") not in fake.calls[-1:]:
        await asyncio.sleep(0)
    runner.cancel()
    result = await task
    assert states(result) == expected | {"a": "cancelled", "b": "cancelled"}
    assert result.exit_code == 130


async def test_on_failure_stop_lets_nothing_else_begin(run: Runs, fake: FakeModels) -> None:
    fake.failures[check("a")] = GswarmError("no")
    text = asks("a", "on_failure: stop") + asks("b") + asks("c", "dependencies: [b]")
    result = await run(text, config=QueueConfig(max_concurrent_tasks=1))
    assert states(result) == {"a": "failed", "b": "skipped", "c": "skipped"}
    assert result.tasks[1].because == "the job stopped when a failed"
    result = await run("on_failure: stop\nactions:\n" + asks("a") + asks("b", "dependencies: [a]"))
    assert states(result) == {"a": "failed", "b": "skipped"}


async def test_what_ran_when_the_job_stopped_goes_on_when_it_is_resumed(
    run: Runs, fake: FakeModels, jobs: Jobs
) -> None:
    fake.failures[check("a")] = GswarmError("no")
    fake.holds[check("b")] = asyncio.Event()
    text = "on_failure: stop\nactions:\n" + asks("a") + asks("b") + asks("c", "dependencies: [b]")
    runner = run.runner(text)
    task = asyncio.create_task(runner.run())
    while State.FAILED not in {each.state for each in jobs.tasks(1)}:
        await asyncio.sleep(0)
    runner.cancel()
    assert states(await task) == {"a": "failed", "b": "cancelled", "c": "skipped"}
    fake.holds.clear()
    jobs.reset(1)
    assert states(await run(text, 1)) == {"a": "failed", "b": "succeeded", "c": "skipped"}


async def test_on_failure_continue_lets_those_run_that_need_it(run: Runs, fake: FakeModels) -> None:
    fake.failures[check("a")] = GswarmError("no")
    text = asks("a", "on_failure: continue") + asks("b", "dependencies: [a]")
    result = await run(
        text + asks("c", 'prompt: "${a.url}"') + asks("d", 'prompt: "got ${a.status}"')
    )
    assert states(result)["b"] == "succeeded"
    assert states(result)["d"] == "skipped", "what it would be told is not there"
    assert (result.state, result.exit_code) == (State.SUCCEEDED, 0)


async def test_what_is_not_needed_is_skipped_and_the_rest_goes_on(run: Runs) -> None:
    text = asks("a", 'when: "${vars.on} == yes"') + asks("b", "dependencies: [a]")
    text = 'vars: {on: "no"}\nactions:\n' + text + asks("c", 'when: "${b.ok}"')
    result = await run(text)
    assert states(result) == {"a": "skipped", "b": "succeeded", "c": "succeeded"}
    assert result.tasks[0].because == "its `when` is false"
    assert result.exit_code == 0


async def test_a_resumed_job_does_only_what_is_left_with_the_values_from_before(
    run: Runs, fake: FakeModels, jobs: Jobs, database: Database
) -> None:
    text = """
  - {action_id: s, action_type: serve, model_name: m, device: "node1:gpu0", engine: mlx}
  - {action_id: ask, action_type: health_check, target_url: "${s.url}"}
  - {action_id: after, action_type: health_check, target_url: "http://after/", dependencies: [ask]}
"""
    fake.holds["health_check", "http://node1:40001"] = asyncio.Event()
    first = asyncio.create_task(run(text))
    while not fake.calls or fake.calls[-1][0] != "health_check":
        await asyncio.sleep(0)
    # The process is gone: nothing of it is written any more.
    database.execute("UPDATE jobs SET process_started = 0")
    assert [job.id for job in jobs.mark_lost()] == [1]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    fake.holds.clear()
    served = [call for call in fake.calls if call[0] == "serve"]

    document = playbook.Origin.from_json(jobs.document(1))
    assert playbook.reload(document).actions
    jobs.reset(1)
    run.events.clear()
    result = await run(text, 1)
    assert set(states(result).values()) == {"succeeded"}
    assert [call for call in fake.calls if call[0] == "serve"] == served
    assert [task.task.action_id for task in run.events.of(JobStarted)[0].done] == ["s"]
    assert result.tasks[0].result.port == 40001
    assert [e.task.action_id for e in run.events.of(TaskStarted)] == ["ask", "after"]


async def test_a_failure_whose_consequences_were_not_written_has_them_after_a_resume(
    run: Runs, fake: FakeModels, jobs: Jobs, database: Database
) -> None:
    text = asks("a") + asks("b", "dependencies: [a]") + asks("c", "dependencies: [b]")
    fake.failures[check("a")] = GswarmError("no")
    await run(text)
    database.execute("UPDATE tasks SET state = 'pending' WHERE action_id = 'c'")
    jobs.reset(1)
    result = await run(text, 1)
    assert states(result) == {"a": "failed", "b": "skipped", "c": "skipped"}
    assert len(fake.calls) == 1


async def test_a_retry_tidies_up_again(run: Runs, fake: FakeModels, jobs: Jobs) -> None:
    text = "actions:\n" + asks("a") + "always:\n" + asks("tidy")
    fake.failures[check("a")] = GswarmError("no")
    await run(text)
    jobs.reset(1, retry=True)
    result = await run(text, 1)
    assert [task.attempt for task in result.tasks] == [2, 2]
    # Where nothing else is left to do, what was tidied up stays so.
    jobs.reset(1)
    result = await run(text, 1)
    assert [task.attempt for task in result.tasks] == [2, 2]


async def test_a_run_that_was_lost_while_it_tidied_up_tidies_up_anew_after_more_work(
    run: Runs, fake: FakeModels, jobs: Jobs, database: Database
) -> None:
    text = "actions:\n" + asks("a") + "always:\n" + asks("tidy")
    fake.holds[check("a")] = fake.holds[check("tidy")] = asyncio.Event()
    runner = run.runner(text)
    first = asyncio.create_task(runner.run())
    while check("a") not in fake.calls:
        await asyncio.sleep(0)
    runner.cancel()
    while check("tidy") not in fake.calls:
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    # As it is where the process is killed, and has no time to write anything.
    database.execute("UPDATE jobs SET state = 'lost'")
    database.execute("UPDATE tasks SET state = 'lost', resumes = 1 WHERE action_id = 'tidy'")

    fake.holds.clear()
    jobs.reset(1)
    result = await run(text, 1)
    assert states(result) == {"a": "succeeded", "tidy": "succeeded"}
    works = database.query("SELECT work FROM tasks WHERE action_id = 'tidy'")
    assert [row["work"] for row in works] == [2], "what a node did for the first one does not count"


async def test_what_was_hidden_when_it_was_written_down_is_not_used_as_if_it_were_whole(
    run: Runs, fake: FakeModels, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "hush-hush")
    answers(fake, "it is hush-hush")
    text = "secrets: {key: {env: THE_KEY}}\nactions:\n" + asks("a")
    text += "  - {action_id: say, action_type: noop, message: 'heard: ${a.completion}'}\n"
    await run(text)
    jobs.reset(1, from_task="say")
    result = await run(text, 1)
    assert states(result) == {"a": "succeeded", "say": "failed"}
    assert "had a secret in it, which is not kept" in str(result.tasks[1].error)
    jobs.reset(1, from_task="a")
    result = await run(text, 1)
    assert result.tasks[1].result.message == "heard: it is hush-hush"


async def test_what_a_task_does_is_written_when_it_is_known(run: Runs, jobs: Jobs) -> None:
    result = await run(asks("a") + asks("b").replace("http://b/", "http://b/${a.status}"))
    assert jobs.tasks(result.job_id)[1].summary == "http://b/200"


async def test_those_that_fail_together_do_not_trip_over_each_other(
    run: Runs, fake: FakeModels
) -> None:
    fake.failures = {check(name): GswarmError("no") for name in "ab"}
    result = await run("on_failure: stop\nactions:\n" + asks("a") + asks("b"))
    assert states(result) == {"a": "failed", "b": "failed"}


async def test_a_failure_ends_those_that_were_about_to_enter_the_queue_with_it(
    run: Runs, fake: FakeModels
) -> None:
    text = asks("a", "prompt: hello") + asks("first", "dependencies: [a]")
    text += '  - {action_id: bad, action_type: health_check, target_url: "${a.completion}"}\n'
    result = await run("on_failure: stop\nactions:\n" + text)
    assert states(result) == {"a": "succeeded", "first": "skipped", "bad": "failed"}


async def test_secrets_are_nowhere_to_be_seen(
    run: Runs, fake: FakeModels, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "hush-hush")

    async def check_health(target: str, *, progress: Any = None, **_: Any) -> Any:
        raise GswarmError("refused hush-hush", where="at hush-hush", hint="not hush-hush")

    async def download(name: str, source: str, devices: list[Device], **options: Any) -> Any:
        options["progress"](Progress("run", output="one hush-"))
        options["progress"](Progress("run", output="hush two\nthree"))
        raise GswarmError("over", where="hush-hush")

    fake.check_health = check_health  # type: ignore[method-assign,assignment]
    fake.download = download  # type: ignore[method-assign,assignment]
    text = "secrets: {key: {env: THE_KEY}}\nactions:\n" + asks("a")
    text += "  - {action_id: f, action_type: download, model_name: m, "
    text += 'source: "hf://a/b", device: "node1:disk"}\n'
    result = await run(text)
    outputs = [e.progress.output for e in run.events.of(TaskProgress) if e.progress.output]
    assert outputs == ["one *** two\n", "three"]
    assert str(result.tasks[0].error) == "at ***: refused ***"
    assert result.tasks[0].error is not None
    assert result.tasks[0].error.hint == "not ***"
    assert "hush" not in repr(run.events)
    for table in ("jobs", "tasks", "attempts"):
        for row in database.query(f"SELECT * FROM {table}"):
            assert "hush" not in repr(tuple(row))
    assert len(run.events.of(TaskFinished)) == 2


async def test_a_secret_in_what_an_action_returned_is_hidden_where_it_is_used(
    run: Runs, fake: FakeModels, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "hush-hush")
    answers(fake, "it is hush-hush")
    text = "secrets: {key: {env: THE_KEY}}\nactions:\n" + asks("a")
    text += "  - {action_id: say, action_type: noop, message: 'heard: ${a.completion}'}\n"
    result = await run(text)
    assert states(result) == {"a": "succeeded", "say": "succeeded"}
    assert result.tasks[1].result.message == "heard: it is hush-hush"
    assert [e.task.summary for e in run.events.of(TaskStarted)][1] == "heard: it is ***"
    for row in database.query("SELECT * FROM tasks"):
        assert "hush" not in repr(tuple(row))
