import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from gswarm_tui.errors import StateError
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs, NewJob, NewTask
from gswarm_tui.state.states import Priority, State, TransitionError

TASKS = (
    NewTask("fetch", "download", "tiny to node1:disk", ()),
    NewTask("load", "move", "tiny to node1:gpu0", ("fetch",)),
    NewTask("serve", "serve", "tiny on node1:gpu0", ("load",)),
)


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


def begun(jobs: Jobs, name: str = "demo") -> int:
    job_id = jobs.create(NewJob(name, "/p.yaml", {"file": "/p.yaml"}, TASKS))
    jobs.begin(job_id)
    return job_id


def run(jobs: Jobs, job_id: int, action_id: str) -> None:
    jobs.enter(job_id, [(action_id, ())])
    assert [attempt.action_id for attempt in jobs.admit(job_id, 100)] == [action_id]


def states(jobs: Jobs, job_id: int) -> list[State]:
    return [task.state for task in jobs.tasks(job_id)]


def die(database: Database, job_id: int) -> None:
    """Let a job be one of a process that is gone."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    database.execute("UPDATE jobs SET pid = ? WHERE id = ?", (child.pid, job_id))


def test_a_job_is_pending_until_a_process_runs_it(jobs: Jobs) -> None:
    job_id = jobs.create(NewJob("demo", "/p.yaml", {"file": "x"}, TASKS, Priority.HIGH))
    job = jobs.get(job_id)
    assert job is not None
    assert (job.name, job.playbook, job.state, job.pid) == ("demo", "/p.yaml", State.PENDING, None)
    assert (job.priority, len(job.key)) == (Priority.HIGH, 16)
    assert jobs.document(job_id) == {"file": "x"}
    assert not jobs.is_alive(job)
    jobs.begin(job_id)
    job = jobs.get(job_id)
    assert job is not None
    assert (job.state, jobs.is_alive(job)) == (State.RUNNING, True)
    tasks = jobs.tasks(job_id)
    assert [task.action_id for task in tasks] == ["fetch", "load", "serve"]
    assert {task.state for task in tasks} == {State.PENDING}
    assert tasks[1].dependencies == ("fetch",)


def test_every_change_can_be_read_by_another_process_at_once(jobs: Jobs, tmp_path: Path) -> None:
    job_id = begun(jobs)
    with Database(tmp_path / "state.db") as second:
        other = Jobs(second)
        run(jobs, job_id, "fetch")
        assert other.tasks(job_id)[0].state is State.RUNNING
        jobs.end(job_id, "fetch", State.SUCCEEDED, result={"size": 7})
        done = other.tasks(job_id)[0]
        assert (done.state, done.result, done.attempt) == (State.SUCCEEDED, {"size": 7}, 1)
        run(jobs, job_id, "load")
        jobs.end(job_id, "load", State.FAILED, error="no room", error_kind="no_space")
        failed = other.tasks(job_id)[1]
        assert (failed.error, failed.error_kind) == ("no room", "no_space")
        assert [a.state for a in other.attempts(job_id)] == [State.SUCCEEDED, State.FAILED]
        jobs.finish(job_id, State.FAILED, exit_code=1)
        finished = other.get(job_id)
    assert finished is not None
    assert (finished.state, finished.exit_code) == (State.FAILED, 1)
    assert finished.finished_at is not None


def test_a_state_that_never_follows_is_refused_and_nothing_is_written(jobs: Jobs) -> None:
    job_id = begun(jobs)
    with pytest.raises(TransitionError, match="fetch of job 1 cannot become succeeded"):
        jobs.end(job_id, "fetch", State.SUCCEEDED)
    assert states(jobs, job_id)[0] is State.PENDING
    jobs.finish(job_id, State.SUCCEEDED)
    with pytest.raises(StateError, match="job 1 is succeeded by now"):
        jobs.finish(job_id, State.FAILED)


def test_a_job_that_ended_before_it_began_does_not_begin(jobs: Jobs) -> None:
    job_id = jobs.create(NewJob("demo", "/p.yaml", {}, ()))
    jobs.abandon(job_id)
    with pytest.raises(StateError, match="job 1 is cancelled by now"):
        jobs.begin(job_id)
    jobs.remove(job_id)
    with pytest.raises(StateError, match="job 1 was removed"):
        jobs.begin(job_id)


def test_jobs_are_listed_newest_first_by_state_and_name(jobs: Jobs) -> None:
    ids = [jobs.create(NewJob(f"job{n}", "/p.yaml", {}, ())) for n in range(3)]
    jobs.begin(ids[1])
    jobs.finish(ids[1], State.FAILED)
    assert [job.id for job in jobs.recent()] == ids[::-1]
    assert [job.id for job in jobs.recent(limit=1)] == [ids[2]]
    assert [job.id for job in jobs.recent(state=State.FAILED)] == [ids[1]]
    assert [job.id for job in jobs.recent(name="job0")] == [ids[0]]


def test_a_job_whose_process_died_is_lost_and_can_go_on(jobs: Jobs, database: Database) -> None:
    alive, dead = begun(jobs, "alive"), begun(jobs, "dead")
    run(jobs, dead, "fetch")
    jobs.end(dead, "fetch", State.SUCCEEDED)
    run(jobs, dead, "load")
    die(database, dead)
    assert [job.id for job in jobs.mark_lost()] == [dead]
    assert states(jobs, dead) == [State.SUCCEEDED, State.LOST, State.PENDING]
    assert [job.state for job in jobs.recent()] == [State.LOST, State.RUNNING]
    assert jobs.mark_lost() == []
    assert states(jobs, alive) == [State.PENDING] * 3

    jobs.reset(dead)
    jobs.begin(dead)
    jobs.enter(dead, [("load", ())])
    (attempt,) = jobs.admit(dead, 100)
    assert (attempt.number, attempt.work) == (2, 1), "nodes know the work by the first attempt"


def test_work_on_a_node_that_was_lost_sight_of_is_asked_for_again(jobs: Jobs) -> None:
    job_id = begun(jobs)
    works = []
    for kind in ("unreachable", "unreachable", "engine_failed", "engine_failed"):
        jobs.enter(job_id, [("fetch", ())])
        (attempt,) = jobs.admit(job_id, 100)
        works.append((attempt.number, attempt.work))
        jobs.end(job_id, "fetch", State.RETRYING, error="x", error_kind=kind, retry_at=_soon())
    assert works == [(1, 1), (2, 1), (3, 1), (4, 4)]


def _soon() -> datetime:
    return datetime.now(UTC)


def test_a_retry_does_again_what_failed_and_what_was_skipped_for_it(jobs: Jobs) -> None:
    job_id = begun(jobs)
    run(jobs, job_id, "fetch")
    jobs.end(job_id, "fetch", State.SUCCEEDED)
    run(jobs, job_id, "load")
    jobs.end(job_id, "load", State.FAILED, error="no", error_kind="failed")
    jobs.end(job_id, "serve", State.SKIPPED, error="needs load")
    jobs.finish(job_id, State.FAILED)
    jobs.reset(job_id)
    assert states(jobs, job_id) == [State.SUCCEEDED, State.FAILED, State.SKIPPED]
    jobs.begin(job_id)
    jobs.finish(job_id, State.FAILED)
    jobs.reset(job_id, retry=True)
    assert states(jobs, job_id) == [State.SUCCEEDED, State.PENDING, State.PENDING]
    assert jobs.tasks(job_id)[1].error is None
    jobs.begin(job_id)
    jobs.finish(job_id, State.FAILED)
    jobs.reset(job_id, from_task="fetch")
    assert states(jobs, job_id) == [State.PENDING] * 3


def test_what_was_cancelled_is_done_again_when_a_job_is_resumed(jobs: Jobs) -> None:
    job_id = begun(jobs)
    run(jobs, job_id, "fetch")
    jobs.abandon(job_id)
    assert states(jobs, job_id) == [State.CANCELLED] * 3
    assert [a.state for a in jobs.attempts(job_id)] == [State.CANCELLED]
    jobs.reset(job_id)
    assert states(jobs, job_id) == [State.PENDING] * 3


def test_what_was_skipped_for_a_cancelled_task_comes_back_with_it(jobs: Jobs) -> None:
    job_id = begun(jobs)
    jobs.end(job_id, "fetch", State.CANCELLED)
    jobs.end(job_id, "load", State.SKIPPED, error="needs fetch, which was cancelled")
    jobs.end(job_id, "serve", State.SKIPPED, error="needs load, which was skipped")
    jobs.finish(job_id, State.CANCELLED)
    jobs.reset(job_id)
    assert states(jobs, job_id) == [State.PENDING] * 3
    assert jobs.tasks(job_id)[1].error is None


def test_an_end_can_be_asked_for_by_any_process(jobs: Jobs, tmp_path: Path) -> None:
    job_id = begun(jobs)
    with Database(tmp_path / "state.db") as second:
        Jobs(second).request_cancel_task(job_id, "load")
        assert jobs.cancel_requests(job_id) == (False, ["load"])
        Jobs(second).request_cancel(job_id)
    assert jobs.cancel_requests(job_id)[0]


def test_a_pid_that_was_given_to_another_process_is_not_taken_for_the_job(
    jobs: Jobs, database: Database
) -> None:
    job_id = begun(jobs)
    database.execute("UPDATE jobs SET process_started = process_started - 3600")
    assert [job.id for job in jobs.mark_lost()] == [job_id]


def test_a_job_of_a_container_is_lost_when_the_machine_was_restarted(
    jobs: Jobs, database: Database
) -> None:
    job_id = begun(jobs)
    die(database, job_id)
    database.execute("UPDATE jobs SET namespace = 'pid:[1]'")
    assert jobs.mark_lost() == []
    database.execute("UPDATE jobs SET boot_id = 'the boot before'")
    assert [job.id for job in jobs.mark_lost()] == [job_id]


def test_another_name_of_the_machine_changes_nothing(jobs: Jobs, database: Database) -> None:
    lives, died = begun(jobs), begun(jobs)
    die(database, died)
    database.execute("UPDATE jobs SET host = 'an-old-name'")
    assert [job.id for job in jobs.mark_lost()] == [died]
    assert [job.id for job in jobs.lost_since_last_run("demo")] == [died]
    assert states(jobs, lives)


def test_a_job_that_version_1_noted_is_known_by_the_clock(jobs: Jobs, database: Database) -> None:
    job_id = begun(jobs)
    database.execute(
        "UPDATE jobs SET boot_id = '', namespace = '', process_started = ?",
        (psutil.Process().create_time(),),
    )
    assert jobs.mark_lost() == []
    database.execute("UPDATE jobs SET process_started = process_started - 60")
    assert [job.id for job in jobs.mark_lost()] == [job_id]


def test_who_ran_a_job_that_is_lost_is_told_so(
    jobs: Jobs, database: Database, tmp_path: Path
) -> None:
    job_id = begun(jobs)
    run(jobs, job_id, "fetch")
    with Database(tmp_path / "state.db") as second:
        die(database, job_id)
        assert Jobs(second).mark_lost()
        with pytest.raises(StateError, match=r"job 1 is lost by now, and cannot go on here"):
            jobs.end(job_id, "fetch", State.SUCCEEDED)
        Jobs(second).reset(job_id)
        Jobs(second).begin(job_id)
        with pytest.raises(StateError, match=r"job 1 is run by another process, and cannot go on"):
            jobs.enter(job_id, [("fetch", ())])


def test_a_lost_job_is_told_of_once(jobs: Jobs, database: Database) -> None:
    lost = begun(jobs)
    die(database, lost)
    jobs.mark_lost()
    assert [job.id for job in jobs.lost_since_last_run("demo")] == [lost]
    begun(jobs)
    assert jobs.lost_since_last_run("demo") == []


def test_a_job_is_removed_with_all_that_belongs_to_it(jobs: Jobs, database: Database) -> None:
    job_id = begun(jobs)
    run(jobs, job_id, "fetch")
    jobs.abandon(job_id)
    jobs.remove(job_id)
    assert jobs.get(job_id) is None
    for table in ("tasks", "attempts", "claims"):
        assert database.query(f"SELECT * FROM {table}") == []


def again(jobs: Jobs, job_id: int, action_id: str) -> int:
    """The attempt that nodes know the work by, of a task that runs once more."""
    jobs.enter(job_id, [(action_id, ())])
    return jobs.admit(job_id, 100)[0].work


def unreachable(jobs: Jobs) -> int:
    """A job whose second task failed because its node was gone."""
    job_id = begun(jobs)
    run(jobs, job_id, "fetch")
    jobs.end(job_id, "fetch", State.SUCCEEDED)
    run(jobs, job_id, "load")
    jobs.end(job_id, "load", State.FAILED, error="gone", error_kind="unreachable")
    jobs.end(job_id, "serve", State.SKIPPED)
    jobs.finish(job_id, State.FAILED)
    return job_id


def test_a_retry_takes_what_a_node_that_was_gone_has_done(jobs: Jobs) -> None:
    job_id = unreachable(jobs)
    jobs.reset(job_id, retry=True)
    jobs.begin(job_id)
    assert again(jobs, job_id, "load") == 1


def test_a_retry_from_a_task_takes_nothing_that_was_made_of_its_old_result(jobs: Jobs) -> None:
    job_id = unreachable(jobs)
    jobs.reset(job_id, retry=True, from_task="fetch")
    jobs.begin(job_id)
    assert again(jobs, job_id, "fetch") == 2
    jobs.end(job_id, "fetch", State.SUCCEEDED)
    assert again(jobs, job_id, "load") == 2


def test_a_task_that_is_reopened_is_new_work_for_nodes(jobs: Jobs, database: Database) -> None:
    job_id = begun(jobs)
    run(jobs, job_id, "fetch")
    die(database, job_id)
    jobs.mark_lost()
    jobs.reset(job_id)
    jobs.begin(job_id)
    jobs.reopen(job_id, ["fetch", "load"])
    assert states(jobs, job_id) == [State.PENDING] * 3
    assert again(jobs, job_id, "fetch") == 2
