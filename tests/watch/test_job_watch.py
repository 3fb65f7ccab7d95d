from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gswarm_tui.errors import EXIT_TIMED_OUT
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.queue import Queue
from gswarm_tui.state.states import State
from gswarm_tui.watch.jobs import JobWatch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with Database(path) as database:
        yield database


@pytest.fixture
def watch(path: Path, database: Database) -> Iterator[JobWatch]:
    made = JobWatch(path)
    yield made
    made.close()


def job(jobs: Jobs, name: str = "nightly", tasks: int = 2) -> int:
    new = [NewTask(f"t{n}", "noop", f"do {n}", ()) for n in range(tasks)]
    return jobs.create(NewJob(name, "/p.yaml", {}, new))


def test_jobs_are_read_when_somebody_wrote(database: Database, watch: JobWatch) -> None:
    assert watch.refresh()
    assert watch.jobs == ()
    assert not watch.refresh()
    first, second = job(Jobs(database)), job(Jobs(database), "other")
    assert watch.refresh()
    assert [(each.id, each.name) for each in watch.jobs] == [(second, "other"), (first, "nightly")]
    assert watch.jobs[0].counts == ((State.PENDING, 2),)
    before = watch.jobs
    Jobs(database).request_cancel(first)
    assert watch.refresh()
    assert watch.jobs[0] is before[0]


def test_what_runs_and_what_waits(database: Database, watch: JobWatch) -> None:
    jobs = Jobs(database)
    number = job(jobs)
    jobs.begin(number)
    jobs.enter(number, [("t0", ()), ("t1", ())])
    Queue(database).pause()
    watch.refresh()
    assert watch.queue_paused
    assert watch.jobs[0].state is State.RUNNING
    assert watch.jobs[0].waiting == "the queue is paused (gswarm queue resume)"
    Queue(database).resume()
    jobs.admit(number, 1)
    watch.refresh()
    assert watch.jobs[0].running == ("t0",)
    assert watch.jobs[0].counts == ((State.READY, 1), (State.RUNNING, 1))
    jobs.waits(number, "t0", "llama is held by job 3 of eve")
    watch.refresh()
    assert watch.jobs[0].waiting == "llama is held by job 3 of eve"


def test_a_job_is_found_by_the_key_that_nodes_have(database: Database, watch: JobWatch) -> None:
    number = job(Jobs(database))
    record = Jobs(database).get(number)
    assert record is not None
    watch.refresh()
    assert watch.id_of(record.key) == number
    assert watch.id_of("other") is None


def test_a_job_whose_process_is_gone_is_lost(database: Database, watch: JobWatch) -> None:
    jobs = Jobs(database)
    number = job(jobs)
    jobs.begin(number)
    watch.refresh()
    database.execute("UPDATE jobs SET process_started = 1 WHERE id = ?", (number,))
    watch.refresh()
    assert watch.refresh() is False
    assert watch.jobs[0].state is State.LOST


def test_a_job_that_its_own_time_limit_has_ended(database: Database, watch: JobWatch) -> None:
    jobs = Jobs(database)
    whole, of_a_task, beside_a_task = job(jobs), job(jobs), job(jobs)
    for number, state, error in (
        (whole, State.CANCELLED, "it took longer"),
        (of_a_task, State.FAILED, None),
        (beside_a_task, State.CANCELLED, None),  # by `gswarm queue`
    ):
        jobs.begin(number)
        database.execute("UPDATE tasks SET state = ? WHERE job_id = ?", (state, number))
        jobs.finish(number, State.FAILED, exit_code=EXIT_TIMED_OUT, error=error)
    watch.refresh()
    assert [each.id for each in watch.jobs if each.timed_out] == [whole]
    assert len(watch.jobs) == 3
