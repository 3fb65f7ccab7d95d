"""Whether a model fits, asked before its first byte and answered in bytes.

A transfer in flight has a claim on what it still needs, so that two that fit alone but not
together are not both begun. Claims are this process's; what other processes wrote so far is on the
disk.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple

from ..errors import HelperError, Kind
from .files import FULL, explained

MAX_MARGIN = 256 * 10**6
"""Bytes that stay free on a large filesystem; one part in a hundred on a small one."""


@dataclass(frozen=True)
class Demand:
    """What one transfer asks of a store; bytes.

    Args:
        what: what it is for, as the user knows it.
        remaining: what is still to be written.
    """

    what: str
    remaining: int


class Claims:
    """The claims of this process's transfers; there is one, `claims`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._claims: Dict[object, Tuple[Path, int, Callable[[], int]]] = {}

    def admit(
        self,
        root: Path,
        demand: Demand,
        *,
        remaining: Callable[[], int],
        used: Callable[[], int],
        quota: Optional[int],
    ) -> Callable[[], None]:
        """Claim room for a transfer into the store at `root`; returns what gives the claim back.

        Args:
            remaining: how much the transfer needs from now on, as it goes.
            used: bytes that the store's models take, those in flight included.

        Raises:
            HelperError: the quota or the filesystem has no room for it (no_space).
        """
        token = object()
        device = root.stat().st_dev
        with self._guard:
            claims = list(self._claims.values())
            here = sum(needed() for place, _, needed in claims if place == root)
            beside = sum(needed() for _, where, needed in claims if where == device)
            if quota is not None:
                _check_quota(root, demand, used=used() + here, quota=quota)
            _check_free(root, demand, claimed=beside)
            self._claims[token] = (root, device, remaining)
        return lambda: self._give_back(token)

    def _give_back(self, token: object) -> None:
        with self._guard:
            self._claims.pop(token, None)


claims = Claims()


def free_bytes(path: Path) -> int:
    """Bytes that may still be written below `path`; in tmpfs, no more than memory is free."""
    stats = os.statvfs(path)
    free = stats.f_bavail * stats.f_frsize
    memory = _available_memory() if _is_tmpfs(path) else None
    return free if memory is None else min(free, memory)


def human(count: int) -> str:
    """A number of bytes in decimal units, as disks are sold: ``13.5 GB``."""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def full(error: OSError, root: Path, demand: Demand) -> HelperError:
    """What stopped a transfer in its middle, for the user; any `OSError`, a full disk above all."""
    if error.errno not in FULL:
        return explained(error, where=root)
    return HelperError(
        Kind.NO_SPACE,
        f"the disk is full: {demand.what} needs {human(demand.remaining)} more,"
        f" {human(free_bytes(root))} are free",
        where=str(root),
        hint="make room and ask again: what is here is kept, and only the rest is fetched",
    )


def _check_quota(root: Path, demand: Demand, *, used: int, quota: int) -> None:
    if used + demand.remaining <= quota:
        return
    raise HelperError(
        Kind.NO_SPACE,
        f"{demand.what} needs {human(demand.remaining)}, and of the quota of {human(quota)}"
        f" {human(max(0, quota - used))} are left",
        where=str(root),
        hint="delete a model there, or give the node a larger quota in the inventory",
    )


def _check_free(root: Path, demand: Demand, *, claimed: int) -> None:
    stats = os.statvfs(root)
    margin = min(MAX_MARGIN, stats.f_blocks * stats.f_frsize // 100)
    free = free_bytes(root) - claimed - margin
    if demand.remaining <= free:
        return
    waiting = f", {human(claimed)} of it for transfers under way" if claimed else ""
    raise HelperError(
        Kind.NO_SPACE,
        f"{demand.what} needs {human(demand.remaining)}, {human(free_bytes(root))} are free"
        f"{waiting} ({human(margin)} are left alone)",
        where=str(root),
        hint="make room there, or choose another node or tier",
    )


def _is_tmpfs(path: Path) -> bool:
    """Source: proc(5), /proc/self/mountinfo: field 3 is major:minor, the type follows a dash."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        mount, _, filesystem = line.partition(" - ")
        if mount.split()[2] == number:
            return filesystem.split()[0] in ("tmpfs", "ramfs")
    return False


def _available_memory() -> Optional[int]:
    """Source: proc(5), /proc/meminfo: MemAvailable, in kB."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
