"""From a playbook and an inventory to a plan: everything that can be wrong is found here, at once.

Shapes, names, devices, expressions, circles, and actions that would disturb each other. A plan runs
without another look at the file, but for the expressions whose values the run itself brings.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, final

from gswarm_tui.errors import PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.nearest import did_you_mean
from gswarm_tui.playbook import graph, variables
from gswarm_tui.playbook.actions import TYPES, Action
from gswarm_tui.playbook.actions.base import ParseDevice, Use
from gswarm_tui.playbook.build import Ancestor, Source, build
from gswarm_tui.playbook.expressions import (
    VARS,
    ExpressionError,
    Path,
    Reference,
    expressions,
    texts,
)
from gswarm_tui.playbook.problems import Problems
from gswarm_tui.playbook.schema import Playbook

_KNOWN_TYPES = f"the types are {', '.join(TYPES)}"
_ACTION_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """One action of a plan.

    Args:
        action: as far as it is known before the run.
        action_type: the word for its type.
        needs: the actions it runs after: its dependencies, and those it refers to.
        where: ``file:line:column``.
    """

    action: Action
    action_type: str
    needs: tuple[str, ...]
    where: str
    _source: Source
    _refers_to: frozenset[str]

    @property
    def action_id(self) -> str:
        return self.action.action_id

    @property
    def summary(self) -> str:
        return self.action.summary()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be run; the actions are in an order in which they can be.

    Args:
        file: the playbook's file, as the user named it.
    """

    name: str
    description: str | None
    file: str
    actions: tuple[PlannedAction, ...]
    _by_id: Mapping[str, PlannedAction]
    _variables: Mapping[str, Any]
    _parse: ParseDevice

    def complete(self, planned: PlannedAction, results: Mapping[str, Any]) -> Action:
        """The action with every value, from the results of the actions before it.

        Raises:
            PlaybookError: a value that came out of the run does not fit.
        """
        if not planned.action.late:
            return planned.action
        ancestors = {}
        for name in planned._refers_to:
            earlier = self._by_id[name]
            known = earlier.action.known()
            ancestors[name] = Ancestor(earlier.action_type, known, results[name])
        return build(planned._source, self._variables, ancestors, self._parse)


def plan(playbook: Playbook, inventory: Inventory) -> Plan:
    """Check a playbook against an inventory, and order its actions.

    Raises:
        PlaybookError: with everything that is wrong, each with ``file:line:column``.
    """
    return _Planner(playbook, inventory).plan()


