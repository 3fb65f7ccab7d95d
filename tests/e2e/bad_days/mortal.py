"""A controller that is killed: ``mortal.py FOLDER INVENTORY PLAYBOOK KIND``.

KIND is ``event``: at its n-th event; ``before`` or ``after``: its n-th write to the database;
``moment``: some time after it began. All this for n = 1, 2, 3, … until one run comes to its end.
Another process then goes on as `gswarm job resume` would. Each n has a data directory of its own,
FOLDER/KIND-N, with ``ended.json`` in it: how the job ended, and whether it was killed before.

Every process is a fork of this one, which has all imports and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from sqlite3 import Cursor

from gswarm_tui import playbook
from gswarm_tui.fleet import Fleet
from gswarm_tui.home import Home
from gswarm_tui.inventory import load
from gswarm_tui.jobs import Runner
from gswarm_tui.jobs.events import Event, TaskProgress, TaskWaiting
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.state.database import Database, Value
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.models import Registry
from gswarm_tui.state.states import State

AT_ONCE = 3
"""Processes beside each other: they wait for nodes most of the time."""
LAST = 200
MOMENT_S = 0.05
"""Between the first moments; later ones are farther apart, so that a slow machine has no more."""


class Bomb:
    """Ends this process with SIGKILL when it is touched for the n-th time."""

    def __init__(self, left: int) -> None:
        self._left = left

    def touch(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalDatabase(Database):  # type: ignore[misc]
    """Touches a bomb before each commit or after it."""

    before: Callable[[], None] | None = None
    after: Callable[[], None] | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        outermost = not self._connection.in_transaction
        with super().transaction():
            yield
            if outermost and self.before is not None:
                self.before()
        if outermost and self.after is not None:
            self.after()

    def execute(self, sql: str, values: Sequence[Value] = ()) -> Cursor:
        with self.transaction():
            return super().execute(sql, values)


async def run(
    home: Home, inventory: Path, make: Callable[[Jobs], tuple[Plan, int | None]], kind: str, n: int
) -> None:
    """Run a job to its end, or to the bomb."""
    bomb = Bomb(n)

    def observe(event: Event) -> None:
        if kind == "event" and not isinstance(event, (TaskProgress, TaskWaiting)):
            bomb.touch()

    with MortalDatabase(home.database) as database, Database(home.database) as other:
        if kind in ("before", "after"):
            setattr(database, kind, bomb.touch)
        async with Fleet(load(inventory), home) as fleet:
            models = Models(fleet, Registry(other))
            plan, job_id = make(Jobs(database))
            result = await Runner(plan, models, database, job_id=job_id).run(observe)
    tasks = {task.task.action_id: str(task.error or task.state) for task in result.tasks}
    content = {"code": result.exit_code, "tasks": tasks, "resumed": n == 0}
    (home.root / "ended.json").write_text(json.dumps(content))


def first(home: Home, inventory: Path, file: Path, kind: str, n: int) -> None:
    loaded = playbook.load(file, {"model": f"{kind}-{n}"})
    plan = playbook.plan(loaded, load(inventory))
    if kind == "moment":
        after_s = n * MOMENT_S * (1 + n / 20)
        signal.setitimer(signal.ITIMER_REAL, after_s)  # nothing handles SIGALRM: it kills
    asyncio.run(run(home, inventory, lambda _: (plan, None), kind, n))
    signal.setitimer(signal.ITIMER_REAL, 0)


def second(home: Home, inventory: Path, file: Path, kind: str, n: int) -> None:
    """`gswarm job resume last`; where the first one did not even make a job, run it again."""

    def make(jobs: Jobs) -> tuple[Plan, int | None]:
        jobs.mark_lost()
        found = jobs.recent()
        if not found:
            loaded = playbook.load(file, {"model": f"{kind}-{n}"})
            return playbook.plan(loaded, load(inventory)), None
        (job,) = found
        loaded = playbook.reload(playbook.Origin.from_json(jobs.document(job.id)))
        if job.state is not State.PENDING:
            jobs.reset(job.id)
        return playbook.plan(loaded, load(inventory)), job.id

    asyncio.run(run(home, inventory, make, "", 0))


def in_a_fork(work: Callable[[], None]) -> int:
    """Do something in a process of its own; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def survive(folder: Path, inventory: Path, file: Path, kind: str, n: int) -> bool:
    """One death and one resume; returns whether there was a death."""
    home = Home(folder / f"{kind}-{n}")
    home.root.mkdir(parents=True)
    _, status = os.waitpid(in_a_fork(lambda: first(home, inventory, file, kind, n)), 0)
    if not os.WIFSIGNALED(status):
        assert status == 0
        return False
    _, status = os.waitpid(in_a_fork(lambda: second(home, inventory, file, kind, n)), 0)
    assert status == 0
    return True


def main(folder: Path, inventory: Path, file: Path, kind: str) -> None:
    """Let AT_ONCE of them go at a time, each with every AT_ONCE-th n."""

    def lane(start: int) -> None:
        for n in range(start, LAST, AT_ONCE):
            if not survive(folder, inventory, file, kind, n):
                return

    starts = range(1, AT_ONCE + 1)
    lanes = [in_a_fork(partial(lane, start)) for start in starts]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in lanes]
    sys.exit(max(map(abs, codes)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
