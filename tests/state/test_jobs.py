import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewTask, State

TASKS = (
    NewTask("fetch", "download", "tiny to node1:disk", ()),
    NewTask("load", "move", "tiny to node1:gpu0", ("fetch",)),
    NewTask("serve", "serve", "tiny on node1:gpu0", ("load",)),
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "state.db") as database:
        yield database


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


def test_a_job_begins_with_every_task_pending(jobs: Jobs) -> None:
    job_id = jobs.begin("demo", "/p.yaml", TASKS)
    job = jobs.get(job_id)
    assert job is not None
    assert (job.name, job.playbook, job.state) == ("demo", "/p.yaml", State.RUNNING)
    tasks = jobs.tasks(job_id)
    assert [task.action_id for task in tasks] == ["fetch", "load", "serve"]
    assert {task.state for task in tasks} == {State.PENDING}
    assert tasks[1].dependencies == ("fetch",)


def test_every_change_can_be_read_by_another_process_at_once(jobs: Jobs, tmp_path: Path) -> None:
    job_id = jobs.begin("demo", "/p.yaml", TASKS)
    with Database(tmp_path / "state.db") as second:
        other = Jobs(second)
        jobs.task_started(job_id, "fetch")
        assert other.tasks(job_id)[0].state is State.RUNNING
        jobs.task_finished(job_id, "fetch", State.SUCCEEDED, result={"size": 7})
        done = other.tasks(job_id)[0]
        assert (done.state, done.result) == (State.SUCCEEDED, {"size": 7})
        jobs.task_finished(job_id, "load", State.FAILED, error="no room")
        assert other.tasks(job_id)[1].error == "no room"
        jobs.finish(job_id, State.FAILED)
        finished = other.get(job_id)
    assert finished is not None
    assert finished.state is State.FAILED
    assert finished.finished_at is not None


def test_jobs_are_listed_newest_first_and_by_state(jobs: Jobs) -> None:
    ids = [jobs.begin(f"job{n}", "/p.yaml", ()) for n in range(3)]
    jobs.finish(ids[1], State.FAILED)
    assert [job.id for job in jobs.recent()] == ids[::-1]
    assert [job.id for job in jobs.recent(limit=1)] == [ids[2]]
    assert [job.id for job in jobs.recent(state=State.FAILED)] == [ids[1]]
    assert [job.id for job in jobs.running("job0")] == [ids[0]]


def test_a_job_whose_process_died_is_marked_as_lost(jobs: Jobs, database: Database) -> None:
    alive, dead = jobs.begin("alive", "/p.yaml", TASKS), jobs.begin("dead", "/p.yaml", TASKS)
    jobs.task_finished(dead, "fetch", State.SUCCEEDED)
    jobs.task_started(dead, "load")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    database.execute("UPDATE jobs SET pid = ? WHERE id = ?", (child.pid, dead))
    assert [job.id for job in jobs.mark_lost()] == [dead]
    assert [task.state for task in jobs.tasks(dead)] == [
        State.SUCCEEDED,
        State.LOST,
        State.SKIPPED,
    ]
    assert [job.state for job in jobs.recent()] == [State.LOST, State.RUNNING]
    assert jobs.mark_lost() == []
    assert alive


def test_a_pid_that_was_given_to_another_process_is_not_taken_for_the_job(
    jobs: Jobs, database: Database
) -> None:
    job_id = jobs.begin("demo", "/p.yaml", ())
    database.execute("UPDATE jobs SET process_started = process_started - 3600")
    assert [job.id for job in jobs.mark_lost()] == [job_id]


def test_a_job_of_another_machine_is_not_judged_from_here(jobs: Jobs, database: Database) -> None:
    jobs.begin("demo", "/p.yaml", ())
    database.execute("UPDATE jobs SET host = 'elsewhere', process_started = 0")
    assert jobs.mark_lost() == []
