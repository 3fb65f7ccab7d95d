"""The ``secrets:`` of a playbook, and keeping their values out of whatever is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any, Final, final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gswarm_tui.playbook.language.expressions import SECRETS
from gswarm_tui.playbook.language.problems import Problems
from gswarm_tui.playbook.language.reader import Reader
from gswarm_tui.yamlfile import Document

MIN_LENGTH: Final = 4
"""Shorter values are refused: hiding them everywhere would make text unreadable."""
HIDDEN: Final = "***"
_BEGIN: Final = 10
"""Characters by which the beginning of a longer value is known."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")


_FORMS: Final = "write `{env: VARIABLE}` or `{file: path}`"


class WrittenSecret(BaseModel):
    """Where one secret comes from."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _is_no_value(cls, written: object) -> object:
        # What stands here may be the secret itself: it is not repeated.
        if not isinstance(written, dict):
            raise ValueError(f"it says where the secret comes from, not what it is: {_FORMS}")
        return written

    env: str | None = Field(default=None, description="A variable of the environment.")
    file: str | None = Field(
        default=None, description="A file, relative to the playbook's folder; ~ is understood."
    )


def read_secrets(
    written: Mapping[str, WrittenSecret], document: Document, reader: Reader, problems: Problems
) -> dict[str, str]:
    """The values of secrets by name. What is wrong goes to ``problems``."""
    values: dict[str, str] = {}
    for name, source in written.items():
        path = (SECRETS, name)
        if not _NAME.fullmatch(name):
            message = f"`{name}` is no name of a secret: letters, digits, `_` and `-` are"
            problems.add(document, path, message, key=True)
            continue
        try:
            values[name] = _value(source, document, reader)
        except ValueError as error:
            message = f"the secret `{name}`: {error}"
            problems.add(document, path, message, key=True)
    return values


def _value(source: WrittenSecret, document: Document, reader: Reader) -> str:
    if (source.env is None) == (source.file is None):
        which = "it has both `env` and `file`" if source.env else "it has no place"
        raise ValueError(f"{which}: {_FORMS}")
    if source.env is not None:
        value = reader.secret_env(source.env)
    else:
        value = reader.secret_file(str(source.file), beside=document.name)
    if len(value) < MIN_LENGTH:
        raise ValueError(f"its value has fewer than {MIN_LENGTH} characters, and cannot be hidden")
    return value


@final
class Mask:
    """Replaces secret values wherever they occur in a text.

    Args:
        values: of a value with several lines, each line is one as well: text is often shown by
            lines.
    """

    def __init__(self, values: Iterable[str]) -> None:
        parts = {part for value in values for part in (value, *value.splitlines())}
        hidden = sorted((p for p in parts if len(p) >= MIN_LENGTH), key=len, reverse=True)
        self._hidden = hidden
        self._pattern = re.compile("|".join(map(re.escape, hidden))) if hidden else None

    def has_hidden(self, value: object) -> bool:
        """Whether something may be missing from what was written down masked, and read again."""
        return self._pattern is not None and HIDDEN in str(value)

    def __call__(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def cut(self, text: str) -> str:
        """Like a call, of a text that may cut values short, as messages do: nothing of one stays
        that begins with its first characters.
        """
        text = self(text)
        for value in self._hidden:
            begin = value[:_BEGIN]
            while len(value) > _BEGIN and (start := text.find(begin)) >= 0:
                pairs = zip(value, text[start:], strict=False)
                same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
                text = text[:start] + HIDDEN + text[start + same :]
        return text

    def json(self, value: Any) -> Any:
        """A copy of what JSON can hold, with every text in it masked."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self(str(key)): self.json(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(item) for item in value]
        return value
