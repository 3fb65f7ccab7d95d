"""The screens by the word that is typed after ``:``, and the names of what some are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gswarm_tui.tui.screens.events import EventsView
from gswarm_tui.tui.screens.fleet import FleetView
from gswarm_tui.tui.screens.view import View
from gswarm_tui.watch.snapshot import FleetSnapshot

HOME: Final = "fleet"

VIEWS: Final[Mapping[str, type[View]]] = {view.WORD: view for view in (FleetView, EventsView)}

SUBJECTS: Final[Mapping[str, Callable[[FleetSnapshot], Sequence[str]]]] = {}
"""For the screens that are about one thing: the names that it can have."""
