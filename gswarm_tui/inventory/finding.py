"""Which inventory file counts, and what is in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gswarm_tui import home as homes
from gswarm_tui.errors import InventoryError
from gswarm_tui.home import Home
from gswarm_tui.inventory import cache
from gswarm_tui.inventory.inventory import Inventory
from gswarm_tui.inventory.nodespec import DEFAULT_ROOT, NodeSpec

VARIABLE = "GSWARM_INVENTORY"
FILE_NAME = "inventory.yaml"


def load(
    path: Path | None = None,
    *,
    home: Home | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Inventory:
    """Read the inventory: ``path`` (-i), else $GSWARM_INVENTORY, else ``inventory.yaml`` in the
    current folder, else the one in ``home``; with none of these, this machine is the only node.

    Args:
        home: `home.locate()` by default.
        environ: the process's own by default.
        folder: what counts as the current folder.

    Raises:
        InventoryError: a file that was named is not there, or the file is wrong; all that is wrong
            in it, with file, line and column.
    """
    home = home or homes.locate(environ=environ)
    found = discover(path, home=home, environ=environ, folder=folder)
    if found is None:
        default = home == homes.locate(environ={})
        root = DEFAULT_ROOT if default else str(home.root)
        node = NodeSpec(name="localhost", host="localhost", root=root, connection="local")
        return Inventory(nodes={"localhost": node})
    return cache.read(found, home)


def discover(
    path: Path | None = None,
    *,
    home: Home,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Path | None:
    """The file that `load` would read; None where there is none.

    Raises:
        InventoryError: $GSWARM_INVENTORY names a file that is not there.
    """
    if path is not None:
        return path
    named = (os.environ if environ is None else environ).get(VARIABLE)
    if named:
        path = Path(os.path.expanduser(named))  # noqa: PTH111 - leaves ~unknown as it is
        if not path.exists():
            raise InventoryError("there is no such file", where=named, hint=f"${VARIABLE} names it")
        return path
    places = [Path(FILE_NAME) if folder is None else folder / FILE_NAME, home.inventory]
    return next((place for place in places if place.is_file()), None)
