"""The frame of a playbook file: the keys at its top, and what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook.language.expressions import Path
from gswarm_tui.playbook.language.options import read_priority
from gswarm_tui.playbook.language.secrets import WrittenSecret
from gswarm_tui.yamlerrors import validate
from gswarm_tui.yamlfile import Document

VERSION: Final = 1
"""The version of the playbook language that this gswarm knows."""

ACTIONS: Final = "actions"
ALWAYS: Final = "always"
INCLUDE: Final = "include"

_FORMS: Final = "it has the key `actions` with a list, or is that list itself"


class WrittenInclude(BaseModel):
    """A file that is included with values for its variables, or under another name."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_by_name=True, validate_by_alias=True
    )

    file: str = Field(description="The playbook, relative to this one.")
    vars: dict[str, Any] | None = Field(
        default=None, description="Values for its variables; the others keep their defaults."
    )
    prefix: str | None = Field(
        default=None,
        alias="as",
        description="What the ids of its actions begin with, before a `-`; the file's name else.",
    )


def _check_priority(written: object) -> object:
    return written if isinstance(written, str) else read_priority(written)


def _check_schedule(written: object) -> object:
    if written is None or isinstance(written, str):
        return written
    raise ValueError('expected the five fields of cron as one text, such as "0 3 * * *"')


class Frame(BaseModel):
    """A playbook, with its actions as they are written."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    version: int | None = Field(default=None, description="Of the language: 1.")
    name: str | None = Field(default=None, description="Shown, and how its earlier runs are found.")
    description: str | None = Field(default=None, description="What it is for.")
    vars: dict[str, Any] | None = Field(
        default=None, description="Variables: a default each, or {type: …, default: …}."
    )
    secrets: dict[str, WrittenSecret] | None = Field(
        default=None, description="Values that are never shown, and where they come from."
    )
    include: list[str | WrittenInclude] | None = Field(
        default=None, description="Playbooks whose actions are part of this one."
    )
    priority: Annotated[str | None, BeforeValidator(_check_priority)] = Field(
        default=None, description="That of its actions that have none of their own."
    )
    timeout: float | str | None = Field(
        default=None, description="The longest that the job may take."
    )
    on_failure: str | None = Field(
        default=None,
        description="continue: what does not need a failed action goes on; stop: nothing begins.",
    )
    schedule: Annotated[str | None, BeforeValidator(_check_schedule)] = Field(
        default=None, description="When `gswarm cron install` has it run: five fields of cron."
    )
    always: list[dict[str, Any]] | None = Field(
        default=None, description="Actions that run after all others, whatever happened."
    )
    actions: list[dict[str, Any]] = Field(description="What is done.")


class _IncludingFrame(Frame):
    actions: list[dict[str, Any]] = Field(default_factory=list)


def read_frame(document: Document) -> tuple[Frame, Path]:
    """The frame of a document, and the path to its list of actions.

    A list of actions by itself is a playbook without a name.

    Raises:
        PlaybookError: it is empty, of another version, or a key is not known or of a wrong type.
    """
    data = document.data
    if data is None:
        raise PlaybookError("the playbook is empty", where=document.position(()), hint=_FORMS)
    if isinstance(data, list):
        return validate(_in_frame(document), Frame, PlaybookError), ()
    if not isinstance(data, dict):
        what = "text" if isinstance(data, str) else "value"
        message = f"a playbook is a mapping or a list, and this is a single {what}"
        raise PlaybookError(message, where=document.position(()), hint=_FORMS)
    _check_version(document)
    includes = bool(data.get(INCLUDE))
    frame = validate(document, _IncludingFrame if includes else Frame, PlaybookError)
    return frame, (ACTIONS,)


def _check_version(document: Document) -> None:
    """Before anything else is looked at: another version may have other keys."""
    data = document.data
    version = data.get("version") if isinstance(data, dict) else None
    if isinstance(version, int) and version != VERSION:
        raise PlaybookError(
            f"this gswarm knows version {VERSION} of playbooks, and this one is of {version}",
            where=document.position(("version",)),
            hint="a newer gswarm may know it" if version > VERSION else f"write {VERSION}",
        )


def _in_frame(document: Document) -> Document:
    def below(marks: Mapping[Path, Any]) -> dict[Path, Any]:
        return {(ACTIONS, *path): mark for path, mark in marks.items()}

    return replace(
        document,
        data={ACTIONS: document.data},
        values={(): document.values[()], **below(document.values)},
        keys=below(document.keys),
    )
