"""Stores, plans and sources of bytes for the tests of models on a node."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote.models import piece
from gswarm_remote.models.manifest import Manifest, Plan, PlanFile
from gswarm_remote.models.store import Store
from gswarm_remote.transfer.assemble import assemble
from gswarm_remote.transfer.limits import Doing

SMALL_PIECE = 1000

FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": bytes(range(256)) * 10,
    "tokenizer/vocab.txt": b"a\nb\n",
    "empty": b"",
}


@dataclass
class Bytes:
    """A `PieceSource` of bytes in memory that counts what is asked of it.

    `before` is called with the file and the offset ahead of each piece, and may raise.
    """

    files: Mapping[str, bytes]
    before: Callable[[PlanFile, int], None] = lambda file, offset: None
    asked: list[tuple[str, int]] = field(default_factory=list)
    aborted: int = 0

    def fetch(
        self,
        file: PlanFile,
        offset: int,
        length: int | None,
        sink: Callable[[Any], None],
        doing: Doing,
    ) -> None:
        self.asked.append((file.path, offset))
        self.before(file, offset)
        data = self.files[file.path]
        end = len(data) if length is None else offset + length
        for start in range(offset, end, 300):
            sink(data[start : min(start + 300, end)])

    def abort(self) -> None:
        self.aborted += 1


def plan_of(files: Mapping[str, bytes], name: str = "tiny", **changes: Any) -> Plan:
    """A plan that promises size and sha256 of every file."""
    entries = tuple(
        PlanFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()
    )
    return Plan(**{"name": name, "revision": "r1", "source": "test", "files": entries, **changes})


def fetch(
    store: Store, plan: Plan, source: Any, *, cancelled: threading.Event | None = None, **how: Any
) -> Manifest:
    """Do what a transfer does: open, assemble, close."""
    reports: list[dict[str, Any]] = how.pop("reports", [])
    with store.open_partial(plan) as partial:
        return assemble(
            partial,
            source,
            report=reports.append,
            cancelled=cancelled or threading.Event(),
            workers=how.pop("workers", 3),
            **how,
        )


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def whole_models(store: Store) -> dict[str, dict[str, bytes]]:
    """What a user sees in the store, by name; fails if a model that looks whole is not."""
    seen = {}
    for copy in store.copies("disk"):
        if copy["state"] == "ready":
            manifest = store.manifest(copy["name"], copy["revision"])
            there = content(Path(copy["path"]))
            digests = {path: hashlib.sha256(data).hexdigest() for path, data in there.items()}
            assert digests == {entry.path: entry.sha256 for entry in manifest.files}
            seen[copy["name"]] = there
    return seen


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces of `SMALL_PIECE` bytes, so that small files have several."""
    monkeypatch.setattr(piece, "PIECE", SMALL_PIECE)
    return SMALL_PIECE
