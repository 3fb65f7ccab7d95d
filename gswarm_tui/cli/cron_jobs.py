"""Cron jobs: entries in the user's crontab and in systemd's user timers, wherever they are."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gswarm_tui.cron.entry import Entry
    from gswarm_tui.cron.timers import Timers

CRONTAB = "crontab"
SYSTEMD = "systemd"


@dataclass(frozen=True, slots=True)
class Installed:
    """An entry, and which of the two keeps its time."""

    entry: Entry
    where: str

    def remove(self) -> None:
        from gswarm_tui.cron import crontab

        if self.where == SYSTEMD:
            user_timers().remove(self.entry.name)
        else:
            crontab.write(crontab.removed(crontab.read(), self.entry.name))


def find(name: str) -> list[Installed]:
    return [one for one in all_installed() if one.entry.name == name]


def all_installed() -> list[Installed]:
    from gswarm_tui.cron import crontab

    lines = crontab.entries(crontab.read()) if shutil.which("crontab") else []
    return [
        *(Installed(entry, CRONTAB) for entry in lines),
        *(Installed(entry, SYSTEMD) for entry in user_timers().entries()),
    ]


def user_timers() -> Timers:
    from gswarm_tui.cron import timers

    return timers.Timers(timers.folder(os.environ))


def place(where: str) -> str:
    return "systemd's timers" if where == SYSTEMD else "the crontab"


def next_time(entry: Entry) -> datetime | None:
    """In the zone of this machine, which is cron's."""
    found = None if entry.schedule is None else entry.schedule.next(datetime.now())
    return None if found is None else found.astimezone()
