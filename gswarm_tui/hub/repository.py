"""A folder ``FOLDER/org/name/…`` as the repositories of a hub.

The content decides everything: a file's id is its git blob SHA-1, or its sha256 where the Hub would
keep it in LFS; the commit is made from the ids of all files. So a changed folder is another commit,
and an old commit is gone rather than mixed with the new one. Hashes are kept by a file's size and
times, so that only what changed is read again.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

LFS_THRESHOLD = 1 << 20
"""Bytes from which a file is told as an LFS file, with its sha256. The Hub goes by
.gitattributes and by 10 MB; here the size alone decides, for a folder has no .gitattributes."""

BRANCH = "main"
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_BLOCK = 4 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """What changes when a file is replaced or written to."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        return cls(
            device=status.st_dev,
            inode=status.st_ino,
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns,
        )


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a commit.

    Args:
        path: relative to the repository, with ``/``.
        size: bytes.
        oid: the git blob's SHA-1; for an LFS file that of its pointer.
        sha256: of the content, for LFS files; None for the others.
        location: where it is, links resolved.
        identity: as it was when it was hashed.
    """

    path: str
    size: int
    oid: str
    sha256: str | None
    location: Path
    identity: Identity

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid

    @property
    def pointer_size(self) -> int:
        """Bytes of the LFS pointer that git would keep instead."""
        return len(_pointer(self.sha256 or "", self.size))

    def open(self) -> BinaryIO:
        """The content, if it still is what was hashed.

        Raises:
            FileChangedError: it was replaced, written to or removed since.
        """
        try:
            stream = os.fdopen(os.open(self.location, os.O_RDONLY | os.O_NOFOLLOW), "rb")
        except OSError as error:
            raise FileChangedError(self.path) from error
        if Identity.of(os.fstat(stream.fileno())) != self.identity:
            stream.close()
            raise FileChangedError(self.path)
        return stream


class FileChangedError(Exception):
    """A file is no longer what its commit says."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A repository at its one commit; `files` are sorted by path."""

    repository: str
    commit: str
    files: Mapping[str, HubFile]
    modified: float

    def has_revision(self, revision: str) -> bool:
        return revision in (BRANCH, self.commit)


@dataclass(frozen=True, slots=True)
class _Hashes:
    identity: Identity
    oid: str
    sha256: str | None


@dataclass(slots=True)
class Library:
    """The repositories below a folder. Safe to be used from several threads.

    Args:
        folder: where ``org/name`` are; links are followed where they stay below it.
    """

    folder: Path
    _hashes: dict[Path, _Hashes] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()

    def close(self) -> None:
        """End the hashing that is under way in other threads; they get an `OSError`."""
        self._closed.set()

    def names(self) -> list[str]:
        """``org/name`` of every repository, sorted."""
        found = []
        for organisation in _folders(self.folder):
            if _is_name(organisation.name) and self._inside(organisation):
                found += [
                    f"{organisation.name}/{repository.name}"
                    for repository in _folders(organisation)
                    if _is_name(repository.name) and self._inside(repository)
                ]
        return sorted(found)

    def snapshot(
        self, organisation: str, name: str, *, hashing: Callable[[str, int], None] | None = None
    ) -> Snapshot | None:
        """The repository as it is now; None if there is none of that name.

        Blocks while new files are hashed: call it in a thread.

        Args:
            hashing: called with path and size before a file is read.

        Raises:
            OSError: something in the folder can't be read.
        """
        folder = self.folder / organisation / name
        if not (_is_name(organisation) and _is_name(name) and folder.is_dir()):
            return None
        if not self._inside(folder):
            return None
        repository = f"{organisation}/{name}"
        files: list[HubFile] = []
        with self._lock(repository):
            for path, location in self._walk(folder.resolve(), ""):
                with suppress(FileNotFoundError):  # removed since it was listed
                    files.append(self._file(path, location, hashing))
        files.sort(key=lambda file: file.path)
        lines = "".join(f"{file.etag} {file.size} {file.path}\n" for file in files)
        return Snapshot(
            repository=repository,
            commit=hashlib.sha1(lines.encode(), usedforsecurity=False).hexdigest(),
            files={file.path: file for file in files},
            modified=max((file.identity.modified_ns for file in files), default=0) / 1e9,
        )

    def _lock(self, repository: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(repository, threading.Lock())

    def _inside(self, path: Path) -> bool:
        """Whether a path, links resolved, is strictly below the folder and nowhere hidden."""
        resolved = path.resolve()
        if resolved == self.folder or not resolved.is_relative_to(self.folder):
            return False
        return not any(part.startswith(".") for part in resolved.relative_to(self.folder).parts)

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.name.startswith(".") or not _is_plain(path):
                    continue
                location = Path(entry.path)
                if entry.is_symlink():
                    if location.is_file() and self._inside(location):
                        yield path, location.resolve()
                    else:
                        _log.debug("a link that is not served: %s", location)
                elif entry.is_dir():
                    yield from self._walk(location, path + "/")
                elif entry.is_file():
                    yield path, location

    def _file(
        self, path: str, location: Path, hashing: Callable[[str, int], None] | None
    ) -> HubFile:
        identity = Identity.of(location.stat())
        known = self._hashes.get(location)
        if known is None or known.identity != identity:
            if hashing is not None:
                hashing(path, identity.size)
            known = _hash(location, self._closed)
            self._hashes[location] = known
        return HubFile(
            path=path,
            size=known.identity.size,
            oid=known.oid,
            sha256=known.sha256,
            location=location,
            identity=known.identity,
        )


def _hash(location: Path, closed: threading.Event) -> _Hashes:
    """Read a file once; one that is written to meanwhile has another identity afterwards."""
    with location.open("rb") as stream:
        identity = Identity.of(os.fstat(stream.fileno()))
        if identity.size < LFS_THRESHOLD:
            return _Hashes(identity, _blob_sha1(stream.read()), None)
        digest = hashlib.sha256()
        while block := stream.read(_BLOCK):
            digest.update(block)
            if closed.is_set():
                raise OSError(errno.ECANCELED, "the hub was stopped", str(location))
    sha256 = digest.hexdigest()
    return _Hashes(identity, _blob_sha1(_pointer(sha256, identity.size)), sha256)


def _blob_sha1(content: bytes) -> str:
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


def _pointer(sha256: str, size: int) -> bytes:
    """What git keeps instead of an LFS file (https://git-lfs.github.com/spec/v1)."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    )


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


def _is_name(name: str) -> bool:
    """Whether huggingface_hub would accept it as an organisation or a repository."""
    return bool(_NAME.fullmatch(name)) and "--" not in name and ".." not in name


def _is_plain(path: str) -> bool:
    """Whether a file's name can travel in JSON and in a URL, and be stored everywhere."""
    return path.isprintable() and "\\" not in path
