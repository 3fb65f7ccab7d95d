"""Parts of the bundle that are unpacked when something in them is first imported.

A helper that shows its node needs twenty of the bundle's hundred and fifty files, and creating a
file takes milliseconds on a network home. So each package that is not needed to start is one file
in ``parts/``, named like its module: an archive made by `gswarm_tui.connect.bundle`. The controller
has no parts and unpacks nothing.

Nothing is fsynced, which would take longer than everything else. Instead, damage from a power
failure is found: each process compares a package with its part before it first imports from it.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import sys
import zlib
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Dict, Iterator, Optional, Sequence, Set

_OURS = "gswarm_remote"
_INDEX = "index"  # stage 0's: without it, it has the bundle sent again


class Finder:
    """Asked by the import system before all others; finds nothing, and unpacks what they will find.

    Args:
        folder: the unpacked bundle; ours is in ``gswarm_remote`` there, all else in ``vendor``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            self._packed: Set[str] = set(os.listdir(folder / "parts"))  # noqa: PTH208 - at start
        except OSError:
            self._packed = set()

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        words = name.split(".", 2)
        package = ".".join(words[:2]) if words[0] == _OURS else words[0]
        if package in self._packed:
            self._unpack(package, _OURS if words[0] == _OURS else "vendor")
            self._packed.discard(package)  # not before: another thread may import from it
            importlib.invalidate_caches()
        return None

    def _unpack(self, package: str, place: str) -> None:
        part = self._folder / "parts" / package
        try:
            unpack(part, self._folder / place)
        except OSError as error:
            raise ImportError(f"{part} cannot be unpacked: {error}", name=package) from error
        except (zlib.error, ValueError) as error:
            with contextlib.suppress(OSError):  # another process did it
                (self._folder / _INDEX).unlink()
            raise ImportError(
                f"{part} is damaged; the next helper that is started here is sent anew",
                name=package,
            ) from error


def install(folder: str) -> None:
    """Have the parts of the bundle in `folder` unpacked when they are needed."""
    sys.meta_path.insert(0, Finder(Path(folder)))


def unpack(part: Path, folder: Path) -> None:
    """See to it that the contents of `part` are in `folder`, each folder of it whole, by a rename.

    Another process may do the same at the same time: what is there already stays, if it is whole,
    also while the other one imports from it.

    Raises:
        OSError: it cannot be read or written.
        zlib.error, ValueError: the part is damaged.
    """
    files = _files(zlib.decompress(part.read_bytes()))
    if _all_there(folder, files):
        return
    with _alone(part):
        if not _all_there(folder, files):
            _put(files, folder)


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[None]:
    """While this one replaces what is not whole, the others wait, and then find it whole."""
    with part.open("r+b") as held:
        with contextlib.suppress(OSError):  # a filesystem without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _put(files: Dict[str, bytes], folder: Path) -> None:
    import tempfile  # not needed to start

    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as temporary:
        made, broken = Path(temporary, "made"), Path(temporary, "broken")
        broken.mkdir()
        for path, data in files.items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_bytes(data)
        for top in made.iterdir():
            target = folder / top.name
            with contextlib.suppress(FileNotFoundError):  # as a rule nothing is there
                target.rename(broken / top.name)
            try:
                top.rename(target)
            except OSError:
                if not target.exists():
                    raise


def _files(archive: bytes) -> Dict[str, bytes]:
    position = 4 + int.from_bytes(archive[:4], "big")
    files = {}
    for line in archive[4:position].decode().splitlines():
        size, path = line.split(" ", 1)
        files[path] = archive[position : position + int(size)]
        position += int(size)
    return files


def _all_there(folder: Path, files: Dict[str, bytes]) -> bool:
    return all(_holds(folder / path, data) for path, data in files.items())


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except OSError:
        return False
