"""``include:``: the actions of other files as part of a playbook."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, final

from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook.language import variables
from gswarm_tui.playbook.language.expressions import OWNERS, ExpressionError, Path
from gswarm_tui.playbook.language.frame import ALWAYS, INCLUDE, Frame, WrittenInclude, read_frame
from gswarm_tui.playbook.language.problems import Problems
from gswarm_tui.playbook.language.reader import Reader
from gswarm_tui.playbook.language.scope import Scope, Source
from gswarm_tui.playbook.language.secrets import read_secrets
from gswarm_tui.playbook.language.variables import Given
from gswarm_tui.yamlerrors import described
from gswarm_tui.yamlfile import Document

MAX_DEPTH: Final = 20
MAX_INCLUDES: Final = 1000

_PREFIX = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class _Included:
    """One entry of ``include``, with its expressions replaced."""

    name: str
    given: Given
    prefix: str
    path: Path


@final
class Files:
    """The files of one playbook: the first, and what it includes.

    Args:
        reader: reads them.
        problems: where all that is wrong in the first file's frame goes. What is wrong in the
            frame of an included file is raised.
    """

    def __init__(self, reader: Reader, problems: Problems) -> None:
        self._reader = reader
        self._problems = problems
        self._includes = 0
        self.scopes: list[Scope] = []
        """A file that is included twice has two."""
        self.sources: list[Source] = []
        """The actions: those of included files before those of the file that includes them."""

    def read(self, document: Document, frame: Frame, actions_path: Path, given: Given) -> Scope:
        """Read the playbook itself.

        Raises:
            PlaybookError: its variables, secrets or included files are wrong.
        """
        return self._read(document, frame, actions_path, given, "", (document.name,))

    def _read(
        self,
        document: Document,
        frame: Frame,
        actions_path: Path,
        given: Given,
        prefix: str,
        stack: tuple[str, ...],
    ) -> Scope:
        problems, reader = self._problems, self._reader
        if not frame.actions and not frame.include:
            problems.add(document, actions_path, "there are no actions", key=True)
        declared = variables.declared(frame.vars or {}, document, problems)
        scope = Scope(
            document=document,
            prefix=prefix,
            declared=declared,
            variables=variables.resolve(declared, given, document, reader, problems),
            secrets=read_secrets(frame.secrets or {}, document, reader, problems),
            reader=reader,
        )
        if problems:
            raise problems.error()
        self.scopes.append(scope)
        for included in self._included(frame, scope):
            self._include(included, scope, stack)
        for path, actions, always in (
            (actions_path, frame.actions, False),
            ((ALWAYS,), frame.always or [], True),
        ):
            self.sources += [
                Source(raw, (*path, index), scope, always) for index, raw in enumerate(actions)
            ]
        return scope

    def _included(self, frame: Frame, scope: Scope) -> list[_Included]:
        found: dict[str, _Included] = {}
        for index, written in enumerate(frame.include or []):
            path = (INCLUDE, index)
            if isinstance(written, str):
                written = WrittenInclude(file=written)
            included = self._entry(written, path, scope)
            if included is None:
                continue
            if included.prefix in found:
                message = f"two files are included as `{included.prefix.removesuffix('-')}`"
                hint = "give one another name: `{file: …, as: name}`"
                self._problems.add(scope.document, path, message, hint=hint)
            found[included.prefix] = included
        if self._problems:
            raise self._problems.error()
        return list(found.values())

    def _entry(self, written: WrittenInclude, path: Path, scope: Scope) -> _Included | None:
        document = scope.document
        try:
            at = (*path, "file")
            file = variables.static(written.file, scope.variables, self._reader, "include")
            at = (*path, "vars")
            given = variables.static(written.vars or {}, scope.variables, self._reader, "include")
        except ExpressionError as error:
            self._problems.add(document, at, error.message, hint=error.hint)
            return None
        if not isinstance(file, str):
            message = f"the name of a file is a text, and this is {described(file, None)}"
            self._problems.add(document, (*path, "file"), message)
            return None
        if "://" in file:
            hint = "get the file first, and name it by its path"
            self._problems.add(document, (*path, "file"), "a URL cannot be included", hint=hint)
            return None
        prefix = PurePath(file).stem if written.prefix is None else written.prefix
        if not _PREFIX.fullmatch(prefix) or prefix in OWNERS:
            message = f"`{prefix:.80}` cannot be what ids begin with"
            hint = "write `{file: …, as: name}`: letters, digits, `_` and `-`, at most 64"
            self._problems.add(document, (*path, "as"), message, hint=hint)
            return None
        folder = os.path.dirname(document.name)  # noqa: PTH120 - names stay as they are written
        name = os.path.normpath(os.path.join(folder, os.path.expanduser(file)))  # noqa: PTH111,PTH118
        return _Included(name, Given(given, document, (*path, "vars")), f"{prefix}-", path)

    def _include(self, included: _Included, scope: Scope, stack: tuple[str, ...]) -> None:
        where = scope.document.position(included.path)
        self._includes += 1
        if included.name in stack:
            circle = " → ".join([*stack[stack.index(included.name) :], included.name])
            raise PlaybookError(f"files include each other in a circle: {circle}", where=where)
        if len(stack) > MAX_DEPTH:
            raise PlaybookError(f"files include each other over {MAX_DEPTH} levels", where=where)
        if self._includes > MAX_INCLUDES:
            raise PlaybookError(f"more than {MAX_INCLUDES} files are included", where=where)
        document = self._document(included.name, where)
        frame, actions_path = read_frame(document)
        self._read(
            document,
            frame,
            actions_path,
            included.given,
            scope.prefix + included.prefix,
            (*stack, included.name),
        )

    def _document(self, name: str, where: str) -> Document:
        try:
            return self._reader.document(name)
        except PlaybookError as error:
            if error.where != name:
                raise
            # The file itself cannot be had: what is wrong is where it is named.
            raise PlaybookError(f"{name} {error.message}", where=where, hint=error.hint) from None
