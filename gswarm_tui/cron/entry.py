"""What is run at set times: an `Entry`, and how a playbook becomes one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gswarm_tui.cron.schedule import Schedule
from gswarm_tui.errors import UsageError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UNSPEAKABLE: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One playbook at its times.

    Args:
        name: what it is called in the crontab, and in the names of systemd's files.
        schedule: None where somebody wrote what is none into the crontab.
        command: the words of the command, all paths in it absolute.
        folder: where it is run.
        environment: what it needs of the environment, no secrets.
    """

    name: str
    schedule: Schedule | None
    command: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]

    @property
    def playbook(self) -> str | None:
        """The file that ``gswarm run`` is given."""
        return self._after("run")

    @property
    def data_dir(self) -> str | None:
        """Where the run keeps its state."""
        return self._after("--data-dir")

    def _after(self, word: str) -> str | None:
        words = iter(self.command)
        return next(words, None) if word in words else None


def check(entry: Entry) -> None:
    """Refuse what neither a crontab nor a unit can hold.

    Raises:
        UsageError: the name is none, or there are line breaks in it.
    """
    if not _NAME.fullmatch(entry.name):
        raise UsageError(
            f"{entry.name!r} is no name for a cron job",
            hint="up to 64 letters, digits and . _ -, beginning with a letter or digit (--name)",
        )
    texts = [*entry.command, entry.folder, *entry.environment, *entry.environment.values()]
    for text in texts:
        if _UNSPEAKABLE.search(text):
            raise UsageError(f"{text!r} has a line break or another control character in it")


def name_for(playbook: str) -> str:
    """A name from a playbook's: ``Deploy the 7B`` becomes ``Deploy-the-7B``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", playbook).strip("-._")[:64] or "playbook"


def executable() -> tuple[str, ...]:
    """How this very gswarm is called from anywhere."""
    script = Path(sys.executable).parent / "gswarm"
    if os.access(script, os.X_OK):
        return (str(script),)
    return sys.executable, "-m", "gswarm_tui.cli"
