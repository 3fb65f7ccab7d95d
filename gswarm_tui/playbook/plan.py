"""A plan: what is going to be run, in an order in which it can be.

`gswarm_tui.playbook.planner` makes it. A plan runs without another look at the files, but for the
expressions whose values the run itself brings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gswarm_tui.playbook.actions import Action
from gswarm_tui.playbook.build import build, located_expression
from gswarm_tui.playbook.language import conditions
from gswarm_tui.playbook.language.expressions import ExpressionError
from gswarm_tui.playbook.language.lookup import Ancestor, Group, Single, Values
from gswarm_tui.playbook.language.options import OnFailure, Options
from gswarm_tui.playbook.language.origin import Origin
from gswarm_tui.playbook.language.scope import Source
from gswarm_tui.playbook.language.secrets import Mask
from gswarm_tui.playbook.language.site import Site
from gswarm_tui.state.states import Priority


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """One action of a plan.

    Args:
        action: as far as it is known before the run.
        action_type: the word for its type.
        needs: the actions it runs after: its dependencies, and those it refers to. One of
            ``always`` runs after all that are not, besides.
        where: ``file:line:column``.
        options: how it is run.
        runs: what its ``when`` says, where that is known before the run; True where it has none.
    """

    action: Action
    action_type: str
    needs: tuple[str, ...]
    where: str
    options: Options
    runs: bool | None
    _source: Source = field(repr=False)
    _refers_to: frozenset[str] = field(repr=False)
    _mask: Mask = field(repr=False)

    @property
    def action_id(self) -> str:
        return self.action.action_id

    @property
    def summary(self) -> str:
        return self._mask(self.action.summary())


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be run.

    Args:
        file: the playbook's file, as the user named it.
        actions: each after what it needs; those of ``always`` after all others.
        priority: of the actions that have none of their own.
        timeout_s: how long the job may take.
        on_failure: ``stop``: nothing begins after a failure; ``continue``: what does not need the
            failed action goes on.
        schedule: the five fields of cron.
        origin: what it was read from.
        mask: hides the values of secrets in texts.
    """

    name: str
    description: str | None
    file: str
    actions: tuple[PlannedAction, ...]
    priority: Priority | None
    timeout_s: float | None
    on_failure: OnFailure
    schedule: str | None
    origin: Origin = field(repr=False)
    mask: Mask = field(repr=False)
    _by_id: Mapping[str, PlannedAction] = field(repr=False)
    _groups: Mapping[str, tuple[str, ...]] = field(repr=False)
    _site: Site = field(repr=False)

    def mask_json(self, value: Any) -> Any:
        """A copy of what JSON can hold, with the values of secrets hidden in every text."""
        return self.mask.json(value)

    def complete(self, planned: PlannedAction, results: Mapping[str, Any]) -> Action:
        """The action with every value, from the results of the actions before it.

        Args:
            results: by id, of the actions that have succeeded.

        Raises:
            MissingValueError: an action that it refers to has not succeeded.
            PlaybookError: a value that came out of the run does not fit.
        """
        if not planned.action.late:
            return planned.action
        name, ancestors = planned.action_id, self._ancestors(planned, results)
        action, _ = build(name, planned._source, ancestors, self._site, running=True)
        return action

    def decide(self, planned: PlannedAction, results: Mapping[str, Any]) -> bool:
        """Whether the ``when`` of an action holds, with the results of the actions before it.

        Raises:
            MissingValueError: an action that it refers to has not succeeded.
            PlaybookError: a value that came out of the run is no condition.
        """
        if planned.runs is not None:
            return planned.runs
        source = planned._source
        values = Values(source, self._ancestors(planned, results), self._site, running=True)
        try:
            return conditions.read(source.raw["when"]).holds(values)
        except ExpressionError as error:
            raise located_expression(source, ("when",), error) from None

    def _ancestors(
        self, planned: PlannedAction, results: Mapping[str, Any]
    ) -> Mapping[str, Ancestor]:
        return {name: self._ancestor(name, results) for name in planned._refers_to}

    def _ancestor(self, name: str, results: Mapping[str, Any]) -> Ancestor:
        if name not in self._groups:
            return self._single(self._by_id[name], results)
        members = (self._by_id[member] for member in self._groups[name])
        return Group([self._single(m, results) for m in members if m.runs is not False], True)

    def _single(self, planned: PlannedAction, results: Mapping[str, Any]) -> Single:
        result = results.get(planned.action_id)
        return Single(planned.action_type, planned.action.known(), result)
