"""The queue: which of all ready tasks, of every job of this data directory, runs next.

A task that is ready wishes for what it is going to use (`Claim`). It is admitted, with all its
wishes at once, when the queue is not paused, a slot is free, and for each wish

* nobody holds the same key in a way that excludes it, and
* nobody whose turn is earlier wishes for it in a way that excludes it.

The second rule makes a queue of each key: whoever wishes for several things gets them. The turn is
a number, `rank`: the time at which the task became ready, less a head start by its priority. So
within one priority it is first come, first served; and a task waits at most until all those have
had their turn that became ready before it or within the difference of the head starts after it: a
`low` one is overtaken by a `critical` one only if that was ready within 30 minutes of it.

Everything is in the database, so that processes that share it share the queue; each admits the
tasks of its own jobs. A task that cannot have its turn is parked at the key that keeps it
(``blocked_on``) and looked at again when that key is let go of: so admission does not grow with the
number of those that wait.
"""

from __future__ import annotations

import sqlite3
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from gswarm_tui.state.database import Database
from gswarm_tui.state.records import TaskRecord, task_of
from gswarm_tui.state.states import ENDED, Priority, State

HEAD_START_S: Final = {
    Priority.CRITICAL: 1800.0,
    Priority.HIGH: 1200.0,
    Priority.NORMAL: 600.0,
    Priority.LOW: 0.0,
}
"""Seconds that a task counts as having waited already when it becomes ready."""

_FRONT: Final = (-1, 0, "")  # before every task
_IN_QUEUE: Final = (State.RUNNING, State.READY, State.RETRYING)


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a task uses while it runs.

    Args:
        key: what it is: the same thing has the same key in every job.
        label: how it is called in a sentence: ``node1:gpu0``, ``port 8080 of node1``.
        exclusive: nobody else may use it at the same time.
        slots: how many may use it at once; None for any number.
        node: where there is work to be done for it, if this stands for a node.
    """

    key: str
    label: str
    exclusive: bool
    slots: int | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The queue in numbers of tasks; ``by_priority`` are those that wait."""

    paused: bool
    running: int
    waiting: int
    retrying: int
    by_priority: dict[Priority, int]


