"""What is let in from outside: names, revisions, paths, sizes, digests, metadata.

Whatever a repository, a controller or a file on disk says about a model passes through here first,
and is refused with `Kind.INVALID` where it is not what it should be.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, List, Mapping, Optional

from ..errors import HelperError, Kind

RESERVED = ".gswarm"
"""The one name that a model's files may not use: the store's own folder."""

MAX_FILES = 100_000
MAX_SIZE = 2**62
MAX_METADATA = 64 * 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # categories Cc and Cs of Unicode
SHA256 = re.compile(r"[0-9a-f]{64}")
SHA1 = re.compile(r"[0-9a-f]{40}")


def invalid(
    message: str, *, where: Optional[str] = None, hint: Optional[str] = None
) -> HelperError:
    return HelperError(Kind.INVALID, message, where=where, hint=hint)


def check_name(name: object) -> str:
    """Return `name` if it is a model's name, else raise `HelperError`."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise invalid(
        f"{name!r:.120} is not a model name",
        hint="letters, digits, '.', '_' and '-', at most 96, beginning with a letter or digit",
    )


def check_revision(revision: object) -> str:
    """Return `revision` if it is the name of a revision, else raise `HelperError`."""
    if isinstance(revision, str) and _REVISION.fullmatch(revision):
        return revision
    raise invalid(
        f"{revision!r:.160} is not a revision",
        hint="letters, digits, '.', '_' and '-', at most 128, beginning with a letter or digit",
    )


def check_path(path: object) -> str:
    """Return `path` if it is a plain relative path that stays below any folder it is joined to.

    Refused are absolute paths, ``.`` and ``..``, empty components, backslashes, NUL and other
    control characters, what no filesystem can hold, and the store's own folder name.
    """
    if not isinstance(path, str) or not path:
        raise invalid(f"{path!r:.200} is not a file's path")
    reason = _path_fault(path)
    if reason is not None:
        raise invalid(f"the path {path!r:.200} is refused: {reason}")
    return path


def _path_fault(path: str) -> Optional[str]:
    if path.startswith("/"):
        return "it is absolute"
    if "\\" in path:
        return "it has a backslash"
    if _CONTROL.search(path):
        return "it has control characters"
    if len(path.encode()) > 1024:
        return "it is longer than 1,024 bytes"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return f"it has the component {part!r}"
        if part.casefold() == RESERVED:
            return f"{RESERVED} is gswarm's own folder"
        if len(part.encode()) > 255:
            return "a component is longer than 255 bytes"
    return None


def check_paths(paths: Iterable[str]) -> None:
    """Raise `HelperError` if two of the paths are equal, or one is a folder above another."""
    seen = set()
    for path in paths:
        if path in seen:
            raise invalid(f"the path {path!r} is there twice")
        seen.add(path)
    for path in seen:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if above in seen:
                raise invalid(f"{above!r} is both a file and the folder of {path!r}")


def check_metadata(metadata: object) -> Dict[str, Any]:
    """Return `metadata` if it is a map that JSON can hold in 64 KiB, else raise `HelperError`."""
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(key, str) for key in metadata):
        raise invalid("metadata is a map of names to values")
    try:
        size = len(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(f"metadata has a value that JSON cannot hold: {error}") from None
    if size > MAX_METADATA:
        raise invalid(f"metadata is {size} bytes long; at most {MAX_METADATA} are kept")
    return dict(metadata)


def check_hex(value: object, pattern: re.Pattern[str], what: str, where: str) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise invalid(f"{value!r:.80} is not a {what} in lowercase hex", where=where)


def check_size(value: object, where: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIZE:
        return value
    raise invalid(f"{value!r:.80} is not a size in bytes", where=where)


def check_text(value: object, what: str, limit: int = 4096) -> str:
    if isinstance(value, str) and len(value) <= limit and "\0" not in value:
        return value
    raise invalid(f"{what} is a text of at most {limit} characters, not {value!r:.80}")


def check_map(data: object, what: str) -> Mapping[str, Any]:
    if isinstance(data, dict):
        return data
    raise invalid(f"{what} is a map, not {data!r:.80}")


def check_files(data: Mapping[str, Any], what: str) -> List[Mapping[str, Any]]:
    files = data.get("files")
    if not isinstance(files, (list, tuple)) or not files:
        raise invalid(f"{what} has no files")
    if len(files) > MAX_FILES:
        raise invalid(f"{what} has {len(files)} files; at most {MAX_FILES} are taken")
    return [check_map(entry, f"a file of {what}") for entry in files]
