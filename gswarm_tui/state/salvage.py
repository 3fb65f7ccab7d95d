"""Reading what can be read of a damaged SQLite file, row by row.

A page that is damaged takes its rows with it, and an error ends the reading of a table. So each
table is read in ranges of its key; a range that fails is halved, until single keys are left.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from gswarm_tui.state.states import Priority, State

MAX_FAILURES: Final = 20_000
"""Ranges that may fail in one table: some 20 µs each, and a damaged page costs some hundred."""

# The file format (sqlite.org/fileformat.html): the header, and the types of a table's pages.
_HEADER_BYTES: Final = 100
_LEAF, _INTERIOR = 0x0D, 0x05

UNREADABLE: Final = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading raises; the second where SQLite quotes garbage in its message."""

Row = tuple[Any, ...]

_JSON: Final = frozenset({"tags", "requirements", "document", "dependencies", "result", "nodes"})
_WORDS: Final = {"state": frozenset(State), "priority": frozenset(Priority)}
_TYPES: Final = {"TEXT": (str,), "INTEGER": (int,), "REAL": (float, int)}


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The rows of one table.

    Args:
        columns: their names, in the order of each row.
        expected: how many there should be; None where that cannot be read either.
        whole: whether nothing failed.
    """

    table: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    expected: int | None
    whole: bool


def restored_page(data: bytes, sound: bytes) -> bytes | None:
    """The first page with a sound header; None where more than the header is damaged.

    Args:
        data: the whole damaged file.
        sound: a sound database, of the same page size.
    """
    size = int.from_bytes(sound[16:18], "big")
    if len(data) < size or data[_HEADER_BYTES] not in (_LEAF, _INTERIOR):
        return None
    header = bytearray(sound[:_HEADER_BYTES])
    header[18:20] = b"\x02\x02"  # with a log of writes, which may hold more than the file
    header[28:32] = (len(data) // size).to_bytes(4, "big")
    header[32:40] = bytes(8)  # no free pages: those that there are stay unused
    return bytes(header) + data[_HEADER_BYTES:size]


def salvage(damaged: sqlite3.Connection, wanted: sqlite3.Connection) -> list[Salvaged]:
    """Read the rows of every table that a sound database of the same version has.

    Args:
        damaged: a copy: it is opened as leniently as SQLite can.
        wanted: the empty database whose tables and columns are meant.
    """
    _attempt(damaged, "PRAGMA writable_schema = ON")  # a schema that is damaged in part is read
    tables = [
        row[0]
        for row in wanted.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
    ]
    return [_Reader(damaged, wanted, table).read() for table in tables]


def _attempt(connection: sqlite3.Connection, sql: str, values: Sequence[int] = ()) -> list[Row]:
    """All rows, or none where the reading fails."""
    try:
        return connection.execute(sql, values).fetchall()
    except UNREADABLE:
        return []


@dataclass
class _Reader:
    """One table of the damaged file, read by ranges of an integer key."""

    damaged: sqlite3.Connection
    wanted: sqlite3.Connection
    table: str
    rows: dict[Row, None] = field(default_factory=dict)
    failures: int = 0

    def read(self) -> Salvaged:
        info = self.wanted.execute(f"PRAGMA table_info({self.table})").fetchall()
        there = {row[1] for row in _attempt(self.damaged, f"PRAGMA table_info({self.table})")}
        columns = tuple(row[1] for row in info if row[1] in there)
        if not columns:
            return Salvaged(self.table, (), (), None, whole=False)
        keys = self._keys(info)
        if keys[0] == "rowid" or info[[row[1] for row in info].index(keys[0])][2] == "INTEGER":
            self._range(columns, keys, *self._bounds(keys[0]))
        else:
            self._both_ways(columns, keys)
        types = [row[2] for row in info if row[1] in there]
        kinds = tuple(zip(columns, types, strict=True))
        sound = [row for row in self.rows if all(map(_is_sound, kinds, row))]
        damaged = self.failures > 0 or len(sound) < len(self.rows)
        expected = self._expected() if damaged else len(sound)
        return Salvaged(self.table, columns, tuple(sound), expected, whole=not damaged)

    def _keys(self, info: list[Row]) -> list[str]:
        """``rowid``, or the columns of the key where there is none."""
        try:
            self.wanted.execute(f"SELECT rowid FROM {self.table} LIMIT 0")  # noqa: S608
        except sqlite3.OperationalError:
            return [row[1] for row in sorted(info, key=lambda row: int(row[5])) if row[5]]
        return ["rowid"]

    def _bounds(self, key: str) -> tuple[int, int]:
        """Where the key begins and ends, as far as it can be read."""
        ends = []
        for order in ("", "DESC"):
            sql = f"SELECT {key} FROM {self.table} NOT INDEXED ORDER BY {key} {order} LIMIT 1"  # noqa: S608
            found = _attempt(self.damaged, sql)
            ends.append(found[0][0] if found and isinstance(found[0][0], int) else None)
        low, high = ends
        if high is None:
            high = self._highest(low or 0)
        return (1 if low is None else low), high

    def _highest(self, low: int) -> int:
        """More than any key that there is likely to be."""
        return last_job(self.damaged) or low + 1_000_000

    def _range(self, columns: tuple[str, ...], keys: list[str], low: int, high: int) -> None:
        """Rows with a key from ``low`` to ``high``; those before an error, then by halves."""
        if low > high or self.failures >= MAX_FAILURES:
            return
        where = f"WHERE {keys[0]} BETWEEN {low} AND {high}"
        last = self._take(columns, keys, where, "ASC")
        if last is None:
            return
        if low == high:
            self._take(columns, keys, where, "DESC")
            return
        # Of the last key there may be more rows, where it is not unique.
        begin = max(low, last) if last >= low else low
        middle = (begin + high) // 2
        self._range(columns, keys, begin, middle)
        self._range(columns, keys, middle + 1, high)

    def _both_ways(self, columns: tuple[str, ...], keys: list[str]) -> None:
        """For a table whose key is text: from the beginning to an error, and from the end."""
        if self._take(columns, keys, "", "ASC") is not None:
            self._take(columns, keys, "", "DESC")

    def _take(
        self, columns: tuple[str, ...], keys: list[str], where: str, order: str
    ) -> int | None:
        """Add the rows of a query; None if all could be read, else the key before the error."""
        by = ", ".join(f"{key} {order}" for key in keys)
        sql = (
            f"SELECT {keys[0]}, {', '.join(columns)} FROM {self.table} NOT INDEXED"  # noqa: S608
            f" {where} ORDER BY {by}"
        )
        last = -1
        try:
            for key, *row in self.damaged.execute(sql):
                self.rows[tuple(row)] = None
                last = key if isinstance(key, int) else last
        except UNREADABLE:
            self.failures += 1
            return last
        return None

    def _expected(self) -> int | None:
        """How many rows an index of the table counts; the table's own pages cannot be read."""
        counted = _attempt(self.damaged, f"SELECT count(*) FROM {self.table}")  # noqa: S608
        count = counted[0][0] if counted else None
        return count if isinstance(count, int) and count >= len(self.rows) else None


