"""What a model is: its files by path, size and sha256, and a plan of how to get there.

Everything here is a value that is valid once it exists: names, revisions and paths that come from a
repository, a controller or a file are checked on construction, and refused with `Kind.INVALID`.
Pure and without input or output: the controller imports it too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

from .checks import (
    SHA1,
    SHA256,
    check_files,
    check_hex,
    check_map,
    check_metadata,
    check_name,
    check_path,
    check_paths,
    check_revision,
    check_size,
    check_text,
    invalid,
)

CONTENT_REVISION_DIGITS = 40


@dataclass(frozen=True)
class FileEntry:
    """One file of a model; `size` in bytes, `sha256` in lowercase hex."""

    path: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        check_path(self.path)
        check_size(self.size, self.path)
        check_hex(self.sha256, SHA256, "sha256", self.path)


def model_hash(files: Iterable[FileEntry]) -> str:
    """The model hash: sha256 in hex over the lines ``sha256  size  path``, sorted by path."""
    digest = hashlib.sha256()
    for entry in sorted(files, key=lambda entry: entry.path):
        digest.update(f"{entry.sha256}  {entry.size}  {entry.path}\n".encode())
    return digest.hexdigest()


def content_revision(files: Iterable[FileEntry]) -> str:
    """The revision of a model whose source has none: the beginning of its hash."""
    return model_hash(files)[:CONTENT_REVISION_DIGITS]


@dataclass(frozen=True)
class Manifest:
    """An immutable version of a model.

    Args:
        name: the model's name.
        revision: the source's commit, or the content's digest where the source has none.
        source: where it came from, without credentials.
        files: at least one; kept sorted by path.
        published_at: ISO 8601, UTC, milliseconds.
        location: the absolute folder of a model that was adopted in place, else None.
        metadata: type, description, tags, requirements, created_at, updated_at.

    `hash` and `size` (bytes) are derived. Raises `HelperError` where anything is not valid.
    """

    name: str
    revision: str
    source: str
    files: Tuple[FileEntry, ...]
    published_at: str
    location: Optional[str] = None
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)
    hash: str = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        check_revision(self.revision)
        check_text(self.source, "source")
        check_text(self.published_at, "published_at", 64)
        if self.location is not None:
            check_text(self.location, "location")
            if not self.location.startswith("/"):
                raise invalid(f"the location {self.location!r} is not absolute")
        if not self.files:
            raise invalid(f"the manifest of {self.name} has no files")
        check_paths(entry.path for entry in self.files)
        files = tuple(sorted(self.files, key=lambda entry: entry.path))
        object.__setattr__(self, "files", files)
        object.__setattr__(self, "metadata", check_metadata(self.metadata))
        object.__setattr__(self, "hash", model_hash(files))
        object.__setattr__(self, "size", sum(entry.size for entry in files))

    def to_dict(self) -> Dict[str, Any]:
        """The map that travels on the wire and lies in the store."""
        return {
            "name": self.name,
            "revision": self.revision,
            "source": self.source,
            "files": [dataclasses.asdict(entry) for entry in self.files],
            "hash": self.hash,
            "size": self.size,
            "published_at": self.published_at,
            "location": self.location,
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_dict(cls, data: object) -> Manifest:
        """Read a manifest that comes from outside; raises `HelperError` where anything is amiss."""
        values = check_map(data, "a manifest")
        manifest = cls(
            name=check_name(values.get("name")),
            revision=check_revision(values.get("revision")),
            source=check_text(values.get("source"), "source"),
            files=tuple(
                FileEntry(
                    path=entry.get("path", ""),
                    size=entry.get("size", -1),
                    sha256=entry.get("sha256", ""),
                )
                for entry in check_files(values, "a manifest")
            ),
            published_at=check_text(values.get("published_at"), "published_at", 64),
            location=values.get("location"),
            metadata=check_metadata(values.get("metadata")),
        )
        if values.get("hash", manifest.hash) != manifest.hash:
            raise invalid(f"the manifest of {manifest.name} does not agree with its own hash")
        return manifest


@dataclass(frozen=True)
class PlanFile:
    """One file to fetch, with what the source promises about it.

    Args:
        path: where it goes, below the model's folder.
        size: bytes, None where the source does not say.
        sha256: of the content, hex; None where not promised.
        git_sha1: git's id of the blob, hex; None where not promised.
        etag: the source's version of the file: bytes of two versions must never mix.
        url: where it is; None where the transport knows. Never written to disk: it may be signed.
    """

    path: str
    size: Optional[int] = None
    sha256: Optional[str] = None
    git_sha1: Optional[str] = None
    etag: Optional[str] = None
    url: Optional[str] = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_path(self.path)
        if self.size is not None:
            check_size(self.size, self.path)
        if self.sha256 is not None:
            check_hex(self.sha256, SHA256, "sha256", self.path)
        if self.git_sha1 is not None:
            check_hex(self.git_sha1, SHA1, "git blob id", self.path)
        if self.etag is not None:
            check_text(self.etag, "etag", 512)
        if self.url is not None:
            check_text(self.url, "url", 16384)

    @property
    def promised(self) -> bool:
        """Whether bytes of an earlier run can be known to be of the same content."""
        return not (self.sha256 is None and self.git_sha1 is None and self.etag is None)

    def identity(self) -> Dict[str, Any]:
        """What makes two of these the same content; all that is kept on disk."""
        return {
            "path": self.path,
            "size": self.size,
            "sha256": self.sha256,
            "git_sha1": self.git_sha1,
            "etag": self.etag,
        }


@dataclass(frozen=True)
class Plan:
    """What a node should come to have: the files of one model, and what is promised about each.

    `revision` is None where the source has none: the content's digest becomes the revision.
    Raises `HelperError` where anything is not valid.
    """

    name: str
    revision: Optional[str]
    source: str
    files: Tuple[PlanFile, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.revision is not None:
            check_revision(self.revision)
        check_text(self.source, "source")
        if not self.files:
            raise invalid(f"the plan for {self.name} has no files", where=self.source)
        check_paths(entry.path for entry in self.files)
        object.__setattr__(self, "metadata", check_metadata(self.metadata))

    @property
    def id(self) -> str:
        """Digest of the name, revision, source and what is promised: 40 hex digits."""
        identity = [
            self.name,
            self.revision,
            self.source,
            [entry.identity() for entry in self.files],
        ]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:40]

    @property
    def size(self) -> Optional[int]:
        """Bytes in all, None where a file's size is not known."""
        sizes = [entry.size for entry in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def entries(self) -> Optional[Tuple[FileEntry, ...]]:
        """The files as the manifest will list them, None where a sha256 or size is not promised."""
        entries = tuple(
            FileEntry(entry.path, entry.size, entry.sha256)
            for entry in self.files
            if entry.size is not None and entry.sha256 is not None
        )
        return entries if len(entries) == len(self.files) else None

    def known_revision(self) -> Optional[str]:
        """The revision that this will be published as, where that is known beforehand."""
        if self.revision is not None:
            return self.revision
        entries = self.entries()
        return None if entries is None else content_revision(entries)

    def to_dict(self) -> Dict[str, Any]:
        """The map that travels on the wire; `from_dict` reads it."""
        files = [dict(entry.identity(), url=entry.url) for entry in self.files]
        return dict(self.identity(), files=files)

    def identity(self) -> Dict[str, Any]:
        """The map without URLs, as it is written to disk."""
        return {
            "name": self.name,
            "revision": self.revision,
            "source": self.source,
            "metadata": dict(self.metadata),
            "files": [entry.identity() for entry in self.files],
        }

    @classmethod
    def from_dict(cls, data: object) -> Plan:
        """Read a plan that comes from outside; raises `HelperError` where anything is amiss."""
        values = check_map(data, "a plan")
        return cls(
            name=check_name(values.get("name")),
            revision=values.get("revision"),
            source=check_text(values.get("source"), "source"),
            files=tuple(
                PlanFile(
                    path=entry.get("path", ""),
                    size=entry.get("size"),
                    sha256=entry.get("sha256"),
                    git_sha1=entry.get("git_sha1"),
                    etag=entry.get("etag"),
                    url=entry.get("url"),
                )
                for entry in check_files(values, "a plan")
            ),
            metadata=check_metadata(values.get("metadata")),
        )

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> Plan:
        """The plan for another copy of a model that is published somewhere."""
        return cls(
            name=manifest.name,
            revision=manifest.revision,
            source=manifest.source,
            files=tuple(PlanFile(entry.path, entry.size, entry.sha256) for entry in manifest.files),
            metadata=manifest.metadata,
        )
