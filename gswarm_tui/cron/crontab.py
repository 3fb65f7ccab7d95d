"""The user's crontab: one marked line for each entry, and all other bytes as they were.

A line is ``SCHEDULE cd FOLDER && env NAME=VALUE… COMMAND… # gswarm:NAME``: for any shell, with the
mark as a comment of the shell. It goes through ``crontab -``, which checks it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Final

from gswarm_tui.cron.entry import Entry, check
from gswarm_tui.cron.program import call
from gswarm_tui.cron.schedule import Schedule, parse
from gswarm_tui.errors import GswarmError, UsageError

MAX_COMMAND: Final = 998
"""Bytes of a command that each cron takes: Debian's has 1000, with the line's end."""

_MARK: Final = " # gswarm:"
_LINE: Final = re.compile(r"(@\w+|(?:\S+[ \t]+){4}\S+)[ \t]+(.*)" + _MARK + r"([\w.-]+)\s*")
_MISSING: Final = "install cron (apt install cron), or use --systemd"


def read() -> str:
    """The user's crontab as it is; an empty text where there is none.

    Raises:
        GswarmError: it cannot be read.
    """
    ended = call("crontab", "-l", missing=_MISSING)
    if ended.status == 0:
        return ended.out
    if "no crontab for" in ended.err:
        return ""
    raise GswarmError(f"the crontab cannot be read: {ended.why or f'status {ended.status}'}")


def write(text: str) -> None:
    """Put this text in place of the user's crontab.

    Raises:
        GswarmError: `crontab` does not take it; the old one stays.
    """
    ended = call("crontab", "-", stdin=text, missing=_MISSING)
    if ended.status:
        raise GswarmError(f"the crontab was not changed: {ended.why or f'status {ended.status}'}")


def entries(text: str) -> list[Entry]:
    """The entries in a crontab, in its order."""
    return [entry for line in _lines(text) if (entry := _entry(line)) is not None]


def installed(text: str, entry: Entry) -> str:
    """The crontab with this entry: in place of the line of its name, else at the end.

    Raises:
        UsageError: cron could not be told.
    """
    line = _line(entry)
    lines = list(_lines(text))
    here = [number for number, one in enumerate(lines) if _name(one) == entry.name]
    if here:
        kept = [one for number, one in enumerate(lines) if number not in here[1:]]
        kept[here[0]] = line
        return "".join(kept)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    return "".join([*lines, line])


def removed(text: str, name: str) -> str:
    """The crontab without the entry of that name."""
    return "".join(line for line in _lines(text) if _name(line) != name)


def _lines(text: str) -> Iterator[str]:
    """With their ends; only a line feed is one."""
    return (line for line in re.split(r"(?<=\n)", text) if line)


def _line(entry: Entry) -> str:
    check(entry)
    if entry.schedule is None:
        raise UsageError(f"{entry.name} has no schedule")
    variables = [f"{name}={value}" for name, value in entry.environment.items()]
    words = ["env", *variables, *entry.command] if variables else list(entry.command)
    command = _escaped(f"cd {shlex.quote(entry.folder)} && {shlex.join(words)}{_MARK}{entry.name}")
    length = len(command.encode("utf-8", "surrogateescape"))
    if length > MAX_COMMAND:
        raise UsageError(
            f"the line would have {length} bytes, and cron takes {MAX_COMMAND}",
            hint="use --systemd, or a shorter PATH while you install it",
        )
    return f"{entry.schedule.text} {command}\n"


def _escaped(command: str) -> str:
    r"""With ``\%`` for each ``%``, which cron would take for the end of the line."""
    if re.search(r"\\[\\%]", command):
        raise UsageError(r"cron cannot say a \ before another \ or %", hint="use --systemd")
    return command.replace("%", r"\%")


def _name(line: str) -> str | None:
    found = None if line.lstrip().startswith("#") else _LINE.fullmatch(line.strip())
    return found and found[3]


def _entry(line: str) -> Entry | None:
    """What a marked line says; also where somebody has edited it, as far as that goes."""
    found = None if line.lstrip().startswith("#") else _LINE.fullmatch(line.strip())
    if found is None:
        return None
    when, command, name = found.groups()
    words = _words(command.replace(r"\%", "%"))
    folder = ""
    if words[:1] == ["cd"] and words[2:3] == ["&&"]:
        folder, words = words[1], words[3:]
    environment = {}
    if words[:1] == ["env"]:
        words = words[1:]
        while words and "=" in words[0]:
            variable, _, value = words.pop(0).partition("=")
            environment[variable] = value
    return Entry(name, _schedule(when), tuple(words), folder, environment)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote that is not closed
        return command.split()


def _schedule(text: str) -> Schedule | None:
    try:
        return parse(text)
    except UsageError:
        return None
