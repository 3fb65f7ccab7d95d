"""The screens by the word that is typed after ``:``, and the names of what some are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gswarm_tui.tui.screens.events import EventsView
from gswarm_tui.tui.screens.fleet import FleetView
from gswarm_tui.tui.screens.gpu import GpuView
from gswarm_tui.tui.screens.node import NodeView
from gswarm_tui.tui.screens.view import View
from gswarm_tui.watch.snapshot import FleetSnapshot

HOME: Final = "fleet"

VIEWS: Final[Mapping[str, type[View]]] = {
    view.WORD: view for view in (FleetView, NodeView, GpuView, EventsView)
}

SUBJECTS: Final[Mapping[str, Callable[[FleetSnapshot], Sequence[str]]]] = {
    "node": lambda snapshot: [node.name for node in snapshot.nodes],
    "gpu": lambda snapshot: [
        f"{node.name}:gpu{gpu.index}" for node in snapshot.nodes for gpu in node.gpus
    ],
}
"""For the screens that are about one thing: the names that it can have."""
