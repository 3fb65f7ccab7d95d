"""What is known of each task while its job runs: its action, its attempts, how it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

from gswarm_tui.errors import PlaybookError
from gswarm_tui.jobs.dag import Vertex
from gswarm_tui.jobs.events import Task, TaskResult
from gswarm_tui.jobs.journal import Before
from gswarm_tui.playbook.actions import Action
from gswarm_tui.playbook.language.options import CONTINUE
from gswarm_tui.playbook.plan import Plan, PlannedAction
from gswarm_tui.state.states import State
from gswarm_tui.state.transitions import Attempt


@final
class Tally:
    """The tasks of one run. `results` are those of actions that have succeeded."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.planned = {planned.action_id: planned for planned in plan.actions}
        self.tasks = {name: self._task(planned) for name, planned in self.planned.items()}
        self.results: dict[str, Any] = {}
        self.attempts: dict[str, Attempt] = {}
        self._tries: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._ended: dict[str, TaskResult] = {}
        self._is_resumed = False

    def complete(self, name: str) -> bool:
        """Give an action the values of those before it; returns whether it needed any.

        Raises:
            MissingValueError: one of those has not succeeded.
            PlaybookError: a value does not fit, or is of an earlier run and had a secret in it.
        """
        planned = self.planned[name]
        action = self._plan.complete(planned, self.results)
        if action is not planned.action:
            self._check_is_whole(planned, action)
            self.planned[name] = replace(planned, action=action)
            self.tasks[name] = self._task(self.planned[name])
        return action is not planned.action

    def _check_is_whole(self, planned: PlannedAction, action: Action) -> None:
        """Refuse ``***`` in the place of a secret: results are written down without secrets."""
        values = [getattr(action, field, "") for field in planned.action.late]
        if self._is_resumed and self._plan.mask.has_hidden(values):
            raise PlaybookError(
                f"{', '.join(planned.action.late.values())} had a secret in it, which is not kept"
                " from one run to the next",
                where=planned.where,
                hint="take the secret itself, ${secrets.name}; or retry --from what returned it",
            )

    def restore(self, before: Before) -> None:
        """Take over what earlier runs left."""
        self._is_resumed = any(ended.result is not None for ended in before.ended.values())
        self._last.update(before.attempts)
        for ended in before.ended.values():
            self.note(ended)

    def begin(self, attempt: Attempt) -> None:
        name = attempt.action_id
        self.attempts[name] = attempt
        self._last[name] = attempt.number
        self._tries[name] = self._tries.get(name, 0) + 1

    def tries(self, name: str) -> int:
        """How often this run has tried it."""
        return self._tries[name]

    def end(
        self, name: str, state: State, *, because: str | None = None, seconds: float = 0.0
    ) -> TaskResult:
        """How a task ended, as far as that is always the same."""
        return TaskResult(
            self.tasks[name],
            state,
            seconds,
            self.planned[name].action,
            because=because,
            attempt=self._last.get(name, 0),
        )

    def note(self, ended: TaskResult) -> None:
        self._ended[ended.task.action_id] = ended
        if ended.state is State.SUCCEEDED:
            self.results[ended.task.action_id] = ended.result

    def ended(self) -> tuple[TaskResult, ...]:
        """Those that have ended, in the order of the plan."""
        return tuple(self._ended[name] for name in self.tasks if name in self._ended)

    def state(self, *, cancelled: bool, expired: bool) -> State:
        """How the job has ended, now that its tasks have.

        Args:
            cancelled: its end was asked for.
            expired: its time limit was over.
        """
        unwell = [task.state for task in self.ended() if not went_well(task)]
        if not unwell:
            return State.SUCCEEDED
        # Tasks that `queue cancel` and `queue clear` named are somebody's wish as well.
        wished = not expired and set(unwell) == {State.CANCELLED}
        return State.CANCELLED if cancelled or wished else State.FAILED

    def is_always(self, name: str) -> bool:
        return self.planned[name].options.always

    def _task(self, planned: PlannedAction) -> Task:
        """A planned action as observers see it: a value of the run may hold a secret."""
        summary = self._plan.mask(planned.summary)
        return Task(planned.action_id, planned.action_type, summary, planned.needs)

    def vertices(self) -> list[Vertex]:
        return [_vertex(planned) for planned in self.planned.values()]


def went_well(task: TaskResult) -> bool:
    """Whether its job may succeed. What is skipped has its reason in another task, which counts."""
    return task.state in (State.SUCCEEDED, State.SKIPPED) or task.tolerated


def _vertex(planned: PlannedAction) -> Vertex:
    options = planned.options
    tolerant = options.on_failure == CONTINUE
    return Vertex(planned.action_id, planned.needs, always=options.always, tolerant=tolerant)
