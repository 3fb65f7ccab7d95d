"""The screens by the word that is typed after ``:``, and the names of what some are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gswarm_tui.tui.screens.events import EventsView
from gswarm_tui.tui.screens.fleet import FleetView
from gswarm_tui.tui.screens.gpu import GpuView
from gswarm_tui.tui.screens.inventory import InventoryView
from gswarm_tui.tui.screens.job import JobView
from gswarm_tui.tui.screens.jobs import JobsView
from gswarm_tui.tui.screens.log import LogView
from gswarm_tui.tui.screens.model import ModelView
from gswarm_tui.tui.screens.models import ModelsView
from gswarm_tui.tui.screens.node import NodeView
from gswarm_tui.tui.screens.playbooks import PlaybooksView
from gswarm_tui.tui.screens.services import ServicesView
from gswarm_tui.tui.screens.transfers import TransfersView
from gswarm_tui.tui.screens.view import View
from gswarm_tui.watch.snapshot import FleetSnapshot

HOME: Final = "fleet"

VIEWS: Final[Mapping[str, type[View]]] = {
    view.WORD: view
    for view in (
        *(FleetView, NodeView, GpuView, ModelsView, ModelView, ServicesView, TransfersView),
        *(JobsView, JobView, LogView, PlaybooksView, InventoryView, EventsView),
    )
}

SUBJECTS: Final[Mapping[str, Callable[[FleetSnapshot], Sequence[str]]]] = {
    "node": lambda snapshot: [node.name for node in snapshot.nodes],
    "gpu": lambda snapshot: [
        f"{node.name}:gpu{gpu.index}" for node in snapshot.nodes for gpu in node.gpus
    ],
    "model": lambda snapshot: [model.name for model in snapshot.models],
    "job": lambda snapshot: [str(job.id) for job in snapshot.jobs],
    "log": lambda snapshot: [str(job.id) for job in snapshot.jobs],
}
"""For the screens that are about one thing: the names that it can have."""
