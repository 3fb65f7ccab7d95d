"""What the machine beside its GPUs does: CPU, memory, disk, network.

Rates are of the time since the reading before. What the system does not tell is None.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple

from ..machine import existing

Values = Dict[str, Any]

_SECTOR = 512  # bytes of a sector in the kernel's statistics, whatever the disk's are
_INTERFACES = Path("/sys/class/net")  # one that is hardware has a link to its device
_TMPFS = Path("/dev/shm")  # noqa: S108 - only its size is looked at

_Counts = Tuple[Optional[int], Optional[int]]


class HostLoad:
    """The machine, read again and again.

    Args:
        models: the folder whose disk is meant; it need not exist yet.

    Raises:
        ImportError: psutil cannot be loaded here (a noexec file system).
    """

    def __init__(self, models: Path) -> None:
        import psutil

        self._psutil = psutil
        self._models = models
        self._statistics: Optional[Path] = None
        self._before: Dict[str, Tuple[float, _Counts]] = {}
        _told(psutil.cpu_percent)  # the first one compares with nothing

    def read(self) -> Values:
        """Everything but the space; see `space`."""
        memory, swap = _told(self._psutil.virtual_memory), _told(self._psutil.swap_memory)
        load = _told(os.getloadavg)
        read, written = self._rates("disk", _disk_bytes(self._statistics))
        received, sent = self._rates("net", _told(self._network_bytes) or (None, None))
        return {
            "cpu_percent": _told(self._psutil.cpu_percent),
            "cpu_count": os.cpu_count(),
            "load1": load and load[0],
            "load5": load and load[1],
            "load15": load and load[2],
            "memory_total_bytes": memory and memory.total,
            "memory_used_bytes": memory and memory.total - memory.available,
            "swap_total_bytes": swap and swap.total,
            "swap_used_bytes": swap and swap.used,
            "disk_read_bytes_per_s": read,
            "disk_write_bytes_per_s": written,
            "net_rx_bytes_per_s": received,
            "net_tx_bytes_per_s": sent,
        }

    def space(self) -> Values:
        """Of the models' disk and of tmpfs. Blocks where the disk is a network's that is away."""
        self._statistics = _statistics(self._models)
        disk, tmpfs = _usage(self._models), _usage(_TMPFS) if _TMPFS.is_dir() else None
        return {
            "disk_total_bytes": None if disk is None else disk[0],
            "disk_free_bytes": None if disk is None else disk[1],
            "tmpfs_total_bytes": None if tmpfs is None else tmpfs[0],
            "tmpfs_free_bytes": None if tmpfs is None else tmpfs[1],
        }

    def _rates(self, name: str, counts: _Counts) -> Tuple[Optional[float], Optional[float]]:
        now = time.monotonic()
        then, before = self._before.get(name, (now, (None, None)))
        self._before[name] = (now, counts)
        first, second = (
            (count - old) / (now - then)
            if count is not None and old is not None and now > then and count >= old
            else None
            for count, old in zip(counts, before)
        )
        return first, second

    def _network_bytes(self) -> _Counts:
        """Received and sent over what leaves the machine: bridges and bonds would count twice."""
        counters = self._psutil.net_io_counters(pernic=True)
        names = [name for name in counters if (_INTERFACES / name / "device").exists()]
        chosen = [counters[n] for n in names or counters if n != "lo" and not n.startswith("lo0")]
        return sum(c.bytes_recv for c in chosen), sum(c.bytes_sent for c in chosen)


def _told(ask: Callable[[], Any]) -> Any:
    """What the system says; None where it does not: a container may hide parts of /proc."""
    try:
        return ask()
    except (OSError, RuntimeError, ValueError):
        return None


def _usage(path: Path) -> Optional[Tuple[int, int]]:
    try:
        usage = shutil.disk_usage(existing(path))
    except OSError:
        return None
    return usage.total, usage.free


def _statistics(models: Path) -> Optional[Path]:
    """Where Linux counts what the disk of `models` does; a network's or an overlay has no such."""
    if sys.platform != "linux":
        return None
    try:
        device = existing(models).stat().st_dev
    except OSError:
        return None
    path = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    return path if path.exists() else None


def _disk_bytes(statistics: Optional[Path]) -> _Counts:
    """Read and written. Source: Documentation/block/stat.rst of Linux."""
    if statistics is None:
        return None, None
    try:
        fields = statistics.read_text().split()
        return int(fields[2]) * _SECTOR, int(fields[6]) * _SECTOR
    except (OSError, ValueError, IndexError):
        return None, None
