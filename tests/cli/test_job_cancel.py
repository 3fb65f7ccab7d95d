"""`gswarm job cancel`: of a job that is run, of one that nobody runs any more, or not yet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gswarm_tui.cli import job_cancel
from gswarm_tui.cli.context import Settings
from gswarm_tui.cli.history import History
from gswarm_tui.errors import EXIT_CANCELLED
from gswarm_tui.home import Home
from gswarm_tui.state.queue import Queue
from gswarm_tui.state.states import State

from ..models.fake import FakeFleet
from .conftest import Command
from .story import Story


def history(story: Story) -> History:
    home = Home(story.database.path.parent)
    return History(home, story.database, story.jobs, Queue(story.database))


def cancel(story: Story, job_id: int, sleep: Callable[[float], None]) -> int:
    job = story.jobs.get(job_id)
    assert job is not None
    return job_cancel.cancel(history(story), job, Settings(), sleep=sleep)


def test_whoever_runs_the_job_ends_it_and_is_waited_for(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    job = story.waiting()
    waited = 0

    def sleep(_: float) -> None:
        nonlocal waited
        waited += 1
        assert story.jobs.cancel_requests(job)[0]
        if waited == 3:
            for name in ("a", "b[x]"):
                story.jobs.end(job, name, State.CANCELLED)
            story.jobs.finish(job, State.CANCELLED, exit_code=EXIT_CANCELLED)

    assert cancel(story, job, sleep) == 0
    out, err = capsys.readouterr()
    assert out == "job 1: cancelled\n"
    assert err == "asked process 7 on cabin to end job 1; waiting\n"
    assert waited == 3


def test_a_job_that_succeeds_meanwhile_has_succeeded(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    job = story.job("quick", ("a", "noop", "", ()))
    story.elsewhere(job)
    story.runs(job, "a")

    def sleep(_: float) -> None:
        story.jobs.end(job, "a", State.SUCCEEDED, result={})
        story.jobs.finish(job, State.SUCCEEDED, exit_code=0)

    assert cancel(story, job, sleep) == 0
    assert capsys.readouterr().out == "job 1: succeeded\n"


def test_what_has_ended_stays_as_it_is(gswarm: Command, story: Story) -> None:
    story.failed()
    ended = gswarm("job", "cancel", "1")
    assert (ended.code, ended.out) == (0, "job 1 has ended already: failed\n")
    said = gswarm("job", "cancel", "1", "--json").document
    assert said == {"job": 1, "state": "failed", "already": True, "unreachable": {}}


def test_the_nodes_of_a_job_that_nobody_runs_are_asked_from_here(
    gswarm: Command, story: Story, fleet: FakeFleet
) -> None:
    job = story.jobs.get(story.lost())
    assert job is not None
    key = f"{job.key}/one/1"
    fleet["node1"].running = [(key, "command.run"), ("other/one/1", "command.run")]
    fleet["node3"].unreachable = "none of its tasks had begun there"
    ended = gswarm("job", "cancel", "1")
    assert (ended.code, ended.out) == (0, "job 1: cancelled\n")
    assert ended.err == "nobody runs job 1 any more; 1 task under way on nodes ended\n"
    assert fleet["node1"].running == [("other/one/1", "command.run")]
    assert fleet["node2"].calls == []
    now = story.jobs.get(1)
    assert now is not None
    assert (now.state, now.exit_code) == (State.CANCELLED, EXIT_CANCELLED)
    assert {task.state for task in story.jobs.tasks(1)} == {State.CANCELLED}


def test_a_node_that_cannot_be_asked_is_named(
    gswarm: Command, story: Story, fleet: FakeFleet
) -> None:
    story.lost("node3")
    fleet["node3"].unreachable = "no \x1broute"
    ended = gswarm("job", "cancel", "1")
    assert ended.code == 3
    assert "node3 could not be asked, and may go on: no �route" in ended.err
    now = story.jobs.get(1)
    assert now is not None
    assert now.state is State.CANCELLED


def test_a_job_that_nobody_has_begun_is_cancelled_without_asking_nodes(
    gswarm: Command, story: Story, fleet: FakeFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_cancel, "_BEGINS_WITHIN_S", 0.0)
    story.job("later", ("a", "noop", "", ()))
    ended = gswarm("job", "cancel", "1")
    assert (ended.code, ended.out) == (0, "job 1: cancelled\n")
    assert fleet["node1"].calls == []


def test_a_job_that_is_begun_just_then_is_ended_by_who_runs_it(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    job = story.job("later", ("a", "noop", "", ()))
    steps = iter(
        [
            lambda: story.elsewhere(job),
            lambda: story.jobs.abandon(job),
        ]
    )
    assert cancel(story, job, lambda _: next(steps)()) == 0
    assert "asked process 7 on cabin" in capsys.readouterr().err


def test_a_queued_job_is_cancelled_by_its_number_too(gswarm: Command, story: Story) -> None:
    story.lost()
    assert gswarm("queue", "cancel", "1").out == "job 1: cancelled\n"


def test_the_end_of_a_job_as_json(gswarm: Command, story: Story, fleet: FakeFleet) -> None:
    story.lost("node3")
    fleet["node3"].unreachable = "no route"
    ended = gswarm("job", "cancel", "1", "--json")
    assert (ended.code, ended.err) == (3, "")
    said = {"job": 1, "state": "cancelled", "already": False}
    assert ended.document == {**said, "unreachable": {"node3": "no route"}}


def test_a_node_that_is_in_the_inventory_no_more_is_named(
    gswarm: Command, story: Story, fleet: FakeFleet
) -> None:
    story.lost("gone")
    ended = gswarm("job", "cancel", "1")
    assert ended.code == 3
    assert "gone could not be asked, and may go on: " in ended.err
