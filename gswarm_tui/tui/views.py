"""The screens by the word that is typed after ``:``, and the names of what some are about."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, final

from gswarm_tui.watch.snapshot import FleetSnapshot

if TYPE_CHECKING:
    from gswarm_tui.tui.screens.view import View

HOME: Final = "fleet"

_CLASSES: Final = {
    "fleet": "FleetView",
    "node": "NodeView",
    "gpu": "GpuView",
    "models": "ModelsView",
    "model": "ModelView",
    "services": "ServicesView",
    "transfers": "TransfersView",
    "jobs": "JobsView",
    "job": "JobView",
    "log": "LogView",
    "playbooks": "PlaybooksView",
    "inventory": "InventoryView",
    "events": "EventsView",
}
"""The class of each word; its module in ``screens/`` is called as the word is."""


@final
class _Views(Mapping[str, "type[View]"]):
    """Imports a screen when it is first wanted: what some need takes as long as all the rest."""

    def __getitem__(self, word: str) -> type[View]:
        module = importlib.import_module(f"gswarm_tui.tui.screens.{word}")
        view: type[View] = getattr(module, _CLASSES[word])
        return view

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)

    def load_all(self) -> None:
        """Import every screen; in a thread."""
        for word in self:
            self[word]

    def __contains__(self, word: object) -> bool:
        return word in _CLASSES


VIEWS: Final = _Views()

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
