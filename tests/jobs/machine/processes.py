"""Controllers that can be killed: at a write, before or after it is committed, or at any await."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Cursor, Row
from typing import Any, cast

from gswarm_tui.config import QueueConfig
from gswarm_tui.jobs import JobResult, Runner
from gswarm_tui.jobs.events import Event
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.state.database import Database, Value

from .nodes import Link, Nodes, NodesModels


class Killed(BaseException):
    """The process is gone; nothing that is run for it afterwards has an effect."""


class MortalDatabase:
    """A `Database` whose process dies at the n-th commit from now, or when it is told to.

    Attributes:
        fuse: how many commits are left, the deadly one included.
        after: whether that one is written still.
    """

    def __init__(self, path: Path, dies: Callable[[], None]) -> None:
        self._database = Database(path)
        self._dies = dies
        self._inside = False
        self.fuse: int | None = None
        self.after = False
        self.dead = False

    def query(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        self._check()
        return self._database.query(sql, values)

    def changed(self) -> bool:
        self._check()
        return self._database.changed()

    def execute(self, sql: str, values: Sequence[Value] = ()) -> Cursor:
        with self.transaction():
            return self._database.execute(sql, values)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        with self.transaction():
            self._database.execute_many(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._check()
        if self._inside:
            yield
            return
        self._inside = True
        try:
            with self._database.transaction():
                yield
                if self._burns(after=False):
                    self.die()
                    raise Killed
        finally:
            self._inside = False
        if self._burns(after=True):
            self.die()
            raise Killed

    def die(self) -> None:
        if not self.dead:
            self.dead = True
            self._dies()

    def close(self) -> None:
        self._database.close()

    def _check(self) -> None:
        if self.dead:
            raise Killed

    def _burns(self, *, after: bool) -> bool:
        if self.fuse is None or self.after is not after:
            return False
        self.fuse -= 1
        return self.fuse == 0


class Process:
    """One `gswarm run` or `gswarm job resume`, begun at once."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        plan: Plan,
        job_id: int,
        nodes: Nodes,
        database: Path,
        config: QueueConfig,
    ) -> None:
        self.job_id = job_id
        self.events: list[Event] = []
        self.link = Link()
        self._nodes = nodes
        self.database = MortalDatabase(database, self._die)
        models = cast(Models, NodesModels(nodes, self.link))
        mortal = cast(Database, self.database)
        self.runner = Runner(plan, models, mortal, job_id=job_id, config=config)
        self.task: asyncio.Task[JobResult] = loop.create_task(self.runner.run(self._observe))

    @property
    def is_dead(self) -> bool:
        return self.database.dead

    @property
    def is_over(self) -> bool:
        return self.task.done()

    def kill(self) -> None:
        self.database.die()

    def close(self) -> None:
        """Let go of the nodes, as the end of every process does."""
        self._die()
        self.database.close()

    def _die(self) -> None:
        self.link.alive = False
        self._nodes.forget(self.link)

    def _observe(self, event: Any) -> None:
        if self.is_dead:
            raise Killed
        self.events.append(event)
