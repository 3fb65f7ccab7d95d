"""Which nodes a filter of `gswarm top` can be about, before any of them is asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.watch.filters import Filter
from gswarm_tui.watch.first import connecting
from gswarm_tui.watch.snapshot import Gpu, Node

_FROM_THE_INVENTORY: Final = ("name", "address", "groups", "labels")


class _NotTold(Exception):
    """A filter asks for what only the node can tell."""


class _Silent:
    """Stands where a GPU does of which nothing is known."""

    def __getattr__(self, name: str) -> Any:
        raise _NotTold


class _Known(_Silent):
    """Stands where a node does of which only its part of the inventory is known."""

    def __init__(self, node: Node) -> None:
        for name in _FROM_THE_INVENTORY:
            setattr(self, name, getattr(node, name))


def concerned(chosen: Filter, specs: Iterable[NodeSpec]) -> list[NodeSpec]:
    """The nodes that the filter may show something of, whatever they tell.

    ``node=n2`` and ``!label=r1`` are about nodes by themselves: no other is waited for. ``util<5``,
    and a word that may be in a command, are about all nodes.
    """
    return [spec for spec in specs if _may_fit(chosen, spec)]


def _may_fit(chosen: Filter, spec: NodeSpec) -> bool:
    node, gpu = cast(Node, _Known(connecting(spec, 0.0))), cast(Gpu, _Silent())
    for test in chosen.tests:
        try:
            if not test(node, gpu):
                return False
        except _NotTold:
            continue
    return True
