"""Reading a playbook: the frames of its files, variables, secrets, and what it includes.

What its actions say is looked at by `gswarm_tui.playbook.planner`, which knows the inventory and
can therefore report everything that is wrong with them at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from gswarm_tui import durations
from gswarm_tui.errors import UsageError
from gswarm_tui.playbook.language import variables
from gswarm_tui.playbook.language.expressions import (
    ENV,
    SECRETS,
    VARS,
    ExpressionError,
    Path,
    Reference,
    expressions,
    texts,
)
from gswarm_tui.playbook.language.frame import Frame, read_frame
from gswarm_tui.playbook.language.includes import Files
from gswarm_tui.playbook.language.options import CONTINUE, STOP, OnFailure, read_priority
from gswarm_tui.playbook.language.origin import Origin
from gswarm_tui.playbook.language.problems import Problems
from gswarm_tui.playbook.language.reader import Reader
from gswarm_tui.playbook.language.scope import Scope, Source
from gswarm_tui.playbook.language.secrets import MIN_LENGTH, Mask
from gswarm_tui.playbook.language.variables import Given
from gswarm_tui.state.states import Priority
from gswarm_tui.yamlfile import Document


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to look at, at ``file:line:column``."""

    where: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message} ({self.hint})"


@dataclass(frozen=True, slots=True)
class Playbook:
    """A file whose frame is right, with what it includes.

    Args:
        file: the file, as the user named it.
        actions: as they are written, expressions and all; included ones are before those of the
            file that includes them.
        scopes: the files, the playbook itself first.
        priority: of its actions that have none of their own.
        timeout_s: how long the whole job may take.
        on_failure: ``stop`` or ``continue``.
        schedule: the five fields of cron.
    """

    name: str
    description: str | None
    file: str
    actions: tuple[Source, ...]
    scopes: tuple[Scope, ...]
    priority: Priority | None
    timeout_s: float | None
    on_failure: OnFailure
    schedule: str | None
    _reader: Reader = field(repr=False)
    _overrides: Mapping[str, Any] = field(repr=False)

    @property
    def document(self) -> Document:
        """The playbook's own file."""
        return self.scopes[0].document

    @property
    def variables(self) -> Mapping[str, Any]:
        """The playbook's own variables, with their values."""
        return self.scopes[0].variables

    @property
    def mask(self) -> Mask:
        """Hides the values of secrets, and what looks like one of the environment that was read
        until now.
        """
        values = [value for scope in self.scopes for value in scope.secrets.values()]
        return Mask([*values, *self._reader.hidden().values()])

    def notices(self) -> list[Notice]:
        """What is no error, and better written otherwise, in the order of the files."""
        found: dict[Notice, None] = {}
        hidden = self._reader.hidden()
        for scope in self.scopes:
            for path, text in texts(scope.document.data):
                for reference in _references(text) if _is_read(scope, path) else ():
                    if reference.owner == ENV and reference.field in hidden:
                        where = scope.document.position(path)
                        found[_looks_secret(reference, where, hidden[reference.field])] = None
        return list(found)

    def origin(self) -> Origin:
        """All that it was read from until now."""
        return self._reader.origin(self.file, self._overrides)


def load(
    file: FilePath,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Playbook:
    """Read a playbook.

    Args:
        overrides: values for its variables; text is converted to the type of the default.
        environ: the process's own environment by default.

    Raises:
        PlaybookError: it cannot be read, is no YAML, or its frame, variables, secrets or included
            files are wrong. The error says all of it, each with ``file:line:column``.
    """
    reader = Reader(environ=environ)
    document = reader.document(str(file))
    return read(document, overrides or {}, default_name=file.stem, reader=reader)


def reload(origin: Origin, *, environ: Mapping[str, str] | None = None) -> Playbook:
    """Read a playbook again as it was; secrets are read anew, from the environment and files.

    Raises:
        PlaybookError: a secret is not there any more.
    """
    reader = Reader(folder=FilePath(origin.folder), environ=environ, origin=origin)
    document = reader.document(origin.file)
    name = FilePath(origin.file).stem
    return read(document, origin.overrides, default_name=name, reader=reader)


def read(
    document: Document,
    overrides: Mapping[str, Any],
    *,
    default_name: str,
    reader: Reader | None = None,
) -> Playbook:
    """Like `load`, of a document that is already there."""
    reader = reader or Reader()
    reader.note(document)
    frame, actions_path = read_frame(document)
    problems = Problems(document, lambda text: Mask(reader.hidden().values()).cut(text))
    files = Files(reader, problems)
    scope = files.read(document, frame, actions_path, Given(overrides))
    job = _Job(frame, scope, problems)
    playbook = Playbook(
        name=job.text("name") or default_name,
        description=job.text("description"),
        file=document.name,
        actions=tuple(files.sources),
        scopes=tuple(files.scopes),
        priority=job.value("priority", read_priority),
        timeout_s=job.value("timeout", durations.parse_limit),
        on_failure=job.value("on_failure", _on_failure) or CONTINUE,
        schedule=job.value("schedule", _schedule),
        _reader=reader,
        _overrides=overrides,
    )
    if problems:
        raise problems.error()
    return playbook


def _is_read(scope: Scope, path: Path) -> bool:
    """Whether a text may have expressions: of what a variable says about itself, its default."""
    if path[0] != VARS or len(path) == 1:
        return path[0] != SECRETS
    variable = scope.declared[str(path[1])]
    return path[: len(variable.path)] == variable.path


def _references(text: str) -> list[Reference]:
    """Those of a text; none where it is not read as expressions, such as a default that another
    value has taken the place of.
    """
    try:
        return expressions(text)
    except ExpressionError:
        return []


def _looks_secret(reference: Reference, where: str, value: str) -> Notice:
    here = "here it is hidden like one, on nodes it is not"
    if len(value) < MIN_LENGTH:
        here = f"with fewer than {MIN_LENGTH} characters it cannot be hidden like one"
    return Notice(
        where,
        f"{reference} looks like a secret: {here}",
        "name it under `secrets:`, whose values go into `env` of a command or `token` of a"
        " download and are in no argument",
    )


def _on_failure(written: Any) -> OnFailure:
    if written == STOP:
        return "stop"
    if written == CONTINUE:
        return "continue"
    raise ValueError(f"expected {STOP} or {CONTINUE}, found {written!r:.60}")


def _schedule(written: Any) -> str:
    # Cron's own part is above this one: only a playbook with a schedule needs it.
    from gswarm_tui.cron import schedule

    try:
        schedule.parse(str(written))
    except UsageError as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise ValueError(error.message + hint) from None
    return str(written)


class _Job:
    """The keys at the top that say how the job is run; variables can be in them."""

    def __init__(self, frame: Frame, scope: Scope, problems: Problems) -> None:
        self._frame = frame
        self._scope = scope
        self._problems = problems

    def text(self, key: str) -> str | None:
        value = self._static(key)
        return None if value is None else str(value)

    def value(self, key: str, parse: Any) -> Any:
        """What ``parse`` makes of a key; it raises ValueError where that is wrong."""
        written = self._static(key)
        if written is None:
            return None
        try:
            return parse(written)
        except ValueError as error:
            self._problems.add(self._scope.document, (key,), f"{key}: {error}")
            return None

    def _static(self, key: str) -> Any:
        written = getattr(self._frame, key)
        try:
            return variables.static(written, self._scope.variables, self._scope.reader, key)
        except ExpressionError as error:
            self._problems.add(self._scope.document, (key,), error.message, hint=error.hint)
            return None
