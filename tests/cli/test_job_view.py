"""The views of a job, where there is no terminal: lines, JSON, nothing; and the files beside."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from gswarm_tui.cli import job_report
from gswarm_tui.cli.job_view import open_view
from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.jobs import JobResult, TaskResult
from gswarm_tui.jobs.events import Task, TaskFinished, TaskProgress
from gswarm_tui.jobs.failures import NOT_NEEDED
from gswarm_tui.models.results import CommandResult
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State

from .views import EVENTS, NO_ACTION, TASK

DATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d  ")


def test_without_a_terminal_each_line_has_its_date_and_no_colour(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_view(as_json=False, logs=None) as view:
        for event in EVENTS:
            view(event)
        assert view.near == {"make"}
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [DATED.sub("", line) for line in lines] == [
        "job 7: demo, 1 task",
        "make: waiting for node1:gpu0",
        "make: command make �[2J on node1",
        "make: attempt 1 failed: n: no; attempt 2 begins in 2.0 s",
        "make: attempt 2: command make �[2J on node1",
        "make: failed: n: no",
        "  hint: h",
    ]
    assert all(DATED.match(line) for line in lines[:-1])


def test_quiet_shows_nothing_and_leaves_what_failed_to_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_view(as_json=False, logs=None, quiet=True) as view:
        for event in EVENTS:
            view(event)
        view.cancelling()
        view.leave()
        assert view.near == frozenset()
    assert capsys.readouterr() == ("", "")


def test_a_log_file_gets_what_the_jobs_log_gets(tmp_path: Path) -> None:
    logs, file = tmp_path / "logs", tmp_path / "mine.log"
    logs.mkdir()
    file.write_text("before\n")
    for number in (1, 2):
        with open_view(as_json=False, quiet=True, logs=logs, log_file=file) as view:
            for event in EVENTS:
                view(event)
        written = [DATED.sub("", line) for line in file.read_text().splitlines()]
        assert written.count("job 7: 1 task: 1 failed, in 3.0 s") == number
    log = [DATED.sub("", line) for line in (logs / "job-7.log").read_text().splitlines()]
    assert written == ["before", *log]
    assert "some text" in (logs / "job-7" / "make.1.log").read_text()
    assert stat.S_IMODE((logs / "job-7.log").stat().st_mode) == 0o600


def test_a_log_file_that_cannot_be_written_is_said_before_anything_runs(tmp_path: Path) -> None:
    view = open_view(as_json=False, logs=None, log_file=tmp_path / "none" / "x.log")
    with pytest.raises(UsageError, match="cannot be written: No such file"), view:
        raise AssertionError("it was opened")


def test_all_that_a_command_writes_is_in_the_events(capsys: pytest.CaptureFixture[str]) -> None:
    with open_view(as_json=True, logs=None) as view:
        for number in range(3):
            view(TaskProgress(TASK, Progress("running", output=f"{number}\n")))
            view(TaskProgress(TASK, Progress("download", done=number)))
        done = CommandResult("node1", 0, "all", False, 1.0)
        view(TaskFinished(TaskResult(TASK, State.SUCCEEDED, 1.0, NO_ACTION, result=done)))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["output"] for event in events[:-1] if event["output"]] == ["0\n", "1\n", "2\n"]
    assert [event["done"] for event in events[:-1] if event["phase"] == "download"] == [0]
    assert events[-1]["result"]["output"] == "all"
    assert all(re.search(r"\.\d{3}\+00:00$", event["time"]) for event in events)


# What is said at the end


def ended(name: str, state: State, **more: object) -> TaskResult:
    return TaskResult(Task(name, "noop", "", ()), state, 1.0, NO_ACTION, **more)  # type: ignore[arg-type]


TASKS = (
    ended("a", State.FAILED, error=GswarmError("no room", where="node1", hint="free some")),
    ended("b", State.FAILED, error=GswarmError("it\nfailed"), tolerated=True),
    ended("c", State.SKIPPED, because="needs a, which failed"),
    ended("d", State.SKIPPED, because="needs a, which failed"),
    ended("e", State.SKIPPED, because=NOT_NEEDED),
)


def failures(*told: str, error: GswarmError | None = None) -> list[str]:
    result = JobResult(7, "demo", State.FAILED, 3.0, TASKS, error)
    return list(job_report.failures(result, told=told))


def test_the_end_says_what_failed_why_and_what_it_kept() -> None:
    assert failures() == [
        "failed: a: node1: no room",
        "  hint: free some",
        "failed (tolerated): b: it\nfailed",
        "skipped: c, d: needs a, which failed",
    ]


def test_what_failed_is_said_again_unless_the_reader_has_all_of_it_in_view() -> None:
    assert failures("a", "b") == []
    assert failures("a") == failures("b") == failures()


def test_why_the_job_itself_failed_is_always_said() -> None:
    late = GswarmError("it took longer than 1 s", hint="resume it")
    assert failures("a", "b", error=late) == ["job 7: it took longer than 1 s", "  hint: resume it"]


@pytest.mark.parametrize(
    ("tasks", "kept"),
    [
        ([("noop", State.CANCELLED, 1)], []),
        ([("download", State.CANCELLED, 0)], []),
        (
            [("noop", State.SUCCEEDED, 1), ("noop", State.CANCELLED, 1)],
            ["what is done stays done:"],
        ),
        ([("download", State.CANCELLED, 1)], ["what was transferred so far is kept:"]),
    ],
)
def test_after_a_cancel_only_what_is_there_is_said_to_be_kept(
    tasks: list[tuple[str, State, int]], kept: list[str]
) -> None:
    results = tuple(
        TaskResult(Task("a", kind, "", ()), state, 1.0, NO_ACTION, attempt=attempt)
        for kind, state, attempt in tasks
    )
    lines = list(job_report.afterwards(JobResult(7, "demo", State.CANCELLED, 3.0, results)))
    assert lines[:-1] == kept
    assert lines[-1].startswith("gswarm job resume 7 goes on from here")
