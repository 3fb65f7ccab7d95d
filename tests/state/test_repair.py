"""Damaged databases: what is said, what is saved, and that nothing is destroyed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gswarm_tui.errors import StateError
from gswarm_tui.state import overview
from gswarm_tui.state.check import check
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.models import Registry
from gswarm_tui.state.repair import repair

PAGE = 4096
JOBS, TASKS = 200, 10
TIME = "2026-01-01T00:00:00.000+00:00"
SMALL = (Path(__file__).parents[1] / "data" / "databases" / "1.db").read_bytes()


def filled(path: Path) -> Path:
    """A database of some 100 pages: every row says which one it is."""
    with Database(path) as database, database.transaction():
        for name in range(50):
            database.execute(
                "INSERT INTO models VALUES (?, ?, NULL, NULL, '[]', '{}', ?, ?)",
                (f"model{name}", "hf://org/" + "x" * 100, TIME, TIME),
            )
        for job in range(1, JOBS + 1):
            database.execute(
                "INSERT INTO jobs (id, name, playbook, state, host, pid, process_started,"
                " created_at, document) VALUES (?, ?, 'p', 'succeeded', 'h', 1, 1.0, ?, ?)",
                (job, f"job{job}", TIME, json.dumps({"job": job, "text": "y" * 400})),
            )
            for task in range(TASKS):
                database.execute(
                    "INSERT INTO tasks (job_id, position, action_id, action_type, summary,"
                    " dependencies, state, result) VALUES (?, ?, ?, 'copy', '', '[]', 'failed', ?)",
                    (job, task, f"task{task}", json.dumps({"job": job, "task": task})),
                )
    return path


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def page_of(path: Path, text: bytes) -> int:
    """The first page that has a text in it, from 0."""
    return path.read_bytes().index(text) // PAGE


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("rb+") as file:
        file.seek(offset)
        file.write(data)


def test_a_sound_database_is_left_alone(tmp_path: Path) -> None:
    path = filled(tmp_path / "gswarm.db")
    before = path.read_bytes()
    checked = check(path)
    assert checked.ok
    assert checked.counts["models"] == 50
    assert checked.counts["tasks"] == JOBS * TASKS
    done = repair(path)
    assert done.problems == ()
    assert done.damaged is None
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gswarm.db", "gswarm.db.checked"]


@pytest.mark.parametrize("text", [b'{"job": 100, "text"', b'"job": 60, "task": 5'])
def test_a_page_in_the_middle_costs_its_rows_only(tmp_path: Path, text: bytes) -> None:
    path = filled(tmp_path / "gswarm.db")
    overwrite(path, page_of(path, text) * PAGE, b"\xa5" * PAGE)
    before = path.read_bytes()
    (tmp_path / "gswarm.db.checked").unlink()
    with pytest.raises(StateError, match="damaged") as caught:
        Database(path)
    assert caught.value.hint is not None
    assert "gswarm state repair" in caught.value.hint
    assert not check(path).ok

    done = repair(path)

    assert done.problems
    assert done.damaged is not None
    assert done.damaged.read_bytes() == before
    tables = {table.name: table for table in done.tables}
    assert tables["models"].saved == 50
    assert tables["models"].lost == 0
    assert JOBS - 12 < tables["jobs"].saved <= JOBS
    assert (JOBS - 12) * TASKS - 100 < tables["tasks"].saved < JOBS * TASKS
    assert check(path).ok
    with Database(path) as database:
        assert len(database.query("SELECT * FROM jobs")) == tables["jobs"].saved
        for row in database.query("SELECT id, document FROM jobs"):
            assert json.loads(row["document"])["job"] == row["id"]
        for row in database.query("SELECT * FROM tasks"):
            assert json.loads(row["result"]) == {"job": row["job_id"], "task": row["position"]}
        database.execute("INSERT INTO models VALUES ('new', 0, 0, 0, '', '', '', '')")


def test_the_rows_of_a_lost_job_are_counted_by_its_index(tmp_path: Path) -> None:
    path = filled(tmp_path / "gswarm.db")
    overwrite(path, page_of(path, b'{"job": 100, "text"') * PAGE, b"\xa5" * PAGE)
    done = repair(path)
    jobs = next(table for table in done.tables if table.name == "jobs")
    assert jobs.lost == JOBS - jobs.saved > 0


def test_a_truncated_file_keeps_what_came_before(tmp_path: Path) -> None:
    path = filled(tmp_path / "gswarm.db")
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.truncate(size // 2 + 100)
    done = repair(path)
    saved = {table.name: table.saved for table in done.tables}
    assert saved["models"] > 0
    assert 10 < saved["jobs"] < JOBS
    assert check(path).ok
    with Database(path) as database:  # the number of a lost job is not given again
        cursor = database.execute(
            "INSERT INTO jobs (name, playbook, state, host, pid, process_started, created_at)"
            " VALUES ('n', 'p', 'failed', 'h', 1, 1.0, 't')"
        )
        assert cursor.lastrowid == JOBS + 1


def test_a_header_of_garbage_is_replaced(tmp_path: Path) -> None:
    path = filled(tmp_path / "gswarm.db")
    overwrite(path, 0, b"\x00garbage" * 12)
    assert check(path).problems == ("file is not a database",)
    done = repair(path)
    saved = {table.name: table.saved for table in done.tables}
    assert saved["models"] == 50
    assert saved["jobs"] == JOBS
    assert saved["tasks"] == JOBS * TASKS
    assert check(path).ok


def test_a_file_that_is_no_database_gives_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    path.write_bytes(b"this is not a database, by far\n" * 1000)
    done = repair(path)
    assert done.damaged is not None
    assert done.damaged.read_bytes().startswith(b"this is not")
    assert {table.saved for table in done.tables} == {0}
    assert {table.lost for table in done.tables} == {None}
    assert check(path).ok


def test_an_index_that_disagrees_is_made_anew(tmp_path: Path) -> None:
    path = filled(tmp_path / "gswarm.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'jobs_by_state'")
        connection.commit()
    assert not check(path).ok
    saved = {table.name: table.saved for table in repair(path).tables}
    assert saved["jobs"] == JOBS
    assert rows(path, "SELECT name FROM sqlite_master WHERE name = 'jobs_by_state'")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tasks SET dependencies = 'x' WHERE position = 3",
        "UPDATE tasks SET state = 'succee' || char(7) WHERE position = 3",
        "UPDATE tasks SET priority = 'nor' WHERE position = 3",
        "UPDATE tasks SET started_at = '2026-13-01' WHERE position = 3",
        "UPDATE tasks SET summary = x'00ff' WHERE position = 3",
    ],
)
def test_a_row_that_could_not_be_read_back_is_left_out(tmp_path: Path, damage: str) -> None:
    path = filled(tmp_path / "gswarm.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(damage)
        connection.commit()
    overwrite(path, page_of(path, b'{"job": 100, "text"') * PAGE, b"\xa5" * PAGE)
    repair(path)
    assert rows(path, "SELECT count(*) FROM tasks WHERE position = 3") == [(0,)]
    assert rows(path, "SELECT count(*) > 1500 FROM tasks") == [(1,)]


def test_what_is_only_in_the_log_of_writes_is_saved(tmp_path: Path) -> None:
    path = filled(tmp_path / "gswarm.db")
    script = (
        "import os, sys; from pathlib import Path; from gswarm_tui.state.database import Database;"
        "d = Database(Path(sys.argv[1]));"
        "d.execute(\"INSERT INTO models VALUES ('late', 0, 0, 0, '[]', '{}', ?, ?)\","
        f"({TIME!r}, {TIME!r}));"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    wal = path.with_name("gswarm.db-wal").read_bytes()
    overwrite(path, page_of(path, b'{"job": 100, "text"') * PAGE, b"\xa5" * PAGE)
    done = repair(path)
    assert rows(path, "SELECT name FROM models WHERE name = 'late'") == [("late",)]
    assert done.damaged is not None
    assert done.damaged.with_name(done.damaged.name + "-wal").read_bytes() == wal


def test_an_older_version_is_repaired_and_migrated(tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    path.write_bytes((Path(__file__).parents[1] / "data" / "databases" / "1.db").read_bytes())
    overwrite(path, 0, b"\x00garbage" * 12)
    saved = {table.name: table.saved for table in repair(path).tables}
    assert (saved["models"], saved["jobs"], saved["tasks"]) == (2, 5, 15)
    assert len({key for (key,) in rows(path, "SELECT key FROM jobs")}) == 5


def test_a_database_that_is_in_use_is_not_touched(tmp_path: Path) -> None:
    path = filled(tmp_path / "gswarm.db")
    overwrite(path, page_of(path, b'{"job": 100, "text"') * PAGE, b"\xa5" * PAGE)
    before = path.read_bytes()
    script = (
        "import sys; from pathlib import Path; from gswarm_tui.state.database import Database;"
        "d = Database(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StateError, match=rf"in use by process {other.pid} \(.*python"):
            repair(path)
        assert path.read_bytes() == before
        assert not list(tmp_path.glob("*.damaged-*"))


def test_without_a_database_there_is_nothing_to_check(tmp_path: Path) -> None:
    for work in (check, repair):
        with pytest.raises(StateError, match="there is no database here"):
            work(tmp_path / "gswarm.db")
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=64), st.integers(1, 200)),
        min_size=1,
        max_size=6,
    )
)
@example([(0.9375, b"\x08\x80\x88\x80\x80\x80\x00", 4)])  # a row of gigabytes
def test_whatever_is_overwritten_what_is_saved_can_be_used(
    damage: list[tuple[float, bytes, int]],
) -> None:
    """No damage ends a repair, and every row that it keeps is read by those who read it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gswarm.db"
        path.write_bytes(SMALL)
        before = path.read_bytes()
        for place, data, times in damage:
            overwrite(path, int(place * len(before)), data * times)
        damaged = path.read_bytes()
        done = repair(path)
        if done.damaged is None:
            assert path.read_bytes() == damaged
        else:
            assert done.damaged.read_bytes() == damaged
            assert check(path).ok
        with Database(path) as database:
            Registry(database).list()
            jobs = Jobs(database)
            for job in jobs.recent(limit=1000):
                jobs.tasks(job.id)
                jobs.attempts(job.id)
                overview.seconds_of(job)
