"""Many jobs at a glance: how far each is, and what failed first. Only read, never written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gswarm_tui.errors import EXIT_TIMED_OUT
from gswarm_tui.state.database import Database
from gswarm_tui.state.records import AttemptRecord, JobRecord, TaskRecord
from gswarm_tui.state.states import State


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One job.

    Args:
        counts: how many of its tasks are in which state.
        failed: the task that failed first, and is not tolerated; None where none did.
        reason: its error.
        tolerated: how many of those that failed are tolerated.
        asked: how many of its tasks were cancelled each by itself, by `gswarm queue`.
    """

    job: JobRecord
    counts: Counter[State]
    failed: str | None
    reason: str | None
    tolerated: int = 0
    asked: int = 0

    @property
    def timed_out(self) -> bool:
        """Whether the job's own time limit has ended it; that of a task is no error of the job."""
        has_ended_it = self.job.exit_code == EXIT_TIMED_OUT and self.job.error is not None
        return has_ended_it and self.counts[State.CANCELLED] > 0


def summaries(database: Database, jobs: Sequence[JobRecord]) -> list[JobSummary]:
    """The same jobs, each with a summary of its tasks: two queries, however many they are."""
    if not jobs:
        return []
    between = (min(job.id for job in jobs), max(job.id for job in jobs))
    counts: dict[int, Counter[State]] = {job.id: Counter() for job in jobs}
    tolerated: Counter[int] = Counter()
    asked: Counter[int] = Counter()
    for row in database.query(
        "SELECT job_id, state, count(*) AS count, sum(tolerated) AS tolerated,"
        " sum(cancel_requested AND state = 'cancelled') AS asked FROM tasks"
        " WHERE job_id BETWEEN ? AND ? GROUP BY job_id, state",
        between,
    ):
        if row["job_id"] in counts:
            counts[row["job_id"]][State(row["state"])] = row["count"]
            tolerated[row["job_id"]] += row["tolerated"]
            asked[row["job_id"]] += row["asked"]
    # Beside a lone min(), the other columns are those of its row.
    failures = {
        row["job_id"]: (row["action_id"], row["error"])
        for row in database.query(
            "SELECT job_id, action_id, error, min(finished_at) FROM tasks"
            " WHERE job_id BETWEEN ? AND ? AND state = 'failed' AND NOT tolerated GROUP BY job_id",
            between,
        )
    }
    return [
        JobSummary(
            job,
            counts[job.id],
            *failures.get(job.id, (None, None)),
            tolerated=tolerated[job.id],
            asked=asked[job.id],
        )
        for job in jobs
    ]


def seconds_of(record: JobRecord | TaskRecord | AttemptRecord) -> float | None:
    """How long it ran, or runs so far; None where it has not begun."""
    if record.started_at is None:
        return None
    begun = datetime.fromisoformat(record.started_at)
    ended = datetime.now(UTC)
    if record.finished_at is not None:
        ended = datetime.fromisoformat(record.finished_at)
    return max((ended - begun).total_seconds(), 0.0)
