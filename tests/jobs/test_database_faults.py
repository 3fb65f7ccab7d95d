"""A job whose database cannot be written any more: it says so, and leaves nothing running."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gswarm_tui.errors import EXIT_FAILED, StateError
from gswarm_tui.jobs import Runner
from gswarm_tui.jobs.events import JobFinished
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.state import database as module
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.states import State

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels

TEXT = """
  - {action_id: a, action_type: health_check, target_url: "http://a/"}
  - {action_id: b, action_type: health_check, target_url: "http://b/"}
  - {action_id: c, action_type: health_check, target_url: "http://c/", dependencies: [a]}
"""
A, B, C = (("health_check", f"http://{name}/") for name in "abc")

Fault = Callable[[Database], AbstractContextManager[None]]


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """Another process is in a transaction for longer than anybody waits."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def read_only(database: Database) -> Iterator[None]:
    """SQLite takes it for a file that may not be written (root may write every file)."""
    database.execute("PRAGMA query_only = ON")
    yield
    database.execute("PRAGMA query_only = OFF")


@contextmanager
def damaged(database: Database) -> Iterator[None]:
    """Something has written into all of the file but its first page."""
    path = database.path
    with closing(sqlite3.connect(path)) as other:
        (result,) = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        assert result[0] == 0
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))
    yield
    path.write_bytes(content)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.05)
    with Database(tmp_path / "state.db") as database:
        database.execute("PRAGMA cache_size = 0")  # it reads the file anew each time
        yield database


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (locked, "was locked for 0.05 s by"),
        (read_only, "cannot be written: attempt to write a readonly database"),
        (damaged, "the database is damaged"),
    ],
)
async def test_a_run_ends_with_a_clear_error_and_can_be_resumed(
    fault: Fault,
    said: str,
    make_plan: Callable[..., Plan],
    models: Models,
    fake: FakeModels,
    database: Database,
    jobs: Jobs,
) -> None:
    fake.holds = {A: asyncio.Event(), B: asyncio.Event()}
    events: list[Any] = []
    running = asyncio.create_task(Runner(make_plan(TEXT), models, database).run(events.append))
    while {A, B} - set(fake.calls):
        await asyncio.sleep(0)
    with fault(database):
        fake.holds[A].set()
        with pytest.raises(StateError, match=said) as caught:
            await running
        assert (caught.value.exit_code, caught.value.where) == (EXIT_FAILED, str(database.path))
        assert caught.value.hint
    assert fake.cancelled == [B]
    assert C not in fake.calls
    assert not any(isinstance(event, JobFinished) for event in events)
    assert len(asyncio.all_tasks()) == 1

    # The process ends. The next one finds the job as it was last written.
    database.execute("UPDATE jobs SET process_started = 0")
    assert [job.id for job in jobs.mark_lost()] == [1]
    assert [task.state for task in jobs.tasks(1)] == [State.LOST, State.LOST, State.PENDING]
    jobs.reset(1)
    fake.holds.clear()
    result = await Runner(make_plan(TEXT), models, database, job_id=1).run()
    assert result.state is State.SUCCEEDED
