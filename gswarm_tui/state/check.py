"""`gswarm state check`: is the database sound, in its pages and in what its rows hold?"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gswarm_tui.errors import StateError
from gswarm_tui.state import salvage
from gswarm_tui.state.database import CORRUPT, apply, explain, migrations, primary_code
from gswarm_tui.state.salvage import UNREADABLE

_NOT_ONE: Final = ["file is not a database"]
# SQLITE_ERROR: a header with a format that is not known; the statements are known to be right.
_DAMAGE: Final = (*CORRUPT, sqlite3.SQLITE_ERROR)


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


def check(path: Path) -> Checked:
    """Look for damage in every page, index and row; takes some 2 s for 50 MB.

    Raises:
        StateError: there is no database, or it cannot be opened at all.
    """
    must_exist(path)
    try:
        address = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            found = problems(connection)
            free = number(connection, "freelist_count") * number(connection, "page_size")
            return Checked(
                path=path,
                problems=tuple(found),
                version=None if found == _NOT_ONE else number(connection, "user_version"),
                size=path.stat().st_size,
                wal_size=_wal_size(path),
                free=free,
                counts=_counts(connection),
            )
    except sqlite3.Error as error:
        raise explain(error, path) from error


def must_exist(path: Path) -> None:
    """Raises StateError where there is no database."""
    if not path.exists():
        raise StateError(
            "there is no database here",
            where=str(path),
            hint="it is made when gswarm first needs one; is another folder meant (--data-dir)?",
        )


def problems(connection: sqlite3.Connection) -> list[str]:
    """Sentences; nothing where the database is sound."""
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


def number(connection: sqlite3.Connection, pragma: str) -> int:
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


def version_of(connection: sqlite3.Connection) -> int | None:
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
    version = number(connection, "user_version")
    meant = version_of(connection)
    if meant in (None, version):
        return []
    return [f"the tables are those of version {meant}, and it says that it is of {version}"]


def _shape(connection: sqlite3.Connection) -> set[str]:
    """The statements that made the tables; nothing where they cannot be read."""
    with suppress(*UNREADABLE):
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
        return {str(sql) for (sql,) in rows}
    return set()
