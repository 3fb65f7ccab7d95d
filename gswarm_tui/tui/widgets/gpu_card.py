"""One GPU as a card of seven lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, bar, fit, level, pieces, spark
from gswarm_tui.tui.widgets.heat import SIGNS
from gswarm_tui.tui.widgets.lines import wrapped
from gswarm_tui.watch.fields import memory_percent
from gswarm_tui.watch.snapshot import Concern, Gpu, GpuState

WIDTH: Final = 38
HEIGHT: Final = 7
_INNER: Final = WIDTH - 4
_BAR: Final = 14
BEFORE_S: Final = _INNER
"""How many seconds of its past a card has room for."""

_STATES: Final = {
    GpuState.LOST: "✗ lost: the driver has no contact to it",
    GpuState.MISSING: "? missing: the inventory expects it, the node has none of that number",
    GpuState.SILENT: "‖ its driver does not answer",
}


def card(
    gpu: Gpu, before: Sequence[float | None], concern: Concern | None, *, chosen: bool
) -> list[Cell]:
    """The lines of a card.

    Args:
        before: the last `BEFORE_S` values of its utilisation.
        chosen: the cursor is on it.
    """
    inside = _inside(gpu, before, concern)
    corners = "┏━┓┃┗┛" if chosen else "╭─╮│╰╯"
    edge = Tone.TITLE if chosen else Tone.DIM
    title = f" {gpu.node}:gpu{gpu.index} "
    fitted = fit(pieces(Piece(title, Tone.TITLE)), min(WIDTH - 4, len(title)))
    rest = corners[1] * max(0, WIDTH - 3 - sum(len(piece.text) for piece in fitted))
    lines: list[Cell] = [
        (Piece(corners[0] + corners[1], edge), *fitted, Piece(rest + corners[2], edge))
    ]
    for line in inside:
        side = Piece(corners[3], edge)
        lines.append((side, Piece(" "), *fit(pieces(line), _INNER), Piece(" "), side))
    bottom = corners[4] + corners[1] * (WIDTH - 2) + corners[5]
    return [*lines, Piece(bottom, edge)]


def _inside(gpu: Gpu, before: Sequence[float | None], concern: Concern | None) -> Sequence[Cell]:
    """The lines between the edges."""
    name = (gpu.name or "").removeprefix("NVIDIA ")
    if gpu.state is not GpuState.OK:
        said = [Piece(line, Tone.BAD) for line in wrapped(_STATES[gpu.state], _INNER)]
        return [name, *said, *[""] * (HEIGHT - 3 - len(said))]
    share = memory_percent(gpu)
    return (
        (Piece("util ", Tone.DIM), bar(gpu.util_percent, _BAR, Tone.GOOD), _percent(gpu)),
        (
            Piece("mem  ", Tone.DIM),
            bar(share, _BAR, Tone.BUSY if level(share) is Tone.PLAIN else level(share)),
            Piece(f" {_memory(gpu)}"),
        ),
        (Piece(_facts(gpu)),) if concern is None else (Piece(_facts(gpu)), _concern(concern)),
        spark(before, Tone.GOOD),
        (
            Piece(", ".join(gpu.models), Tone.BUSY),
            Piece("  " * bool(gpu.models)),
            _users(gpu, name),
        ),
    )


def _percent(gpu: Gpu) -> Piece:
    return Piece(wording.NOTHING if gpu.util_percent is None else f" {gpu.util_percent:.0f} %")


def _memory(gpu: Gpu) -> str:
    used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
    if used is None or total is None:
        return wording.NOTHING
    return f"{used / 1e9:.0f}/{total / 1e9:.0f} GB"


def _facts(gpu: Gpu) -> str:
    known = []
    if gpu.temperature_c is not None:
        known.append(f"{gpu.temperature_c:.0f} °C")
    if gpu.power_w is not None:
        known.append(f"{gpu.power_w:.0f} W")
    return "  ".join(known)


def _concern(concern: Concern) -> Piece:
    """With its sign in the lines of the nodes, where it has one."""
    sign = SIGNS.get(concern, Piece("!"))
    return Piece(f"  {sign.text} {concern}", Tone.WARN)


def _users(gpu: Gpu, name: str) -> Piece:
    return Piece(", ".join(gpu.users) or name, Tone.PLAIN if gpu.users else Tone.DIM)
