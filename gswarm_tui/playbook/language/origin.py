"""What a playbook was read from, so that a job can be read again as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from gswarm_tui.credentials import is_secret


@dataclass(frozen=True, slots=True)
class Origin:
    """All that a playbook depends on, but for the inventory and its secrets.

    Args:
        file: the playbook, as the user named it.
        folder: the folder that ``file`` was named in, absolute: files of secrets are found from it.
        texts: each YAML file that was read, by its path as it was named.
        overrides: the values of variables that were given.
        environment: the value of every ``${env.NAME}``.
    """

    file: str
    folder: str
    texts: Mapping[str, str]
    overrides: Mapping[str, Any]
    environment: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """A mapping that JSON can hold. What looks like a secret of the environment is left out,
        and read from there again.
        """
        return {
            "file": self.file,
            "folder": self.folder,
            "texts": dict(self.texts),
            "overrides": dict(self.overrides),
            "environment": {n: v for n, v in self.environment.items() if not is_secret(n, v)},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        return cls(
            file=document["file"],
            folder=document["folder"],
            texts=document["texts"],
            overrides=document["overrides"],
            environment=document["environment"],
        )
