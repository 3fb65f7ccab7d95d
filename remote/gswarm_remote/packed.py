"""Parts of the bundle that are unpacked when something in them is first imported.

A helper that shows its node needs twenty of the bundle's hundred and fifty files, and on a home
folder that is on a network, to make a file takes milliseconds. So each package that is not needed
to start is one file in ``parts/``, named after it: an archive as `gswarm_tui.connect.bundle` has
it. On the controller there are no parts, and nothing of this happens.
"""

from __future__ import annotations

import importlib
import sys
import zlib
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Optional, Sequence, Set


class Finder:
    """Asked by the import system when all others have found nothing.

    Args:
        folder: the unpacked bundle; ours is in ``gswarm_remote`` there, all else in ``vendor``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unpacked: Set[str] = set()

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        top = name.partition(".")[0]
        part = self._folder / "parts" / top
        if top in self._unpacked or not part.exists():
            return None
        place = "gswarm_remote" if top == "gswarm_remote" else "vendor"
        try:
            unpack(part, self._folder / place)
        except OSError as error:
            raise ImportError(f"{part} cannot be unpacked: {error}", name=name) from error
        self._unpacked.add(top)
        importlib.invalidate_caches()
        return PathFinder.find_spec(name, path)


def install(folder: str) -> None:
    """Have the parts of the bundle in `folder` unpacked when they are needed."""
    sys.meta_path.append(Finder(Path(folder)))


def unpack(part: Path, folder: Path) -> None:
    """Put the contents of `part` into `folder`, each folder of it whole, by a rename.

    Another process may do the same at the same time: what is there already stays.

    Raises:
        OSError: it cannot be written.
    """
    import tempfile  # not needed to start

    archive = zlib.decompress(part.read_bytes())
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as temporary:
        _write(archive, Path(temporary))
        for made in Path(temporary).iterdir():
            try:
                made.rename(folder / made.name)
            except OSError:
                if not (folder / made.name).exists():
                    raise


def _write(archive: bytes, folder: Path) -> None:
    position = 4 + int.from_bytes(archive[:4], "big")
    for line in archive[4:position].decode().splitlines():
        size, path = line.split(" ", 1)
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive[position : position + int(size)])
        position += int(size)
