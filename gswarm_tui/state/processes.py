"""Whether the process that a row names still runs."""

from __future__ import annotations

import psutil


def is_running(pid: int, started: float) -> bool:
    """Whether the process that had this pid, and started then (seconds since the epoch), does."""
    try:
        process = psutil.Process(pid)
        # The kernel counts in ticks of 10 ms from a boot time that a clock step can shift a little.
        return (
            abs(process.create_time() - started) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
