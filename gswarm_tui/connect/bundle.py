"""The helper as one archive: our sources for nodes, and the packages they need, pinned.

``gswarm_remote/bundle.lock`` pins each package's wheel by sha256, and what is taken from it by a
digest of the files. So the hash of the bundle, which names its folder on nodes, follows from our
sources and that file alone: knowing it needs no wheel, and a node that has the bundle costs nothing
here. Where a package is installed on the controller in that version, and its files have that
digest, it is taken from there; otherwise pip fetches the wheel, once.

An archive is zlib over: the length of the index (4 bytes, big-endian), the index (a line
``size path`` for each file, sorted by path), the files. Stage 0 reads that without importing
anything slow. In it, what the helper does not need to start is an archive for each package, which
is unpacked when the package is first imported: see `gswarm_remote.packed`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import functools
import hashlib
import json
import subprocess
import sys
import tempfile
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

import gswarm_remote

from gswarm_tui import __version__, wholefile
from gswarm_tui.errors import BootstrapError

LAUNCHER = "gswarm_helper.py"
_LAUNCHER_TEXT = b'''\
"""Starts the helper from the folder that this file is in."""
import gc
import os
import sys

gc.disable()  # nothing is garbage while modules are loaded
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "vendor")]

from gswarm_remote.helper import main

gc.enable()
if __name__ == "__main__":
    sys.exit(main())
'''
_INIT = "gswarm_remote/__init__.py"
_INIT_TEXT = b"""\
import os

from .packed import install

