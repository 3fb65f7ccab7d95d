"""Whether a model fits, asked before its first byte and answered in bytes.

A transfer in flight has a claim on what it still needs, so that two that fit alone but not
together are not both begun. Claims are this process's; what other processes wrote so far is on the
disk. A file of unknown size has no claim: there is room for it or not, as it grows.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Optional, Tuple

from ..errors import HelperError, Kind
from . import files
from .files import FULL

if TYPE_CHECKING:
    from .partial import Partial

MAX_MARGIN = 256 * 10**6
"""Bytes that stay free on a large filesystem; one part in a hundred on a small one."""

STEP = 16 * 2**20
"""Bytes that a file of unknown size may grow before it is asked again whether there is room."""


class Claims:
    """The claims of this process's transfers; there is one, `claims`."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._claims: Dict[object, Tuple[Path, int, Partial]] = {}

    def admit(
        self, partial: Partial, *, used: Callable[[], int], quota: Optional[int]
    ) -> Callable[[], None]:
        """Claim room for what a transfer still needs; returns what gives the claim back.

        Args:
            used: bytes that the store's models take, those in flight included.
            quota: bytes that they may take, None for no limit.

        Raises:
            HelperError: the quota or the filesystem has no room for it (no_space).
        """
        root = partial.store.root
        device = root.stat().st_dev
        with self._guard:
            others = list(self._claims.values())
            if quota is not None:
                claimed = sum(other.remaining for place, _, other in others if place == root)
                _check_quota(partial, used=used() + claimed, quota=quota)
            claimed = sum(other.remaining for _, where, other in others if where == device)
            _check_free(partial, claimed=claimed)
            token = object()
            self._claims[token] = (root, device, partial)
        return lambda: self._give_back(token)

    def room(
        self, partial: Partial, count: int, *, used: Callable[[], int], quota: Optional[int]
    ) -> int:
        """How many bytes a file of unknown size may grow, from `count` up to `STEP`.

        Raises:
            HelperError: less than `count`, beside what is claimed (no_space).
        """
        root = partial.store.root
        device = root.stat().st_dev
        with self._guard:
            others = list(self._claims.values())
        claimed = sum(other.remaining for _, where, other in others if where == device)
        left = free_bytes(root) - claimed - _margin(root)
        limit = f"{human(_margin(root))} of the disk are left alone"
        if quota is not None:
            claimed = sum(other.remaining for place, _, other in others if place == root)
            within = quota - used() - claimed
            if within < left:
                left, limit = within, f"the quota is {human(quota)}"
        if left < count:
            raise HelperError(
                Kind.NO_SPACE,
                f"{partial.plan.name} is larger than the room that is left ({limit}); its source"
                " does not say how large it is",
                where=str(root),
                hint="delete a model there, give the node a larger quota in the inventory, or"
                " choose another node or tier",
            )
        return max(count, min(left, STEP))

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


def explained(error: OSError, partial: Partial) -> HelperError:
    """What stopped a transfer in its middle, as an error for the user; a full disk above all."""
    if error.errno not in FULL:
        return files.explained(error, where=partial.folder)
    return HelperError(
        Kind.NO_SPACE,
        f"the disk is full: {partial.plan.name} needs {human(partial.remaining)} more,"
        f" {human(free_bytes(partial.folder))} are free",
        where=str(partial.folder),
        hint=f"make room and ask again: the {human(partial.done)} that are here are kept",
    )


def _check_quota(partial: Partial, *, used: int, quota: int) -> None:
    if used + partial.remaining <= quota:
        return
    raise HelperError(
        Kind.NO_SPACE,
        f"{partial.plan.name} needs {human(partial.remaining)}, and of the quota of {human(quota)}"
        f" {human(max(0, quota - used))} are left",
        where=str(partial.store.root),
        hint="delete a model there, or give the node a larger quota in the inventory",
    )


def _check_free(partial: Partial, *, claimed: int) -> None:
    root = partial.store.root
    margin = _margin(root)
    free = free_bytes(root) - claimed - margin
    if partial.remaining <= free:
        return
    waiting = f", {human(claimed)} of it for transfers under way" if claimed else ""
    raise HelperError(
        Kind.NO_SPACE,
        f"{partial.plan.name} needs {human(partial.remaining)}, {human(free_bytes(root))} are free"
        f"{waiting} ({human(margin)} are left alone)",
        where=str(root),
        hint="make room there, or choose another node or tier",
    )


def _margin(root: Path) -> int:
    stats = os.statvfs(root)
    return min(MAX_MARGIN, stats.f_blocks * stats.f_frsize // 100)


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
