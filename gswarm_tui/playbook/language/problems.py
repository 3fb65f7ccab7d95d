"""Everything that is wrong with a playbook, collected so that it is said at once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import final

from gswarm_tui.errors import PlaybookError, Problem
from gswarm_tui.playbook.language.expressions import Path
from gswarm_tui.yamlfile import Document

MAX_SHOWN = 40
MAX_NOTED = 1000

_PLACED = re.compile(r"(.+?):(\d+):(\d+): (.*)")
_PLACE = re.compile(r":(\d+):(\d+): ")


@final
class Problems:
    """A list that grows while the files of a playbook are looked at.

    Places in a document are paths such as ``("actions", 2, "port")``.

    Args:
        first: the playbook itself; what is wrong with it is said before what is wrong with the
            files that it includes.
        mask: hides secrets in what is said.
    """

    def __init__(self, first: Document, mask: Callable[[str], str] = str) -> None:
        self._mask = mask
        self._files = {first.name: 0}
        self._found: dict[Problem, None] = {}

    def __len__(self) -> int:
        return len(self._found)

    @property
    def is_full(self) -> bool:
        """Whether there are so many that more would help nobody."""
        return len(self._found) >= MAX_NOTED

    def add(
        self,
        document: Document,
        path: Path,
        message: str,
        *,
        hint: str | None = None,
        key: bool = False,
    ) -> None:
        """Note a problem at the value of a path, or at its key."""
        resolved = document.resolve(path)
        mark = document.values[resolved]
        if key:
            mark = document.keys.get(resolved, mark)
        where = f"{document.name}:{mark.line}:{mark.column}"
        self._note(document, where, mark.line, mark.column, message, hint)

    def add_error(
        self, document: Document, error: PlaybookError, *, elsewhere: bool = False
    ) -> None:
        """Note what an error about a part of a document says, a problem for each line.

        Args:
            elsewhere: only where nothing is noted yet of the same place.
        """
        known = {problem.where for problem in self._found} if elsewhere else ()
        lines = f"{error.where}: {error.message}".split("\n")
        for index, text in enumerate(lines):
            place = _PLACE.match(text, pos=len(document.name))
            line, column = (int(place[1]), int(place[2])) if place else (sys.maxsize, 0)
            where = text[: place.end() - 2] if place else document.name
            message = text[place.end() :] if place else text
            hint = error.hint if index == 0 else None
            if where not in known:
                self._note(document, where, line, column, message, hint)

    def _note(
        self, document: Document, where: str, line: int, column: int, message: str, hint: str | None
    ) -> None:
        file = self._files.setdefault(document.name, len(self._files))
        hint = None if hint is None else self._mask(hint)
        self._found[Problem(file, where, line, column, self._mask(message), hint)] = None

    def error(self) -> PlaybookError:
        """All of them as one error, in the order of the files. There must be one at least.

        A single problem keeps its hint; of several, each has a line, with its hint in brackets.
        """
        found = sorted(self._found, key=lambda p: (p.file, p.line, p.column))
        first = found[0]
        if len(found) == 1:
            return _with_all(
                PlaybookError(first.message, where=first.where, hint=first.hint), found
            )
        lines = [_with_hint(first)]
        lines += [f"{p.where}: {_with_hint(p)}" for p in found[1:MAX_SHOWN]]
        if len(found) > MAX_SHOWN:
            lines.append(f"... and {len(found) - MAX_SHOWN} more")
        return _with_all(PlaybookError("\n".join(lines), where=first.where), found)


def problems_of(error: PlaybookError) -> list[Problem]:
    """Each problem that an error tells of, by itself; line and column 0 are the whole file."""
    if error.problems:
        return list(error.problems)
    found: list[Problem] = []
    for text in str(error).split("\n"):
        hint = error.hint if not found else None
        place = _PLACED.fullmatch(text)
        if place is None:
            found.append(Problem(0, error.where or "", 0, 0, text, hint))
        else:
            file, line, column, message = place.groups()
            where = f"{file}:{line}:{column}"
            found.append(Problem(0, where, int(line), int(column), message, hint))
    return found


def _with_all(error: PlaybookError, problems: list[Problem]) -> PlaybookError:
    error.problems = tuple(problems)
    return error


def _with_hint(problem: Problem) -> str:
    return f"{problem.message} ({problem.hint})" if problem.hint else problem.message
