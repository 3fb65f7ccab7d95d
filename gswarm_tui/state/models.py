"""The registered models: a name, where it comes from, and what the user said about it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

from gswarm_tui import times
from gswarm_tui.state.database import Database


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A row of the registry; times are ISO 8601 in UTC.

    Args:
        source: a reference such as ``hf://org/name``, without credentials; None where the model
            was found on a node and nothing says where it came from.
        requirements: ``min_memory`` and ``min_vram`` in bytes, ``gpu_arch`` a list of names.
    """

    name: str
    source: str | None
    type: str | None
    description: str | None
    tags: tuple[str, ...]
    requirements: Mapping[str, Any]
    created_at: str
    updated_at: str


@final
class Registry:
    """What the controller knows of models. Which copies exist is asked of the nodes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self) -> list[RegisteredModel]:
        return [_model(row) for row in self._database.query("SELECT * FROM models ORDER BY name")]

    def get(self, name: str) -> RegisteredModel | None:
        rows = self._database.query("SELECT * FROM models WHERE name = ?", (name,))
        return _model(rows[0]) if rows else None

    def put(
        self,
        name: str,
        *,
        source: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the registry
        description: str | None = None,
        tags: Sequence[str] | None = None,
        requirements: Mapping[str, Any] | None = None,
    ) -> RegisteredModel:
        """Register a model, or change one: what is None stays as it was.

        ``updated_at`` changes only where something else did.
        """
        given = {
            "source": source,
            "type": type,
            "description": description,
            "tags": None if tags is None else tuple(tags),
            "requirements": None if requirements is None else dict(requirements),
        }
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        with self._database.transaction():
            before = self.get(name)
            now = times.now()
            if before is None:
                model = RegisteredModel(name, None, None, None, (), {}, now, now)
                model = replace(model, **changes)
            else:
                model = replace(before, **changes)
                if model == before:
                    return before
                model = replace(model, updated_at=now)
            self._write(model)
        return model

    def remove(self, name: str) -> bool:
        """Forget a model; False where it was not registered."""
        return self._database.execute("DELETE FROM models WHERE name = ?", (name,)).rowcount > 0

    def _write(self, model: RegisteredModel) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO models (name, source, type, description, tags, requirements,"
            " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                model.name,
                model.source,
                model.type,
                model.description,
                json.dumps(model.tags),
                json.dumps(dict(model.requirements)),
                model.created_at,
                model.updated_at,
            ),
        )


def _model(row: sqlite3.Row) -> RegisteredModel:
    return RegisteredModel(
        name=row["name"],
        source=row["source"],
        type=row["type"],
        description=row["description"],
        tags=tuple(json.loads(row["tags"])),
        requirements=json.loads(row["requirements"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
