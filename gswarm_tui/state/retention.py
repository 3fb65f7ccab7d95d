"""Removing old jobs, with their logs, so that the data directory stays small."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gswarm_tui import times
from gswarm_tui.config import Retention
from gswarm_tui.state.database import Database

DAY_S: Final = 24 * 3600.0

_LOG: Final = re.compile(r"job-([0-9]+)(\.log)?")
_LAST: Final = "pruned_at"

# What is over, oldest first. A lost job can be resumed, and one that is pending can be run: they
# go by age only. One that runs is never touched.
_OVER = "state IN ('succeeded', 'failed', 'cancelled')"
_WAITING = "state IN ('lost', 'pending')"
_AGE = "coalesce(finished_at, created_at)"


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed.

    Args:
        jobs: how many jobs, with their tasks.
        log_bytes: of their logs and exported documents.
        database_bytes: by which the database became smaller.
    """

    jobs: int
    log_bytes: int
    database_bytes: int


def prune_if_due(database: Database, retention: Retention, logs: Path) -> Pruned | None:
    """`prune`, at most once a day for all gswarms of a data directory; None where it is not due.

    Raises:
        StateError: as `prune`.
    """
    now = time.time()
    with database.transaction():
        rows = database.query(
            "SELECT CAST(value AS REAL) AS at FROM switches WHERE name = ?", (_LAST,)
        )
        if rows and now - DAY_S < rows[0]["at"] <= now:
            return None
        database.execute("INSERT OR REPLACE INTO switches VALUES (?, ?)", (_LAST, str(now)))
    return prune(database, retention, logs)


def prune(database: Database, retention: Retention, logs: Path) -> Pruned:
    """Remove ended jobs that are too old, too many or too large, and all that is kept of them.

    Their logs (``job-N.log`` and the folder ``job-N``), and ``job_N.json`` in the folder ``jobs``
    beside the folder of logs. Logs of jobs that are not known are removed by age.

    Args:
        logs: the folder of logs; it need not be there.

    Raises:
        StateError: the database cannot be written, for one because it is locked.
    """
    before = _file_size(database.path)
    sizes = _log_sizes(logs)
    oldest = time.time() - retention.days * DAY_S
    with database.transaction():
        gone = _by_age(database, oldest)
        gone += [job for job in _by_number(database, retention.jobs) if job not in gone]
        _delete(database, gone)
        gone += _by_size(database, retention.size, sizes, gone)
        known = {int(row["id"]) for row in database.query("SELECT id FROM jobs")}
    # After the commit: a kill in between leaves logs, which go by age later.
    strays = [job for job in sizes if job not in known and _written(logs, job) < oldest]
    everything = {*gone, *strays}
    for job in everything:
        remove_files(logs, job)
    if gone:
        database.shrink()
    removed = sum(sizes.get(job, 0) for job in everything)
    return Pruned(len(gone), removed, max(0, before - _file_size(database.path)))


def log_bytes(logs: Path) -> int:
    """How much the logs of all jobs take."""
    return sum(_log_sizes(logs).values())


def _by_age(database: Database, oldest: float) -> list[int]:
    moment = times.text(oldest)
    return _ids(database, f"({_OVER} OR {_WAITING}) AND {_AGE} < ?", moment)


def _by_number(database: Database, most: int) -> list[int]:
    return _ids(
        database,
        f"{_OVER} AND id NOT IN (SELECT id FROM jobs WHERE {_OVER}"  # noqa: S608 - constants
        f" ORDER BY {_AGE} DESC, id DESC LIMIT ?)",
        most,
    )


def _by_size(
    database: Database, most: int, sizes: Mapping[int, int], gone: Iterable[int]
) -> list[int]:
    """Delete one after the other until database and logs are small enough; returns them."""
    logs = sum(sizes.values()) - sum(sizes.get(job, 0) for job in gone)
    deleted = []
    for job in _ids(database, _OVER):
        if logs + _used(database) <= most:
            break
        _delete(database, [job])
        logs -= sizes.get(job, 0)
        deleted.append(job)
    return deleted


def _ids(database: Database, condition: str, *values: str | int) -> list[int]:
    """The jobs of a condition, those that ended first before the others."""
    sql = f"SELECT id FROM jobs WHERE {condition} ORDER BY {_AGE}, id"  # noqa: S608 - constants
    return [int(row["id"]) for row in database.query(sql, values)]


def _delete(database: Database, jobs: list[int]) -> None:
    """Tasks, attempts and claims go with their job (ON DELETE CASCADE)."""
    database.execute_many("DELETE FROM jobs WHERE id = ?", [(job,) for job in jobs])


def _used(database: Database) -> int:
    """Bytes of the pages that are in use, within a transaction too."""
    return (_number(database, "page_count") - _number(database, "freelist_count")) * _number(
        database, "page_size"
    )


def _number(database: Database, pragma: str) -> int:
    return int(database.query(f"PRAGMA {pragma}")[0][0])


def _file_size(path: Path) -> int:
    """Bytes of the database with its log of writes."""
    total = 0
    for part in (path, path.with_name(path.name + "-wal")):
        with suppress(FileNotFoundError):
            total += part.stat().st_size
    return total


def _log_sizes(logs: Path) -> dict[int, int]:
    """Bytes of what is kept of each job in files."""
    sizes: dict[int, int] = {}
    for path in logs.iterdir() if logs.is_dir() else ():
        match = _LOG.fullmatch(path.name)
        if match:
            job = int(match[1])
            sizes[job] = sizes.get(job, 0) + _size_of(path)
    for job in sizes:
        sizes[job] += _size_of(document_path(logs, job))
    return sizes


def _size_of(path: Path) -> int:
    """Bytes of a file, or of the files in a folder; one that goes meanwhile has none."""
    files = path.rglob("*") if path.is_dir() and not path.is_symlink() else (path,)
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.lstat().st_size if not file.is_dir() else 0
    return total


def _written(logs: Path, job: int) -> float:
    """When a job's logs were last written to, in seconds since the epoch."""
    times = [0.0]
    for path in (logs / f"job-{job}.log", logs / f"job-{job}"):
        with suppress(FileNotFoundError):
            times.append(path.stat().st_mtime)
    return max(times)


def document_path(logs: Path, job: int) -> Path:
    """Where a job is exported to, if nowhere else."""
    return logs.parent / "jobs" / f"job_{job}.json"


def remove_files(logs: Path, job: int) -> None:
    """Remove what is kept of a job beside the database.

    Args:
        logs: the folder of logs.
    """
    shutil.rmtree(logs / f"job-{job}", ignore_errors=True)
    for path in (logs / f"job-{job}.log", document_path(logs, job)):
        with suppress(OSError):  # what cannot be removed now is a stray, and tried again
            path.unlink()