install(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""
_AT_START = ("gswarm_remote/*.py", "vendor/msgpack/*", "vendor/*.txt")
_KEPT = 6  # archives in the cache: a few platforms, and the version before
_PIP_TIMEOUT_S = 300

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of the lock.

    Args:
        wheel: the wheel's file name; it says for which Python and platform it is.
        sha256: the wheel's.
        files: the sha256 over the files that are taken, see `files_digest`.
        take: patterns of paths in the wheel.
        license: the path of its licence in the wheel; None where the licence is in the sources.
        platform: the node platform that it is for, as stage 0 reports it; None means every one.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    files: str
    take: tuple[str, ...]
    license: str | None = None
    platform: str | None = None


class Bundles:
    """Builds archives, each once.

    Args:
        cache: a folder for wheels and archives.
        notice: is told, in a sentence, when something has to be fetched.
    """

    def __init__(self, cache: Path, *, notice: Callable[[str], None]) -> None:
        self._wheels = cache / "wheels"
        self._archives = cache / "bundles"
        self._notice = notice
        self._lock = asyncio.Lock()
        self._ready: dict[str, bytes] = {}

    async def archive(self, platform: str) -> bytes:
        """The archive for nodes of `platform`.

        Raises:
            BootstrapError: a package is neither installed nor cached, and cannot be fetched.
        """
        async with self._lock:
            if platform not in self._ready:
                self._ready[platform] = await asyncio.to_thread(self._archive, platform)
            return self._ready[platform]

    def _archive(self, platform: str) -> bytes:
        path = self._archives / f"{bundle_hash()[:16]}-{platform}"
        with contextlib.suppress(OSError):
            digest, _, data = path.read_bytes().partition(b"\n")
            if hashlib.sha256(data).hexdigest().encode() == digest:
                return data
        data = pack(arrange(self._files(platform)))
        _write(path, hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
        kept = sorted(self._archives.iterdir(), key=lambda old: old.stat().st_mtime, reverse=True)
        for old in kept[_KEPT:]:
            old.unlink(missing_ok=True)
        return data

    def _files(self, platform: str) -> Files:
        pins = [pin for pin in read_lock() if pin.platform in (None, platform)]
        about = {"hash": bundle_hash(), "platform": platform}
        files = {
            **sources(),
            "bundle.json": json.dumps(about, sort_keys=True).encode(),
            "vendor/nvitop/__init__.py": b"",  # its own imports the GPL part, which is not here
        }
        taken = {pin: _installed(pin) or self._cached(pin) for pin in pins}
        missing = [pin for pin, found in taken.items() if found is None]
        if missing:
            self._fetch(missing)
        licenses = []
        for pin, found in taken.items():
            content = found or self._cached(pin)
            if content is None:
                raise BootstrapError(
                    f"{pin.wheel} has not the files that bundle.lock pins",
                    where=str(self._wheels),
                    hint="remove it there; if that does not help, this gswarm release is broken",
                )
            if pin.license:
                licenses.append(f"{pin.name} {pin.version}\n\n".encode() + content[pin.license])
            for path in content.keys() - {pin.license}:
                files[f"vendor/{path}"] = content[path]
        return {**files, "vendor/LICENSES.txt": b"\n\n".join(licenses)}

    def _cached(self, pin: Pin) -> Files | None:
        path = self._wheels / pin.wheel
        try:
            if hashlib.sha256(path.read_bytes()).hexdigest() != pin.sha256:
                return None
            with zipfile.ZipFile(path) as wheel:
                return _checked(
                    pin, {name: wheel.read(name) for name in _wanted(pin, wheel.namelist())}
                )
        except (OSError, zipfile.BadZipFile):
            return None

    def _fetch(self, pins: list[Pin]) -> None:
        """Let pip, with the user's own configuration, fetch wheels into the cache."""
        names = ", ".join(f"{pin.name} {pin.version}" for pin in pins)
        self._notice(f"fetching what the helper needs on nodes, once: {names}")
        self._wheels.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            requirements = Path(folder, "requirements.txt")
            requirements.write_text(
                "".join(f"{pin.name}=={pin.version} --hash=sha256:{pin.sha256}\n" for pin in pins)
            )
            try:
                done = subprocess.run(
                    [*_pip(pins), "--dest", str(self._wheels), "-r", str(requirements)],
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=_PIP_TIMEOUT_S,
                    check=False,
                )
                output = (done.stderr or done.stdout).decode(errors="replace")
                failed = done.returncode != 0
            except subprocess.TimeoutExpired:
                output, failed = f"no end after {_PIP_TIMEOUT_S} s", True
        if failed:
            lines = [line for line in output.splitlines() if line.startswith("ERROR")]
            wheels = " ".join(pin.wheel for pin in pins)
            raise BootstrapError(
                f"{names} could not be fetched: {(lines or [output])[-1].strip():.300}",
                hint="check the network and pip's configuration (pip config list), or copy these"
                f" wheels from https://pypi.org into {self._wheels}: {wheels}",
            )


@functools.cache
def bundle_hash() -> str:
    """What names the helper: the sha256 over our sources and the lock."""
    return files_digest({**sources(), "bundle.lock": _lock_text()})


@functools.cache
def built() -> tuple[str, int]:
    """How new our helper is: the release, and when its newest source was modified, in seconds."""
    return __version__, max(int(path.stat().st_mtime) for path in _source_paths())


@functools.cache
def sources() -> Files:
    """The files of ours that nodes get."""
    root = _package()
    ours = {
        f"gswarm_remote/{path.relative_to(root)}": path.read_bytes() for path in _source_paths()
    }
    return {**ours, _INIT: ours[_INIT] + _INIT_TEXT, LAUNCHER: _LAUNCHER_TEXT}


@functools.cache
def read_lock() -> tuple[Pin, ...]:
    entries = tomllib.loads(_lock_text().decode())["package"]
    return tuple(Pin(**{**entry, "take": tuple(entry["take"])}) for entry in entries)


def files_digest(files: Files) -> str:
    """The sha256 over the lines ``sha256  path``, sorted by path."""
    lines = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def arrange(files: Files) -> Files:
    """`files` as nodes get them: as they are what the helper needs to start, the rest in parts."""
    arranged: dict[str, bytes] = {}
    parts: dict[str, dict[str, bytes]] = {}
    for path, data in files.items():
        place, slash, rest = path.partition("/")
        if not slash or any(map(PurePosixPath(path).match, _AT_START)):
            arranged[path] = data
            continue
        package = rest.partition("/")[0].removesuffix(".py")
        name = f"{place}.{package}" if place == "gswarm_remote" else package
        parts.setdefault(name, {})[rest] = data
    return {**arranged, **{f"parts/{name}": pack(part) for name, part in parts.items()}}


def pack(files: Files) -> bytes:
    """The archive of `files`: the same bytes for the same files."""
    paths = sorted(files)
    index = "".join(f"{len(files[path])} {path}\n" for path in paths).encode()
    content = b"".join(files[path] for path in paths)
    return zlib.compress(len(index).to_bytes(4, "big") + index + content, 6)


def _package() -> Path:
    assert gswarm_remote.__file__ is not None
    return Path(gswarm_remote.__file__).parent


def _source_paths() -> list[Path]:
    return [path for path in _package().rglob("*.py") if "__pycache__" not in path.parts]


@functools.cache
def _lock_text() -> bytes:
    return (_package() / "bundle.lock").read_bytes()


def _installed(pin: Pin) -> Files | None:
    """The package's files as they are installed here, if they are the pinned ones."""
    try:
        distribution = metadata.distribution(pin.name)
    except metadata.PackageNotFoundError:
        return None
    if distribution.version != pin.version:
        return None
    names = [str(path) for path in distribution.files or ()]
    try:
        content = {
            name: Path(str(distribution.locate_file(name))).read_bytes()
            for name in _wanted(pin, names)
        }
    except OSError:
        return None
    return _checked(pin, content)


def _wanted(pin: Pin, names: Iterable[str]) -> list[str]:
    patterns = (*pin.take, *([pin.license] if pin.license else []))
    return [name for name in names if any(fnmatch.fnmatchcase(name, each) for each in patterns)]


def _checked(pin: Pin, content: Files) -> Files | None:
    """`content`, or None where it is not what is pinned."""
    return content if files_digest(content) == pin.files else None


def _pip(pins: list[Pin]) -> list[str]:
    """pip's command line for wheels that may be for another machine than this one."""
    tags = [pin.wheel.removesuffix(".whl").split("-")[-2:] for pin in pins]
    abis = {abi for abi, _ in tags} | {"none"}
    platforms = {platform for _, several in tags for platform in several.split(".")} | {"any"}
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-input", "--no-deps", "--only-binary=:all:", "--require-hashes"),
        *("--implementation", "cp", "--python-version", "3.11"),
        *(word for abi in sorted(abis) for word in ("--abi", abi)),
        *(word for platform in sorted(platforms) for word in ("--platform", platform)),
    ]


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    wholefile.write(path, data)
