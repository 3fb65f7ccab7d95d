"""The processes on GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Cell
from gswarm_tui.tui.widgets.line_table import Column, LineTable
from gswarm_tui.watch.snapshot import Gpu, GpuProcess


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process on a GPU; one that is on several has a row for each."""

    gpu: int
    process: GpuProcess


def processes_of(*gpus: Gpu) -> list[ProcessRow]:
    """The processes of some GPUs, in their order."""
    return [ProcessRow(gpu.index, process) for gpu in gpus for process in gpu.processes or ()]


def nothing_on(*gpus: Gpu) -> str:
    """What is said where `processes_of` has none: of some GPUs it may not be known."""
    unknown = sum(gpu.processes is None for gpu in gpus)
    if not unknown:
        return "no process is on a GPU"
    if unknown < len(gpus):
        return "no process is on the GPUs that tell theirs"
    return "not known: the driver does not tell"


class ProcessTable(LineTable[ProcessRow]):
    """A line for each process on a GPU."""

    def __init__(self) -> None:
        super().__init__(
            (
                Column("gpu", lambda row: f"gpu{row.gpu}", 5, order=lambda row: row.gpu),
                Column("pid", lambda row: str(row.process.pid), 7, right=True),
                Column("user", _user, 9, order=_user),
                Column("memory", _memory, 8, right=True, order=lambda r: r.process.memory_bytes),
                Column("util", _util, 5, right=True, order=lambda row: row.process.util_percent),
                Column("since", _since, 12, least=90),
                Column("unit", lambda row: row.process.unit or "", 18, least=110),
                Column("command", _command, 12, 1),
            ),
            lambda row: (row.gpu, row.process.pid),
            empty="no process is on a GPU",
            subject=lambda row: row.process.pid,
        )


def _command(row: ProcessRow) -> Cell:
    if not row.process.verified:
        return "cannot be seen from here: the number is another PID namespace's"
    return row.process.command


def _user(row: ProcessRow) -> str:
    return row.process.user or wording.NOTHING


def _memory(row: ProcessRow) -> Cell:
    return wording.size(row.process.memory_bytes)


def _util(row: ProcessRow) -> Cell:
    share = row.process.util_percent
    return wording.NOTHING if share is None else f"{share:.0f} %"


def _since(row: ProcessRow) -> Cell:
    since = row.process.since
    if since is None:
        return wording.NOTHING
    return datetime.fromtimestamp(since).astimezone().strftime("%d %b %H:%M")
