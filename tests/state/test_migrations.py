"""A database of each released version, made by that version, opened by this one.

``tests/data/databases/N.db`` has what version N could write: models, and a job of every state with
tasks of every state. A release adds its own file; none is ever made again.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gswarm_tui.state.check import check
from gswarm_tui.state.database import Database, migrations
from gswarm_tui.state.models import Registry

FILES = sorted((Path(__file__).parents[1] / "data" / "databases").glob("*.db"))


def contents(path: Path) -> dict[str, list[dict[str, object]]]:
    """Every row of every table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        return {
            row["name"]: [dict(one) for one in connection.execute(f"SELECT * FROM {row['name']}")]
            for row in names
        }


def test_there_is_a_file_of_each_version_that_was_released() -> None:
    """The newest schema is released with the version after it is written."""
    assert [path.stem for path in FILES] == [str(n) for n in range(1, len(migrations()))]


@pytest.mark.parametrize("old", FILES, ids=lambda path: path.stem)
def test_every_row_is_kept_as_it_was(old: Path, tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    shutil.copy(old, path)
    before = contents(path)
    assert {row["state"] for row in before["jobs"]} >= {
        *("running", "succeeded", "failed", "cancelled", "lost")
    }
    Database(path).close()
    after = contents(path)
    for table, rows in before.items():
        kept = [{column: row[column] for column in rows[0]} for row in after[table]]
        assert kept == rows, table
    assert check(path).ok
    assert check(path).version == len(migrations())


@pytest.mark.parametrize("old", FILES, ids=lambda path: path.stem)
def test_it_has_the_schema_of_a_new_file(old: Path, tmp_path: Path) -> None:
    shutil.copy(old, tmp_path / "old.db")
    Database(tmp_path / "old.db").close()
    Database(tmp_path / "new.db").close()
    assert schema(tmp_path / "old.db") == schema(tmp_path / "new.db")


def test_what_failed_in_a_job_that_succeeded_was_tolerated(tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    shutil.copy(FILES[1], path)
    with Database(path) as database:
        rows = database.query("SELECT job_id, action_id, tolerated FROM tasks WHERE error NOTNULL")
    failed = {(row["job_id"], row["action_id"]): row["tolerated"] for row in rows}
    assert failed[1, "may"] == 1
    assert sum(failed.values()) == 1


def schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_what_version_1_wrote_is_read_by_this_one(tmp_path: Path) -> None:
    path = tmp_path / "gswarm.db"
    shutil.copy(FILES[0], path)
    with Database(path) as database:
        models = Registry(database).list()
        assert [model.name for model in models] == ["bare", "qwen"]
        assert models[1].requirements == {"min_memory": 4_000_000_000, "gpu_arch": ["sm_80"]}
        jobs = database.query("SELECT * FROM jobs ORDER BY id")
        assert len({job["key"] for job in jobs}) == len(jobs) == 5
        assert all(job["started_at"] == job["created_at"] for job in jobs)
        begun = database.query("SELECT attempt FROM tasks WHERE started_at IS NOT NULL")
        assert {task["attempt"] for task in begun} == {1}
