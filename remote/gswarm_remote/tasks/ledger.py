"""What was done for tasks: kept on disk, and given again instead of being done again.

::

    hosts/HOST/tasks/<digest>.json      a result, with the task and the method; 0600

Only results are kept: after an error the work is to be tried again. A result is on disk before it
is answered. So a controller that died meanwhile finds what was done when it asks once more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from .. import records
from ..errors import HelperError
from ..operations import in_thread
from ..process import boot_id
from .entry import Entry

log = logging.getLogger("gswarm.tasks")

MOST = 1000
"""Results that are kept."""

KEPT_S = 7 * 86400.0
"""Seconds that one is kept."""


_UNTIL_REBOOT = frozenset({"engine.start", "service.start", "model.stage"})
"""Methods whose work is gone after a restart of the machine: processes, and files in memory."""


@dataclass(frozen=True)
class Kept:
    task: str
    method: str
    finished_at: float
    boot_id: str

    @property
    def stands(self) -> bool:
        return self.method not in _UNTIL_REBOOT or self.boot_id == boot_id()


class Ledger:
    """The results in one folder; it is their only owner."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: Optional[Dict[str, Kept]] = None  # by digest, the oldest first
        self._reading = asyncio.Lock()

    async def find(self, entry: Entry) -> Optional[Dict[str, Any]]:
        """``{"result": …}`` of what was done before; None where nothing was."""
        kept = await self._index()
        if entry.digest not in kept or not kept[entry.digest].stands:
            return None
        found: Optional[Dict[str, Any]] = await in_thread(_read, self._path(entry.digest))
        return found

    async def keep(self, entry: Entry, result: Any) -> None:
        """Note a result; where that cannot be, it is logged, and the work may be done again."""
        kept = await self._index()
        now = time.time()
        noted = Kept(entry.task, entry.method, now, boot_id())
        try:
            content = {**asdict(noted), "result": result}
            await in_thread(_write, self._path(entry.digest), content)
        except (HelperError, OSError, TypeError, ValueError) as error:
            log.warning("the result of %s of %s is not kept: %s", entry.method, entry.task, error)
            return
        kept.pop(entry.digest, None)
        kept[entry.digest] = noted
        await self._prune(kept)

    async def list(self, prefix: str) -> List[Kept]:
        """What was done for tasks whose key begins so, the oldest first."""
        found = (await self._index()).values()
        return [kept for kept in found if kept.stands and kept.task.startswith(prefix)]

    async def _prune(self, kept: Dict[str, Kept]) -> None:
        oldest_allowed = time.time() - KEPT_S
        too_many = len(kept) - MOST
        gone = [
            digest
            for number, (digest, found) in enumerate(kept.items())
            if number < too_many or found.finished_at < oldest_allowed
        ]
        for digest in gone:
            del kept[digest]
        if gone:
            await in_thread(_remove, [self._path(digest) for digest in gone])

    async def _index(self) -> Dict[str, Kept]:
        async with self._reading:
            if self._kept is None:
                self._kept = await in_thread(_read_all, self._folder)
                await self._prune(self._kept)
            return self._kept

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def _read_all(folder: Path) -> Dict[str, Kept]:
    found = {}
    for path, content in records.read_all(folder):
        try:
            kept = Kept(
                str(content["task"]),
                str(content["method"]),
                float(content["finished_at"]),
                str(content["boot_id"]),
            )
        except (KeyError, TypeError, ValueError):
            log.warning("%s is passed over: it is no result of a task", path)
            continue
        found[path.stem] = kept
    return dict(sorted(found.items(), key=lambda item: item[1].finished_at))


def _read(path: Path) -> Optional[Dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"result": content["result"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be read: %s; the work is done again", path, error)
        return None


def _write(path: Path, content: Dict[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    records.write(path, content)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        records.remove(path)
