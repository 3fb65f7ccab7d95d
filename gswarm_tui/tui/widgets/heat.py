"""GPUs as one column each: how busy by the height and the colour, what is wrong by a sign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Final, final

from gswarm_tui.tui.widgets.cells import Piece, Tone
from gswarm_tui.watch.snapshot import Concern, Gpu, GpuState

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_STEP: Final = 100 / len(_LEVELS)
_SLACK: Final = 0.75
"""How far beyond its step a value has to be before the column changes, in steps. Without it, half
of a fleet's columns flicker with every picture, and each costs bytes on a slow line."""

LEFT_OUT: Final = Piece("·", Tone.DIM)
"""A GPU that the filter leaves out, or that belongs to another group."""

_FREE: Final = Piece("○", Tone.DIM)
"""Nobody uses it."""

_STATES: Final[Mapping[GpuState, Piece]] = {
    GpuState.LOST: Piece("✗", Tone.BAD),
    GpuState.MISSING: Piece("?", Tone.BAD),
    GpuState.SILENT: Piece("‖", Tone.WARN),
}
SIGNS: Final[Mapping[Concern, Piece]] = {
    Concern.XID: Piece("!", Tone.BAD),
    Concern.ECC: Piece("!", Tone.BAD),
    Concern.THROTTLED: Piece("↓", Tone.WARN),
    Concern.IDLE: Piece("z", Tone.WARN),
}
LEGEND: Final = (
    "▁ to █ is how busy a GPU is; ○ free, z held but idle, ↓ throttled, ! XID or memory errors, "
    "✗ lost, ? missing, ‖ its driver hangs, · left out by the filter"
)


@final
class Heat:
    """The columns of GPUs; it remembers how each was drawn, so that they do not flicker."""

    def __init__(self) -> None:
        self._levels: dict[tuple[str, int], int] = {}

    def pieces(
        self, gpus: Iterable[Gpu], chosen: Iterable[Gpu], concerns: Mapping[int, Concern]
    ) -> list[Piece]:
        """A column for each of `gpus`; those that were not chosen are dots."""
        wanted = {gpu.index for gpu in chosen}
        columns = [
            self._column(gpu, concerns.get(gpu.index)) if gpu.index in wanted else LEFT_OUT
            for gpu in gpus
        ]
        return [
            Piece("".join(column.text for column in run), tone)
            for tone, run in groupby(columns, key=lambda column: column.tone)
        ]

    def _column(self, gpu: Gpu, concern: Concern | None) -> Piece:
        if gpu.state is not GpuState.OK:
            return _STATES[gpu.state]
        if concern is not None and concern in SIGNS:
            return SIGNS[concern]
        if gpu.util_percent is None:
            return Piece("-", Tone.DIM)
        if gpu.util_percent == 0 and gpu.processes == () and not gpu.models:
            return _FREE
        level = self._level(gpu, gpu.util_percent)
        return Piece(_LEVELS[level], Tone.DIM if level == 0 else tone_of(level))

    def _level(self, gpu: Gpu, percent: float) -> int:
        key = (gpu.node, gpu.index)
        exact = max(0.0, min(percent, 99.9)) / _STEP
        before = self._levels.get(key)
        if before is not None and abs(exact - before - 0.5) <= 0.5 + _SLACK:
            return before
        self._levels[key] = int(exact)
        return int(exact)


def tone_of(level: int) -> Tone:
    """The colour of a height from 0 to 7."""
    return Tone.GOOD if level >= 4 else Tone.BUSY