@final
class Queue:
    """The tasks that are ready, running or retrying. `Jobs` writes their states."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last_rank: dict[Priority, int] = {}

    # For people

    def status(self) -> QueueStatus:
        waiting = dict.fromkeys(Priority, 0)
        for row in self._rows(State.READY, "priority, count(*) AS count", "GROUP BY priority"):
            waiting[Priority(row["priority"])] = row["count"]
        return QueueStatus(
            paused=self.is_paused(),
            running=self._count(State.RUNNING),
            waiting=sum(waiting.values()),
            retrying=self._count(State.RETRYING),
            by_priority=waiting,
        )

    def tasks(self, state: State | None = None) -> list[TaskRecord]:
        """What runs, then what waits in the order of its turn, then what is going to retry."""
        found: list[TaskRecord] = []
        for each in _IN_QUEUE:
            if state in (None, each):
                rows = self._rows(each, "*", "ORDER BY rank")
                found += [task_of(row, self.waiting_for(row)) for row in rows]
        return found

    def history(self, limit: int = 50) -> list[TaskRecord]:
        """Tasks that have ended, the newest first."""
        rows = self._database.query(
            f"SELECT * FROM tasks WHERE state IN ({', '.join('?' * len(ENDED))})"  # noqa: S608
            " AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT ?",
            (*sorted(ENDED), limit),
        )
        return [task_of(row, None) for row in rows]

    def is_paused(self) -> bool:
        return bool(self._database.query("SELECT 1 FROM switches WHERE name = 'paused'"))

    def pause(self) -> None:
        """Admit nothing more, in any process; what runs goes on."""
        self._database.execute("INSERT OR REPLACE INTO switches VALUES ('paused', 'yes')")

    def resume(self) -> None:
        self._database.execute("DELETE FROM switches WHERE name = 'paused'")

    def clear(self) -> int:
        """Ask for the end of every task that waits or is going to retry; returns how many."""
        cursor = self._database.execute(
            "UPDATE tasks SET cancel_requested = 1 WHERE state IN ('ready', 'retrying')"
        )
        return cursor.rowcount

    def waiting_for(self, row: sqlite3.Row) -> str | None:
        """Why a task waits, in a sentence; None where it does not."""
        if row["state"] == State.RETRYING:
            return f"attempt {row['attempt']} failed; the next begins {_when(row['retry_at'])}"
        if row["state"] != State.READY:
            waiting: str | None = row["waiting"]
            return waiting
        if self.is_paused():
            return "the queue is paused (gswarm queue resume)"
        claims = self._claims(row["job_id"], row["action_id"])
        for claim in (claim for claim in claims if claim["key"] == row["blocked_on"]):
            obstacle = self._obstacle(claim)
            if obstacle is not None:
                return obstacle
        return f"waiting for its turn: {self._runners(row['job_id'])}"

    # For `Jobs`, within its transactions

    def enter(self, job_id: int, action_id: str, claims: Sequence[Claim], now: str) -> None:
        """Give a ready task its turn, and note what it wishes for."""
        where = (job_id, action_id)
        row = self._database.query(
            "SELECT priority FROM tasks WHERE job_id = ? AND action_id = ?", where
        )[0]
        priority = Priority(row["priority"])
        moment = int((time.time() - HEAD_START_S[priority]) * 1e6)
        # Those that enter together keep their order.
        rank = self._last_rank[priority] = max(moment, self._last_rank.get(priority, 0) + 1)
        self._database.execute(
            "UPDATE tasks SET ready_at = ?, rank = ? WHERE job_id = ? AND action_id = ?",
            (now, rank, *where),
        )
        if claims:
            self._database.execute_many(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
                [(*where, c.key, c.label, c.exclusive, c.slots, rank) for c in claims],
            )

    def admit(self, job_id: int, limit: int) -> list[str]:
        """Tasks of a job that have their turn, in its order; they hold what they wished for.

        Args:
            limit: how many tasks may run at once, in all jobs.
        """
        if self.is_paused():
            return []
        free = limit - self._count(State.RUNNING)
        admitted: list[str] = []
        tried: set[str] = set()
        others = self._turns_of_others(job_id, free)
        while free > 0:
            rows = self._database.query(
                "SELECT action_id, rank FROM tasks WHERE job_id = ? AND state = 'ready'"
                " AND blocked_on IS NULL ORDER BY rank LIMIT ?",
                (job_id, free + len(tried)),
            )
            rows = [row for row in rows if row["action_id"] not in tried]
            for row in rows:
                # A slot is left for each task of another job whose turn is earlier.
                if bisect_left(others, row["rank"]) >= free:
                    return admitted
                tried.add(row["action_id"])
                if self._grant(job_id, row["action_id"]):
                    admitted.append(row["action_id"])
                    free -= 1
            if not rows:
                break
        return admitted

    def leave(self, job_id: int, action_id: str) -> None:
        """Give up what a task held or wished for."""
        claims = self._claims(job_id, action_id)
        if not claims:
            return
        self._database.execute(
            "DELETE FROM claims WHERE job_id = ? AND action_id = ?", (job_id, action_id)
        )
        for claim in claims:
            self._look_again(claim["key"])

    def leave_all(self, job_id: int) -> None:
        """Give up what all tasks of a job held or wished for."""
        rows = self._database.query("SELECT DISTINCT key FROM claims WHERE job_id = ?", (job_id,))
        self._database.execute("DELETE FROM claims WHERE job_id = ?", (job_id,))
        for row in rows:
            self._look_again(row["key"])

    # How

    def _turns_of_others(self, job_id: int, limit: int) -> list[int]:
        """The ranks of the first tasks of other jobs that could run, in order."""
        rows = self._database.query(
            "SELECT rank FROM tasks WHERE state = 'ready' AND blocked_on IS NULL AND job_id != ?"
            " ORDER BY rank LIMIT ?",
            (job_id, max(0, limit)),
        )
        return [row["rank"] for row in rows]

    def _grant(self, job_id: int, action_id: str) -> bool:
        """Let a task hold what it wishes for; or park it at what keeps it.

        Whoever is parked behind it at a key that it does not take away is looked at next: it may
        have been the first one there. Those before it are not, so that this comes to an end.
        """
        claims = self._claims(job_id, action_id)
        if not claims:
            return True
        kept = next((claim["key"] for claim in claims if self._keeps(claim) is not None), None)
        if kept is None:
            self._database.execute(
                "UPDATE claims SET held = 1 WHERE job_id = ? AND action_id = ?",
                (job_id, action_id),
            )
        else:
            self._database.execute(
                "UPDATE tasks SET blocked_on = ? WHERE job_id = ? AND action_id = ?",
                (kept, job_id, action_id),
            )
        for claim in claims:
            if claim["key"] != kept and (kept is not None or not claim["exclusive"]):
                self._look_again(claim["key"], behind=(claim["rank"], job_id, action_id))
        return kept is None

    def _keeps(self, claim: sqlite3.Row) -> sqlite3.Row | None:
        """The claim of another task that keeps this one from its turn."""
        mine = (claim["job_id"], claim["action_id"])
        # Two processes may give the same rank in the same microsecond.
        before = (
            "SELECT * FROM claims WHERE key = ? AND NOT (job_id = ? AND action_id = ?)"
            " AND (held OR (rank, job_id, action_id) < (?, ?, ?))"
        )
        values = (claim["key"], *mine, claim["rank"], *mine)
        order = "ORDER BY held DESC, rank, job_id, action_id LIMIT ?"
        rows = self._database.query(
            f"{before} AND (exclusive OR ?) {order}", (*values, claim["exclusive"], 1)
        )
        if rows:
            return rows[0]
        if claim["slots"] is None:
            return None
        rows = self._database.query(f"{before} {order}", (*values, claim["slots"]))
        return rows[-1] if len(rows) >= claim["slots"] else None

    def _obstacle(self, claim: sqlite3.Row) -> str | None:
        other = self._keeps(claim)
        if other is None:
            return None
        row = self._database.query(
            "SELECT action_type, action_id, summary FROM tasks WHERE job_id = ? AND action_id = ?",
            (other["job_id"], other["action_id"]),
        )[0]
        task = f"job {other['job_id']} ({row['action_type']} {row['action_id']})"
        has = f"held by {task}" if other["held"] else f"which {task} gets first"
        return f"waiting for {claim['label']}, {has}"

    def _look_again(self, key: str, *, behind: tuple[int, int, str] = _FRONT) -> None:
        """The first that is parked at a key is parked no more: admission looks at it again.

        Args:
            behind: rank, job and name of a task; only those after it count.
        """
        self._database.execute(
            "UPDATE tasks SET blocked_on = NULL WHERE (job_id, action_id) IN"
            " (SELECT job_id, action_id FROM tasks WHERE blocked_on = ?"
            " AND (rank, job_id, action_id) > (?, ?, ?)"
            " ORDER BY rank, job_id, action_id LIMIT 1)",
            (key, *behind),
        )

    def _runners(self, job_id: int) -> str:
        """How many tasks run, and which other job has most of them."""
        rows = self._database.query(
            "SELECT job_id, count(*) AS count FROM tasks WHERE state = 'running'"
            " GROUP BY job_id ORDER BY job_id = ?, count DESC, job_id",
            (job_id,),
        )
        count = sum(row["count"] for row in rows)
        said = "1 task runs" if count == 1 else f"{count} tasks run"
        if not rows or rows[0]["job_id"] == job_id:
            return said
        part = "" if rows[0]["count"] == count else f" {rows[0]['count']} of them"
        return f"{said},{part} of job {rows[0]['job_id']}"

    def _claims(self, job_id: int, action_id: str) -> list[sqlite3.Row]:
        return self._database.query(
            "SELECT * FROM claims WHERE job_id = ? AND action_id = ?", (job_id, action_id)
        )

    def _count(self, state: State) -> int:
        count: int = self._rows(state, "count(*)")[0][0]
        return count

    def _rows(self, state: State, columns: str, order: str = "") -> list[sqlite3.Row]:
        """Tasks in one state; the state is in the text, so that the index of that state is used."""
        return self._database.query(
            f"SELECT {columns} FROM tasks WHERE state = '{state}' {order}"  # noqa: S608 - constants
        )


def _when(moment: str | None) -> str:
    """A moment by the user's own clock: ``at 11:13:07``, with the date where that is another day's.

    Not how long it is until then: whoever follows a job would be told of it anew at each look.
    """
    if moment is None:
        return "soon"
    at, now = datetime.fromisoformat(moment).astimezone(), datetime.now().astimezone()
    return at.strftime("at %H:%M:%S" if at.date() == now.date() else "at %Y-%m-%d %H:%M:%S")
