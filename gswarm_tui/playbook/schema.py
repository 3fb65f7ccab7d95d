"""Reading a playbook: the frame of the file, and its variables.

What its actions say is looked at by `gswarm_tui.playbook.plan`, which knows the inventory and can
therefore report everything that is wrong with them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ConfigDict

from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook import variables
from gswarm_tui.playbook.expressions import ExpressionError, Path
from gswarm_tui.playbook.problems import Problems
from gswarm_tui.yamlerrors import validate
from gswarm_tui.yamlfile import Document, load_yaml


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None = None
    description: str | None = None
    vars: dict[str, Any] | None = None
    actions: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Playbook:
    """A file whose frame is right; ``variables`` have their values.

    Args:
        file: the file, as the user named it.
        actions: as they are written, expressions and all.
        actions_path: where the list of actions is in the document.
    """

    name: str
    description: str | None
    file: str
    document: Document
    variables: Mapping[str, Any]
    actions: tuple[Mapping[str, Any], ...]
    actions_path: Path


def load(file: FilePath, overrides: Mapping[str, Any] | None = None) -> Playbook:
    """Read a playbook.

    Args:
        overrides: values for its variables; text is converted to the type of the default.

    Raises:
        PlaybookError: it cannot be read, is no YAML, or its frame or variables are wrong. The
            error says all of it, each with ``file:line:column``.
    """
    document = load_yaml(file, error_class=PlaybookError)
    return read(document, overrides or {}, default_name=file.stem)


def read(document: Document, overrides: Mapping[str, Any], *, default_name: str) -> Playbook:
    """Like `load`, of a document that is already there."""
    if document.data is None:
        raise PlaybookError("the playbook is empty", where=document.position(()))
    # A list of actions by itself is a playbook without a name.
    bare = isinstance(document.data, list)
    framed = _in_frame(document) if bare else document
    frame = validate(framed, _Frame, PlaybookError)
    problems = Problems(document)
    if not frame.actions:
        problems.add(("actions",), "there are no actions", key=True)
    values = variables.resolve(frame.vars or {}, overrides, problems)
    if problems:
        raise problems.error()
    name, description = (
        _text(text, values, problems, key)
        for key, text in (("name", frame.name), ("description", frame.description))
    )
    if problems:
        raise problems.error()
    return Playbook(
        name=name or default_name,
        description=description,
        file=document.name,
        document=document,
        variables=values,
        actions=tuple(frame.actions),
        actions_path=() if bare else ("actions",),
    )


def _in_frame(document: Document) -> Document:
    def below(marks: Mapping[Path, Any]) -> dict[Path, Any]:
        return {("actions", *path): mark for path, mark in marks.items()}

    return replace(
        document,
        data={"actions": document.data},
        values={(): document.values[()], **below(document.values)},
        keys=below(document.keys),
    )


def _text(text: str | None, values: Mapping[str, Any], problems: Problems, key: str) -> str | None:
    if text is None:
        return None
    try:
        value = variables.static(text, values, key)
    except ExpressionError as error:
        problems.add((key,), error.message, hint=error.hint)
        return None
    return None if value is None else str(value)
