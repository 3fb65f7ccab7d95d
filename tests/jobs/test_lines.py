"""A job in lines: of a cron mail, a pipe, a log."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs import JobResult, TaskResult, sentences
from gswarm_tui.jobs.events import (
    Event,
    JobFinished,
    JobStarted,
    Task,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.jobs.lines import Lines
from gswarm_tui.models.results import CommandResult
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State

NO_ACTION = cast(Any, None)
ONE = Task("one", "download", "tiny to node1:disk", ())


def said(*events: Event, is_log: bool = False) -> list[str]:
    written: list[str] = []
    lines = Lines(written.append, clock=lambda: "12:00", is_log=is_log)
    for event in events:
        lines(event)
    return written


def ended(state: State, **more: Any) -> TaskFinished:
    return TaskFinished(TaskResult(ONE, state, 1.0, NO_ACTION, **more))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (JobStarted(7, "demo", None, (ONE,), ()), "job 7: demo, 1 task"),
        (
            JobStarted(7, "d", None, (ONE, ONE), (), done=(ended(State.SUCCEEDED).result,)),
            "job 7: d, 2 tasks, 1 of them ended before",
        ),
        (TaskWaiting(ONE, "waiting for node1:gpu0"), "one: waiting for node1:gpu0"),
        (TaskStarted(ONE), "one: download tiny to node1:disk"),
        (TaskStarted(ONE, 2), "one: attempt 2: download tiny to node1:disk"),
        (
            TaskRetrying(ONE, 1, GswarmError("no answer\nat all", where="n"), 2.5),
            "one: attempt 1 failed: n: no answer; attempt 2 begins in 2.5 s",
        ),
        (ended(State.SKIPPED, because="its `when` is false"), "one: skipped: its `when` is false"),
        (ended(State.CANCELLED), "one: cancelled"),
        (ended(State.FAILED, error=GswarmError("no\x1b room")), "one: failed: no� room"),
        (
            ended(State.FAILED, error=GswarmError("no"), tolerated=True),
            "one: failed (tolerated): no",
        ),
        (
            ended(State.SUCCEEDED, result=CommandResult("node1", 0, "", False, 1.0)),
            "one: succeeded: status 0 on node1 (1.0 s)",
        ),
    ],
)
def test_each_event_is_a_sentence(event: Event, line: str) -> None:
    assert said(event) == [f"12:00  {line}"]


def test_what_waits_no_more_says_nothing() -> None:
    assert said(TaskWaiting(ONE, None)) == []


def test_progress_comes_when_it_is_new_and_a_commands_output_stays_in_its_log() -> None:
    events = [TaskProgress(ONE, Progress("download", done, 9)) for done in range(5)]
    events.append(TaskProgress(ONE, Progress("verify")))
    events.append(TaskProgress(ONE, Progress("running", output="text\n")))
    assert said(*events) == ["12:00  one: download  0 B of 9 B", "12:00  one: verify"]


def test_only_a_log_has_tracebacks_and_the_end() -> None:
    failure = ended(State.FAILED, error=GswarmError("a bug", hint="tell us"), details="Trace\n..")
    end = JobFinished(JobResult(7, "demo", State.FAILED, 2.0, (failure.result,)))
    assert said(failure, end) == ["12:00  one: failed: a bug", "  hint: tell us"]
    assert said(failure, end, is_log=True)[2:] == [
        "Trace\n..",
        "12:00  job 7: 1 task: 1 failed, in 2.0 s",
    ]


def test_a_failure_is_near_until_other_lines_push_it_away() -> None:
    lines = Lines(lambda _: None, clock=lambda: "12:00")
    lines(ended(State.FAILED, error=GswarmError("no room")))
    assert lines.near == {"one"}
    for _ in range(10):
        lines(TaskStarted(ONE))
    assert lines.near == {"one"}
    lines(TaskStarted(ONE))
    assert lines.near == frozenset()


def test_a_failure_of_several_lines_is_told_again_at_the_end() -> None:
    lines = Lines(lambda _: None, clock=lambda: "12:00")
    lines(ended(State.FAILED, error=GswarmError("the engine ended\nits log says: ...")))
    assert lines.near == frozenset()


def test_the_verdict_counts_states() -> None:
    def verdict(state: State, *states: State) -> str:
        tasks = tuple(TaskResult(ONE, each, 1.0, NO_ACTION) for each in states)
        return sentences.verdict(JobResult(1, "d", state, 3.0, tasks))

    done, skipped, failed = State.SUCCEEDED, State.SKIPPED, State.FAILED
    assert verdict(done, done, done) == "2 tasks done in 3.0 s"
    assert verdict(done, done, skipped) == "2 tasks: 1 done, 1 skipped, in 3.0 s"
    assert verdict(failed, failed, done) == "2 tasks: 1 done, 1 failed, in 3.0 s"
