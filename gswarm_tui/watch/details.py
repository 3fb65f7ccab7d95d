"""The tasks of the one job that somebody looks at."""

from __future__ import annotations

from dataclasses import dataclass

from gswarm_tui.state.states import State


@dataclass(frozen=True, slots=True)
class JobTask:
    """A task of a job.

    Args:
        needs: the ids of the tasks that it waits for to be done.
        attempt: the last one that began, from 1; 0 before the first.
        waiting: why it waits, a sentence.
        progress: how far it is, at what rate and for how much longer, as its log says it.
        hint: what can be done about its error.
        retry_at: when the next attempt is due.
        tolerated: it failed, and the job goes on all the same.
    """

    id: str
    type: str
    summary: str
    needs: tuple[str, ...]
    state: State
    attempt: int = 0
    started_at: float | None = None
    finished_at: float | None = None
    retry_at: float | None = None
    waiting: str | None = None
    progress: str | None = None
    error: str | None = None
    error_kind: str | None = None
    hint: str | None = None
    tolerated: bool = False

    def seconds(self, now: float) -> float:
        """How long its last attempt took, or takes so far; 0 before the first."""
        if self.started_at is None:
            return 0.0
        return max(0.0, (self.finished_at or now) - self.started_at)


@dataclass(frozen=True, slots=True)
class JobDetails:
    """What is known of a job beside `snapshot.Job`.

    Args:
        playbook: the file that it was made of.
        priority: a word.
        process: where it runs, ``process 4711 on laptop``; or where it ``ran on laptop``.
        tasks: in the order of the plan.
    """

    job: int
    playbook: str
    priority: str
    process: str | None
    tasks: tuple[JobTask, ...]

    def task(self, name: str) -> JobTask | None:
        return next((task for task in self.tasks if task.id == name), None)


def longest_chain(details: JobDetails, now: float) -> tuple[tuple[str, ...], float]:
    """The chain of tasks, each of which needed the one before, that took longest so far: what kept
    the job from being done earlier. With its seconds; empty where nothing has begun.
    """
    tasks = {task.id: task for task in details.tasks}
    sums: dict[str, float] = {}
    before: dict[str, str | None] = {}
    for task in _after_needs(tasks):
        known = [name for name in task.needs if name in sums]
        first = max(known, key=sums.__getitem__, default=None)
        sums[task.id] = task.seconds(now) + (sums[first] if first is not None else 0.0)
        before[task.id] = first
    last = max(sums, key=sums.__getitem__, default=None)
    if last is None or not sums[last]:
        return (), 0.0
    total = sums[last]
    chain: list[str] = []
    while last is not None:
        if tasks[last].started_at is not None:
            chain.append(last)
        last = before[last]
    return tuple(reversed(chain)), total


def _after_needs(tasks: dict[str, JobTask]) -> list[JobTask]:
    """Each after those that it needs; a plan is in that order nearly always already."""
    done: dict[str, JobTask] = {}
    opened: set[str] = set()
    stack = list(reversed(tasks.values()))
    while stack:
        task = stack[-1]
        missing = [tasks[name] for name in task.needs if name in tasks and name not in done]
        if missing and task.id not in opened:
            opened.add(task.id)
            stack += missing
        else:  # what is still missing then needs this one: a circle, which no plan has
            done.setdefault(task.id, stack.pop())
    return list(done.values())
