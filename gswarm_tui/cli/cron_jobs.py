"""Cron jobs: entries in the user's crontab and in systemd's user timers, wherever they are."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gswarm_tui.cli.context import Settings
    from gswarm_tui.cron.entry import Entry
    from gswarm_tui.cron.timers import Timers
    from gswarm_tui.home import Home

CRONTAB = "crontab"
SYSTEMD = "systemd"


@dataclass(frozen=True, slots=True)
class Installed:
    """An entry, and which of the two keeps its time."""

    entry: Entry
    where: str

    def home(self, settings: Settings) -> Home:
        """Where its runs keep their state, which may be another place than that of now."""
        directory = self.entry.data_dir
        return (
            settings.home() if directory is None else replace(settings.home(), root=Path(directory))
        )

    def remove(self) -> None:
        """Take it out, wherever it is."""
        from gswarm_tui.cron import crontab

        if self.where == SYSTEMD:
            user_timers().remove(self.entry.name)
        else:
            crontab.write(crontab.removed(crontab.read(), self.entry.name))


def find(name: str) -> list[Installed]:
    """Those of that name: none or one, or both where somebody has made a line himself."""
    return [one for one in all_installed() if one.entry.name == name]


def all_installed() -> list[Installed]:
    """All cron jobs of this user that are gswarm's.

    Raises:
        GswarmError: the crontab cannot be read.
    """
    from gswarm_tui.cron import crontab

    lines = crontab.entries(crontab.read()) if shutil.which("crontab") else []
    return [
        *(Installed(entry, CRONTAB) for entry in lines),
        *(Installed(entry, SYSTEMD) for entry in user_timers().entries()),
    ]


def user_timers() -> Timers:
    """The timers of this user."""
    from gswarm_tui.cron import timers

    return timers.Timers(timers.folder(os.environ))


def place(where: str) -> str:
    """In words."""
    return "systemd's timers" if where == SYSTEMD else "the crontab"


def next_time(entry: Entry) -> datetime | None:
    """In the zone of this machine, which is cron's."""
    found = None if entry.schedule is None else entry.schedule.next(datetime.now())
    return None if found is None else found.astimezone()
