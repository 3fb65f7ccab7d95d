"""`gswarm state check` and `gswarm state repair`: is the database sound, and the way out if not.

The damaged file is kept, with its log of writes, beside the new one. Nobody else can open the
database meanwhile: the lock that SQLite takes of whoever has it open is held on the damaged file
until the new one is in its place.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import psutil

from gswarm_tui.errors import StateError
from gswarm_tui.state import salvage
from gswarm_tui.state.database import Database, apply, explain, migrations, primary_code
from gswarm_tui.state.salvage import UNREADABLE

# The bytes that SQLite locks, from its file format: PENDING, RESERVED and the SHARED range, which
# every connection holds for as long as it has a database in WAL mode open.
_LOCK_BYTES: Final = (0x40000000, 512)
_PARTS: Final = ("", "-wal", "-shm")
_NO_VERSION: Final = 1000  # more is garbage, not a newer gswarm
# SQLITE_ERROR: a header with a format that is not known; the statements are known to be right.
_DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found.

    Args:
        problems: SQLite's sentences; nothing where the file is sound.
        version: of the schema; None where it cannot be read.
        size: bytes of the file, ``wal_size`` of its log of writes, ``free`` of unused pages.
        counts: rows by table; a table that cannot be read is left out.
    """

    path: Path
    problems: tuple[str, ...]
    version: int | None
    size: int
    wal_size: int
    free: int
    counts: dict[str, int]

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Table:
    """What became of one table's rows; ``lost`` is None where nobody can say how many."""

    name: str
    saved: int
    lost: int | None


@dataclass(frozen=True, slots=True)
class Repaired:
    """What `repair` did.

    Args:
        problems: what was wrong; with nothing wrong, nothing was done.
        damaged: where the damaged file is now; None where nothing was wrong.
    """

    path: Path
    problems: tuple[str, ...]
    damaged: Path | None
    tables: tuple[Table, ...]


def check(path: Path) -> Checked:
    """Look for damage in every page, index and row; takes some 0.2 s for 50 MB.

    Raises:
        StateError: there is no database, or it cannot be opened at all.
    """
    _must_exist(path)
    try:
        address = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            problems = _problems(connection)
            free = _number(connection, "freelist_count") * _number(connection, "page_size")
            return Checked(
                path=path,
                problems=tuple(problems),
                version=None if problems == _NOT_ONE else _number(connection, "user_version"),
                size=path.stat().st_size,
                wal_size=_wal_size(path),
                free=free,
                counts=_counts(connection),
            )
    except sqlite3.Error as error:
        raise explain(error, path) from error


def repair(path: Path) -> Repaired:
    """Put a new database with all that can be read in the place of a damaged one.

    This process must not have it open: the lock that keeps others away is the process's.

    Raises:
        StateError: there is no database, another gswarm has it open, or the new one cannot be
            written; then all is as it was.
    """
    _must_exist(path)
    with _alone(path) as file, _scratch(path) as folder:
        _copy(file, path, folder / "damaged.db")
        with closing(_connect(folder / "damaged.db")) as connection:
            problems = tuple(_problems(connection))
        if not problems:
            return Repaired(path, (), None, ())
        # Once more: to look for damage can have merged the log of writes into the copy.
        _copy(file, path, folder / "damaged.db")
        try:
            tables = _rebuild(folder / "damaged.db", folder / "new.db")
        except sqlite3.Error as error:
            raise explain(error, path) from error
        damaged = _swap(path, folder / "new.db")
        return Repaired(path, problems, damaged, tables)


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise StateError(
            "there is no database here",
            where=str(path),
            hint="it is made when gswarm first needs one; is another folder meant (--data-dir)?",
        )


_NOT_ONE: Final = ["file is not a database"]


def _problems(connection: sqlite3.Connection) -> list[str]:
    try:
        return _misbuilt(connection) or _misnumbered(connection) or _garbled(connection)
    except UNREADABLE as error:
        code = primary_code(error) if isinstance(error, sqlite3.Error) else None
        if code not in (*_DAMAGE, None):
            raise
        return [str(error)]


def _misbuilt(connection: sqlite3.Connection) -> list[str]:
    """What SQLite finds wrong."""
    rows = connection.execute("PRAGMA integrity_check(20)").fetchall()
    rows += connection.execute("PRAGMA foreign_key_check").fetchmany(20)
    lines = [line for row in rows for line in _sentence(row).splitlines()]
    return [line for line in lines if line != "ok" and not line.startswith("***")]


def _garbled(connection: sqlite3.Connection) -> list[str]:
    """Pages can be in order and hold garbage: then gswarm could not use the rows."""
    return [
        f"rows of {one.table} hold what gswarm never wrote"
        for one in salvage.salvage(connection, connection)
        if not one.whole
    ]


def _sentence(row: tuple[object, ...]) -> str:
    """A line of integrity_check, or a row of foreign_key_check: table, rowid, parent, index."""
    return str(row[0]) if len(row) == 1 else f"a row of {row[0]} has no row of {row[2]}"


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    """A pragma's number; 0 where the file cannot be read."""
    try:
        value: int = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
    except UNREADABLE:
        return 0
    return value


