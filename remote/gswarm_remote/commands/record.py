"""One command of a task, as it lies on disk: found again by whatever helper is there later.

::

    hosts/HOST/tasks/<id>/      0700; the id is the digest of the task and what was asked
        record.json             what it is and which process; written before that is started
        begun                   made by the process itself, first of all
        output                  stdout and stderr; 0600
        status                  its exit status, once it has ended

The values of its environment are nowhere here.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, Mapping, Optional, Tuple

from .. import process, records
from ..process import ProcessRecord

TAIL = 64 * 1024
"""Bytes of output that an answer has."""

LOST = -1
"""The status of one that ended without noting any: it was killed, or the node went down."""

KEPT_S = 7 * 86400.0
MOST = 1000

_SCRIPT = (
    # $1: the folder, $2: the umask of the user. No shell reads the rest: exec takes it as it is,
    # and takes no builtin of the shell's either.
    'folder=$1; umask "$2"; shift 2; : >"$folder/begun";'
    ' (exec "$@"); status=$?;'
    ' printf "%s\\n" "$status" >"$folder/status.new"'
    ' && mv -f "$folder/status.new" "$folder/status"; exit "$status"'
)


@dataclass(frozen=True)
class Command:
    """What was asked for, and how far it is.

    Args:
        id: of hexadecimal digits; the name of its folder and its mark.
        task: the key of its task.
        argv, cwd: the program, and the folder that it runs in, absolute.
        started_at: seconds since the epoch.
        timeout_s: seconds that it may take; None for any.
        process: None for the moment between the record and the process.
        timed_out: it was ended because it took longer.
    """

    id: str
    task: str
    argv: Tuple[str, ...]
    cwd: str
    started_at: float
    timeout_s: Optional[float]
    process: Optional[ProcessRecord] = None
    timed_out: bool = False

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Command:
        """Raises KeyError, TypeError or ValueError where it is no record of this version."""
        values = {**record, "argv": tuple(record["argv"])}
        if values["process"] is not None:
            values["process"] = ProcessRecord.from_dict(values["process"])
        return cls(**values)

    def write(self, folder: Path) -> None:
        """Raises `HelperError` where it cannot be written."""
        records.write(folder / "record.json", asdict(self))

    def keep(self, folder: Path) -> None:
        records.keep(folder / "record.json", asdict(self))


def spawn(command: Command, folder: Path, env: Mapping[str, str]) -> ProcessRecord:
    """Start the program of a command, in a session of its own.

    Raises:
        HelperError: it cannot be started.
    """
    script = ("/bin/sh", "-c", _SCRIPT, "gswarm-command", str(folder), process.umask())
    return process.spawn(
        [*script, *command.argv],
        env={**env, process.MARK: command.id},
        cwd=Path(command.cwd),
        log=folder / "output",
    )


def read(folder: Path) -> Optional[Command]:
    """The command of a folder; None where there is none."""
    for _, content in records.read_all(folder):
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return Command.from_record(content)
    return None


def status(folder: Path) -> Optional[int]:
    """How it ended; None while it runs, or where nothing noted it."""
    try:
        return int((folder / "status").read_text())
    except (OSError, ValueError):
        return None


def note_status(folder: Path, number: int) -> None:
    """Note how it ended in its stead; best effort, for the next one finds the same."""
    with contextlib.suppress(OSError):
        (folder / "status").write_text(f"{number}\n")


def leader(command: Command) -> Optional[ProcessRecord]:
    """The process of a command, also where the helper died before it could note it."""
    return command.process or process.find_marked(command.id)


def prune(root: Path, running: FrozenSet[str]) -> None:
    """Remove the folders of commands that ended long ago, or are too many."""
    found = []
    for record in root.glob("*/record.json"):
        with contextlib.suppress(OSError):
            if record.parent.name not in running:
                found.append((record.stat().st_mtime, record.parent))
    found.sort()
    for number, (modified, folder) in enumerate(found):
        if number < len(found) - MOST or modified < time.time() - KEPT_S:
            shutil.rmtree(folder, ignore_errors=True)


def remove(folder: Path) -> None:
    """Forget a command: asked for again it runs again."""
    records.remove(folder / "record.json")  # first: without it there is nothing to find
    shutil.rmtree(folder, ignore_errors=True)


def tail(folder: Path) -> Dict[str, Any]:
    """The end of what it wrote, as a report of it; see `output`."""
    try:
        with (folder / "output").open("rb") as file:
            end = file.seek(0, 2)
            start = max(0, end - TAIL)
            file.seek(start)
            raw = file.read(end - start)
    except OSError:
        return {"output": "", "start": 0, "end": 0}
    return {"output": raw.decode(errors="replace"), "start": start, "end": end}
