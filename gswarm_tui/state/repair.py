"""`gswarm state repair`: the way out when the database is damaged.

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

from gswarm_tui.errors import StateError
from gswarm_tui.state import holders, salvage
from gswarm_tui.state.check import must_exist, number, problems, version_of
from gswarm_tui.state.database import Database, apply, explain, migrations
from gswarm_tui.state.salvage import UNREADABLE

# The bytes that SQLite locks, from its file format: PENDING, RESERVED and the SHARED range, which
# every connection holds for as long as it has a database in WAL mode open.
_LOCK_BYTES: Final = (0x40000000, 512)
_PARTS: Final = ("", "-wal", "-shm")
_NO_VERSION: Final = 1000  # more is garbage, not a newer gswarm


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


def repair(path: Path) -> Repaired:
    """Put a new database with all that can be read in the place of a damaged one.

    This process must not have it open: the lock that keeps others away is the process's.

    Raises:
        StateError: there is no database, another gswarm has it open, or the new one cannot be
            written; then all is as it was.
    """
    must_exist(path)
    with _alone(path) as file, _scratch(path) as folder:
        _copy(file, path, folder / "damaged.db")
        with closing(_connect(folder / "damaged.db")) as connection:
            wrong = tuple(problems(connection))
        if not wrong:
            return Repaired(path, (), None, ())
        # Once more: to look for damage can have merged the log of writes into the copy.
        _copy(file, path, folder / "damaged.db")
        try:
            tables = _rebuild(folder / "damaged.db", folder / "new.db")
        except sqlite3.Error as error:
            raise explain(error, path) from error
        damaged = _swap(path, folder / "new.db")
        return Repaired(path, wrong, damaged, tables)


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
        version = number(connection, "user_version")
        by_shape = version_of(connection)
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
        return holders.NOBODY_KNOWN
    form = "hhqqi4x"  # struct flock of Linux on 64 bits: type, whence, start, length, pid
    start, length = _LOCK_BYTES
    asked = struct.pack(form, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    pid = struct.unpack(form, fcntl.fcntl(file, fcntl.F_GETLK, asked))[4]
    return holders.named(pid)
