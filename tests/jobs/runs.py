"""Playbooks of checks, whose outcome a test decides, and what runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gswarm_tui.config import QueueConfig
from gswarm_tui.errors import UnreachableError
from gswarm_tui.jobs import Event, JobResult, Runner
from gswarm_tui.models import Models
from gswarm_tui.playbook import Plan
from gswarm_tui.state.database import Database
from gswarm_tui.state.jobs import Jobs
from gswarm_tui.state.records import AttemptRecord

if TYPE_CHECKING:
    from tests.playbook.conftest import FakeModels

MakePlan = Callable[..., Plan]

AT_ONCE = QueueConfig(retry_backoff_s=0.0, retry_max_backoff_s=0.0)


def asks(name: str, *more: str) -> str:
    """A health check, whose outcome the fake decides by its URL."""
    keys = ", ".join(
        [f'action_id: {name}, action_type: health_check, target_url: "{url(name)}"', *more]
    )
    return f"  - {{{keys}}}\n"


def url(name: str) -> str:
    return f"http://{name}/"


def check(name: str) -> tuple[str, str]:
    return ("health_check", url(name))


def states(result: JobResult) -> dict[str, str]:
    return {task.task.action_id: str(task.state) for task in result.tasks}


class Recorder(list[Any]):
    def __call__(self, event: Any) -> None:
        self.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


class Runs:
    """Runs playbooks of one database."""

    def __init__(self, make_plan: MakePlan, models: Models, database: Database) -> None:
        self.plan, self.models, self.database = make_plan, models, database
        self.events = Recorder()

    def runner(self, text: str, job_id: int | None = None, **options: Any) -> Runner:
        options.setdefault("config", AT_ONCE)
        return Runner(self.plan(text), self.models, self.database, job_id=job_id, **options)

    def attempts(self, job_id: int) -> list[AttemptRecord]:
        return Jobs(self.database).attempts(job_id)

    async def __call__(self, text: str, job_id: int | None = None, **options: Any) -> JobResult:
        return await self.runner(text, job_id, **options).run(self.events)


def fails_first(fake: FakeModels, name: str, *errors: Exception) -> list[int]:
    """Let a check fail with each of `errors`, and succeed then; the list counts the calls."""
    calls: list[int] = []
    original = fake.check_health

    async def check_health(target: str, **arguments: Any) -> Any:
        if target == url(name):
            calls.append(len(calls))
            if len(calls) <= len(errors):
                raise errors[len(calls) - 1]
        return await original(target, **arguments)

    fake.check_health = check_health  # type: ignore[method-assign,assignment]
    return calls


LOST = UnreachableError("connection lost", where="node1")
COMMAND = "  - {action_id: work, action_type: command, argv: [work], node: node1, RETRY}\n"


class Watcher:
    """An observer that can be waited for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._wanted: tuple[type[Event], str] | None = None
        self._seen = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if self._wanted and isinstance(event, self._wanted[0]):
            task = getattr(event, "task", None)
            if task is not None and task.action_id == self._wanted[1]:
                self._seen.set()

    async def until(self, kind: type[Event], action_id: str) -> None:
        self._wanted = (kind, action_id)
        await self._seen.wait()
        self._seen.clear()

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def checks(needs: dict[str, list[str]]) -> str:
    """A playbook of health checks; the check of `a` asks ``http://a/``."""
    return "".join(
        f'- {{action_id: {name}, action_type: health_check, target_url: "http://{name}/",'
        f" dependencies: [{', '.join(needed)}]}}\n"
        for name, needed in needs.items()
    )
