"""From a playbook and an inventory to a plan: everything that can be wrong is found here, at once.

Shapes, names, devices, expressions, circles, and actions that would disturb each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, final

from gswarm_tui.errors import DeviceError, PlaybookError
from gswarm_tui.inventory import Inventory
from gswarm_tui.playbook import conflicts, graph, leftover
from gswarm_tui.playbook.actions import TYPES, Action
from gswarm_tui.playbook.build import build
from gswarm_tui.playbook.items import Items
from gswarm_tui.playbook.language import conditions, foreach
from gswarm_tui.playbook.language.expressions import NODES, ExpressionError, expressions, texts
from gswarm_tui.playbook.language.lookup import Ancestor, Group, Single, Values
from gswarm_tui.playbook.language.options import Options
from gswarm_tui.playbook.language.problems import Problems
from gswarm_tui.playbook.language.references import References
from gswarm_tui.playbook.language.schema import Playbook
from gswarm_tui.playbook.language.scope import Source
from gswarm_tui.playbook.language.secrets import Mask
from gswarm_tui.playbook.language.site import Site
from gswarm_tui.playbook.language.vartypes import DEVICE, NODE
from gswarm_tui.playbook.plan import Plan, PlannedAction
from gswarm_tui.playbook.unjudged import Unjudged

MAX_NEEDS: Final = 2_000_000
"""In one plan, all actions' together."""


def plan(playbook: Playbook, inventory: Inventory | None) -> Plan:
    """Check a playbook against an inventory, and order its actions.

    Args:
        inventory: None checks shapes only: devices are not looked up, and an action that depends
            on ``${nodes.PATTERN}`` is `Unjudged`. Such a plan is not for running.

    Raises:
        PlaybookError: with everything that is wrong, each with ``file:line:column``.
    """
    return _Planner(playbook, Site(inventory)).plan()


