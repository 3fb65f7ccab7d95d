"""The two lines at the top: the fleet in numbers, and where one is."""

from __future__ import annotations

from textual.reactive import reactive

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.tui.widgets.lines import Lines
from gswarm_tui.watch.snapshot import FleetSnapshot, GpuState, NodeState


class Header(Lines):
    """Totals, what needs a look, and the trail of screens."""

    DEFAULT_CSS = """
    Header { height: 2; background: $panel; color: $foreground; padding: 0 1; }
    """

    trail: reactive[tuple[str, ...]] = reactive((), repaint=False)

    def __init__(self) -> None:
        super().__init__()
        self._snapshot = FleetSnapshot(0.0)
        self._note = ""

    def show_totals(self, snapshot: FleetSnapshot, note: str = "") -> None:
        """Show these totals; `note` says what the screen's filter leaves out."""
        self._snapshot, self._note = snapshot, note
        self._draw()

    def watch_trail(self) -> None:
        self._draw()

    def _draw(self) -> None:
        trail = [Piece(" › ".join(self.trail), Tone.TITLE), Piece(self._note, Tone.DIM)]
        self.show([totals(self._snapshot), trail])


def totals(snapshot: FleetSnapshot) -> list[Piece]:
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
        Piece(f"  {up}/{len(nodes)} nodes", Tone.PLAIN if up == len(nodes) else Tone.WARN),
        Piece(f"  {len(gpus)} GPUs"),
    ]
    if snapshot.attention:
        said.append(Piece(f"  ⚠ {len(snapshot.attention)} to look at", Tone.WARN))
    if loads:
        said.append(Piece(f"  {sum(loads) / len(loads):.0f} % busy"))
    if total:
        said.append(Piece(f"  {wording.size(used)} of {wording.size(total)}"))
    if power:
        said.append(Piece(f"  {power / 1000:.1f} kW"))
    if snapshot.queue_paused:
        said.append(Piece("  ‖ queue paused", Tone.WARN))
    return said
