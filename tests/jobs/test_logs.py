"""What is written below logs/, and for whom."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs import TaskResult, logs
from gswarm_tui.jobs.events import (
    JobStarted,
    Task,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.models.results import CommandResult
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State

NO_ACTION = cast(Any, None)
RUN = Task("run[node1]", "command", "make on node1", ())


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def log(tmp_path: Path, warnings: list[str]) -> Iterator[logs.Log]:
    with logs.Log(tmp_path, warn=warnings.append) as log:
        yield log


def begin(log: logs.Log) -> None:
    log(JobStarted(17, "demo", None, (RUN,), ()))
    log(TaskStarted(RUN))


def text(path: Path) -> str:
    """The lines of a log without their times."""
    lines = path.read_text().splitlines()
    return "\n".join(line.split("  ", 1)[1] if line[:2] == "20" else line for line in lines)


def failed(**more: Any) -> TaskFinished:
    error = GswarmError("status 2", where="node1", hint="look above")
    return TaskFinished(TaskResult(RUN, State.FAILED, 1.0, NO_ACTION, error=error, **more))


def test_each_attempt_has_its_own_log_with_all_that_it_wrote(log: logs.Log, tmp_path: Path) -> None:
    begin(log)
    log(TaskProgress(RUN, Progress("running", output="\x1b[1mone\x1b[0m\r\nno end")))
    log(TaskProgress(RUN, Progress("running", output=" yet")))
    log(TaskRetrying(RUN, 1, GswarmError("no answer", where="node1", hint="wait"), 2.0))
    log(TaskStarted(RUN, 2))
    log(TaskWaiting(RUN, "waiting for port 80 of node1"))
    log(TaskProgress(RUN, Progress("running", message="3 s")))
    log(failed(details="Traceback\n  deep"))
    first, second = (logs.attempt_log(tmp_path, 17, "run[node1]", n) for n in (1, 2))
    with first.open(newline="") as file:
        assert "\x1b[1mone\x1b[0m\r\nno end yet\n" in file.read()
    assert text(first).splitlines()[-3:] == [
        "failed: node1: no answer",
        "hint: wait",
        "attempt 2 begins in 2.0 s",
    ]
    assert text(second) == (
        "attempt 2: command make on node1\nwaiting for port 80 of node1\nrunning  3 s\n"
        "failed: node1: status 2\nhint: look above\nTraceback\n  deep"
    )


def test_a_command_that_a_node_had_finished_has_its_output_too(
    log: logs.Log, tmp_path: Path
) -> None:
    begin(log)
    done = CommandResult("node1", 0, "made it\n", False, 3.0)
    log(TaskFinished(TaskResult(RUN, State.SUCCEEDED, 0.1, NO_ACTION, result=done)))
    written = text(logs.attempt_log(tmp_path, 17, "run[node1]", 1)).splitlines()
    assert written[1:] == ["made it", "succeeded: status 0 on node1 (0.1 s)"]


def test_the_jobs_log_has_a_line_for_each_thing(log: logs.Log, tmp_path: Path) -> None:
    begin(log)
    log(TaskProgress(RUN, Progress("running", output="text of the command\n")))
    log(failed())
    written = text(logs.job_log(tmp_path, 17))
    assert "run[node1]: failed: node1: status 2\n  hint: look above" in written
    assert "text of the command" not in written


def test_logs_are_the_users_alone(log: logs.Log, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        begin(log)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"job-17": 0o700, "job-17.log": 0o600, "run%5bnode1%5d.1.log": 0o600}


def test_what_goes_on_is_appended(tmp_path: Path, log: logs.Log, warnings: list[str]) -> None:
    begin(log)
    log.close()
    with logs.Log(tmp_path, warn=warnings.append) as again:
        begin(again)
    path = logs.attempt_log(tmp_path, 17, "run[node1]", 1)
    assert text(path).count("attempt 1: command") == 2


def test_a_log_that_cannot_be_written_is_told_once_and_the_job_goes_on(
    log: logs.Log, tmp_path: Path, warnings: list[str]
) -> None:
    (tmp_path / "job-17").write_text("in the way")
    begin(log)
    log(TaskStarted(Task("other", "noop", "", ())))
    log(failed())
    assert warnings == [
        f"warning: no log is written any more: {logs.attempt_log(tmp_path, 17, RUN.action_id, 1)}:"
        f" {os.strerror(errno.ENOTDIR)}"
    ] or warnings[0].endswith(os.strerror(errno.EEXIST))
    assert len(warnings) == 1
    assert "failed" in text(logs.job_log(tmp_path, 17))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_is_told_once(log: logs.Log, tmp_path: Path, warnings: list[str]) -> None:
    (tmp_path / "job-17.log").symlink_to("/dev/full")
    begin(log)
    begin(log)
    assert len(warnings) == 1
    assert warnings[0].endswith("No space left on device")


def test_half_a_surrogate_pair_is_written_as_an_escape(log: logs.Log, tmp_path: Path) -> None:
    begin(log)
    log(TaskProgress(RUN, Progress("running", output="a\ud800b\n")))
    assert "a\\ud800b" in logs.attempt_log(tmp_path, 17, RUN.action_id, 1).read_text()


names = st.text(min_size=1, max_size=400)


@given(names, names)
def test_file_names_are_safe_and_never_those_of_another_task(one: str, two: str) -> None:
    for name in (one, two):
        made = logs.file_name(name)
        assert not set(made) & set("/.\0 ")
        assert len(made.encode()) <= 220
        assert made == made.lower()
    assert (logs.file_name(one) == logs.file_name(two)) is (one == two)


@pytest.mark.parametrize(
    ("action_id", "name"),
    [("fetch-1_a", "fetch-1_a"), ("fetch[node1]", "fetch%5bnode1%5d"), ("A", "%41"), (".", "%2e")],
)
def test_plain_names_stay_as_they_are(action_id: str, name: str) -> None:
    assert logs.file_name(action_id) == name