@final
class _Planner:
    """The steps of planning; each adds to the problems and leaves out what it cannot judge."""

    def __init__(self, playbook: Playbook, site: Site) -> None:
        self._playbook = playbook
        self._site = site
        self._problems = Problems(playbook.document, lambda text: playbook.mask.cut(text))
        self._references = References(playbook.actions, self._problems)
        self._members: dict[str, tuple[str, ...]] = {}
        """What each written action became: itself, or what its `for_each` made."""
        self._sources: dict[str, Source] = {}
        self._written: dict[str, str] = {}
        """For each action the written one that it was made of."""
        self._items = Items(self._members)
        self._actions: dict[str, Action] = {}
        self._options: dict[str, Options] = {}
        self._runs: dict[str, bool | None] = {}
        self._ancestors: dict[str, Ancestor] = {}
        """The written actions that others can be judged by."""
        self._unjudged: set[str] = set()
        """Written actions that nothing is known of without an inventory."""
        self._samples: dict[str, list[Source]] = {}
        """What these could become: they are built to see whether their shape is right."""

    def plan(self) -> Plan:
        self._check_variables()
        self._check_nodes()
        circles, needs = graph.open_circles(self._references.needs)
        for circle in circles:
            self._refuse_circle(circle)
        sources = self._references.sources
        ordered = sorted(graph.order(needs), key=lambda name: sources[name].always)
        self._expand()
        self._needs_of_items()
        for name in ordered:
            if self._problems.is_full:
                raise self._problems.error()
            self._build(name)
        self._find_conflicts(needs, ordered)
        if self._problems:
            self._look_at_leftovers()
            raise self._problems.error()
        return self._result(ordered)

    def _add(self, name: str, path: tuple[str | int, ...], error: ExpressionError) -> None:
        """Note a problem within a written action that keeps it from being built."""
        self._references.in_doubt.add(name)
        source = self._references.sources[name]
        self._problems.add(source.document, (*source.path, *path), error.message, hint=error.hint)

    def _check_variables(self) -> None:
        """Variables that are devices or nodes must be in the inventory."""
        if self._site.inventory is None:
            return
        checks: Mapping[str, Callable[[str], object]] = {
            DEVICE: self._site.inventory.device,
            NODE: self._site.inventory.node,
        }
        for scope in self._playbook.scopes:
            for name, variable in scope.declared.items():
                check, value = checks.get(variable.kind or ""), scope.variables[name]
                if check is None or value is None:
                    continue
                try:
                    check(value)
                except DeviceError as error:
                    message = f"the variable `{name}`: {error.message}"
                    self._problems.add(scope.document, variable.path, message, hint=error.hint)

    def _check_nodes(self) -> None:
        """Patterns must name nodes, whatever else is wrong with their action."""
        for name, source in self._references.sources.items():
            for path, text in texts(source.raw):
                for pattern in _patterns(text):
                    try:
                        self._site.nodes(pattern)
                    except ExpressionError as error:
                        self._add(name, path, error)

    def _look_at_leftovers(self) -> None:
        """What else is wrong with actions that could not be built; of one place, one thing."""
        for name, source in self._references.sources.items():
            if self._references.type(name) is None or self._problems.is_full:
                continue
            if any(member not in self._actions for member in self._members[name]):
                for error in leftover.look(source, self._site):
                    self._problems.add_error(source.document, error, elsewhere=True)

    def _refuse_circle(self, circle: list[str]) -> None:
        source = self._references.sources[circle[0]]
        path = (*source.path, "dependencies")
        message = f"actions need each other in a circle: {' → '.join(circle)}"
        self._problems.add(source.document, path, message, key=True)

    def _expand(self) -> None:
        for name, source in self._references.sources.items():
            made = self._made_of(name, source)
            if self._is_unknown(source):
                self._unjudged.add(name)
                self._samples[name] = list(made.values())
                made = {name: source}
            self._sources |= made
            self._members[name] = tuple(made)
            self._written |= dict.fromkeys(made, name)
            self._refuse_too_many(name)

    def _made_of(self, name: str, source: Source) -> dict[str, Source]:
        if source.raw.get("for_each") is None or self._is_in_doubt(name):
            return {name: source}
        try:
            return dict(foreach.expand(name, source, self._site))
        except foreach.ForEachError as error:
            self._add(name, ("for_each", *error.path), error)
            return {name: source}

    def _needs_of_items(self) -> None:
        """Find which one of the others is meant by dependencies with ``${each.…}``."""
        for name, wanted in self._references.items.items():
            judged = {name, *wanted}.isdisjoint(self._references.in_doubt | self._unjudged)
            for needed, indices in wanted.items() if judged else ():
                for index in indices:
                    try:
                        for member in self._members[name]:
                            self._items.find(member, self._sources[member], needed, index)
                    except ExpressionError as error:
                        self._add(name, ("dependencies", index), error)

    def _refuse_too_many(self, name: str) -> None:
        if len(self._sources) > foreach.MAX_ACTIONS:
            self._add(name, (), ExpressionError(f"over {foreach.MAX_ACTIONS} actions in a plan"))
            raise self._problems.error()

    def _is_in_doubt(self, name: str) -> bool:
        return name in self._references.in_doubt

    def _is_unknown(self, source: Source) -> bool:
        """Whether it depends on an inventory that is not there."""
        if self._site.inventory is not None:
            return False
        try:
            return any(
                reference.owner == NODES
                for _, text in texts(source.raw)
                for reference in expressions(text)
            )
        except ExpressionError:
            return False

    def _build(self, name: str) -> None:
        """Build what one written action became."""
        refers_to = self._references.refers_to[name]
        if self._is_in_doubt(name) or not self._can_be_judged(name):
            return
        if refers_to & self._unjudged:
            self._unjudged.add(name)
            self._samples[name] = []
        ancestors = {owner: self._ancestor(owner) for owner in refers_to - self._unjudged}
        if name in self._unjudged:
            for source in self._samples[name]:
                self._build_one(name, source, ancestors)
            self._keep(name, Unjudged(action_id=name), Options(), None)
            return
        is_certain = refers_to <= self._ancestors.keys()
        is_whole = is_certain
        for member in self._members[name]:
            built = self._build_one(member, self._sources[member], ancestors)
            if built is None:
                is_whole = False
            elif is_certain:
                self._keep(member, *built)
        if is_whole:
            self._ancestors[name] = self._known(name)

    def _build_one(
        self, member: str, source: Source, ancestors: Mapping[str, Ancestor]
    ) -> tuple[Action, Options, bool | None] | None:
        """An action with its options and what its ``when`` says; None where it is wrong."""
        try:
            action, options = build(member, source, ancestors, self._site)
            return action, options, self._decide(source, ancestors)
        except PlaybookError as error:
            self._problems.add_error(source.document, error)
        except ExpressionError as error:
            path = (*source.path, "when")
            self._problems.add(source.document, path, error.message, hint=error.hint)
        return None

    def _keep(self, member: str, action: Action, options: Options, runs: bool | None) -> None:
        self._actions[member] = action
        self._options[member] = options
        self._runs[member] = runs

    def _decide(self, source: Source, ancestors: Mapping[str, Ancestor]) -> bool | None:
        """What its ``when`` says; None where that is only known in the run."""
        written = source.raw.get("when")
        if written is None:
            return True
        values = Values(source, ancestors, self._site, running=False)
        holds = conditions.read(written).holds(values)
        return None if values.waiting else holds

    def _can_be_judged(self, name: str) -> bool:
        """Whether what an action says can be looked at: it can although it refers to one with
        problems, unless what it touches where comes from that one.
        """
        references = self._references
        # Not `-`: that goes through all that is built, for every action.
        unbuilt = {
            owner
            for owner in references.refers_to[name]
            if owner not in self._ancestors and owner not in self._unjudged
        }
        if any(references.type(owner) is None for owner in unbuilt):
            return False
        source = references.sources[name]
        decides: dict[str, Any] = {
            field: source.raw.get(field)
            for field in {*TYPES[source.raw["action_type"]].written.decides, "when"}
        }
        return not unbuilt or not any(
            source.scope.prefix + reference.owner in unbuilt
            for _, text in texts(decides)
            for reference in expressions(text)
        )

    def _ancestor(self, name: str) -> Ancestor:
        if name in self._ancestors:
            return self._ancestors[name]
        empty = Single(self._references.sources[name].raw["action_type"], {})
        is_group = self._references.sources[name].raw.get("for_each") is not None
        return Group([empty]) if is_group else empty

    def _known(self, name: str) -> Ancestor:
        word = self._references.sources[name].raw["action_type"]
        if self._members[name] == (name,):
            return Single(word, self._actions[name].known())
        members = [member for member in self._members[name] if self._runs[member] is not False]
        return Group([Single(word, self._actions[member].known()) for member in members])

    def _find_conflicts(self, needs: graph.Needs, ordered: list[str]) -> None:
        running = {
            name: self._actions[name]
            for written in self._references.sources
            for name in self._members[written]
            if name in self._actions and self._runs[name] is not False
        }
        sources, written = self._references.sources, self._written
        contested = conflicts.contested(running)
        ancestry = graph.Ancestry(needs, ordered, {written[name] for name in contested})
        by_item = (
            graph.Ancestry(*self._items.graph(needs, ordered), contested) if self._items else None
        )
        position = {name: index for index, name in enumerate(ordered)}

        def is_ordered(one: str, other: str) -> bool:
            if sources[written[one]].always != sources[written[other]].always:
                return True
            if by_item is not None:
                return by_item.is_ordered(one, other)
            one, other = written[one], written[other]
            return one != other and ancestry.is_ordered(one, other)

        for conflict in conflicts.find(
            running, key=lambda name: position[written[name]], is_ordered=is_ordered
        ):
            self._refuse_conflict(conflict)

    def _refuse_conflict(self, conflict: conflicts.Conflict) -> None:
        one, other = conflict.one, conflict.other
        does, other_does = conflict.its_use.does, conflict.other_use.does
        too = "does too" if does == other_does else other_does
        message = f"`{one}` {does}, `{other}` {too}, and nothing says which is first"
        hint = f"make one depend on the other, such as `dependencies: [{self._written[one]}]` here"
        if self._written[one] == self._written[other]:
            hint = "what one `for_each` makes runs side by side: give each a place of its own"
        source = self._sources[other]
        self._problems.add(source.document, source.path, message, hint=hint)

    def _result(self, ordered: list[str]) -> Plan:
        planned: list[PlannedAction] = []
        mask = self._playbook.mask
        count = 0
        for written in ordered:
            needs = self._items.needs(written, self._references.needs[written])
            count += sum(map(len, needs.values()))
            if count > MAX_NEEDS:
                hint = "put one `noop` between: it needs all of them, and the others need it"
                error = ExpressionError("actions of `for_each` need too many others", hint=hint)
                self._add(written, (), error)
                raise self._problems.error()
            planned += [
                self._planned(member, written, needed, mask) for member, needed in needs.items()
            ]
        playbook = self._playbook
        return Plan(
            name=playbook.name,
            description=playbook.description,
            file=playbook.file,
            actions=tuple(planned),
            priority=playbook.priority,
            timeout_s=playbook.timeout_s,
            on_failure=playbook.on_failure,
            schedule=playbook.schedule,
            origin=playbook.origin(),
            mask=mask,
            _by_id={one.action_id: one for one in planned},
            _groups={n: made for n, made in self._members.items() if made != (n,)},
            _site=self._site,
        )

    def _planned(
        self, member: str, written: str, needs: tuple[str, ...], mask: Mask
    ) -> PlannedAction:
        source = self._sources[member]
        return PlannedAction(
            action=self._actions[member],
            action_type=source.raw["action_type"],
            needs=needs,
            where=source.document.position(source.path),
            options=self._options[member],
            runs=self._runs[member],
            _source=source,
            _refers_to=self._references.refers_to[written],
            _mask=mask,
        )


def _patterns(text: str) -> list[str]:
    """The patterns of ``${nodes.…}`` in a text; none where it is no text of expressions."""
    try:
        return [part.field for part in expressions(text) if part.owner == NODES]
    except ExpressionError:
        return []
