"""The controller's SQLite file: opening, migrating, and turning its failures into sentences.

Write-ahead logging with ``synchronous=NORMAL``: a commit costs some 30 µs, survives a kill of the
process, and on a power cut loses the last commits but never the file. Commits are cheap enough to
be made where they are needed, in the event loop. What that means in practice: docs/state.md.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias, final

import psutil

from gswarm_tui.errors import StateError, UsageError
from gswarm_tui.state import holders
from gswarm_tui.state.filesystem import network_filesystem

BUSY_TIMEOUT_S: Final = 5.0
CHECKED_EVERY_S: Final = 24 * 3600.0
"""Seconds until the file is read through again: 70 ms for 50 MB, too much for each command."""

Value: TypeAlias = str | int | float | None

_INCREMENTAL = 2  # of PRAGMA auto_vacuum
# TOOBIG: a row that says that it has gigabytes; gswarm writes none like that.
CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG)
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

    The file is read through for damage on the first opening of a day, and of a boot: a power cut
    is what damages one.

    Args:
        path: the file; it and its folder are made where missing, readable by the user only.

    Raises:
        StateError: it cannot be opened, read or brought to this version's schema, is damaged, or
            is on a filesystem of the network. Every method raises it too, in place of sqlite3's
            own errors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            _refuse_network(path.parent)
            _create(path)
            self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            with self._explained():
                self._connection.row_factory = sqlite3.Row
                if self._number("page_count") == 0:  # an older one: see `shrink`
                    self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                _use_write_ahead_log(self._connection)
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute("PRAGMA foreign_keys = ON")
                self._check_if_due()
                self._migrate()
                self._seen = self._number("data_version")
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
        """Commit all that is done inside at once, or nothing if it raises.

        Only one connection at a time is inside; others wait for it. One within another is a part of
        the outer one, which must not go on after an error of the inner one.
        """
        if self._connection.in_transaction:
            yield
            return
        with self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._explained():
                self._connection.commit()
        except BaseException:
            with self._explained():
                self._connection.rollback()
            raise

    def changed(self) -> bool:
        """Whether another connection has committed since this was asked last, or since opening."""
        with self._explained():
            before, self._seen = self._seen, self._number("data_version")
        return self._seen != before

    def shrink(self) -> None:
        """Give the space of what was deleted back to the disk; not within a transaction.

        A file that was made before this was thought of is written anew, once.
        """
        with self._explained():
            if self._number("auto_vacuum") == _INCREMENTAL:
                # By a script: it goes on to the end, where `execute` frees one page.
                self._connection.executescript("PRAGMA incremental_vacuum")
            else:
                self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                self._connection.execute("VACUUM")
            # The file shrinks when the log of writes is merged into it; where others read, later.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _number(self, pragma: str) -> int:
        value: int = self._connection.execute(f"PRAGMA {pragma}").fetchone()[0]
        return value

    def _check_if_due(self) -> None:
        """Read the file through, if that was not done today and since the machine was started.

        Raises:
            StateError: it is damaged.
        """
        marker = self.path.with_name(self.path.name + ".checked")
        now = time.time()
        with suppress(FileNotFoundError):
            last = marker.stat().st_mtime
            if max(now - CHECKED_EVERY_S, psutil.boot_time()) < last <= now:
                return
        problems = quick_check(self._connection)
        if problems:
            message = f"the database is damaged: {problems[0]}"
            raise StateError(message, where=str(self.path), hint=REPAIR)
        with suppress(OSError):  # a full disk; it is looked at again the next time
            marker.touch(mode=0o600)

    def _migrate(self) -> None:
        scripts = migrations()
        if self._number("user_version") == len(scripts):
            return
        with self.transaction():
            version = self._number(
                "user_version"
            )  # again, inside: another process may have been faster
            if version > len(scripts):
                raise StateError(
                    f"the database is of version {version}, this gswarm knows {len(scripts)}",
                    where=str(self.path),
                    hint="update gswarm, or use another data directory (--data-dir, $GSWARM_HOME)",
                )
            apply(self._connection, scripts[version:])
            self._connection.execute(f"PRAGMA user_version = {len(scripts)}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        except UnicodeDecodeError as error:  # garbage that SQLite quotes in its message
            message = f"the database is damaged: {error.reason}"
            raise StateError(message, where=str(self.path), hint=REPAIR) from error
        except UnicodeEncodeError as error:  # bytes of a command line or a file's name
            said = f"{error.object!r:.80} is not UTF-8 text"
            raise UsageError(said, hint="the database keeps no other: use another name") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise StateError(
                f"the database cannot be opened: {reason}", where=str(self.path), hint=_ELSEWHERE
            ) from error


def apply(connection: sqlite3.Connection, scripts: Sequence[str]) -> None:
    """Run the statements of scripts one by one, so that they can be in one transaction."""
    for script in scripts:
        statement = ""
        for line in script.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                connection.execute(statement)
                statement = ""
        if statement.strip():
            connection.execute(statement)


def quick_check(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong in the pages of a file; nothing where all is well."""
    try:
        rows = connection.execute("PRAGMA quick_check(5)").fetchall()
    except sqlite3.DatabaseError as error:
        if primary_code(error) not in CORRUPT:
            raise
        return [str(error)]
    found = [line for row in rows for line in str(row[0]).splitlines() if line[:3] != "***"]
    return [line for line in found if line != "ok"]


