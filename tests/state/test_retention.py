"""What is removed of old jobs, and what stays."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gswarm_tui.config import Retention
from gswarm_tui.state.database import Database
from gswarm_tui.state.retention import log_bytes, prune, prune_if_due

NOW = datetime.now(UTC)
VERSION_1 = Path(__file__).parents[1] / "data" / "databases" / "1.db"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "jobs").mkdir()
    return tmp_path / "logs"


def job(database: Database, logs: Path, state: str, *, days: float = 0, size: int = 10) -> int:
    """A job with a task that ended ``days`` ago, with logs of ``2 * size`` bytes."""
    time = (NOW - timedelta(days=days)).isoformat(timespec="milliseconds")
    ended = None if state in ("running", "pending") else time
    cursor = database.execute(
        "INSERT INTO jobs (name, playbook, state, host, pid, process_started, created_at,"
        " finished_at) VALUES ('n', 'p', ?, 'h', 1, 1.0, ?, ?)",
        (state, time, ended),
    )
    number = int(cursor.lastrowid or 0)
    database.execute(
        "INSERT INTO tasks (job_id, position, action_id, action_type, summary, dependencies, state)"
        " VALUES (?, 0, 'a', 'copy', '', '[]', 'pending')",
        (number,),
    )
    (logs / f"job-{number}").mkdir()
    (logs / f"job-{number}.log").write_bytes(b"x" * size)
    (logs / f"job-{number}" / "a.1.log").write_bytes(b"x" * size)
    return number


def left(database: Database) -> set[int]:
    return {row["id"] for row in database.query("SELECT id FROM jobs")}


def logged(logs: Path) -> set[str]:
    return {path.name for path in logs.iterdir()}


def test_what_is_older_goes_with_its_logs(database: Database, logs: Path) -> None:
    old = [job(database, logs, s, days=91) for s in ("succeeded", "failed", "cancelled", "lost")]
    old.append(job(database, logs, "pending", days=91))
    running = job(database, logs, "running", days=91)
    new = job(database, logs, "failed", days=89)
    document = logs.parent / "jobs" / f"job_{old[0]}.json"
    document.write_bytes(b"y" * 7)

    done = prune(database, Retention(days=90), logs)

    assert (done.jobs, done.log_bytes) == (5, 5 * 20 + 7)
    assert left(database) == {running, new}
    assert {row["job_id"] for row in database.query("SELECT job_id FROM tasks")} == {running, new}
    assert logged(logs) == {f"job-{n}{end}" for n in (running, new) for end in ("", ".log")}
    assert not document.exists()


def test_the_newest_ended_ones_stay(database: Database, logs: Path) -> None:
    """By when they ended: a job that was retried is newer than its number says."""
    retried = job(database, logs, "succeeded", days=1)
    gone = [job(database, logs, "succeeded", days=5) for _ in range(3)]
    newest = job(database, logs, "failed", days=2)
    kept = {job(database, logs, state, days=9) for state in ("lost", "pending", "running")}
    assert prune(database, Retention(jobs=2), logs).jobs == len(gone)
    assert left(database) == {retried, newest, *kept}


def test_the_oldest_go_until_all_is_small_enough(database: Database, logs: Path) -> None:
    lost = job(database, logs, "lost", days=30, size=100_000)
    jobs = [job(database, logs, "succeeded", days=20 - n, size=500_000) for n in range(8)]
    done = prune(database, Retention(size=4_000_000), logs)
    # 0.2 MB of the lost one, 1 MB of each other one, some 0.1 MB of database.
    assert left(database) == {lost, *jobs[-3:]}
    assert done.jobs == 5
    assert log_bytes(logs) == 3_200_000


def test_nothing_goes_that_is_within_the_limits(database: Database, logs: Path) -> None:
    kept = {job(database, logs, "succeeded", days=10) for _ in range(3)}
    assert prune(database, Retention(), logs).jobs == 0
    assert left(database) == kept


def test_logs_of_no_job_go_by_age(database: Database, logs: Path) -> None:
    """They are left by a kill while logs were removed, or by a database that was lost."""
    for number, age in ((71, 100), (72, 1)):
        path = logs / f"job-{number}.log"
        path.write_text("x")
        time = (NOW - timedelta(days=age)).timestamp()
        os.utime(path, (time, time))
    (logs / "other.txt").write_text("not ours")
    assert prune(database, Retention(days=90), logs).jobs == 0
    assert logged(logs) == {"job-72.log", "other.txt"}


def test_the_database_becomes_smaller(database: Database, logs: Path) -> None:
    fill(database, logs)
    before = database.path.stat().st_size
    done = prune(database, Retention(), logs)
    assert database.path.stat().st_size < before / 4
    assert done.database_bytes > before / 2


def test_one_that_was_made_by_version_1_becomes_smaller_too(tmp_path: Path, logs: Path) -> None:
    shutil.copy(VERSION_1, tmp_path / "gswarm.db")
    with Database(tmp_path / "gswarm.db") as database:
        fill(database, logs)
        before = database.path.stat().st_size
        for _ in range(2):  # anew the first time, by what is free the second
            prune(database, Retention(), logs)
            assert database.path.stat().st_size < before / 3
            fill(database, logs)


def fill(database: Database, logs: Path) -> None:
    for _ in range(20):
        number = job(database, logs, "failed", days=91)
        database.execute("UPDATE jobs SET document = ? WHERE id = ?", ("x" * 50_000, number))
    database.query("PRAGMA wal_checkpoint(TRUNCATE)")


def test_once_a_day_for_all(database: Database, logs: Path) -> None:
    job(database, logs, "failed", days=91)
    with Database(database.path) as other:
        first = prune_if_due(database, Retention(), logs)
        assert first is not None
        assert first.jobs == 1
        job(database, logs, "failed", days=91)
        assert prune_if_due(other, Retention(), logs) is None
        yesterday = (NOW - timedelta(days=1, minutes=1)).timestamp()
        other.execute("UPDATE switches SET value = ?", (yesterday,))
        again = prune_if_due(other, Retention(), logs)
        assert again is not None
        assert again.jobs == 1


def test_without_a_folder_of_logs(database: Database, tmp_path: Path) -> None:
    assert prune(database, Retention(), tmp_path / "nothing").log_bytes == 0
