"""What makes a run a job: retries, limits, `always`, resuming, and what other processes ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gswarm_tui import playbook
from gswarm_tui.config import QueueConfig
from gswarm_tui.devices import Device
from gswarm_tui.errors import GswarmError, RemoteError, SourceError, StateError, UnreachableError
from gswarm_tui.jobs import JobResult, Runner, submit
from gswarm_tui.jobs.events import (
    JobStarted,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.models import Models
from gswarm_tui.models.leases import Want
from gswarm_tui.playbook import Plan
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.queue import Claim, Queue
from gswarm_tui.state.records import AttemptRecord
from gswarm_tui.state.states import State

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels

MakePlan = Callable[..., Plan]

AT_ONCE = QueueConfig(retry_backoff_s=0.0, retry_max_backoff_s=0.0)


def asks(name: str, *more: str) -> str:
    """A health check, whose outcome the fake decides by its URL."""
    keys = ", ".join(
        [f'action_id: {name}, action_type: health_check, target_url: "{url(name)}"', *more]
    )
    return f"  - {{{keys}}}\n"


def url(name: str) -> str:
    return f"http://{name}/"


def check(name: str) -> tuple[str, str]:
    return ("health_check", url(name))


def states(result: JobResult) -> dict[str, str]:
    return {task.task.action_id: str(task.state) for task in result.tasks}


class Recorder(list[Any]):
    def __call__(self, event: Any) -> None:
        self.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


class Runs:
    """Runs playbooks of one database."""

    def __init__(self, make_plan: MakePlan, models: Models, database: Database) -> None:
        self.plan, self.models, self.database = make_plan, models, database
        self.events = Recorder()

    def runner(self, text: str, job_id: int | None = None, **options: Any) -> Runner:
        options.setdefault("config", AT_ONCE)
        return Runner(self.plan(text), self.models, self.database, job_id=job_id, **options)

    def attempts(self, job_id: int) -> list[AttemptRecord]:
        return Jobs(self.database).attempts(job_id)

    async def __call__(self, text: str, job_id: int | None = None, **options: Any) -> JobResult:
        return await self.runner(text, job_id, **options).run(self.events)


@pytest.fixture
def run(make_plan: MakePlan, models: Models, database: Database) -> Runs:
    return Runs(make_plan, models, database)


def fails_first(fake: FakeModels, name: str, *errors: Exception) -> list[int]:
    """Let a check fail with each of `errors`, and succeed then; the list counts the calls."""
    calls: list[int] = []
    original = fake.check_health

    async def check_health(target: str, **arguments: Any) -> Any:
        if target == url(name):
            calls.append(len(calls))
            if len(calls) <= len(errors):
                raise errors[len(calls) - 1]
        return await original(target, **arguments)

    fake.check_health = check_health  # type: ignore[method-assign,assignment]
    return calls


LOST = UnreachableError("connection lost", where="node1")


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
    text = "timeout: 0.01\nactions:\n" + asks("a") + asks("b", "dependencies: [a]")
    text += "always:\n" + asks("tidy")
    result = await run(text)
    assert states(result) == {"a": "cancelled", "b": "cancelled", "tidy": "succeeded"}
    assert (result.state, result.exit_code) == (State.FAILED, 5)
    job = jobs.get(result.job_id)
    assert job is not None
    assert "the job took longer than" in str(job.error)


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
    original = fake.check_health

    async def check_health(target: str, **arguments: Any) -> Any:
        return replace(await original(target, **arguments), completion="it is hush-hush")

    fake.check_health = check_health  # type: ignore[method-assign,assignment]
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


async def test_another_process_asks_for_the_end_of_a_task(
    run: Runs, fake: FakeModels, tmp_path: Path
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


COMMAND = "  - {action_id: work, action_type: command, argv: [work], node: node1, RETRY}\n"


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
    await run(COMMAND.replace("RETRY", "retry: 2"))
    jobs.reset(1, retry=True)
    fake.failures.clear()
    assert (await run(COMMAND.replace("RETRY", "retry: 2"), 1)).exit_code == 0
    assert fake.task_cancels == []


async def test_after_a_time_limit_nothing_begins_until_the_older_work_is_ended(
    run: Runs, fake: FakeModels
) -> None:
    fake.holds["command", "node1"] = asyncio.Event()
    fake.unreachable = {"node1"}
    text = COMMAND.replace(
        "RETRY", "timeout: 10ms, retry: {attempts: 3, on: [timeout, unreachable]}"
    )
    result = await run(text)
    assert [attempt.error for attempt in run.attempts(1)] == [
        "it took longer than 0.0 s",
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
    original = fake.check_health

    async def check_health(target: str, **arguments: Any) -> Any:
        return replace(await original(target, **arguments), completion="it is hush-hush")

    fake.check_health = check_health  # type: ignore[method-assign,assignment]
    text = "secrets: {key: {env: THE_KEY}}\nactions:\n" + asks("a")
    text += "  - {action_id: say, action_type: noop, message: 'heard: ${a.completion}'}\n"
    result = await run(text)
    assert states(result) == {"a": "succeeded", "say": "succeeded"}
    assert result.tasks[1].result.message == "heard: it is hush-hush"
    assert [e.task.summary for e in run.events.of(TaskStarted)][1] == "heard: it is ***"
    for row in database.query("SELECT * FROM tasks"):
        assert "hush" not in repr(tuple(row))


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
