from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gswarm_tui.cron.entry import Entry
from gswarm_tui.cron.schedule import parse

CRONTAB = """#!/bin/sh
# As Debian's: keeps what it is given, if it ends with a line feed.
file={folder}/table
case "$1" in
  -l) if [ -e "$file" ]; then cat "$file"; else echo "no crontab for ada" >&2; exit 1; fi ;;
  -) cat > "$file.new"
     if [ -s "$file.new" ] && [ -n "$(tail -c 1 "$file.new" | tr -d '\\n')" ]; then
       echo "new crontab file is missing newline before EOF, can't install." >&2; exit 1
     fi
     mv "$file.new" "$file" ;;
esac
"""

SYSTEMCTL = """#!/bin/sh
echo "$@" >> {folder}/systemctl.log
if [ -e {folder}/broken ]; then echo "Failed to connect to bus: No medium found" >&2; exit 1; fi
"""

LOGINCTL = """#!/bin/sh
cat {folder}/linger
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine whose `crontab`, `systemctl` and `loginctl` are scripts that only take notes."""

    folder: Path

    @property
    def table(self) -> Path:
        return self.folder / "table"

    @property
    def told(self) -> list[str]:
        """The calls of `systemctl`."""
        log = self.folder / "systemctl.log"
        return log.read_text().splitlines() if log.exists() else []

    def break_systemd(self) -> None:
        (self.folder / "broken").touch()

    def linger(self, answer: str) -> None:
        (self.folder / "linger").write_text(f"Linger={answer}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    folder = tmp_path / "machine"
    folder.mkdir()
    for name, text in (("crontab", CRONTAB), ("systemctl", SYSTEMCTL), ("loginctl", LOGINCTL)):
        (folder / name).write_text(text.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    made = Machine(folder)
    made.linger("yes")
    return made


def entry(
    name: str = "deploy",
    *command: str,
    schedule: str = "0 3 * * *",
    folder: str = "/work",
    environment: Mapping[str, str] | None = None,
) -> Entry:
    words = command or ("/venv/bin/gswarm", "run", "/work/deploy.yaml", "--quiet")
    return Entry(name, parse(schedule), words, folder, environment or {})
