"""Models that are there already: ``file:///path`` on the node, ``local:path`` on the controller."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from gswarm_tui.errors import SourceError, SourceNameError
from gswarm_tui.progress import Progress, ProgressCallback, ignore
from gswarm_tui.sources.base import Choice, Resolved, SourceFile, suggest_name

_BLOCK = 4 << 20


@dataclass(frozen=True, slots=True)
class NodeSource:
    """A file or folder on the node that gets the model. Only the node can say what is in it."""

    path: Path

    @property
    def reference(self) -> str:
        return f"file://{quote(str(self.path))}"

    async def resolve(
        self,
        *,
        revision: str | None = None,
        choice: Choice,
        environ: Mapping[str, str],
        progress: ProgressCallback = ignore,
    ) -> Resolved:
        if revision or choice:
            raise SourceNameError(
                "a revision and patterns make no sense for a folder on a node", where=self.reference
            )
        return Resolved(
            reference=self.reference,
            kind="import",
            name=suggest_name(self.path.name),
            path=self.path,
        )


@dataclass(frozen=True, slots=True)
class ControllerSource:
    """A file or folder on this machine, to be uploaded."""

    path: Path

    @property
    def reference(self) -> str:
        return f"local:{self.path}"

    async def resolve(
        self,
        *,
        revision: str | None = None,
        choice: Choice,
        environ: Mapping[str, str],
        progress: ProgressCallback = ignore,
    ) -> Resolved:
        """List and hash the files; see `Source.resolve`. Hidden files are left out.

        The revision is the content's digest: the first 40 digits of the model hash.
        """
        if revision:
            raise SourceNameError("a path has no revisions", where=self.reference)
        cancelled = threading.Event()
        try:
            files = await asyncio.to_thread(_hash_all, self, choice, progress, cancelled)
        finally:
            cancelled.set()
        return Resolved(
            reference=self.reference,
            kind="upload",
            name=suggest_name(self.path.name if self.path.is_dir() else self.path.stem),
            revision=content_digest(files),
            files=files,
            path=self.path,
        )

    async def measure(self, *, choice: Choice) -> Resolved:
        """The files and their sizes; nothing is hashed, so that there is no revision.

        Raises:
            SourceError: there are no such files, or they cannot be looked at.
        """
        return Resolved(
            reference=self.reference,
            kind="upload",
            name=suggest_name(self.path.name if self.path.is_dir() else self.path.stem),
            files=await asyncio.to_thread(_measure_all, self, choice),
            path=self.path,
        )


def parse_node_path(reference: str) -> NodeSource | None:
    """Read ``file:///path``; None if it is something else.

    Raises:
        SourceNameError: it names a host, or no absolute path.
    """
    if not reference.startswith("file:"):
        return None
    url = urlsplit(reference)
    path = unquote(url.path)
    if url.netloc not in ("", "localhost"):
        raise SourceNameError(
            f"{reference!r} names a host; the path is one on the node that gets the model",
            hint=f"write file:///{url.netloc}{url.path}, or copy from the other node",
        )
    if url.query or url.fragment:
        raise SourceNameError(f"{reference!r}: write ? as %3F and # as %23 in a path")
    if not path.startswith("/") or path.strip("/") == "" or not path.isprintable():
        raise SourceNameError(
            f"{reference!r} has no absolute path", hint="write file:///path/on/the/node"
        )
    if ".." in path.split("/"):
        raise SourceNameError(f"{reference!r} has .. in its path", hint="write the path without it")
    return NodeSource(Path(path))


def parse_controller_path(reference: str) -> ControllerSource | None:
    """Read ``local:path``, relative to where gswarm runs; None if it is something else.

    Raises:
        SourceNameError: there is no path.
    """
    if not reference.startswith("local:"):
        return None
    text = reference.removeprefix("local:")
    if not text or not text.isprintable():
        raise SourceNameError(
            f"{reference!r} has no path", hint="write local:path/to/a/folder, or of a file"
        )
    try:
        return ControllerSource(Path(os.path.normpath(Path.cwd() / Path(text).expanduser())))
    except RuntimeError as error:
        raise SourceNameError(f"{reference!r}: {error}") from None


def content_digest(files: tuple[SourceFile, ...]) -> str:
    """The revision of a model whose source has none: 40 digits of the model hash.

    The model hash is the sha256 over the lines ``sha256  size  path``, sorted by path.
    """
    lines = "".join(
        f"{file.sha256}  {file.size}  {file.path}\n"
        for file in sorted(files, key=lambda file: file.path)
    )
    return hashlib.sha256(lines.encode()).hexdigest()[:40]


def _hash_all(
    source: ControllerSource, choice: Choice, progress: ProgressCallback, cancelled: threading.Event
) -> tuple[SourceFile, ...]:
    try:
        found = _list(source, choice)
        total = sum(file.stat().st_size for file in found.values())
        tally = _Tally(total, progress, cancelled)
        return tuple(_hash(path, file, tally, source.reference) for path, file in found.items())
    except OSError as error:
        raise _unreadable(error, source) from error


def _measure_all(source: ControllerSource, choice: Choice) -> tuple[SourceFile, ...]:
    try:
        found = _list(source, choice)
        return tuple(SourceFile(path, size=file.stat().st_size) for path, file in found.items())
    except OSError as error:
        raise _unreadable(error, source) from error


def _unreadable(error: OSError, source: ControllerSource) -> SourceError:
    return SourceError(
        f"{error.filename or source.path}: {error.strerror or error}", where=source.reference
    )


def _list(source: ControllerSource, choice: Choice) -> dict[str, Path]:
    """Path in the model → file, sorted. Links are followed where they stay inside."""
    if not source.path.exists():
        raise SourceError(
            "there is no such file or folder on this machine",
            where=source.reference,
            hint="for a path on the node write file:///path",
        )
    if source.path.is_dir():
        files = {file.relative_to(source.path).as_posix(): file for file in _walk(source.path)}
    else:
        files = {source.path.name: source.path}
    wanted = choice.apply(files, where=source.reference)
    boundary = _boundary(source.path.resolve())
    for path in wanted:
        problem = _file_problem(files[path], boundary if source.path.is_dir() else None)
        if problem:
            raise SourceError(
                f"{files[path]} {problem}",
                where=source.reference,
                hint="put a file in its place, or leave it out with an exclude pattern",
            )
    return {path: files[path] for path in wanted}


def _file_problem(file: Path, boundary: Path | None) -> str | None:
    if not file.exists():
        return "is a link to nothing"
    if file.is_dir():
        return "is a link to a folder"
    if not file.is_file():
        return "is no file"
    if boundary is not None and not file.resolve().is_relative_to(boundary):
        return f"is a link to {file.resolve()}, outside of the folder"
    return None


def _boundary(folder: Path) -> Path:
    """Where links may lead: the folder itself or, in a Hugging Face cache, the repository's folder.

    A snapshot there (``models--org--name/snapshots/<commit>``) is made of links to
    ``models--org--name/blobs``.
    """
    if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
        return folder.parent.parent
    return folder


def _walk(folder: Path) -> Iterator[Path]:
    """What is below a folder and not hidden; links to folders are named and not entered."""
    for directory, folders, files in os.walk(folder, onerror=_raise):
        here = Path(directory)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [name for name in folders if name not in links and not name.startswith(".")]
        yield from (here / name for name in [*files, *links] if not name.startswith("."))


def _raise(error: OSError) -> None:
    raise error


class _CancelledError(Exception):
    """Ends the hashing thread when nobody waits for it any more."""


@dataclass(slots=True)
class _Tally:
    """How many bytes are hashed; owned by the thread that hashes."""

    total: int
    progress: ProgressCallback
    cancelled: threading.Event
    done: int = 0

    def add(self, size: int) -> None:
        if self.cancelled.is_set():
            raise _CancelledError
        self.done += size
        self.progress(Progress("hash", done=self.done, total=self.total))


def _hash(path: str, file: Path, tally: _Tally, reference: str) -> SourceFile:
    digest = hashlib.sha256()
    size = 0
    with file.open("rb") as stream:
        expected = os.fstat(stream.fileno()).st_size
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
            tally.add(len(block))
    if size != expected:
        raise SourceError(f"{file} changed while it was read", where=reference)
    return SourceFile(path, size=size, sha256=digest.hexdigest())
