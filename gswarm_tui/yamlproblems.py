"""Syntax errors of YAML, in words for the person who wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

_COLON_GLUED: Final = re.compile(r"\s*(?:- )?[A-Za-z_]+(:)[^\s:/]")
_DASH_GLUED: Final = re.compile(r"\s*(-)[A-Za-z_]+:")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something was written; ``line`` and ``column`` count from 1.

    ``plain`` is the text of a scalar without quotes, as written: ``no`` where the value is False.
    """

    line: int
    column: int
    plain: str | None = None


class YamlProblem(Exception):
    """Why a text is no YAML as gswarm reads it, and where."""

    def __init__(self, message: str, mark: Mark, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mark = mark
        self.hint = hint


def mark_of(mark: Any, plain: str | None = None) -> Mark:
    """PyYAML's mark as ours."""
    return Mark(mark.line + 1, mark.column + 1, plain) if mark is not None else Mark(1, 1)


def syntax_problem(error: yaml.MarkedYAMLError, text: str) -> YamlProblem:
    """What the parser did not like, in words of the file."""
    mark = mark_of(error.problem_mark)
    lines = text.splitlines()
    line = lines[mark.line - 1] if mark.line <= len(lines) else ""
    character = line[mark.column - 1 : mark.column]
    problem = error.problem or str(error)
    if character == "\t" or (line[: mark.column].isspace() and "\t" in line[: mark.column]):
        return YamlProblem("a tab cannot indent YAML: use spaces", mark)
    if "mapping values are not allowed" in problem:
        glued = _glued(lines, mark.line)
        if glued is not None:
            return glued
        message = "a `: ` cannot be here: put the text in quotes, or check the indentation"
        return YamlProblem(message, mark)
    if "',' or" in problem and line[mark.column - 2 : mark.column] == "${":
        message = "an expression within `[…]` or `{…}` must be in quotes"
        return YamlProblem(message, Mark(mark.line, mark.column - 1))
    if error.context_mark is not None and (said := _in_other_words(problem, error, line)):
        return said
    if "cannot start any token" in problem or "alphabetic or numeric" in problem:
        message = f"a text cannot begin with `{character}` here: put it in quotes"
        if "alias" in (error.context or ""):
            message = "a text that begins with `*` must be in quotes"
        return YamlProblem(message, mark)
    context = _context(error)
    return YamlProblem(f"not valid YAML: {problem}{context}", mark)


def _glued(lines: list[str], line: int) -> YamlProblem | None:
    """A `:` or `-` without its space, on the line of a problem or the one before."""
    for number in (line, line - 1):
        text = lines[number - 1] if 0 < number <= len(lines) else ""
        for pattern in (_DASH_GLUED, _COLON_GLUED):
            found = pattern.match(text)
            if found is not None:
                mark = Mark(number, found.start(1) + 1)
                return YamlProblem(f"a space is missing after this `{found[1]}`", mark)
    return None


def _in_other_words(problem: str, error: yaml.MarkedYAMLError, line: str) -> YamlProblem | None:
    """What PyYAML says of what is open or does not fit, for somebody who wrote the file."""
    mark, begin = mark_of(error.problem_mark), mark_of(error.context_mark)
    if "unexpected end of stream" in problem and "quoted" in (error.context or ""):
        return YamlProblem("the quote that begins here is not closed", begin)
    if "unknown escape" in problem:
        # libyaml stands at the `\\`, PyYAML behind it.
        column = mark.column if line[mark.column - 1 : mark.column] == "\\" else mark.column - 1
        return YamlProblem(
            f"`\\{line[column : column + 1]}` means nothing in a text in double quotes",
            Mark(mark.line, column),
            hint="put the text in single quotes, or double each `\\`",
        )
    if "',' or" in problem:
        bracket = "[" if "]" in problem else "{"
        message = f"a `,` or the end of the `{bracket}` of line {begin.line} is missing before this"
        return YamlProblem(message, mark)
    # The words are libyaml's; PyYAML itself says the same of lists and of mappings.
    block_end = "expected <block end>" in problem
    if "expected '-' indicator" in problem or (block_end and "collection" in str(error.context)):
        message = f"the indentation does not fit: the list of line {begin.line} goes on otherwise"
        return YamlProblem(message, mark)
    if "expected key" in problem or block_end:
        return YamlProblem(
            "a key is expected here: check the indentation, and the quotes before it", mark
        )
    return None


def _context(error: yaml.MarkedYAMLError) -> str:
    if not error.context:
        return ""
    where = f" that begins on line {error.context_mark.line + 1}" if error.context_mark else ""
    return f" ({error.context}{where})"
