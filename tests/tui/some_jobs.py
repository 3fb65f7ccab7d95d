"""Jobs for the tests of their screens."""

from __future__ import annotations

from dataclasses import replace

from gswarm_tui.state.states import State
from gswarm_tui.watch.details import JobDetails, JobTask
from gswarm_tui.watch.snapshot import FleetSnapshot, Job

NOW = 1_700_000_000.0


def job(number: int, name: str, state: State, **more: object) -> Job:
    counts = {State.SUCCEEDED: 2, State.RUNNING: 1, State.PENDING: 1}
    known: dict[str, object] = {
        "created_at": NOW - 100 * number,
        "started_at": NOW - 100 * number,
        "finished_at": None if state in (State.RUNNING, State.PENDING) else NOW - 50,
        "counts": tuple(counts.items()),
        "user": "ana",
    }
    return Job(number, name, state, **{**known, **more})  # type: ignore[arg-type]


RUNNING = job(
    9, "nightly", State.RUNNING, running=("serve",), waiting="waiting for node1:gpu0, held by job 3"
)
FAILED = job(8, "roll-out", State.FAILED, error="fetch: no space on node2:disk\nand more")
LOST = job(7, "weekly", State.LOST, user="cron")
DONE = job(6, "smoke", State.SUCCEEDED, counts=((State.SUCCEEDED, 3),))
PENDING = job(5, "later", State.PENDING, started_at=None)
JOBS = (RUNNING, FAILED, LOST, DONE, PENDING)
PICTURE = FleetSnapshot(NOW, jobs=JOBS)


def task(name: str, state: State, *needs: str, **more: object) -> JobTask:
    known: dict[str, object] = {"attempt": 0}
    if state in (State.SUCCEEDED, State.FAILED, State.RUNNING, State.RETRYING):
        known = {"attempt": 1, "started_at": NOW - 60, "finished_at": NOW - 20}
    if state is State.RUNNING:
        known["finished_at"] = None
    return JobTask(name, "command", f"does {name}", needs, state, **{**known, **more})  # type: ignore[arg-type]


TASKS = (
    task("fetch", State.SUCCEEDED, started_at=NOW - 100, finished_at=NOW - 60),
    task("check", State.SUCCEEDED, "fetch", finished_at=NOW - 55),
    task("serve", State.RUNNING, "fetch", attempt=2, progress="load  1.2 GB of 4 GB, 310 MB/s"),
    task("try", State.PENDING, "serve", "check"),
)
DETAILS = JobDetails(9, "nightly.yaml", "normal", "process 4711 on laptop", TASKS)
WITH_DETAILS = replace(PICTURE, job_details=DETAILS)
