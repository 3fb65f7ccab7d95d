"""How things are printed: data on stdout, diagnostics on stderr, nothing from a node unfiltered."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
import traceback
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, TextIO

from gswarm_tui.errors import GswarmError
from gswarm_tui.wording import NOTHING as NOTHING
from gswarm_tui.wording import clean as clean
from gswarm_tui.wording import duration as duration
from gswarm_tui.wording import first_line as first_line
from gswarm_tui.wording import number_of as number_of
from gswarm_tui.wording import size as size

WHAT: Final = "what"
"""A column whose name says nothing beside its value."""

_USUAL: Final = 80


class OutputError(GswarmError):
    """stdout does not take what is printed: its disk is full, or its device fails."""


@contextmanager
def writing() -> Iterator[None]:
    """Around what writes to stdout.

    Raises:
        OutputError: it cannot be written.
        BrokenPipeError: whoever read it has gone.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"stdout cannot be written: {error.strerror or error}") from None


def flush() -> None:
    """Write what was printed.

    Raises:
        OutputError, BrokenPipeError: as `writing`.
    """
    with writing():
        sys.stdout.flush()


def _print(text: str) -> None:
    with writing():
        print(text)  # noqa: T201


def emit(document: Any) -> None:
    """Print one JSON document; dataclasses in it become objects, keys stay in their order."""
    _print(json.dumps(document, indent=2, ensure_ascii=False, default=_plain))


def say(text: str, *, prose: bool = False) -> None:
    """Print a diagnostic on stderr, without what could steer a terminal.

    Where that cannot be written (its disk is full), what is done goes on without it.

    Args:
        prose: on a terminal, break lines between words; what is copied as a whole is left to the
            terminal, which breaks it anywhere.
    """
    text = clean(text, keep="\n\t")
    try:
        print(_wrapped(text, sys.stderr) if prose else text, file=sys.stderr)  # noqa: T201
    except BrokenPipeError:
        raise
    except OSError:
        drop(sys.stderr)


def drop(stream: TextIO) -> None:
    """Have a stream go nowhere from now on: Python flushes it once more when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def show(text: str = "", *, prose: bool = False) -> None:
    """Print data on stdout, without what could steer a terminal; ``prose`` as in `say`."""
    text = clean(text, keep="\n")
    _print(_wrapped(text, sys.stdout) if prose else text)


def _wrapped(text: str, stream: TextIO) -> str:
    """A text with its lines broken between words, where it goes to a terminal."""
    if not stream.isatty():
        return text
    width = _columns(stream)
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    if _width(line) <= width or line.lstrip().startswith("hint: "):  # which may be copied
        return line
    if not line.strip():
        return ""
    indent = line[: len(line) - len(line.lstrip())]
    first, *others = re.findall(r"\S+\s*", line)
    lines = [indent + first]
    for word in others:
        if _width(lines[-1] + word.rstrip()) > width:
            lines.append(f"{indent}  {word}")
        else:
            lines[-1] += word
    return "\n".join(map(str.rstrip, lines))


def _columns(stream: TextIO) -> int:
    """The width of a terminal; what `COLUMNS` says counts first."""
    said = os.environ.get("COLUMNS", "")
    if said.isdecimal() and int(said):
        return int(said)
    try:
        return os.get_terminal_size(stream.fileno()).columns or _USUAL
    except (OSError, ValueError):
        return _USUAL


def show_part(text: str) -> None:
    """Print a part of a text on stdout, as `show` does; tabs stay, no line is ended."""
    with writing():
        sys.stdout.write(clean(text, keep="\n\t"))


def print_error(error: GswarmError, *, debug: bool = False) -> None:
    """Print ``error: where: message`` and the hint; with `debug`, how it came to it first."""
    if debug:
        traceback.print_exception(error)
    say(f"error: {error}", prose=True)
    if error.hint:
        say(f"  hint: {error.hint}")


def print_bug(error: Exception, *, debug: bool = False) -> None:
    """Print what should not have happened: an exception that nobody made into a sentence."""
    if debug:
        traceback.print_exception(error)
    say(f"error: unexpected {type(error).__name__}: {error}")
    if not debug:
        say("  hint: this is a bug in gswarm; run it again with --debug to see where")


def moment(time: str | None) -> str:
    """An ISO 8601 time in UTC, to the minute and in the user's own zone: ``2026-11-21 14:05``."""
    if time is None:
        return NOTHING
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return time


def cell(value: Any) -> str:
    """What a table shows for `value`: nothing as ``-``, several joined, and nothing that steers."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value) or NOTHING
    return clean(str(value))


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    apart: Sequence[str] = (),
    key: int = 1,
    whole: bool = False,
) -> None:
    """Print a table: folded to fit a terminal, in full width where it is piped.

    Args:
        apart: columns with values that are copied (a path, a command) or read as a sentence. On a
            terminal that is too narrow for the table they are not folded, but follow below it.
        key: how many of the first columns say whose value it is there.
        whole: what follows below is commands: not even broken between words.
    """
    texts = [[cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        _fitted(columns, texts, apart, key, whole=whole)
        return
    heads = [column.upper() for column in columns]
    widths = [max(_width(row[i]) for row in [heads, *texts]) for i in range(len(heads))]
    for row in [heads, *texts]:
        padded = (
            text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True)
        )
        _print("  ".join(padded).rstrip())


def fields(pairs: Iterable[tuple[str, Any]]) -> None:
    """Print ``name  value`` lines, aligned."""
    texts = [(name, cell(value)) for name, value in pairs]
    width = max((len(name) for name, _ in texts), default=0)
    for name, value in texts:
        _print(f"{name:<{width}}  {value}")


def _fitted(
    columns: Sequence[str], texts: list[list[str]], apart: Sequence[str], key: int, *, whole: bool
) -> None:
    from rich.console import Console

    between = 3 * (len(columns) - 1)
    natural = [max(map(_width, cells)) for cells in zip(columns, *texts, strict=True)]
    below = [i for i, column in enumerate(columns) if column in apart]
    if not below or sum(natural) + between <= Console().width:
        _rich_table(columns, texts)
        return
    within = [i for i in range(len(columns)) if i not in below]
    _rich_table([columns[i] for i in within], [[row[i] for i in within] for row in texts])
    for row in texts:
        whose = " on ".join(row[:key])
        for i in below:
            if row[i] != NOTHING:
                named = "" if columns[i] == WHAT else f", {columns[i]}"
                text = f"{whose}{named}: {row[i]}"
                # A path, a source: a single word, that is copied.
                _print(_wrapped(text, sys.stdout) if " " in row[i] and not whole else text)


def _rich_table(columns: Sequence[str], rows: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        drawn.add_column(column.upper(), overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(text) for text in row))
    with writing():
        console.print(drawn)


def _width(text: str) -> int:
    """Columns that `text` takes in a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return str(value)
