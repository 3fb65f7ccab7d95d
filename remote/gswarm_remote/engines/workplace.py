"""What an engine has around it: folders, an environment, a log, a port.

Its sockets and its TMPDIR are in a folder with a short path: vLLM and multiprocessing put Unix
sockets below TMPDIR, and a path of more than 107 bytes is none.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Container, Dict, Iterable, List, Mapping, Optional, Sequence

from .. import process
from ..operations import in_thread
from ..paths import Paths, private_folder

_KEPT_LOGS = 30
MAX_LOG = 64 * 1024 * 1024
"""Bytes of a log, of which after that the last `_KEPT_BYTES` are kept beside it."""

_KEPT_BYTES = 1024 * 1024
_TAIL_BYTES = 512 * 1024
_LONGEST_LINE = 600
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# The helper's environment is that of whoever connected first, tokens included: an engine gets none.
_DROPPED = re.compile(
    r"GSWARM_.*|SSH_.*|VLLM_SERVER_DEV_MODE|TMPDIR|TEMP|TMP|PYTHONPATH|PYTHONHOME"
    r"|.*_(?:TOKEN|API_KEY|SECRET|PASSWORD)(?:_.*)?"
)


@dataclass(frozen=True)
class Workplace:
    """The places of one replica.

    Args:
        folder: its working directory, 0700.
        run: a 0700 folder with a short path, for its socket and its temporary files.
        log: where its output goes.
    """

    folder: Path
    run: Path
    log: Path

    @classmethod
    def of(cls, paths: Paths, replica_id: str) -> Workplace:
        return cls(
            folder=paths.engines / replica_id,
            run=paths.run / replica_id.rpartition("-")[2],
            log=paths.logs / f"engine-{replica_id}.log",
        )

    @property
    def socket(self) -> Path:
        return self.run / "engine.sock"

    @property
    def temporary(self) -> Path:
        return self.run / "tmp"

    def make(self) -> None:
        for folder in (self.folder, self.run, self.temporary):
            private_folder(folder)

    def clear(
        self, mark: str, leader: Optional[process.ProcessRecord], grace_s: float
    ) -> List[int]:
        """End all processes that are at work here; blocks.

        Args:
            leader: None where it was never noted: it is found by its mark.

        Returns:
            The pids that do not end.
        """
        found = leader or process.find_marked(mark)
        if found is None:
            return []
        return process.terminate(found, mark=mark, folder=self.folder, grace_s=grace_s)

    def remove(self) -> None:
        """Remove all but the log."""
        for folder in (self.folder, self.run):
            shutil.rmtree(folder, ignore_errors=True)


def new_id(model: str, devices: Sequence[str]) -> str:
    """Readable, and never used before: it ends in eight random hex digits."""
    readable = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[:32]
    return "-".join([readable or "model", *devices[:4], secrets.token_hex(4)])


def environment(
    mark: str, place: Workplace, program: str, gpus: Sequence[int], *more: Mapping[str, str]
) -> Dict[str, str]:
    """The whole environment of an engine.

    GPUs are numbered as NVML numbers them, which is by PCI bus; CUDA's own order is by speed.

    Args:
        program: the engine's program; its folder comes first in PATH.
        more: what goes over all that, the last one last.
    """
    env = inherited()
    if "/" in program:
        env["PATH"] = f"{os.path.dirname(program)}:{env.get('PATH', os.defpath)}"  # noqa: PTH120
    env.update(
        CUDA_DEVICE_ORDER="PCI_BUS_ID",
        CUDA_VISIBLE_DEVICES=",".join(map(str, gpus)),
        HF_HUB_OFFLINE="1",
        PYTHONUNBUFFERED="1",
        TMPDIR=str(place.temporary),
    )
    for variables in more:
        env.update(variables)
    env[process.MARK] = mark
    return env


def inherited() -> Dict[str, str]:
    """The helper's environment without what is secret or its own."""
    return {k: v for k, v in os.environ.items() if not _DROPPED.fullmatch(k)}


def free_port() -> int:
    """A port on the loopback that nothing has now.

    Below the range from which the system takes the ports of outgoing connections, so that it is
    still free when the engine has loaded what it needs and binds it.
    """
    for port in random.sample(range(20000, 32000), 64):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_lines(path: Path, count: int) -> List[str]:
    """The end of a log, fit for a terminal: no escapes, of a progress bar only its last state."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    clean = [_ESCAPES.sub("", line).rstrip()[:_LONGEST_LINE] for line in lines]
    while clean and not clean[-1]:
        clean.pop()
    return clean[-count:] if count > 0 else []


def prune_logs(folder: Path, kind: str, in_use: Container[str]) -> None:
    """Remove the oldest logs of what is gone; `kind` is ``engine`` or ``service``."""
    with contextlib.suppress(OSError):
        logs = [path for path in folder.glob(f"{kind}-*.log") if str(path) not in in_use]
        logs.sort(key=lambda path: path.stat().st_mtime)
        for path in logs[:-_KEPT_LOGS]:
            with contextlib.suppress(FileNotFoundError):
                _older(path).unlink()
            path.unlink()


async def trim_logs(logs: Iterable[str]) -> None:
    """Empty logs that have become too long; their ends are kept as ``<log>.old``."""
    for path in map(Path, logs):
        if _is_long(path):
            await in_thread(_trim, path)


def _trim(path: Path) -> None:
    # Whoever writes it does so at its end, wherever that is (O_APPEND): it can be cut meanwhile.
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(-_KEPT_BYTES, os.SEEK_END)
        _older(path).write_bytes(file.read(_KEPT_BYTES))
    with contextlib.suppress(OSError):  # also where there is no room for its end
        os.truncate(path, 0)


def _is_long(path: Path) -> bool:
    try:
        return path.stat().st_size > MAX_LOG
    except OSError:
        return False


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".old")
