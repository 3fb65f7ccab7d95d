"""The controller's SQLite file: opening, migrating, and turning its failures into sentences.

Write-ahead logging with ``synchronous=NORMAL``: a commit costs some 30 µs, survives a kill of the
process, and on a power cut loses the last commits but never the file. Commits are cheap enough to
be made where they are needed, in the event loop.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias, final

from gswarm_tui.errors import StateError

BUSY_TIMEOUT_S: Final = 5.0

Value: TypeAlias = str | int | float | None

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_READ_ONLY = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_NO_SPACE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def migrations() -> tuple[str, ...]:
    """The SQL scripts that bring an empty file to the newest schema, in order.

    A script that was released is never edited: the next change is the next file.
    """
    folder = resources.files("gswarm_tui.state") / "migrations"
    scripts = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(script.read_text("utf-8") for script in scripts)


@final
class Database:
    """One open file, used from one thread. Close it, or use it as a context manager.

    Args:
        path: the file; it and its folder are made where missing, readable by the user only.

    Raises:
        StateError: it cannot be opened, read or brought to this version's schema. Every method
            raises it too, in place of sqlite3's own errors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            _create(path)
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            with self._explained():
                self._connection.row_factory = sqlite3.Row
                _use_write_ahead_log(self._connection)
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute("PRAGMA foreign_keys = ON")
                self._migrate()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def execute(self, sql: str, values: Sequence[Value] = ()) -> sqlite3.Cursor:
        """Run one statement; outside of ``transaction`` it is committed on return."""
        with self._explained():
            return self._connection.execute(sql, values)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        with self._explained():
            self._connection.executemany(sql, rows)

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[sqlite3.Row]:
        with self._explained():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all that is done inside at once, or nothing if it raises."""
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        with self._explained():
            self._connection.commit()

    def _migrate(self) -> None:
        scripts = migrations()
        if self._version() == len(scripts):
            return
        with self.transaction():
            version = self._version()  # again, inside: another process may have been faster
            if version > len(scripts):
                raise StateError(
                    f"the database is of version {version}, this gswarm knows {len(scripts)}",
                    where=str(self.path),
                    hint="update gswarm, or use another data directory (--data-dir, $GSWARM_HOME)",
                )
            for script in scripts[version:]:
                for statement in script.split(";\n"):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {len(scripts)}")

    def _version(self) -> int:
        version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        return version

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(error, self.path) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise StateError(
                f"the database cannot be opened: {reason}", where=str(self.path), hint=_ELSEWHERE
            ) from error


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # sqlite3 gives its -wal and -shm files the mode of the file itself.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to WAL. The switch does not wait for a lock by itself, so this does."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _primary(error) not in _LOCKED or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


_ELSEWHERE = "another place can be given with --data-dir or $GSWARM_HOME"


def _explain(error: sqlite3.Error, path: Path) -> StateError:
    code = _primary(error)
    if code in _CORRUPT:
        message = f"the database is damaged: {error}"
        hint = (
            "move the file away: a new one is made, and `gswarm model scan` finds the models again"
        )
    elif code in _LOCKED:
        message = f"the database was locked by another process for {BUSY_TIMEOUT_S:.0f} s"
        hint = "another gswarm is writing to it; try again when it has finished"
    elif code in _READ_ONLY:
        message, hint = f"the database cannot be written: {error}", _ELSEWHERE
    elif code in _NO_SPACE:
        message, hint = f"the database cannot be written: {error}", "is the disk full?"
    else:
        message, hint = f"the database answered: {error}", None
    return StateError(message, where=str(path), hint=hint)


def _primary(error: sqlite3.Error) -> int | None:
    """The result code without its extension (SQLITE_BUSY for SQLITE_BUSY_SNAPSHOT)."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
