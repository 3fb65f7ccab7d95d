"""Dependencies on one of what a ``for_each`` made: ``fetch[${each.value}]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

from gswarm_tui.playbook.graph import Needs
from gswarm_tui.playbook.language.expressions import EACH, ExpressionError, Reference, substitute
from gswarm_tui.playbook.language.scope import Source

_NAMED: Final = 5


@final
class Items:
    """What each action needs of the written ones, where that is not all that was made of them.

    Args:
        members: what each written action became; it may still grow.
    """

    def __init__(self, members: Mapping[str, tuple[str, ...]]) -> None:
        self._members = members
        self._needed: dict[tuple[str, str], tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._needed)

    def find(self, member: str, source: Source, needed: str, index: int) -> None:
        """Find what the action ``member`` needs of ``needed``, by that one of its dependencies.

        Raises:
            ExpressionError: there is none of that item.
        """
        each = source.each or {}

        def item(reference: Reference, whole: bool) -> object:
            if reference.owner != EACH:
                raise ExpressionError(
                    f"{reference} cannot be in a dependency, only ${{each.…}} can"
                )
            if reference.field not in each:
                known = ", ".join(each)
                message = f"{reference}: this item has no `{reference.field}`; it has: {known}"
                raise ExpressionError(message)
            return each[reference.field]

        said = substitute(source.raw["dependencies"][index], item)
        one = source.scope.prefix + said
        members = self._members[needed]
        if one not in members:
            more = ", …" if len(members) > _NAMED else ""
            there = f"there are {', '.join(members[:_NAMED])}{more}" if members else "it is empty"
            hint = f"both need a `for_each` over the same items; of `{needed}` {there}"
            raise ExpressionError(f"there is no `{said}` to depend on", hint=hint)
        before = self._needed.get((member, needed), ())
        self._needed[member, needed] = (*before, one)

    def needs(self, written: str, needed: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """What each of those that ``written`` became needs.

        Args:
            needed: the written actions.
        """
        members = self._members[written]
        if not any((member, one) in self._needed for member in members[:1] for one in needed):
            whole = tuple(member for one in needed for member in self._members[one])
            return dict.fromkeys(members, whole)  # one tuple for all: there may be many of many
        return {member: tuple(self._of(member, needed)) for member in members}

    def _of(self, member: str, needed: Sequence[str]) -> dict[str, None]:
        """Each once, in order."""
        found = (self._needed.get((member, one), self._members[one]) for one in needed)
        return dict.fromkeys(each for ones in found for each in ones)

    def graph(self, needs: Needs, ordered: Sequence[str]) -> tuple[Needs, list[str]]:
        """The order of written actions as that of all that was made of them.

        ``fetch[`` in it stands for all that was made of `fetch`, so that it stays small.
        """
        of_all: dict[str, Sequence[str]] = {}
        for name in ordered:
            for member in self._members[name]:
                of_all[member] = [
                    each
                    for one in needs[name]
                    for each in self._needed.get((member, one), (f"{one}[",))
                ]
            of_all[f"{name}["] = self._members[name]
        return of_all, list(of_all)