@final
class _Planner:
    """The steps of planning; each adds to the problems and leaves out what it cannot judge."""

    def __init__(self, playbook: Playbook, inventory: Inventory) -> None:
        self._playbook = playbook
        self._inventory = inventory
        self._problems = Problems(playbook.document)
        self._sources: dict[str, Source] = {}
        self._needs: dict[str, list[str]] = {}
        self._refers_to: dict[str, frozenset[str]] = {}
        self._in_doubt: set[str] = set()
        """Actions with a problem that keeps them from being built."""
        self._built: dict[str, Action] = {}

    def plan(self) -> Plan:
        self._read_ids()
        for name in self._sources:
            self._refers_to[name] = frozenset(self._references(name))
            needed = [*self._dependencies(name), *sorted(self._refers_to[name])]
            self._needs[name] = list(dict.fromkeys(needed))
        circles, needs = graph.open_circles(self._needs)
        for circle in circles:
            self._refuse(circle)
        ordered = graph.order(needs)
        for name in ordered:
            self._build(name)
        self._find_conflicts(graph.Ancestry(needs, ordered))
        if self._problems:
            raise self._problems.error()
        return self._result(ordered)

    def _read_ids(self) -> None:
        for index, raw in enumerate(self._playbook.actions):
            path = (*self._playbook.actions_path, index)
            name = raw.get("action_id")
            if name is None:
                self._problems.add(path, "`action_id` is missing")
            elif not isinstance(name, str) or not _ACTION_ID.fullmatch(name) or name == VARS:
                message = f"{name!r:.80} cannot be an action_id"
                hint = f"letters, digits, `_` and `-`, at most 64, and not `{VARS}`"
                self._problems.add((*path, "action_id"), message, hint=hint)
            elif name in self._sources:
                first = self._playbook.document.values[self._sources[name].path].line
                message = f"the action_id `{name}` is there twice, first on line {first}"
                self._problems.add((*path, "action_id"), message)
            else:
                self._sources[name] = Source(raw, path, self._playbook.document)
                self._check_type(name)

    def _check_type(self, name: str) -> None:
        source = self._sources[name]
        word = source.raw.get("action_type")
        if word is None:
            self._add(name, (), f"`action_type` of `{name}` is missing", hint=_KNOWN_TYPES)
        elif not isinstance(word, str) or word not in TYPES:
            nearest = did_you_mean(word, TYPES) if isinstance(word, str) else ""
            message = f"unknown action type `{word}`{nearest}"
            self._add(name, ("action_type",), message, hint=_KNOWN_TYPES)

    def _add(self, name: str, path: Path, message: str, *, hint: str | None = None) -> None:
        """Note a problem within an action that keeps it from being built."""
        self._in_doubt.add(name)
        self._problems.add((*self._sources[name].path, *path), message, hint=hint)

    def _references(self, name: str) -> Iterator[str]:
        """The actions that the expressions of an action refer to."""
        for path, text in texts(self._sources[name].raw):
            try:
                for reference in expressions(text):
                    self._check_reference(reference)
                    if reference.owner != VARS:
                        yield reference.owner
            except ExpressionError as error:
                self._add(name, path, error.message, hint=error.hint)

    def _check_reference(self, reference: Reference) -> None:
        if reference.owner == VARS:
            variables.check(reference, self._playbook.variables)
            return
        source = self._sources.get(reference.owner)
        if source is None:
            nearest = did_you_mean(reference.owner, self._sources)
            raise ExpressionError(f"{reference}: there is no action `{reference.owner}`{nearest}")
        word = self._type(reference.owner)
        if word is None:
            return
        fields = TYPES[word].fields()
        if reference.field not in fields:
            nearest = did_you_mean(reference.field, fields)
            raise ExpressionError(
                f"{reference}: {word} returns no `{reference.field}`{nearest}",
                hint=f"it returns {', '.join(fields)}",
            )

    def _dependencies(self, name: str) -> Iterator[str]:
        written = self._sources[name].raw.get("dependencies")
        if not isinstance(written, list):
            return  # none, or of a wrong shape, which is found when it is built
        for index, needed in enumerate(written):
            if not isinstance(needed, str):
                continue
            path = ("dependencies", index)
            if needed in self._sources:
                yield needed
            elif "${" in needed:
                hint = "an action depends by itself on every action that it refers to"
                self._add(
                    name, path, "a dependency is an action's id, not an expression", hint=hint
                )
            else:
                nearest = did_you_mean(needed, self._sources)
                message = f"there is no action `{needed}` to depend on{nearest}"
                self._problems.add((*self._sources[name].path, *path), message)

    def _refuse(self, circle: list[str]) -> None:
        path = (*self._sources[circle[0]].path, "dependencies")
        message = f"actions need each other in a circle: {' → '.join(circle)}"
        self._problems.add(path, message, key=True)

    def _build(self, name: str) -> None:
        if name in self._in_doubt or not self._can_be_judged(name):
            return
        refers_to = self._refers_to[name]
        ancestors = {owner: self._ancestor(owner) for owner in refers_to}
        try:
            action = build(
                self._sources[name], self._playbook.variables, ancestors, self._inventory.device
            )
        except PlaybookError as error:
            self._problems.add_error(error)
        else:
            if refers_to <= self._built.keys():
                self._built[name] = action

    def _can_be_judged(self, name: str) -> bool:
        """Whether what an action says can be looked at: it can although it refers to one with
        problems, unless what it touches where comes from that one.
        """
        unbuilt = self._refers_to[name] - self._built.keys()
        if any(self._type(owner) is None for owner in unbuilt):
            return False
        raw = self._sources[name].raw
        decides = {field: raw.get(field) for field in TYPES[raw["action_type"]].written.decides}
        return not any(
            reference.owner in unbuilt
            for _, text in texts(decides)
            for reference in expressions(text)
        )

    def _ancestor(self, name: str) -> Ancestor:
        built = self._built.get(name)
        known = {} if built is None else built.known()
        return Ancestor(self._sources[name].raw["action_type"], known)

    def _type(self, name: str) -> str | None:
        """The word for an action's type, where it is one."""
        word = self._sources[name].raw.get("action_type")
        return word if isinstance(word, str) and word in TYPES else None

    def _find_conflicts(self, ancestry: graph.Ancestry) -> None:
        users: dict[tuple[str, ...], list[tuple[str, Use]]] = defaultdict(list)
        for name, action in self._built.items():
            for use in action.uses():
                users[use.key].append((name, use))
        found: set[tuple[str, str]] = set()
        for uses in users.values():
            for (one, its_use), (other, other_use) in combinations(uses, 2):
                harmless = not (its_use.exclusive or other_use.exclusive)
                if harmless or one == other or (one, other) in found:
                    continue
                if not ancestry.is_ordered(one, other):
                    found.add((one, other))
                    self._refuse_conflict(one, its_use, other, other_use)

    def _refuse_conflict(self, one: str, its_use: Use, other: str, other_use: Use) -> None:
        too = "does too" if its_use.does == other_use.does else other_use.does
        message = f"`{one}` {its_use.does}, `{other}` {too}, and nothing says which is first"
        hint = f"make one depend on the other, such as `dependencies: [{one}]` here"
        self._problems.add(self._sources[other].path, message, hint=hint)

    def _result(self, ordered: list[str]) -> Plan:
        document = self._playbook.document
        planned = [
            PlannedAction(
                action=self._built[name],
                action_type=self._sources[name].raw["action_type"],
                needs=tuple(self._needs[name]),
                where=document.position(self._sources[name].path),
                _source=self._sources[name],
                _refers_to=self._refers_to[name],
            )
            for name in ordered
        ]
        return Plan(
            name=self._playbook.name,
            description=self._playbook.description,
            file=self._playbook.file,
            actions=tuple(planned),
            _by_id={other.action_id: other for other in planned},
            _variables=self._playbook.variables,
            _parse=self._inventory.device,
        )
