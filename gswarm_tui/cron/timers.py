"""systemd's user timers: two files for each entry, ``gswarm-NAME.service`` and ``.timer``.

What an entry says is also in the timer's section ``[X-Gswarm]``, which systemd passes over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gswarm_tui.cron.entry import Entry, check
from gswarm_tui.cron.program import Ended, call
from gswarm_tui.cron.schedule import parse
from gswarm_tui.errors import GswarmError, UsageError

_SECTION: Final = "[X-Gswarm]"
_KEY: Final = "Entry="
_KINDS: Final = ("timer", "service")
_MISSING: Final = "this machine is not run by systemd: leave --systemd out"


def folder(environ: Mapping[str, str]) -> Path:
    """Where the user's own units are."""
    base = environ.get("XDG_CONFIG_HOME", "")
    root = Path(base) if base.startswith("/") else Path("~/.config").expanduser()
    return root / "systemd" / "user"


@dataclass(frozen=True, slots=True)
class Timers:
    """The timers in a folder of units."""

    folder: Path

    def entries(self) -> list[Entry]:
        """By name; units that are not ours are passed over."""
        found = [_read(path) for path in sorted(self.folder.glob("gswarm-*.timer"))]
        return [entry for entry in found if entry is not None]

    def install(self, entry: Entry) -> None:
        """Write the two files, and have systemd keep the time from now on.

        Raises:
            UsageError: systemd could not be told.
            GswarmError: it does not take it, and the files are as they were; or they cannot be
                written.
        """
        service, timer = _service(entry), _timer(entry)
        before = self._texts(entry.name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(entry.name, {"service": service, "timer": timer})
        except OSError as error:
            message = f"the unit cannot be written: {error.strerror}"
            raise GswarmError(message, where=str(self.folder)) from error
        try:
            _systemctl("daemon-reload")
            _systemctl("enable", f"gswarm-{entry.name}.timer")
            # One that was there keeps its old times otherwise.
            _systemctl("restart", f"gswarm-{entry.name}.timer")
        except GswarmError:
            self._unlink(entry.name)
            self._write(entry.name, before)
            raise

    def remove(self, name: str) -> None:
        """End the timer and remove its files; a run of it that is under way goes on.

        Raises:
            GswarmError: systemd does not answer; the files are left.
        """
        _systemctl("disable", "--now", f"gswarm-{name}.timer")
        self._unlink(name)
        _systemctl("daemon-reload")

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"gswarm-{name}.{kind}"

    def _texts(self, name: str) -> dict[str, str]:
        """The files of an entry that are there, by their kind."""
        paths = {kind: self._path(name, kind) for kind in _KINDS}
        return {
            kind: path.read_text("utf-8", "surrogateescape")
            for kind, path in paths.items()
            if path.exists()
        }

    def _write(self, name: str, texts: Mapping[str, str]) -> None:
        for kind, text in texts.items():
            self._path(name, kind).write_text(text, "utf-8", "surrogateescape")

    def _unlink(self, name: str) -> None:
        for kind in _KINDS:
            self._path(name, kind).unlink(missing_ok=True)


def lingers() -> bool | None:
    """Whether the user's timers run while nobody is logged in; None where it cannot be known."""
    try:
        ended = call(
            "loginctl", "show-user", str(os.getuid()), "--property=Linger", missing=_MISSING
        )
    except GswarmError:
        return None
    return ended.out.strip() == "Linger=yes" if ended.status == 0 else None


def _systemctl(*words: str) -> Ended:
    ended = call("systemctl", "--user", *words, missing=_MISSING)
    if ended.status:
        raise GswarmError(
            f"systemctl --user {words[0]}: {ended.why or f'status {ended.status}'}",
            hint="is there a session of yours for systemd? `loginctl enable-linger` makes one;"
            " a crontab needs none: leave --systemd out",
        )
    return ended


def _service(entry: Entry) -> str:
    check(entry)
    command = " ".join(_quoted(word.replace("$", "$$")) for word in entry.command)
    environment = [
        f"Environment={_quoted(f'{name}={value}')}\n" for name, value in entry.environment.items()
    ]
    return (
        f"# Written by `gswarm cron install`; `gswarm cron remove {entry.name}` removes it.\n"
        "[Unit]\n"
        f"Description=gswarm: {entry.name}\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "# Helpers and engines on this machine outlive the run that started them.\n"
        "KillMode=process\n"
        f"WorkingDirectory={entry.folder.replace('%', '%%')}\n"
        f"{''.join(environment)}"
        f"ExecStart={command}\n"
    )


def _timer(entry: Entry) -> str:
    if entry.schedule is None:
        raise UsageError(f"{entry.name} has no schedule")
    times = "".join(f"OnCalendar={time}\n" for time in entry.schedule.on_calendar())
    document = {
        "name": entry.name,
        "schedule": entry.schedule.text,
        "command": entry.command,
        "folder": entry.folder,
        "environment": dict(entry.environment),
    }
    return (
        f"# Written by `gswarm cron install`; `gswarm cron remove {entry.name}` removes it.\n"
        "[Unit]\n"
        f"Description=gswarm: {entry.name} ({entry.schedule.text.replace('%', '%%')})\n"
        "\n"
        "[Timer]\n"
        f"{times}"
        "AccuracySec=1s\n"
        "# A time at which the machine was off is made up for.\n"
        "Persistent=true\n"
        "\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
        "\n"
        f"{_SECTION}\n"
        f"{_KEY}{json.dumps(document)}\n"
    )


def _quoted(text: str) -> str:
    """A word of a unit's command line: in quotes, with systemd's own characters doubled."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _read(path: Path) -> Entry | None:
    try:
        text = path.read_text("utf-8", "surrogateescape")
        line = next(line for line in text.partition(_SECTION)[2].splitlines() if _KEY in line)
        document = json.loads(line.removeprefix(_KEY))
        return Entry(
            document["name"],
            parse(document["schedule"]),
            tuple(document["command"]),
            document["folder"],
            document["environment"],
        )
    except (OSError, StopIteration, ValueError, KeyError, TypeError, UsageError):
        return None
