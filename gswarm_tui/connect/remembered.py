"""How each node was reached last, so that the next connection asks nobody first."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from gswarm_tui import wholefile


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a helper.

    Args:
        socket: its Unix socket on the node.
        bridged: the server forwards no Unix sockets, so a process on the node copies bytes.
    """

    socket: str
    bridged: bool = False


class Routes:
    """One small file for each node; what cannot be read or written is merely not known."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Route | None:
        try:
            saved = json.loads(self._path(key).read_text())
            route = Route(saved["socket"], saved["bridged"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return route if isinstance(route.socket, str) and saved.get("key") == key else None

    def put(self, key: str, route: Route) -> None:
        if self.get(key) == route:
            return
        path = self._path(key)
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            wholefile.write(path, json.dumps({"key": key, **asdict(route)}).encode())

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