def _refuse_network(folder: Path) -> None:
    kind = network_filesystem(folder)
    if kind is not None:
        message = f"is on a network filesystem ({kind}), where SQLite's write-ahead log"
        raise StateError(
            f"{message} does not work: machines would damage each other's writes",
            where=str(folder),
            hint="name a folder on a disk of this machine with --data-dir or $GSWARM_HOME",
        )


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # sqlite3 gives its -wal and -shm files the mode of the file itself. One that is there must not
    # be opened here: closing it drops the locks of every connection of this process, and another
    # process would remove the log that they write to (sqlite.org/howtocorrupt.html, 2.2).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to WAL. The switch does not wait for a lock by itself, so this does."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if primary_code(error) not in _LOCKED or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


_ELSEWHERE: Final = "another place can be given with --data-dir or $GSWARM_HOME"
REPAIR: Final = "save what can be read, with nothing destroyed: gswarm state repair"


def explain(error: sqlite3.Error, path: Path) -> StateError:
    """What SQLite's error means for the person whose file it is."""
    code = primary_code(error)
    where, full = str(path), _is_full(path.parent)
    if code in CORRUPT or str(error) == "unsupported file format":
        return StateError(f"the database is damaged: {error}", where=where, hint=REPAIR)
    if code in _LOCKED:
        who = holders.writer_of(path)
        message = f"the database was locked for {BUSY_TIMEOUT_S:g} s by {who}"
        hint = "another gswarm is writing to it; try again when it has finished"
    elif code in (*_NO_SPACE, *_READ_ONLY) and (full or code == sqlite3.SQLITE_FULL):
        message = f"the database cannot be written: its disk is full ({error})"
        hint = "make room; nothing that was written before is lost"
    elif code in _READ_ONLY:
        message = f"the database cannot be written: {_why_read_only(path) or error}"
        hint = _ELSEWHERE
    elif code in _NO_SPACE:
        message = f"the database cannot be written: {error}"
        hint = "is there a limit to what you may write (a quota, ulimit -f), or does the disk fail?"
    else:
        return StateError(f"the database answered: {error}", where=where)
    return StateError(message, where=where, hint=hint)


def _why_read_only(path: Path) -> str | None:
    with suppress(OSError):
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return "its disk is read-only"
    blocked = next(
        (p for p in (path, path.parent) if p.exists() and not os.access(p, os.W_OK)), None
    )
    return None if blocked is None else f"you may not write to {blocked}"


def _is_full(folder: Path) -> bool:
    """Whether not even a few pages fit on the folder's disk."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < 64 * 1024


def primary_code(error: sqlite3.Error) -> int | None:
    """The result code without its extension (SQLITE_BUSY for SQLITE_BUSY_SNAPSHOT)."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
