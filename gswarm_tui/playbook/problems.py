"""Everything that is wrong with a playbook, collected so that it is said at once."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import final

from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook.expressions import Path
from gswarm_tui.yamlfile import Document

MAX_SHOWN = 40

_PLACE = re.compile(r":(\d+):(\d+): ")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; ``line`` and ``column`` count from 1."""

    where: str
    line: int
    column: int
    message: str
    hint: str | None = None


@final
class Problems:
    """A list that grows while a document is looked at.

    Args:
        document: the playbook; places in it are paths such as ``("actions", 2, "port")``.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[Problem] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: Path, message: str, *, hint: str | None = None, key: bool = False) -> None:
        """Note a problem at the value of a path, or at its key."""
        resolved = self._document.resolve(path)
        mark = self._document.values[resolved]
        if key:
            mark = self._document.keys.get(resolved, mark)
        where = f"{self._document.name}:{mark.line}:{mark.column}"
        self._found.append(Problem(where, mark.line, mark.column, message, hint))

    def add_error(self, error: PlaybookError) -> None:
        """Note what an error about a part of this document says, a problem for each line."""
        lines = f"{error.where}: {error.message}".split("\n")
        for index, text in enumerate(lines):
            place = _PLACE.match(text, pos=len(self._document.name))
            line, column = (int(place[1]), int(place[2])) if place else (sys.maxsize, 0)
            where = text[: place.end() - 2] if place else self._document.name
            message = text[place.end() :] if place else text
            hint = error.hint if index == 0 else None
            self._found.append(Problem(where, line, column, message, hint))

    def error(self) -> PlaybookError:
        """All of them as one error, in the order of the file. There must be one at least.

        A single problem keeps its hint; of several, each has a line, with its hint in brackets.
        """
        found = sorted(dict.fromkeys(self._found), key=lambda p: (p.line, p.column))
        first = found[0]
        if len(found) == 1:
            return PlaybookError(first.message, where=first.where, hint=first.hint)
        lines = [_with_hint(first)]
        lines += [f"{p.where}: {_with_hint(p)}" for p in found[1:MAX_SHOWN]]
        if len(found) > MAX_SHOWN:
            lines.append(f"... and {len(found) - MAX_SHOWN} more")
        return PlaybookError("\n".join(lines), where=first.where)


def _with_hint(problem: Problem) -> str:
    return f"{problem.message} ({problem.hint})" if problem.hint else problem.message