def _wal_size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.with_name(path.name + "-wal").stat().st_size
    return 0


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    counts = {}
    with suppress(*UNREADABLE):
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        for (name,) in names:
            with suppress(*UNREADABLE):
                rows = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()  # noqa: S608
                counts[name] = int(rows[0])
    return dict(sorted(counts.items()))


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _rebuild(damaged: Path, new: Path) -> tuple[Table, ...]:
    """Write what can be read of ``damaged`` (a copy) to ``new``, in the newest schema."""
    version = _version(damaged, new)
    _create(new, version)
    with closing(_connect(new)) as wanted:
        with closing(_connect(damaged)) as connection:
            found = salvage.salvage(connection, wanted)
            last_job = salvage.last_job(connection)
        saved = salvage.insert(wanted, found, last_job=last_job)
    Database(new).close()
    for part in (*_PARTS[1:], ".checked"):
        new.with_name(new.name + part).unlink(missing_ok=True)
    return tuple(
        Table(
            one.table,
            saved[one.table],
            None if one.expected is None else max(0, one.expected - saved[one.table]),
        )
        for one in found
    )


def _version(damaged: Path, new: Path) -> int:
    """The version of a damaged copy's schema. Its header is replaced where it cannot be read.

    Args:
        new: a file that may be made, and overwritten later.
    """
    newest = len(migrations())
    if _reads(damaged) is None:
        _create(new, newest)
        first_page = salvage.restored_page(damaged.read_bytes(), new.read_bytes())
        if first_page is not None:
            with damaged.open("rb+") as file:
                file.write(first_page)
    with closing(_connect(damaged)) as connection:
        version = _number(connection, "user_version")
        by_shape = _version_of(connection)
    if by_shape is None and newest < version < _NO_VERSION:
        message = f"the database is of version {version}, this gswarm knows {newest}"
        raise StateError(message, hint="update gswarm")
    return by_shape or (version if 0 < version <= newest else newest)


def _reads(path: Path) -> int | None:
    """How many tables there are; None where not even that can be read."""
    with closing(_connect(path)) as connection, suppress(*UNREADABLE):
        count: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return count
    return None


def _create(path: Path, version: int) -> None:
    """Make an empty database with the schema of a version."""
    path.unlink(missing_ok=True)
    with closing(_connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("BEGIN")
        apply(connection, migrations()[:version])
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")


def _version_of(connection: sqlite3.Connection) -> int | None:
    """The version whose tables these are; None where they are of none that is known."""
    shape = _shape(connection)
    scripts = migrations()
    for version in range(len(scripts), 0, -1):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as sound:
            apply(sound, scripts[:version])
            if _shape(sound) == shape:
                return version
    return None


def _misnumbered(connection: sqlite3.Connection) -> list[str]:
    version = _number(connection, "user_version")
    meant = _version_of(connection)
    if meant in (None, version):
        return []
    return [f"the tables are those of version {meant}, and it says that it is of {version}"]


def _shape(connection: sqlite3.Connection) -> set[str]:
    """The statements that made the tables; nothing where they cannot be read."""
    with suppress(*UNREADABLE):
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
        return {str(sql) for (sql,) in rows}
    return set()


def _copy(file: int, path: Path, target: Path) -> None:
    """Copy the database and its log of writes.

    By the descriptor that holds the lock: closing another one of the same file would drop it.
    """
    os.lseek(file, 0, os.SEEK_SET)
    with target.open("wb") as copy:
        while block := os.read(file, 1 << 20):
            copy.write(block)
    for part in _PARTS[1:]:
        target.with_name(target.name + part).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        shutil.copyfile(path.with_name(path.name + "-wal"), target.with_name(target.name + "-wal"))


def _swap(path: Path, new: Path) -> Path:
    """Put ``new`` in the place of the damaged file; returns where that one is now.

    At each moment the database is under its name, and its parts under theirs or the other names.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    damaged = path.with_name(f"{path.name}.damaged-{stamp}")
    with new.open("rb+") as file:
        os.fsync(file.fileno())
    for part in _PARTS:
        with suppress(FileNotFoundError):
            os.link(path.with_name(path.name + part), damaged.with_name(damaged.name + part))
    # First the log of writes: it must not be taken for one of the new file.
    for part in _PARTS[1:]:
        path.with_name(path.name + part).unlink(missing_ok=True)
    new.chmod(0o600)
    new.replace(path)
    return damaged


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """A folder beside the database: on its filesystem, and for the user only."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="repair-", dir=path.parent))
    except OSError as error:
        raise StateError(
            f"cannot be written to: {error.strerror}", where=str(path.parent)
        ) from None
    try:
        yield folder
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "there must be room for the database twice; nothing was changed"
        raise StateError(f"cannot be repaired: {reason}", where=str(path), hint=hint) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Keep everybody else from the database; yields its descriptor.

    Raises:
        StateError: somebody has it open; says who.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise StateError(f"cannot be opened: {error.strerror}", where=str(path)) from None
    try:
        start, length = _LOCK_BYTES
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        except OSError:
            raise StateError(
                f"the database is in use by {_holder(file)}",
                where=str(path),
                hint="repair it when no other gswarm runs",
            ) from None
        yield file
    finally:
        os.close(file)


def _holder(file: int) -> str:
    """The process that keeps us from the lock, as far as the kernel says."""
    if sys.platform != "linux":
        return "another process"
    form = "hhqqi4x"  # struct flock of Linux on 64 bits: type, whence, start, length, pid
    start, length = _LOCK_BYTES
    asked = struct.pack(form, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    pid = struct.unpack(form, fcntl.fcntl(file, fcntl.F_GETLK, asked))[4]
    try:
        command = " ".join(psutil.Process(pid).cmdline()) if pid > 0 else ""
    except psutil.Error:
        command = ""
    return f"process {pid} ({command})" if command else "another process"
