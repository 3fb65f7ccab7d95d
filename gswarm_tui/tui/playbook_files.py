"""Playbooks as files: what is in a folder, what one asks for, and what it would do.

All of it reads files, and is called in threads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gswarm_tui import playbook as playbooks
from gswarm_tui.errors import GswarmError
from gswarm_tui.inventory import Inventory
from gswarm_tui.playbook.explain import explain
from gswarm_tui.playbook.language.frame import read_frame
from gswarm_tui.playbook.language.problems import Problems
from gswarm_tui.playbook.language.reader import Reader
from gswarm_tui.playbook.language.secrets import WrittenSecret
from gswarm_tui.playbook.language.variables import declared
from gswarm_tui.playbook.language.vartypes import Variable

_SUFFIXES: Final = (".yaml", ".yml")
_MOST: Final = 5_000
"""So many things of a folder are listed."""

_OPTION: Final = re.compile(r"-e (\w+)=")
_WITHOUT: Final = re.compile(r"give it with -e (\w+)=…")
"""How the command line has a variable, which stands in a form here."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in a folder; ``size_bytes`` is None for folders."""

    path: Path
    name: str
    size_bytes: int | None
    changed_at: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A variable of a playbook.

    Args:
        type: what its values are, a word; empty where that is not said.
        default: as it is written; None where a value must be given.
        choices: the only values that it can have.
    """

    name: str
    type: str
    default: str | None
    choices: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of a playbook: where it comes from, and whether it is there. Never its value."""

    name: str
    place: str
    is_set: bool


@dataclass(frozen=True, slots=True)
class Asks:
    """What a playbook asks for."""

    variables: tuple[Asked, ...]
    secrets: tuple[Secret, ...]


def entries(folder: Path) -> list[Entry]:
    """The way up, the folders, then the YAML files; hidden ones are left out.

    Raises:
        GswarmError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            names = [each for each, _ in zip(found, range(_MOST), strict=False)]
    except OSError as error:
        raise GswarmError(f"cannot be read: {error.strerror}", where=str(folder)) from None
    listed = [entry for each in names if (entry := _entry(each)) is not None]
    listed.sort(key=lambda entry: (entry.size_bytes is not None, entry.name.casefold()))
    up = [] if folder.parent == folder else [Entry(folder.parent, "..", None, None)]
    return [*up, *listed]


def _entry(each: os.DirEntry[str]) -> Entry | None:
    if each.name.startswith("."):
        return None
    try:
        known = each.stat()
        is_folder = each.is_dir()
    except OSError:
        return None
    if is_folder:
        return Entry(Path(each.path), f"{each.name}/", None, known.st_mtime)
    if not each.name.endswith(_SUFFIXES):
        return None
    return Entry(Path(each.path), each.name, known.st_size, known.st_mtime)


def asks(file: Path, environ: Mapping[str, str] | None = None) -> Asks:
    """What a playbook asks for.

    Raises:
        PlaybookError: it cannot be read, or its frame is wrong.
    """
    document = Reader().document(str(file))
    frame, _ = read_frame(document)
    problems = Problems(document)
    variables = declared(frame.vars or {}, document, problems)
    if problems:
        raise problems.error()
    environ = os.environ if environ is None else environ
    return Asks(
        tuple([_asked(name, each) for name, each in variables.items()]),
        tuple([_secret(name, s, file, environ) for name, s in (frame.secrets or {}).items()]),
    )


def _asked(name: str, variable: Variable) -> Asked:
    choices = tuple(map(_text, variable.choices))
    kind = variable.kind or _kind_of(variable.default)
    if kind == "boolean" and not choices:
        choices = ("true", "false")
    default = None if variable.default is None else _text(variable.default)
    return Asked(name, kind or "", default, choices, variable.description or "")


def _kind_of(default: Any) -> str | None:
    kinds = {bool: "boolean", int: "integer", float: "number", list: "list", str: "text"}
    return kinds.get(type(default))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


def _secret(name: str, written: WrittenSecret, file: Path, environ: Mapping[str, str]) -> Secret:
    if written.env is not None:
        return Secret(name, f"${written.env}", bool(environ.get(written.env)))
    path = Path(os.path.expanduser(written.file or ""))  # noqa: PTH111 - leaves ~unknown as it is
    return Secret(name, str(written.file or "nowhere"), (file.parent / path).is_file())


def explained(file: Path, values: Mapping[str, str], inventory: Inventory) -> list[str]:
    """What a playbook would do, in sentences.

    Raises:
        GswarmError: it is wrong, or a variable is; all of what is wrong.
    """
    loaded = playbooks.load(file, values)
    return list(explain(loaded, playbooks.plan(loaded, inventory)))


def told(error: GswarmError) -> Iterator[str]:
    """What is wrong, a line each."""
    text = f"{error}\n{error.hint}" if error.hint else str(error)
    yield from _OPTION.sub(r"`\1`: ", _WITHOUT.sub(r"give `\1` one", text)).splitlines()
