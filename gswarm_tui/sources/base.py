"""What every source gives: `Resolved`, made from a reference that `parse` understood."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, Protocol

from gswarm_tui.errors import SourceError
from gswarm_tui.progress import ProgressCallback, ignore

Kind = Literal["fetch", "import", "upload"]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a model, and what its source promises about it.

    Args:
        path: where it belongs in the model, relative, with ``/`` between its parts.
        size: bytes; None where the source does not say.
        sha256: hex; None where the source promises none.
        git_sha1: the SHA-1 of the file as a git blob, hex; the Hub gives it for files outside LFS.
        etag: the source's version of the file, where it promises no digest: bytes of two versions
            never mix.
        url: where a node fetches it; None where nothing is fetched.
    """

    path: str
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    etag: str | None = None
    url: str | None = None

    def to_wire(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "size": self.size,
            "sha256": self.sha256,
            "git_sha1": self.git_sha1,
            "etag": self.etag,
            "url": self.url,
        }


@dataclass(frozen=True, slots=True)
class Resolved:
    """A reference, resolved: which files a model is made of, and how they get onto a node.

    Args:
        reference: the source as it may be recorded and shown, without credentials.
        kind: ``fetch`` (a node downloads `files` by their URLs), ``import`` (`path` is on the node)
            or ``upload`` (`path` is on the controller: the one file, or the folder of `files`).
        name: a model name that the reference suggests.
        revision: the source's commit (with a suffix where only some of its files are wanted), or
            the content's digest for ``upload``; None where only the bytes will tell.
        files: empty for ``import``, whose files only the node can see.
        path: for ``import`` and ``upload``.
        headers: request headers with credentials; to be sent to `origin` and nowhere else.
        origin: ``scheme://host:port`` of the URLs, for ``fetch``.
    """

    reference: str
    kind: Kind
    name: str
    revision: str | None = None
    files: tuple[SourceFile, ...] = ()
    path: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    origin: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes in all, or None where the source does not say."""
        total = 0
        for file in self.files:
            if file.size is None:
                return None
            total += file.size
        return total if self.files else None

    def plan_for(self, name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The plan for a model called `name`, as it travels to a node, without credentials."""
        return {
            "name": name,
            "revision": self.revision,
            "source": self.reference,
            "metadata": dict(metadata),
            "files": [file.to_wire() for file in self.files],
        }


class Source(Protocol):
    """A reference that was understood; each module of this package has a class for its form."""

    @property
    def reference(self) -> str:
        """The reference as it may be recorded and shown, without credentials."""

    async def resolve(
        self,
        *,
        revision: str | None = None,
        choice: Choice,
        environ: Mapping[str, str],
        progress: ProgressCallback = ignore,
    ) -> Resolved:
        """Ask the source what there is.

        Raises:
            SourceNameError: the revision or the patterns make no sense for this source.
            SourceError: the source said no, or could not be reached.
        """


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of a model's files are wanted, as huggingface_hub's allow and ignore patterns have it.

    A pattern is `fnmatch`'s: ``*`` crosses ``/`` and case matters; ``folder/`` means ``folder/*``.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def wants(self, path: str) -> bool:
        if self.include and not _matches(path, self.include):
            return False
        return not _matches(path, self.exclude)

    def apply(self, paths: Iterable[str], *, where: str) -> list[str]:
        """The wanted paths, sorted.

        Raises:
            SourceError: there are no files, none is wanted, or a wanted path can't be used
                (see `check_paths`).
        """
        everything = list(paths)
        if not everything:
            raise SourceError("there are no files", where=where)
        wanted = sorted(path for path in everything if self.wants(path))
        if not wanted:
            examples = ", ".join(sorted(everything)[:5])
            raise SourceError(
                f"the include and exclude patterns leave none of its {len(everything)} files",
                where=where,
                hint=f"its files are {examples}" + (", …" if len(everything) > 5 else ""),
            )
        check_paths(wanted, where=where)
        return wanted


def _matches(path: str, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase(path, pattern + "*" if pattern.endswith("/") else pattern)
        for pattern in patterns
    )


def check_paths(paths: Iterable[str], *, where: str) -> None:
    """Refuse paths that can't be stored as they are, below one folder, on every filesystem.

    Raises:
        SourceError: names a path that leaves the folder, is not plain, or clashes with another.
    """
    spelled: dict[str, str] = {}
    for path in paths:
        problem = _path_problem(path)
        if problem:
            raise _refused(path, problem, where)
        if spelled.setdefault(_folded(path), path) != path:
            other = spelled[_folded(path)]
            raise _refused(path, f"differs from {other!r} only in its letters' case or form", where)
    for path in spelled.values():
        for parent in _parents(path):
            if _folded(parent) in spelled:
                raise _refused(path, f"needs a folder where the file {parent!r} is", where)


def _path_problem(path: str) -> str | None:
    parts = path.split("/")
    if path.startswith("/"):
        return "is absolute"
    if ".." in parts:
        return "leaves the model's folder"
    if "\\" in path:
        return "has a backslash"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in path):
        return "has a character that is no text"
    if any(part in ("", ".") for part in parts):
        return "has an empty part"
    if any(len(part.encode()) > 255 for part in parts):
        return "has a part longer than 255 bytes"
    return None


def _refused(path: str, problem: str, where: str) -> SourceError:
    return SourceError(
        f"the path {path!r:.300} {problem}",
        where=where,
        hint="nothing was downloaded; an exclude pattern leaves a file out",
    )


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _parents(path: str) -> Iterable[str]:
    parent = posixpath.dirname(path)
    while parent:
        yield parent
        parent = posixpath.dirname(parent)


def suggest_name(text: str) -> str:
    """A valid model name made from a reference's last part; ``model`` if nothing is left of it."""
    allowed = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text)
    return allowed.lstrip("._-")[:96].rstrip("._-") or "model"
