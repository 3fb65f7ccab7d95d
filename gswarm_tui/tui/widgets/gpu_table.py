"""The GPUs of one node, one a line."""

from __future__ import annotations

from typing import Final

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, bar, level
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.fields import memory_percent
from gswarm_tui.watch.snapshot import Gpu, GpuState

STATES: Final = {
    GpuState.OK: Piece("● ok", Tone.GOOD),
    GpuState.LOST: Piece("✗ lost", Tone.BAD),
    GpuState.MISSING: Piece("? missing", Tone.BAD),
    GpuState.SILENT: Piece("‖ silent", Tone.WARN),
}


class GpuTable(LineTable[Gpu]):
    """A line for each GPU that the node has, or should have."""

    def __init__(self) -> None:
        super().__init__(
            (
                Column("gpu", lambda gpu: f"gpu{gpu.index}", 5, order=lambda gpu: gpu.index),
                Column("state", _state, 9),
                Column("util", _util, 5, right=True, order=lambda gpu: gpu.util_percent),
                Column("", lambda gpu: bar(gpu.util_percent, 10, Tone.GOOD), 10, least=76),
                Column("memory", _memory, 15, right=True, order=memory_percent),
                Column("temp", _temperature, 5, right=True, order=lambda gpu: gpu.temperature_c),
                Column("power", _power, 6, right=True, order=lambda gpu: gpu.power_w),
                Column("users", lambda gpu: ", ".join(gpu.users), 6, 1),
                Column("models", lambda gpu: ", ".join(gpu.models), 8, 2, least=96),
                Column("clock", _clock, 8, right=True, least=110),
                Column("slowed by", _slowed, 10, 1, least=120),
            ),
            lambda gpu: gpu.index,
            empty="no GPU is known of this node",
            marks=False,
        )


def _state(gpu: Gpu) -> Cell:
    return STATES[gpu.state]


def _util(gpu: Gpu) -> Cell:
    return wording.NOTHING if gpu.util_percent is None else f"{gpu.util_percent:.0f} %"


def _memory(gpu: Gpu) -> Cell:
    if gpu.memory_used_bytes is None:
        return wording.NOTHING
    used, total = gpu.memory_used_bytes / 1e9, (gpu.memory_total_bytes or 0) / 1e9
    return Piece(f"{used:.1f}/{total:.1f} GB", level(memory_percent(gpu)))


def _temperature(gpu: Gpu) -> Cell:
    return wording.NOTHING if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C"


def _power(gpu: Gpu) -> Cell:
    return wording.NOTHING if gpu.power_w is None else f"{gpu.power_w:.0f} W"


def _slowed(gpu: Gpu) -> Cell:
    return wording.NOTHING if gpu.throttle is None else ", ".join(gpu.throttle)


def _clock(gpu: Gpu) -> Cell:
    return wording.NOTHING if gpu.sm_clock_mhz is None else f"{gpu.sm_clock_mhz:.0f} MHz"
