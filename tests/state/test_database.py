import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gswarm_tui.errors import StateError
from gswarm_tui.state import database as module
from gswarm_tui.state.database import Database, migrations


def test_only_the_user_can_read_the_files(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with Database(tmp_path / "home" / "state.db") as database:
            database.execute("INSERT INTO models VALUES ('a', 0, 0, 0, '', '', '', '')")
            modes = {
                path.name: stat.S_IMODE(path.stat().st_mode)
                for path in path_tree(tmp_path / "home")
            }
    finally:
        os.umask(umask)
    names = ("state.db", "state.db-wal", "state.db-shm", "state.db.checked")
    assert modes == {"home": 0o700, **dict.fromkeys(names, 0o600)}


def path_tree(root: Path) -> list[Path]:
    return [root, *root.rglob("*")]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with Database(tmp_path / "state.db") as database:
        with pytest.raises(StateError, match="UNIQUE"), database.transaction():
            add_twice(database)
        assert database.query("SELECT * FROM models") == []
        with database.transaction():
            database.execute("INSERT INTO models VALUES ('a', 0, 0, 0, '', '', '', '')")
        assert len(database.query("SELECT * FROM models")) == 1


def add_twice(database: Database) -> None:
    for _ in range(2):
        database.execute("INSERT INTO models VALUES ('a', 0, 0, 0, '', '', '', '')")


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Each has its own connection, as processes have; all must find the schema whole."""
    failures: list[Exception] = []
    barrier = threading.Barrier(8)

    def open_and_read() -> None:
        barrier.wait()
        try:
            with Database(tmp_path / "state.db") as database:
                database.query("SELECT * FROM tasks")
        except StateError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_migration_brings_an_older_file_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    with Database(path) as database:
        database.execute("INSERT INTO models VALUES ('a', 0, 0, 0, '', '', '', '')")
    newer = (*migrations(), "ALTER TABLE models ADD COLUMN colour TEXT DEFAULT 'red';\n")
    monkeypatch.setattr(module, "migrations", lambda: newer)
    with Database(path) as database:
        assert database.query("SELECT colour FROM models")[0]["colour"] == "red"


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    Database(path).close()
    released = migrations()
    bad = (*released, "CREATE TABLE half (x);\nCREATE nonsense;\n")
    monkeypatch.setattr(module, "migrations", lambda: bad)
    with pytest.raises(StateError, match="nonsense"):
        Database(path)
    monkeypatch.setattr(module, "migrations", lambda: released)
    with Database(path) as database:
        assert database.query("SELECT name FROM sqlite_master WHERE name = 'half'") == []


def test_a_file_of_a_newer_gswarm_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateError, match="is of version 99") as caught:
        Database(path)
    assert caught.value.where == str(path)
    assert "update gswarm" in str(caught.value.hint)


@pytest.mark.parametrize(
    "content",
    [b"this is not a database, by far\n" * 200, b"SQLite format 3\x00" + b"\xff" * 4096],
    ids=["text", "torn"],
)
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StateError, match="damaged") as caught:
        Database(path)
    assert "gswarm state repair" in str(caught.value.hint)
    assert path.read_bytes() == content


def test_a_locked_file_is_said_to_be_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.01)
    path = tmp_path / "state.db"
    with (
        Database(path) as first,
        Database(path) as second,
        first.transaction(),
        pytest.raises(StateError, match=r"locked for 0\.01 s by another process"),
    ):
        second.execute("DELETE FROM models")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"File exists|Not a directory") as caught:
        Database(tmp_path / "file" / "state.db")
    assert "--data-dir" in str(caught.value.hint)


def test_a_transaction_within_another_is_a_part_of_it(tmp_path: Path) -> None:
    with Database(tmp_path / "state.db") as database:
        with pytest.raises(StateError, match="UNIQUE"), database.transaction():
            add_within(database)
        assert database.query("SELECT * FROM models") == []
        with database.transaction(), database.transaction():
            database.execute("INSERT INTO models VALUES ('b', 0, 0, 0, '', '', '', '')")
    with Database(tmp_path / "state.db") as database:
        assert len(database.query("SELECT * FROM models")) == 1


def add_within(database: Database) -> None:
    database.execute("INSERT INTO models VALUES ('b', 0, 0, 0, '', '', '', '')")
    with database.transaction():
        add_twice(database)


def test_what_another_connection_commits_is_noticed_once(tmp_path: Path) -> None:
    with Database(tmp_path / "state.db") as first, Database(tmp_path / "state.db") as second:
        assert not first.changed()
        first.execute("DELETE FROM models")
        assert not first.changed()  # its own
        second.execute("INSERT INTO models VALUES ('a', 0, 0, 0, '', '', '', '')")
        assert first.changed()
        assert not first.changed()


def test_statements_of_a_script_are_told_apart_by_sql_not_by_lines() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    script = "CREATE TABLE a (x);  -- one; two\nCREATE TABLE b (\n  y -- not the end;\n);\n-- end\n"
    module.apply(connection, [script])
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
    assert names == ["a", "b"]


def test_two_connections_of_a_process_and_another_process(tmp_path: Path) -> None:
    """Closing any descriptor of the file would drop the locks that SQLite holds for the process.

    https://www.sqlite.org/howtocorrupt.html, 2.2: then the other process thinks that it was the
    last one, and removes the log that this one writes to.
    """
    path = tmp_path / "gswarm.db"
    other = "import sys, pathlib; from gswarm_tui.state.database import Database as D\n"
    ask = "print(len(D(pathlib.Path(sys.argv[1])).query('SELECT * FROM models')))"

    def in_another_process(code: str) -> str:
        words = [sys.executable, "-c", other + code, str(path)]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    with Database(path) as one, Database(path):
        in_another_process("D(pathlib.Path(sys.argv[1])).close()")
        one.execute("INSERT INTO models VALUES ('a', 0, 0, 0, '', '', '', '')")
        assert in_another_process(ask) == "1\n"
