"""What the expressions of one file of a playbook mean, and the actions that stand in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gswarm_tui.playbook.language.expressions import Path
from gswarm_tui.playbook.language.reader import Reader
from gswarm_tui.playbook.language.vartypes import Variable
from gswarm_tui.yamlfile import Document


@dataclass(frozen=True, slots=True)
class Scope:
    """One file, as it is included once.

    Args:
        document: the file.
        prefix: what the ids of its actions begin with in the whole playbook: nothing, or the
            ``as`` of its include and a ``-``.
        declared: its variables as they are declared.
        variables: their values.
        secrets: the values of its secrets.
        reader: has the environment.
    """

    document: Document
    prefix: str
    declared: Mapping[str, Variable]
    variables: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    reader: Reader = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """An action as written: its part of a file.

    Args:
        raw: the mapping, expressions and all.
        path: where it is in the scope's document.
        always: whether it is one of ``always``.
        each: what ``${each.…}`` is, where it was made by a ``for_each``.
    """

    raw: Mapping[str, Any]
    path: Path
    scope: Scope
    always: bool = False
    each: Mapping[str, Any] | None = None

    @property
    def document(self) -> Document:
        return self.scope.document
