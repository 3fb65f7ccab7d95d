"""The two lines at the top: the fleet in numbers, and where one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.reactive import reactive

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.watch.snapshot import FleetSnapshot, GpuState, NodeState

LEAST_WIDTH: Final = 20
LEAST_HEIGHT: Final = 5
"""On less than that there is nothing to be read, and that is said."""
_BETWEEN: Final = " › "


class Header(Lines):
    """Totals, what needs a look, and the trail of screens."""

    DEFAULT_CSS = """
    Header { height: 2; background: $panel; color: $foreground; padding: 0 1; }
    """

    @dataclass
    class Crumb(Message):
        """A click on a part of the trail; `place` is 0 for the first."""

        place: int

    trail: reactive[tuple[str, ...]] = reactive((), repaint=False)

    def __init__(self) -> None:
        super().__init__()
        self._snapshot = FleetSnapshot(0.0)
        self._note = ""
        self._errors = 0
        self._read_only = False

    def show_totals(
        self, snapshot: FleetSnapshot, note: str = "", errors: int = 0, *, read_only: bool = False
    ) -> None:
        """Show these totals.

        Args:
            note: what the screen's filter leaves out.
            errors: how many that happened were not read yet.
            read_only: nothing can be changed from here.
        """
        self._snapshot, self._note, self._errors = snapshot, note, errors
        self._read_only = read_only
        self._draw()

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is not None and at.y == 1:
            place = crumb_at(self.trail, self.size.width, at.x)
            if place is not None:
                self.post_message(self.Crumb(place))

    def watch_trail(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        super().on_resize()
        self._draw()

    def _draw(self) -> None:
        width, height = self.app.size
        if width < LEAST_WIDTH or height < LEAST_HEIGHT:
            self.show([Piece(f"needs {LEAST_WIDTH}×{LEAST_HEIGHT}", Tone.WARN), "more room"])
            return
        trail = [Piece(_shortened(self.trail, width - 2), Tone.TITLE), Piece(self._note, Tone.DIM)]
        said = totals(self._snapshot, self._errors, read_only=self._read_only)
        self.show([_in_room(said, width - 2), trail])


def _shortened(trail: Sequence[str], width: int) -> str:
    """The trail, without its beginning where there is no room for all of it."""
    for first in range(len(trail)):
        said = _BETWEEN.join(("…", *trail[first:]) if first else trail)
        if cell_len(said) <= width:
            return said
    return trail[-1] if trail else ""


def _in_room(said: Sequence[Piece], width: int) -> list[Piece]:
    """The totals, without the last amounts where there is no room: half of one says nothing."""
    shown = list(said)
    while sum(cell_len(piece.text) for piece in shown) > width and shown[-1].tone is Tone.PLAIN:
        shown.pop()
    return shown


def crumb_at(trail: Sequence[str], width: int, x: int) -> int | None:
    """Which part of the trail stands in a column, where it has so many.

    For the ellipsis it is the last of what is left out.
    """
    start, shown = 0, _shortened(trail, width).split(_BETWEEN)
    for number, said in enumerate(shown):
        end = start + cell_len(said)
        if start <= x < end:
            return len(trail) - len(shown) + number
        start = end + cell_len(_BETWEEN)
    return None


def _usable(usable: int, known: int) -> Piece:
    """``8 GPUs``, or ``5/8 GPUs`` where three that are known of cannot be used now."""
    if usable == known:
        return Piece(f"  {wording.number_of(usable, 'GPU')}")
    return Piece(f"  {usable}/{wording.number_of(known, 'GPU')}", Tone.WARN)


def totals(snapshot: FleetSnapshot, errors: int = 0, *, read_only: bool = False) -> list[Piece]:
    """The fleet in one line."""
    nodes = snapshot.nodes
    up = sum(node.state is NodeState.UP for node in nodes)
    gpus = [gpu for node in nodes for gpu in node.gpus if gpu.state is GpuState.OK]
    loads = [gpu.util_percent for gpu in gpus if gpu.util_percent is not None]
    used = sum(gpu.memory_used_bytes or 0 for gpu in gpus)
    total = sum(gpu.memory_total_bytes or 0 for gpu in gpus)
    power = sum(gpu.power_w or 0.0 for gpu in gpus)
    said = [
        Piece("gswarm", Tone.TITLE),
        *([Piece("  read-only", Tone.WARN)] if read_only else []),
        Piece(f"  {up}/{len(nodes)} nodes", Tone.PLAIN if up == len(nodes) else Tone.WARN),
        _usable(len(gpus), sum(len(node.gpus) or node.gpu_count for node in nodes)),
    ]
    if errors:
        noun = "error" if errors == 1 else "errors"
        said.append(Piece(f"  ✗ {errors} {noun}, in :events", Tone.BAD))
    if snapshot.attention:
        said.append(Piece(f"  ⚠ {len(snapshot.attention)} to look at", Tone.WARN))
    if snapshot.queue_paused:
        said.append(Piece("  ‖ queue paused", Tone.WARN))
    if loads:
        said.append(Piece(f"  {sum(loads) / len(loads):.0f} % busy"))
    if total:
        said.append(Piece(f"  {wording.size(used)} of {wording.size(total)}"))
    if power:
        said.append(Piece(f"  {wording.power(power)}"))
    return said
