"""The details of the job in focus, from a real database and real logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gswarm_tui.jobs import logs
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.states import State
from gswarm_tui.watch.looking import JobFocus

NOW = "2026-11-21T05:00:00.000+00:00"


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    with Database(tmp_path / "gswarm.db") as database:
        yield Jobs(database)


def make(jobs: Jobs) -> int:
    tasks = [
        NewTask("fetch", "download", "llama", ()),
        NewTask("serve", "serve", "llama on gpu0", ("fetch",)),
    ]
    job_id = jobs.create(NewJob("nightly", "nightly.yaml", {}, tasks))
    jobs.begin(job_id)
    jobs.enter(job_id, [("fetch", ())])
    return job_id


def test_tasks_with_progress_and_hints(jobs: Jobs, tmp_path: Path) -> None:
    focus = JobFocus(jobs, tmp_path)
    assert focus.read(changed=True) is None
    job_id = make(jobs)
    focus.on(job_id)
    waiting = focus.read(changed=False)  # the focus is new: it is read all the same
    assert waiting is not None
    assert waiting.task("fetch").waiting.startswith("waiting for its turn")  # type: ignore[union-attr]

    jobs.admit(job_id, 8)
    path = logs.attempt_log(tmp_path, job_id, "fetch", 1)
    path.parent.mkdir()
    path.write_text(f"{NOW}  download  1.2 GB of 13.9 GB, 310 MB/s, 41 s left\n")
    running = focus.read(changed=True)
    assert running is not None
    fetch = running.task("fetch")
    assert fetch is not None
    assert fetch.state is State.RUNNING
    assert fetch.progress == "download  1.2 GB of 13.9 GB, 310 MB/s, 41 s left"
    assert running.process is not None
    assert running.process.startswith("process ")

    why = {"error": "no space", "error_kind": "no_space", "hint": "gswarm model gc"}
    jobs.end(job_id, "fetch", State.FAILED, **why)
    failed = focus.read(changed=True)
    assert failed is not None
    fetch = failed.task("fetch")
    assert fetch is not None
    assert (fetch.error, fetch.error_kind, fetch.hint) == (
        "no space",
        "no_space",
        "gswarm model gc",
    )
    assert fetch.progress is None
    jobs.finish(job_id, State.FAILED)
    ended = focus.read(changed=True)
    assert ended is not None
    assert (ended.process or "").startswith("ran on ")  # that number may be another process's


def test_a_job_that_is_gone(jobs: Jobs, tmp_path: Path) -> None:
    focus = JobFocus(jobs, tmp_path)
    job_id = make(jobs)
    focus.on(job_id)
    assert focus.read(changed=True) is not None
    jobs.remove(job_id)
    assert focus.read(changed=True) is None
    focus.on(None)
    assert focus.read(changed=True) is None
