"""What is drawn of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gswarm_tui.playbook import graph
from gswarm_tui.playbook.plan import Plan, PlannedAction

FOLD: Final = 8
"""Side by side these can be told apart at a glance; a hundred cannot."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a plan, or all that a ``for_each`` made of one.

    Args:
        needs: the steps that a line leads from; those that these need are not named again.
        notes: what is said beside its type: ``× 100``, ``always``, ``when …``.
    """

    id: str
    type: str
    summary: str
    needs: tuple[str, ...]
    notes: tuple[str, ...] = ()
    always: bool = False


def steps_of(plan: Plan, *, fold: int = FOLD) -> list[Step]:
    """The steps, each followed as closely as can be by those that only waited for it.

    Args:
        fold: of what one ``for_each`` made, more than so many are one step together.
    """
    members = _members(plan, fold)
    step_of = {planned.action_id: name for name, made in members.items() for planned in made}
    needs = {
        name: list(dict.fromkeys(step_of[needed] for planned in made for needed in planned.needs))
        for name, made in members.items()
    }
    ordered = graph.order(needs)
    direct = graph.direct_needs(needs, ordered)
    steps = {name: _step(plan, name, members[name], direct[name]) for name in ordered}
    return [steps[name] for name in depth_first(steps)]


def _members(plan: Plan, fold: int) -> dict[str, list[PlannedAction]]:
    """The actions that each step stands for, by the step's id."""
    groups: dict[str, list[PlannedAction]] = {}
    for planned in plan.actions:
        groups.setdefault(planned.action_id.partition("[")[0], []).append(planned)
    members = {}
    for name, made in groups.items():
        if len(made) > fold:
            members[name] = made
        else:
            members.update({planned.action_id: [planned] for planned in made})
    return members


def _step(plan: Plan, name: str, made: list[PlannedAction], needs: list[str]) -> Step:
    first = made[0]
    summary = plan.mask(first.summary)
    if len(made) > 1:
        summary = f"{first.action_id}: {summary}; and {len(made) - 1} more"
    return Step(
        id=name,
        type=first.action_type,
        summary=summary,
        needs=tuple(needs),
        notes=tuple(_notes(made)),
        always=first.options.always,
    )


def _notes(made: list[PlannedAction]) -> Iterator[str]:
    options = made[0].options
    if len(made) > 1:
        yield f"× {len(made)}"
    if options.always:
        yield "always"
    if options.when is not None:
        yield f"when {options.when}"


def depth_first(steps: Mapping[str, Step]) -> list[str]:
    """An order in which few lines run side by side: a chain is followed to its end."""
    missing = {name: len(step.needs) for name, step in steps.items()}
    dependents: dict[str, list[str]] = {name: [] for name in steps}
    for name, step in steps.items():
        for needed in step.needs:
            dependents[needed].append(name)
    stack = [name for name in reversed(list(steps)) if not missing[name]]
    ordered = []
    while stack:
        name = stack.pop()
        ordered.append(name)
        for dependent in reversed(dependents[name]):
            missing[dependent] -= 1
            if not missing[dependent]:
                stack.append(dependent)
    return ordered
