from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gswarm_tui.config import QueueConfig
from gswarm_tui.errors import GswarmError, PlaybookError, UnreachableError
from gswarm_tui.jobs import Event, JobResult, Runner
from gswarm_tui.jobs.events import (
    JobFinished,
    JobStarted,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.states import State

from .runs import Watcher, check, checks, states

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels

MakePlan = Callable[..., Plan]

DEPLOY = """
name: deploy
actions:
  - {action_id: fetch, action_type: download, model_name: m, source: "hf://a/b",
     device: "node1:disk", include: "*.json"}
  - {action_id: copy, action_type: copy, model_name: m, devices: ["node1:disk", "node2:disk"],
     dependencies: [fetch]}
  - {action_id: load, action_type: move, model_name: m, devices: ["node1:disk", "node1:gpu0"],
     dependencies: [fetch]}
  - {action_id: serve, action_type: serve, model_name: m, device: "node1:gpu0", engine: mlx,
     config: {depth: 3}, dependencies: [load]}
  - {action_id: ask, action_type: health_check, target_url: "${serve.url}", prompt: "Two"}
"""


async def test_everything_is_done_with_the_values_of_what_came_before(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    recorder = Watcher()
    result = await Runner(make_plan(DEPLOY), models, database).run(recorder)
    assert result.state is State.SUCCEEDED
    assert result.exit_code == 0
    serve = next(task.result for task in result.tasks if task.task.action_id == "serve")
    assert ("health_check", serve.url) in fake.calls
    assert fake.arguments["serve", "m"]["config"] == {"depth": 3}
    assert fake.arguments["download", "m"]["include"] == ("*.json",)
    assert result.tasks[-1].result.completion == "Two and more"


async def test_the_database_has_said_it_before_an_observer_does(
    make_plan: MakePlan, models: Models, database: Database, jobs: Jobs
) -> None:
    seen: list[tuple[str, str, str]] = []

    def observer(event: Event) -> None:
        if isinstance(event, TaskStarted | TaskFinished):
            name = event.task.action_id
            stored = {task.action_id: str(task.state) for task in jobs.tasks(1)}
            seen.append((type(event).__name__, name, stored[name]))

    await Runner(make_plan(DEPLOY), models, database).run(observer)
    expected = {("TaskStarted", "running"), ("TaskFinished", "succeeded")}
    assert {(kind, stored) for kind, _, stored in seen} == expected
    assert len(seen) == 10
    (job,) = jobs.recent()
    assert (job.name, job.state) == ("deploy", State.SUCCEEDED)
    fetched = jobs.tasks(job.id)[0]
    assert fetched.result is not None
    assert fetched.result["devices"] == ["node1:disk"]


async def test_a_gpu_that_is_not_there_ends_it_before_anything_is_done(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    fake.no_gpus["node1:gpu0"] = "node1 has no gpu0 (it has none)"
    with pytest.raises(PlaybookError) as caught:
        await Runner(make_plan(DEPLOY), models, database).run()
    assert str(caught.value).splitlines() == [
        "p.yaml:8:5: node1 has no gpu0 (it has none)",
        "p.yaml:10:5: node1 has no gpu0 (it has none)",
    ]
    assert caught.value.exit_code == 2
    assert fake.asked_for_gpus == ["node1:gpu0", "node1:gpu0"]
    assert fake.calls == []
    assert jobs.recent() == []


async def test_a_run_can_be_cancelled_while_nodes_are_asked_for_gpus(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    asked = asyncio.Event()

    async def missing_gpus(devices: object) -> Any:
        asked.set()
        await asyncio.Event().wait()

    fake.missing_gpus = missing_gpus  # type: ignore[method-assign,assignment]
    runner = Runner(make_plan(DEPLOY), models, database)
    run = asyncio.create_task(runner.run())
    await asked.wait()
    runner.cancel()
    result = await run
    assert (result.state, result.exit_code) == (State.CANCELLED, 130)
    assert fake.calls == []


async def test_branches_run_side_by_side(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    """`copy` is held; `load`, which does not need it, and all after it go on to the end."""
    fake.holds["copy", "m"] = asyncio.Event()
    recorder = Watcher()
    run = asyncio.create_task(Runner(make_plan(DEPLOY), models, database).run(recorder))
    await recorder.until(TaskFinished, "ask")
    assert not run.done()
    fake.holds["copy", "m"].set()
    assert (await run).state is State.SUCCEEDED


async def test_no_more_tasks_run_at_once_than_allowed(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    plan = make_plan(checks({f"c{n}": [] for n in range(20)}))
    await Runner(plan, models, database, config=QueueConfig(max_concurrent_tasks=3)).run()
    assert fake.most_at_once == 3
    assert len(fake.calls) == 20


async def test_a_failure_skips_what_needs_it_and_nothing_else(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    fake.failures["move", "m"] = GswarmError("no room", where="node1:gpu0", hint="free some")
    recorder = Watcher()
    result = await Runner(make_plan(DEPLOY), models, database).run(recorder)
    assert states(result) == {
        "fetch": "succeeded",
        "copy": "succeeded",
        "load": "failed",
        "serve": "skipped",
        "ask": "skipped",
    }
    assert (result.state, result.exit_code) == (State.FAILED, 1)
    because = {task.task.action_id: task.because for task in result.tasks}
    assert because["serve"] == "needs load, which failed"
    assert because["ask"] == "needs serve, which was skipped"
    stored = {task.action_id: task.error for task in jobs.tasks(result.job_id)}
    assert stored["load"] == "node1:gpu0: no room"
    assert stored["ask"] == "needs serve, which was skipped"
    assert len(recorder.of(TaskFinished)) == 5
    assert recorder.of(JobFinished)[0].result == result


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ({"a": GswarmError("x")}, 1),
        ({"a": UnreachableError("x", where="node1")}, 3),
        ({"a": GswarmError("x"), "b": UnreachableError("x", where="node1")}, 3),
    ],
)
async def test_an_unreachable_node_outranks_other_failures(
    make_plan: MakePlan,
    models: Models,
    fake: FakeModels,
    database: Database,
    jobs: Jobs,
    failures: dict[str, GswarmError],
    code: int,
) -> None:
    fake.failures = {check(name): error for name, error in failures.items()}
    plan = make_plan(checks({"a": [], "b": [], "c": []}))
    config = QueueConfig(retry_count=0)
    assert (await Runner(plan, models, database, config=config).run()).exit_code == code


async def test_a_bug_in_one_action_fails_that_one(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    fake.failures[check("a")] = ZeroDivisionError("oops")
    result = await Runner(make_plan(checks({"a": [], "b": []})), models, database).run()
    assert states(result) == {"a": "failed", "b": "succeeded"}
    assert str(result.tasks[0].error) == "unexpected ZeroDivisionError: oops"
    assert "Traceback" in str(result.tasks[0].details)


async def test_a_value_that_does_not_fit_fails_the_task(
    make_plan: MakePlan, models: Models, database: Database, jobs: Jobs
) -> None:
    plan = make_plan(DEPLOY.replace("${serve.url}", "${serve.endpoint}"))
    result = await Runner(plan, models, database).run()
    assert states(result)["ask"] == "failed"
    assert "target_url: expected text, found nothing" in str(result.tasks[-1].error)
    assert result.exit_code == 1


async def test_progress_reaches_the_observer_from_any_thread(
    make_plan: MakePlan, models: Models, fake: FakeModels, database: Database, jobs: Jobs
) -> None:
    here = threading.get_ident()
    callbacks: list[Any] = []

    async def verify(name: str, source: object, devices: object, **options: Any) -> None:
        callbacks.append(options["progress"])
        options["progress"](Progress("download", 1, 2))
        await asyncio.to_thread(options["progress"], Progress("verify", 2, 2))
        await asyncio.sleep(0)
        raise GswarmError("enough")

    fake.download = verify  # type: ignore[method-assign,assignment]
    recorder = Watcher()
    threads: list[int] = []

    def observer(event: Event) -> None:
        threads.append(threading.get_ident())
        recorder(event)

    await Runner(make_plan(DEPLOY), models, database).run(observer)
    phases = [event.progress.phase for event in recorder.of(TaskProgress)]
    assert phases == ["download", "verify"]
    assert set(threads) == {here}
    callbacks[0](Progress("late"))
    assert len(recorder.of(TaskProgress)) == 2


async def test_earlier_runs_of_the_playbook_are_noticed(
    make_plan: MakePlan, models: Models, database: Database, jobs: Jobs, tmp_path: Path
) -> None:
    lost = jobs.create(NewJob("deploy", "p.yaml", {}, [NewTask("a", "copy", "", ())]))
    jobs.begin(lost)
    database.execute("UPDATE jobs SET process_started = 0")
    recorder = Watcher()
    await Runner(make_plan(DEPLOY), models, database).run(recorder)
    (started,) = recorder.of(JobStarted)
    assert started.notices == (
        "job 1 of this playbook was lost: the process that ran it is gone"
        " (gswarm job resume 1 goes on with it)",
    )
    stored = jobs.get(lost)
    assert stored is not None
    assert stored.state is State.LOST


async def test_a_lost_run_is_told_of_once_when_its_playbook_runs_again(
    make_plan: MakePlan, models: Models, database: Database, jobs: Jobs, tmp_path: Path
) -> None:
    """Also where a run of another playbook was the one that marked it."""
    jobs.begin(jobs.create(NewJob("deploy", "p.yaml", {}, [])))
    database.execute("UPDATE jobs SET process_started = 0")
    told = []
    for text in (checks({"a": []}), DEPLOY, DEPLOY):
        recorder = Watcher()
        await Runner(make_plan(text), models, database).run(recorder)
        (started,) = recorder.of(JobStarted)
        told.append(len(started.notices))
    assert told == [0, 1, 0]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, list[str]], set[str]]:
    """Up to 12 actions in any order, each needing some of those before it; some fail."""
    count = draw(st.integers(1, 12))
    names = [f"n{index}" for index in range(count)]
    needs = {
        name: draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        for index, name in enumerate(names)
    }
    shuffled = draw(st.permutations(names))
    failing = draw(st.sets(st.sampled_from(names)))
    return {name: needs[name] for name in shuffled}, failing


@settings(deadline=None, max_examples=60)
@given(graph=graphs(), parallel=st.integers(1, 4))
def test_any_graph_is_run_in_its_order_and_ends(
    graph: tuple[dict[str, list[str]], set[str]],
    parallel: int,
    graph_run: Callable[[str, set[tuple[str, str]], int], tuple[JobResult, FakeModels]],
) -> None:
    needs, failing = graph
    result, fake = graph_run(checks(needs), {check(name) for name in failing}, parallel)
    ended = states(result)
    assert set(ended) == set(needs)
    for name, needed in needs.items():
        if all(ended[other] == "succeeded" for other in needed):
            assert ended[name] == ("failed" if name in failing else "succeeded")
        else:
            assert ended[name] == "skipped"
            assert check(name) not in fake.calls
    assert len(fake.calls) == len(set(fake.calls))
    for name, needed in needs.items():
        if check(name) in fake.calls:
            begun = fake.order.index(("began", check(name)))
            for other in needed:
                assert fake.order.index(("ended", check(other))) < begun
    assert result.state is (
        State.FAILED if set(ended.values()) != {"succeeded"} else State.SUCCEEDED
    )
