"""Command lines that people write, with places for what gswarm knows.

A command is words, or one string that is split as a POSIX shell would split it; no shell ever sees
it. The placeholders are put in after the splitting, so a path with spaces stays one word. A brace
of one's own is doubled: ``{{``.
"""

from __future__ import annotations

import shlex
import string
from typing import Any, Dict, List, Sequence, Set

from ..errors import HelperError, Kind
from .base import Wanted

PLACEHOLDERS = ("devices", "name", "path", "port", "uds")

_HINT = (
    f"known: {', '.join('{' + name + '}' for name in PLACEHOLDERS)};"
    " a brace of your own is written twice: {{ or }}"
)


def words_of(command: Any, *, where: str) -> List[str]:
    """The words of a command.

    Raises:
        HelperError: it is neither a string nor a list, it is empty, or a quote is left open.
    """
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise _wrong(f"the command cannot be split into words: {error}", where) from None
    elif isinstance(command, (list, tuple)):
        words = [str(word) for word in command]
    else:
        raise _wrong(f"the command is {command!r:.60}, not a string or a list of words", where)
    if not words or not words[0]:
        raise _wrong("the command is empty", where)
    return words


def used(words: Sequence[str], *, where: str) -> Set[str]:
    """Which placeholders the words have.

    Raises:
        HelperError: one is unknown, or a brace stands alone.
    """
    found: Set[str] = set()
    for word in words:
        try:
            fields = list(string.Formatter().parse(word))
        except ValueError as error:
            raise _wrong(f"in the command, {word!r:.80}: {error}", where) from None
        for _, name, format_spec, conversion in fields:
            if name is None:
                continue
            if name not in PLACEHOLDERS or format_spec or conversion:
                raise _wrong(f"the command has the unknown placeholder {{{name}}}", where)
            found.add(name)
    return found


def fill(words: Sequence[str], wanted: Wanted, *, where: str) -> List[str]:
    """The words with everything put in.

    Raises:
        HelperError: see `used`.
    """
    used(words, where=where)
    values: Dict[str, str] = {
        "devices": ",".join(wanted.devices),
        "name": wanted.model,
        "path": str(wanted.path),
        "port": str(wanted.port),
        "uds": wanted.uds,
    }
    return [word.format(**values) for word in words]


def _wrong(message: str, where: str) -> HelperError:
    return HelperError(Kind.INVALID, message, where=where, hint=_HINT)
