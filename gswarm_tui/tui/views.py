"""The screens by the word that is typed after ``:``, and the names of what some are about."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from gswarm_tui.nearest import did_you_mean
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


@final
@dataclass(frozen=True, slots=True)
class Subjects:
    """What a screen can be about.

    Args:
        noun: one of them.
        written: how it is written after ``:``.
        names: all that there are.
    """

    noun: str
    written: str
    names: Callable[[FleetSnapshot], Sequence[str]]

    def why_not(self, name: str | None, names: Sequence[str]) -> str:
        """Why there is no screen about it, where there is none of that name."""
        if name is None:
            return f"write which {self.noun}: {self.written}"
        return f"there is no {self.noun} {name}{self._instead(name, names)}"

    def _instead(self, name: str, names: Sequence[str]) -> str:
        if ":" in self.written and ":" not in name:
            within = [each for each in names if each.startswith(f"{name}:")]
            example = f", such as {within[0]}" if within else ""
            return f"; write {self.written}{example}"
        return did_you_mean(name, names) or ("" if names else "; there is none at all")


def _jobs(snapshot: FleetSnapshot) -> list[str]:
    return [str(job.id) for job in snapshot.jobs]


SUBJECTS: Final[Mapping[str, Subjects]] = {
    "node": Subjects("node", "NAME", lambda snapshot: [node.name for node in snapshot.nodes]),
    "gpu": Subjects(
        "GPU",
        "NODE:gpuN",
        lambda snapshot: [
            f"{node.name}:gpu{gpu.index}" for node in snapshot.nodes for gpu in node.gpus
        ],
    ),
    "model": Subjects("model", "NAME", lambda snapshot: [each.name for each in snapshot.models]),
    "job": Subjects("job", "N", _jobs),
    "log": Subjects("job", "N", _jobs),
}
"""For the screens that are about one thing."""
