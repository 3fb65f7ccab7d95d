"""What came of reading an inventory, kept until the file says something else.

To check a file takes as long as to draw the first screen, nearly all of it pydantic being imported.
So what was read is kept below the data directory, in one JSON file for each inventory, with what it
was made from: the file's bytes, its name, the user's home, and the code that read it. Anything that
is different, or cannot be read or written, means that the inventory itself is read.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import gswarm_remote

import gswarm_tui
from gswarm_tui import wholefile
from gswarm_tui.errors import StateError
from gswarm_tui.home import Home
from gswarm_tui.inventory.inventory import Inventory
from gswarm_tui.inventory.nodespec import Capabilities, EngineSpec, NodeSpec

_CODE: Final = (
    *sorted(Path(gswarm_tui.__file__).parent.glob("*.py")),
    *sorted(Path(__file__).parent.glob("*.py")),
    Path(gswarm_remote.__file__).parent / "metrics" / "simulation.py",
)
"""Where it is written what an inventory can say."""

_KEPT_S: Final = 30 * 86400.0


def read(path: Path, home: Home) -> Inventory:
    """The inventory of a file, as `gswarm_tui.inventory.reading.read` gives it.

    Raises:
        InventoryError: it cannot be read or is wrong.
    """
    content = _content(path)
    if content is None or not home.root.is_dir():
        return _read_anew(path)
    try:
        made_from = _made_from(path, content)
        kept = home.inventories / f"{_hash(os.fsencode(path.absolute()))[:24]}.json"
    except (StateError, OSError):  # a data directory that one can only read; code in an archive
        return _read_anew(path)
    found = _get(kept, made_from, path)
    if found is None:
        found = _read_anew(path)
        if _content(path) == content:
            _put(kept, made_from, found)
    return found


def _read_anew(path: Path) -> Inventory:
    from gswarm_tui.inventory import reading  # pydantic and YAML

    return reading.read(path)


def _content(path: Path) -> bytes | None:
    """What is in a file; None where it is none, or cannot be read."""
    with suppress(OSError):
        return path.read_bytes() if path.is_file() else None
    return None


def _made_from(path: Path, content: bytes) -> str:
    """Different wherever the inventory might be."""
    code = [f"{each}:{each.stat().st_mtime_ns}" for each in _CODE]
    before = [gswarm_tui.__version__, str(path), str(path.absolute()), os.path.expanduser("~")]  # noqa: PTH111
    return _hash(os.fsencode("\0".join([*code, *before])) + b"\0" + content)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _get(kept: Path, made_from: str, path: Path) -> Inventory | None:
    try:
        saved = json.loads(kept.read_bytes())
        if saved["made_from"] != made_from:
            return None
        nodes = {name: _node(fields) for name, fields in saved["nodes"].items()}
        groups = {name: tuple(members) for name, members in saved["groups"].items()}
        return Inventory(nodes, groups, path)
    except (OSError, RecursionError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _put(kept: Path, made_from: str, inventory: Inventory) -> None:
    nodes = {name: asdict(spec) for name, spec in inventory.nodes.items()}
    document = {"made_from": made_from, "groups": dict(inventory.groups), "nodes": nodes}
    with suppress(OSError):  # a full disk
        wholefile.write(kept, json.dumps(document, default=str).encode())
        _forget_old(kept.parent)


def _forget_old(folder: Path) -> None:
    """Remove what was kept long ago: of inventories that have another name each time."""
    for each in folder.iterdir():
        if time.time() - each.stat().st_mtime > _KEPT_S:
            each.unlink()


def _node(fields: dict[str, Any]) -> NodeSpec:
    """A node as it was before it was made JSON."""
    identity, gpus = fields["identity"], fields["capabilities"]["gpus"]
    capabilities = fields["capabilities"] | {"gpus": None if gpus is None else tuple(gpus)}
    engines = {name: _engine(engine) for name, engine in fields["engines"].items()}
    values = {
        "identity": None if identity is None else Path(identity),
        "capabilities": Capabilities(**capabilities),
        "engines": engines,
        "groups": tuple(fields["groups"]),
    }
    return NodeSpec(**{**fields, **values})


def _engine(fields: dict[str, Any]) -> EngineSpec:
    command = fields["command"]
    return EngineSpec(fields["python"], None if command is None else tuple(command))
