"""Moments as the screens write them, in the user's own time zone; the shorter, the nearer."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_RECENT_S: Final = 12 * 3600


def day_or_time(time: float, now: float) -> str:
    """``21:58`` within half a day, else ``14 Nov``."""
    return _local(time).strftime("%H:%M" if now - time < _RECENT_S else "%d %b")


def moment(time: float, now: float) -> str:
    """``21:58:03`` within half a day, else ``14 Nov 21:58``."""
    return _local(time).strftime("%H:%M:%S" if now - time < _RECENT_S else "%d %b %H:%M")


def day_and_time(time: float) -> str:
    """``14 Nov 21:58:03``."""
    return _local(time).strftime("%d %b %H:%M:%S")


def _local(time: float) -> datetime:
    return datetime.fromtimestamp(time).astimezone()