def _is_sound(kind: tuple[str, str], value: object) -> bool:
    """Whether a value is what its column is read as: a state, a time, JSON, a number, text."""
    name, declared = kind
    if value is None:
        return True
    if not isinstance(value, _TYPES.get(declared, (object,))):
        return False
    if name in _WORDS:
        return value in _WORDS[name]
    if name in _JSON:
        return _is_read(json.loads, value)
    return not name.endswith("_at") or _is_read(datetime.fromisoformat, value)


def _is_read(read: Callable[[str], object], value: object) -> bool:
    try:
        read(str(value))
    except ValueError:
        return False
    return True


def last_job(damaged: sqlite3.Connection) -> int:
    """The highest number that was given to a job; 0 where that cannot be read."""
    found = _attempt(damaged, "SELECT max(seq) FROM sqlite_sequence")
    return found[0][0] if found and isinstance(found[0][0], int) else 0


def insert(
    wanted: sqlite3.Connection, found: Iterable[Salvaged], *, last_job: int
) -> dict[str, int]:
    """Write salvaged rows into the empty database; returns how many of each table it took.

    A row that breaks a rule of the schema, or whose job is gone, is left out. The number of a job
    that was lost is not given again: its logs are still there.
    """
    found = list(found)
    readable = [one for one in found if one.columns]
    wanted.execute("PRAGMA foreign_keys = OFF")
    wanted.execute("BEGIN")
    for one in readable:
        marks = ", ".join("?" * len(one.columns))
        sql = f"INSERT OR IGNORE INTO {one.table} ({', '.join(one.columns)}) VALUES ({marks})"  # noqa: S608
        wanted.executemany(sql, one.rows)
    highest = [last_job, *wanted.execute("SELECT max(id) FROM jobs").fetchone()]
    for one in (one for one in readable if "job_id" in one.columns):
        highest += wanted.execute(f"SELECT max(job_id) FROM {one.table}").fetchone()  # noqa: S608
        wanted.execute(f"DELETE FROM {one.table} WHERE job_id NOT IN (SELECT id FROM jobs)")  # noqa: S608
    wanted.execute("DELETE FROM sqlite_sequence WHERE name = 'jobs'")
    last = max(number for number in highest if isinstance(number, int))
    wanted.execute("INSERT INTO sqlite_sequence VALUES ('jobs', ?)", (last,))
    saved = {
        one.table: int(wanted.execute(f"SELECT count(*) FROM {one.table}").fetchone()[0])  # noqa: S608
        for one in found
    }
    wanted.execute("COMMIT")
    return saved
