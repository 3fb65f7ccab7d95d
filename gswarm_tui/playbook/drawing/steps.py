"""What is drawn of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gswarm_tui.playbook import graph
from gswarm_tui.playbook.plan import Plan, PlannedAction


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a plan.

    Args:
        needs: the steps that a line leads from; those that these need are not named again.
        notes: what is said beside its type: ``always``, ``when …``.
    """

    id: str
    type: str
    summary: str
    needs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    always: bool = False


def steps_of(plan: Plan) -> list[Step]:
    """The steps, each followed as closely as can be by those that only waited for it."""
    planned = {action.action_id: action for action in plan.actions}
    needs = {name: list(action.needs) for name, action in planned.items()}
    ancestry = graph.Ancestry(needs, list(needs))
    position = {name: index for index, name in enumerate(needs)}
    steps = {}
    for name, action in planned.items():
        direct = tuple(
            needed
            for needed in action.needs
            if not any(
                position[needed] < position[other] and ancestry.is_ordered(needed, other)
                for other in action.needs
            )
        )
        steps[name] = Step(
            id=name,
            type=action.action_type,
            summary=plan.mask(action.summary),
            needs=direct,
            notes=tuple(_notes(action)),
            always=action.options.always,
        )
    return [steps[name] for name in _depth_first(steps)]


def _notes(action: PlannedAction) -> Iterator[str]:
    if action.options.always:
        yield "always"
    if action.options.when is not None:
        yield f"when {action.options.when}"


def _depth_first(steps: dict[str, Step]) -> list[str]:
    """An order in which few lines run side by side: a chain is followed to its end."""
    missing = {name: len(step.needs) for name, step in steps.items()}
    dependents: dict[str, list[str]] = {name: [] for name in steps}
    for name, step in steps.items():
        for needed in step.needs:
            dependents[needed].append(name)
    stack = [name for name in reversed(steps) if not missing[name]]
    ordered = []
    while stack:
        name = stack.pop()
        ordered.append(name)
        for dependent in reversed(dependents[name]):
            missing[dependent] -= 1
            if not missing[dependent]:
                stack.append(dependent)
    return ordered
