"""What a plan will do, in sentences: for who has to say yes to it before it runs at night."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gswarm_tui.playbook.language.options import CONTINUE, STOP, Retry
from gswarm_tui.playbook.language.schema import Playbook
from gswarm_tui.playbook.plan import Plan, PlannedAction
from gswarm_tui.wording import clean, limit, number_of

_NAMED = 5
"""As many actions are named; of more, how many."""


def explain(playbook: Playbook, plan: Plan) -> Iterator[str]:
    """The sentences, a line each; what belongs to an action is indented below it."""
    below = _Dependents(plan)
    for line in (*_whole(playbook, plan), *_actions(plan, below)):
        yield clean(plan.mask(line))


def document(playbook: Playbook, plan: Plan) -> dict[str, Any]:
    """The same as a mapping that JSON can hold."""
    below = _Dependents(plan)
    said = {
        "name": plan.name,
        "description": plan.description,
        "file": plan.file,
        "says": list(_whole(playbook, plan)),
        "actions": [
            {
                "action_id": planned.action_id,
                "action_type": planned.action_type,
                "always": planned.options.always,
                "needs": list(planned.needs),
                "does": planned.action.sentence(),
                "says": list(_details(planned, plan, below)),
            }
            for planned in plan.actions
        ],
    }
    masked: dict[str, Any] = plan.mask_json(said)
    return masked


def _whole(playbook: Playbook, plan: Plan) -> Iterator[str]:
    yield f"{plan.name}: {plan.description}" if plan.description else plan.name
    ordinary = sum(not planned.options.always for planned in plan.actions)
    always = len(plan.actions) - ordinary
    closing = f", and {number_of(always, 'action')} at the end whatever happens" if always else ""
    yield f"{number_of(ordinary, 'action')}{closing}; each begins as soon as what it needs is done."
    if plan.on_failure == STOP:
        yield "After a failure nothing else begins."
    else:
        yield "After a failure, what does not need it goes on."
    yield (
        "What fails with a transient error, such as a lost connection, is tried again,"
        " as often as queue.retry_count says."
    )
    if plan.timeout_s is not None:
        yield f"All of it may take {limit(plan.timeout_s)} at most."
    if plan.priority is not None:
        yield f"Its priority is {plan.priority}."
    if plan.schedule is not None:
        yield f'It is meant to run at "{plan.schedule}": see gswarm cron install.'
    secrets = dict.fromkeys(name for scope in playbook.scopes for name in scope.secrets)
    if secrets:
        yield f"Its secrets are {', '.join(secrets)}; their values are shown nowhere."


def _actions(plan: Plan, below: _Dependents) -> Iterator[str]:
    at_the_end = False
    for number, planned in enumerate(plan.actions, start=1):
        if planned.options.always and not at_the_end:
            at_the_end = True
            yield "At the end, whatever happened before:"
        yield f"{number}. {_first(planned)}"
        for line in _details(planned, plan, below):
            yield f"   {line}"


def _first(planned: PlannedAction) -> str:
    after = f" (after {_named(planned.needs)})" if planned.needs else ""
    return f"{planned.action_id}{after}: {planned.action.sentence()}."


def _details(planned: PlannedAction, plan: Plan, below: _Dependents) -> Iterator[str]:
    options = planned.options
    if planned.runs is False:
        yield f"It is skipped: `{options.when}` is false."
    elif options.when is not None:
        known = "which is true" if planned.runs else "which is known only then"
        yield f"Only if `{options.when}`, {known}."
    alone = [use.label for use in planned.action.uses() if use.exclusive]
    if alone:
        yield f"Meanwhile nothing else uses {_named(dict.fromkeys(alone))}."
    if options.timeout_s is not None:
        yield f"It may take {limit(options.timeout_s)} at most."
    if options.retry is not None:
        yield _retry(options.retry)
    if options.priority is not None and options.priority != plan.priority:
        yield f"Its priority is {options.priority}."
    yield from _failure(planned, below)


def _failure(planned: PlannedAction, below: _Dependents) -> Iterator[str]:
    skipped = below.of(planned.action_id)
    if planned.options.on_failure == STOP:
        yield "If it fails, nothing else begins."
    elif planned.options.on_failure == CONTINUE:
        yield "If it fails, what needs it runs all the same."
    elif skipped:
        yield f"If it fails, {_named(skipped)} {'is' if len(skipped) == 1 else 'are'} skipped."


def _retry(retry: Retry) -> str:
    if retry.attempts == 1:
        return "It is tried once."
    kinds = None if retry.on is None else _named(sorted(retry.on), "or")
    how = "with a transient error" if kinds is None else f"with an error of kind {kinds}"
    first = min(retry.backoff_s, retry.max_backoff_s)
    if retry.attempts == 2:
        return f"If it fails {how}, it is tried once more, after {limit(first)}."
    return (
        f"If it fails {how}, it is tried up to {retry.attempts - 1} more times, after"
        f" {limit(first)} at first and {limit(retry.max_backoff_s)} at most."
    )


class _Dependents:
    """Which actions need which, directly or through others."""

    def __init__(self, plan: Plan) -> None:
        self._dependents: dict[str, list[str]] = {p.action_id: [] for p in plan.actions}
        for planned in plan.actions:
            for needed in planned.needs:
                self._dependents[needed].append(planned.action_id)

    def of(self, name: str) -> list[str]:
        """Those that come to nothing without it."""
        found: dict[str, None] = {}
        stack = [*reversed(self._dependents[name])]
        while stack:
            dependent = stack.pop()
            if dependent not in found:
                found[dependent] = None
                stack += reversed(self._dependents[dependent])
        return list(found)


def _named(names: Iterable[str], word: str = "and") -> str:
    listed: Sequence[str] = list(names)
    if len(listed) > _NAMED:
        listed = [*listed[: _NAMED - 1], f"{len(listed) - _NAMED + 1} more"]
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} {word} {listed[-1]}"
