"""The order of actions: who needs whom, in a circle or not, and who is not ordered at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

Needs: TypeAlias = Mapping[str, Sequence[str]]
"""For each action the ones that it needs; the actions are in the order of the file."""


def open_circles(needs: Needs) -> tuple[list[list[str]], dict[str, list[str]]]:
    """Circles such as ``[a, b, a]`` (a needs b, b needs a), beginning with what is first in the
    file; and the needs without the last edge of each, in which there are none.
    """
    edges = {name: list(needed) for name, needed in needs.items()}
    position = {name: index for index, name in enumerate(needs)}
    circles: list[list[str]] = []
    while True:
        try:
            TopologicalSorter(edges).prepare()
        except CycleError as error:
            # graphlib lists predecessors first: reversed, each needs the next.
            circle = list(reversed(error.args[1]))[:-1]
            start = circle.index(min(circle, key=position.__getitem__))
            circle = [*circle[start:], *circle[:start], circle[start]]
            circles.append(circle)
            edges[circle[-2]].remove(circle[-1])
        else:
            return circles, edges


def order(needs: Needs) -> list[str]:
    """The actions so that each comes after what it needs, else in the order of the file.

    Raises:
        graphlib.CycleError: there is a circle.
    """
    position = {name: index for index, name in enumerate(needs)}
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=position.__getitem__)
        ordered += ready
        sorter.done(*ready)
    return ordered


def direct_needs(needs: Needs, ordered: Sequence[str]) -> dict[str, list[str]]:
    """What each action needs, without what those that it needs need themselves.

    Args:
        ordered: the actions, each after what it needs.
    """
    bits = {name: 1 << index for index, name in enumerate(ordered)}
    above: dict[str, int] = {}
    direct = {}
    for name in ordered:
        implied = 0
        for needed in needs[name]:
            implied |= above[needed]
        direct[name] = [needed for needed in needs[name] if not implied & bits[needed]]
        above[name] = implied
        for needed in direct[name]:
            above[name] |= bits[needed]
    return direct


class Ancestry:
    """Answers whether two actions are ordered.

    Args:
        ordered: the actions, each after what it needs.
        asked: those that will be asked for; all of them by default.
    """

    def __init__(self, needs: Needs, ordered: Sequence[str], asked: Set[str] | None = None) -> None:
        # Only what is asked for has a bit: of many actions, most share nothing with others.
        bits = {name: 1 << index for index, name in enumerate(ordered if asked is None else asked)}
        self._bit = bits
        self._above: dict[str, int] = {}
        for name in ordered if bits else ():
            above = 0
            for needed in needs[name]:
                above |= self._above[needed] | bits.get(needed, 0)
            self._above[name] = above

    def is_ordered(self, one: str, other: str) -> bool:
        """Whether one of the two needs the other, directly or through others."""
        return bool(self._above[one] & self._bit[other] or self._above[other] & self._bit[one])
