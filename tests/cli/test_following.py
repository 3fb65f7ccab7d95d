"""A job that another process runs, followed from here by its rows; nothing waits for real."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gswarm_tui.cli import following, job_logs
from gswarm_tui.cli.following import Followed, follow
from gswarm_tui.errors import UsageError
from gswarm_tui.jobs import Event, logs
from gswarm_tui.jobs.events import (
    JobFinished,
    JobStarted,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.progress import Progress
from gswarm_tui.state.database import Database
from gswarm_tui.state.states import State

from .conftest import Command
from .story import PLACED, Story

Steps = Iterable[Callable[[], object]]


def play(steps: Steps) -> Callable[[float], None]:
    """A sleep in which the next step happens."""
    remaining = iter(steps)

    def sleep(_: float) -> None:
        next(remaining)()

    return sleep


def followed(story: Story, job: int, steps: Steps) -> tuple[Followed, list[Event]]:
    events: list[Event] = []
    with Database(story.database.path) as other:  # as the process that watches has it
        ended = follow(other, job, events.append, sleep=play(steps))
    return ended, events


def words(events: list[Event]) -> list[str]:
    return [
        f"{type(event).__name__} {event.task.action_id}"
        if not isinstance(event, JobStarted | JobFinished)
        else type(event).__name__
        for event in events
    ]


def test_a_job_is_followed_from_before_it_begins_to_its_end(story: Story) -> None:
    job = story.job("deploy", ("one", "download", "x", ()), ("two", "noop", "", ("one",)))

    def take_one() -> None:
        story.elsewhere(job)
        story.runs(job, "one")

    def end_one() -> None:
        story.jobs.end(job, "one", State.SUCCEEDED, result=PLACED)

    def end_two() -> None:
        story.runs(job, "two")
        story.jobs.end(job, "two", State.FAILED, error="node1: no answer", error_kind="unreachable")
        story.jobs.finish(job, State.FAILED, exit_code=3)

    steps = [lambda: None, take_one, end_one, lambda: None, end_two]
    ended, events = followed(story, job, steps)
    assert words(events) == [
        "JobStarted",
        "TaskStarted one",
        "TaskFinished one",
        "TaskStarted two",
        "TaskFinished two",
        "JobFinished",
    ]
    begun, finished = events[0], events[2]
    assert isinstance(begun, JobStarted)
    assert begun.notices == (f"job {job} has not begun yet",)
    assert isinstance(finished, TaskFinished)
    assert finished.result.result.devices == ["node1:disk"]
    assert (ended.exit_code, ended.result.exit_code) == (3, 3)


def test_who_comes_later_sees_what_ended_what_runs_and_since_when(story: Story) -> None:
    job = story.waiting()
    third = story.job("other", ("c", "noop", "", ()), ("d", "noop", "", ()))
    story.elsewhere(third)
    story.runs(third, "c")
    story.jobs.end(third, "c", State.SUCCEEDED, result={})
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds")
    story.database.execute("UPDATE jobs SET started_at = ?", (hour_ago,))
    story.database.execute("UPDATE tasks SET started_at = ? WHERE action_id = 'a'", (hour_ago,))

    def finish(number: int) -> Callable[[], None]:
        return lambda: story.jobs.abandon(number)

    _, events = followed(story, job, [finish(job)])
    assert words(events)[:3] == ["JobStarted", "TaskStarted a", "TaskWaiting b[x]"]
    begun, running, waiting = events[:3]
    assert isinstance(begun, JobStarted)
    assert isinstance(running, TaskStarted)
    assert isinstance(waiting, TaskWaiting)
    assert 3600 <= begun.ago_s < 3700
    assert 3600 <= running.ago_s < 3700
    assert waiting.reason == "waiting for node1:gpu0, held by job 1 (serve a)"
    _, events = followed(story, third, [finish(third)])
    begun = events[0]
    assert isinstance(begun, JobStarted)
    assert [result.task.action_id for result in begun.done] == ["c"]
    assert words(events)[1:] == ["TaskFinished d", "JobFinished"]


def test_a_new_attempt_and_its_reason_are_seen(story: Story) -> None:
    job = story.job("deploy", ("one", "noop", "", ()))
    story.elsewhere(job)
    story.runs(job, "one")
    later = datetime.now(UTC) + timedelta(seconds=60)

    def fail() -> None:
        error = "node1: no answer"
        story.jobs.end(job, "one", State.RETRYING, error=error, retry_at=later)

    def again() -> None:
        story.runs(job, "one")

    def wait() -> None:
        story.jobs.waits(job, "one", "waiting for tiny on node1:disk")

    def go_on() -> None:
        story.jobs.waits(job, "one", None)

    _, events = followed(story, job, [fail, again, wait, go_on, lambda: story.jobs.abandon(job)])
    assert words(events)[1:-1] == [
        "TaskStarted one",
        "TaskRetrying one",
        "TaskStarted one",
        "TaskWaiting one",
        "TaskWaiting one",
        "TaskFinished one",
    ]
    retrying = events[2]
    assert isinstance(retrying, TaskRetrying)
    assert (retrying.attempt, str(retrying.error)) == (1, "node1: no answer")
    assert 50 < retrying.delay_s <= 60


def test_a_job_whose_process_dies_is_followed_to_that(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_ALIVE_EVERY_S", 0.0)
    job = story.job("deploy", ("one", "noop", "", ()))
    story.jobs.begin(job)
    story.runs(job, "one")
    ended, events = followed(story, job, [lambda: None, lambda: story.dies(job)])
    assert ended.job.state is State.LOST
    assert ended.exit_code == 1
    assert words(events) == ["JobStarted", "TaskStarted one", "JobFinished"]


def test_a_job_that_is_removed_is_not_followed_any_more(story: Story) -> None:
    job = story.job("deploy", ("one", "noop", "", ()))
    with pytest.raises(UsageError, match="was removed"):
        followed(story, job, [lambda: story.jobs.remove(job)])


@pytest.mark.parametrize(("code", "state"), [(0, State.SUCCEEDED), (5, State.FAILED)])
def test_watching_ends_with_the_code_of_the_job(
    gswarm: Command, story: Story, code: int, state: State
) -> None:
    job = story.job("deploy", ("one", "noop", "", ()))
    story.jobs.begin(job)
    story.runs(job, "one")
    late = "it took longer than 1 s"
    error = {"error": late, "error_kind": "timeout"} if code else {}
    story.jobs.end(job, "one", state, **error)
    story.jobs.finish(job, state, exit_code=code)
    ended = gswarm("job", "show", "1", "--watch")
    assert ended.code == code
    assert ended.out == ""
    assert f"job 1 (deploy): {state}" in ended.err.splitlines()[-1]
    assert ended.err.count(late) == (1 if code else 0)
    as_json = gswarm("job", "show", "1", "--watch", "--json")
    assert as_json.code == code
    begun, finished = map(json.loads, as_json.out.splitlines())
    assert begun["done"][0]["action_id"] == "one"
    assert (finished["event"], finished["exit_code"]) == ("job_finished", code)
    assert finished["models"] is None


def test_a_lost_job_says_how_to_go_on(gswarm: Command, story: Story) -> None:
    story.lost()
    ended = gswarm("job", "show", "1", "-w")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].endswith("gswarm job resume 1")


def test_ctrl_c_leaves_the_job_alone(
    gswarm: Command, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    monkeypatch.setattr(following.follow, "__kwdefaults__", {"sleep": interrupt})
    job = story.waiting()
    ended = gswarm("job", "show", "1", "--watch")
    assert ended.code == 130
    assert "job 1 goes on; to end it: gswarm job cancel 1" in ended.err
    assert story.jobs.cancel_requests(job)[0] is False


# Logs


def test_the_log_of_a_job_and_of_a_task(gswarm: Command, story: Story, tmp_path: Path) -> None:
    story.failed()
    logs = tmp_path / "home" / "logs"
    (logs / "job-1").mkdir(parents=True)
    (logs / "job-1.log").write_text("12:00  all of it\n")
    written = b"\x1b[1mone\x1b[0m\r\n10 %\r20 %\tx \xff\n\xe6\xa8\xa1 no end"
    (logs / "job-1" / "serve.1.log").write_bytes(written)
    assert gswarm("job", "logs", "1").out == "12:00  all of it\n"
    shown = gswarm("job", "logs", "last", "serve")
    assert shown.code == 0
    assert shown.out == "�[1mone�[0m\n10 %\n20 %\tx \ufffd\n模 no end\n"
    assert gswarm("job", "logs", "1", "serve", "--attempt", "1").out == shown.out
    assert gswarm("job", "logs", "1", "-f").out == "12:00  all of it\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["1", "serv"], 2, "job 1 has no task `serv`; did you mean `serve`?"),
        (["1", "serve", "--attempt", "2"], 2, "serve of job 1 has had 1 attempt so far"),
        (["1", "ask"], 1, "ask of job 1 has no log"),
        (["1", "--attempt", "1"], 2, "--attempt is of a task"),
        (["1"], 1, "job 1 has no log"),
    ],
)
def test_a_log_that_is_not_there(
    gswarm: Command, story: Story, arguments: list[str], code: int, said: str
) -> None:
    story.failed()
    ended = gswarm("job", "logs", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err


def test_a_log_is_followed_over_its_attempts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "one.1.log", tmp_path / "one.2.log"
    now, over = [first], [False]

    def write(path: Path, data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data)

    def begin_second() -> None:
        write(first, b"the end\n")
        write(second, b"again\n")
        now[0] = second

    def finish() -> None:
        write(second, b"done")
        over[0] = True

    steps = [
        lambda: write(first, b"one\r"),
        lambda: write(first, b"\n\xe6\xa8"),
        lambda: write(first, b"\xa1\n"),
        begin_second,
        finish,
    ]
    job_logs.follow(lambda: (now[0], now[0].exists()), lambda: over[0], sleep=play(steps))
    assert capsys.readouterr().out == "one\n模\nthe end\nagain\ndone\n"


# Progress


@pytest.mark.parametrize(
    ("written", "progress"),
    [
        ("2026-11-21T04:00:00.000+00:00  attempt 1: download x\n", None),
        (
            "2026-11-21T04:00:00.000+00:00  download  5.0 MB of 10.0 MB\n",
            Progress("download", message="5.0 MB of 10.0 MB"),
        ),
        (
            "2026-11-21T04:00:00.000+00:00  download  1 B\nline 1\nline 2\n\n",
            Progress("running", output="line 2"),
        ),
        ("x" * 10_000 + "\nlast", Progress("running", output="last")),
        ("", None),
        (None, None),
    ],
)
def test_how_far_a_task_is_stands_at_the_end_of_its_log(
    tmp_path: Path, written: str | None, progress: Progress | None
) -> None:
    path = tmp_path / "a.1.log"
    if written is not None:
        path.write_text(written)
    assert logs.last_progress(path) == progress


def test_who_watches_sees_how_far_tasks_are(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_PROGRESS_EVERY_S", 0.0)
    job = story.waiting()
    path = tmp_path / "job-1" / "a.1.log"
    path.parent.mkdir()
    steps = [
        lambda: path.write_text("2026-11-21T04:00:00.000+00:00  load  1 GB\n"),
        lambda: None,
        lambda: story.jobs.abandon(job),
    ]
    events: list[Event] = []
    with Database(story.database.path) as other:
        follow(other, job, events.append, log_folder=tmp_path, sleep=play(steps))
    told = [event for event in events if isinstance(event, TaskProgress)]
    assert [(event.task.action_id, event.progress) for event in told] == [
        ("a", Progress("load", message="1 GB"))
    ]
