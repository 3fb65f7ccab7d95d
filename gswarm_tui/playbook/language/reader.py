"""How a playbook gets at files and the environment; what it reads is noted for its `Origin`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from gswarm_tui.credentials import is_secret
from gswarm_tui.errors import PlaybookError
from gswarm_tui.playbook.language.expressions import ExpressionError
from gswarm_tui.playbook.language.origin import Origin
from gswarm_tui.yamlfile import Document, load_yaml

MAX_SECRET_BYTES = 64 * 1024


@final
class Reader:
    """Reads each file once, and gives every variable of the environment one value.

    Args:
        folder: relative names of files are relative to it; the current one by default.
        environ: the process's own by default.
        origin: what was read the first time: its texts and its environment are given again.
    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        environ: Mapping[str, str] | None = None,
        origin: Origin | None = None,
    ) -> None:
        self._folder = (folder or Path.cwd()).absolute()
        self._environ = os.environ if environ is None else environ
        self._origin = origin
        self._documents: dict[str, Document] = {}
        self._environment: dict[str, str] = {}

    def document(self, name: str) -> Document:
        """The YAML file of that name.

        Raises:
            PlaybookError: it cannot be read, or is no YAML.
        """
        if name not in self._documents:
            if self._origin is None:
                document = load_yaml(self._folder / name, name=name, error_class=PlaybookError)
            elif name in self._origin.texts:
                text = self._origin.texts[name]
                document = load_yaml(text, name=name, error_class=PlaybookError)
            else:
                raise PlaybookError("was not a part of the playbook when the job began", where=name)
            self.note(document)
        return self._documents[name]

    def note(self, document: Document) -> None:
        """Take a document that was read elsewhere."""
        self._documents[document.name] = document

    def env(self, name: str) -> str:
        """The value of ``${env.NAME}``.

        Raises:
            ExpressionError: it is not set.
        """
        if name not in self._environment:
            recorded = {} if self._origin is None else self._origin.environment
            value = recorded.get(name, self._environ.get(name))
            if value is None:
                raise ExpressionError(
                    f"${{env.{name}}}: the environment has no `{name}`",
                    hint=f"set it where gswarm is started: export {name}=…",
                )
            self._environment[name] = value
        return self._environment[name]

    def hidden(self) -> dict[str, str]:
        """Those of the variables that were read until now that look like secrets."""
        return {n: value for n, value in self._environment.items() if is_secret(n, value)}

    def secret_env(self, name: str) -> str:
        """A secret from the environment, which is not noted.

        Raises:
            ValueError: it is not set.
        """
        if name not in self._environ:
            raise ValueError(f"the environment has no `{name}`")
        return self._environ[name]

    def secret_file(self, name: str, *, beside: str) -> str:
        """A secret from a file, without the ends of lines after it; it is not noted.

        Args:
            beside: the playbook that names it.

        Raises:
            ValueError: it cannot be read.
        """
        path = Path(beside).parent / os.path.expanduser(name)  # noqa: PTH111
        try:
            with (self._folder / path).open("rb") as file:
                data = file.read(MAX_SECRET_BYTES + 1)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
        if len(data) > MAX_SECRET_BYTES:
            raise ValueError(f"{path} is larger than {MAX_SECRET_BYTES // 1024} KiB")
        try:
            return data.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not UTF-8 text") from None

    def origin(self, file: str, overrides: Mapping[str, Any]) -> Origin:
        """What has been read until now."""
        return Origin(
            file=file,
            folder=str(self._folder),
            texts={name: document.text for name, document in self._documents.items()},
            overrides=dict(overrides),
            environment=dict(self._environment),
        )
