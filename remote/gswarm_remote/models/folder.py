"""The files of a folder that is somebody's own: read, never written.

What a folder holds is taken as it is, but for hidden folders (``.git``, ``.cache``). Links are
followed to files that lie below the folder, or, for a snapshot in a Hugging Face cache, below that
repository's cache; a link that leads anywhere else is refused, because whoever made it is not who
asks.
"""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Union

from ..errors import HelperError, Kind
from ..transfer.crew import Crew
from ..transfer.limits import DISK, SOURCE
from ..transfer.progress import Meter, Report, Reporter
from .checks import MAX_FILES, check_path, check_paths
from .files import Digest, digest_file, explained

HASHERS = 8
"""Files that are hashed at once, at most; no more than there are processors."""


@dataclass(frozen=True)
class Source:
    """One file: where it really lies, and how it looked when it was found."""

    path: Path
    size: int
    mtime_ns: int
    device: int
    owner: int


def files_of(place: Path) -> Dict[str, Source]:
    """The files that a model made from `place` would have, by their paths in the model.

    `place` is a folder, or a single file, which keeps its name.

    Raises:
        HelperError: it is not there, cannot be read, holds nothing, or leads out of itself.
    """
    try:
        if stat.S_ISDIR(place.stat().st_mode):
            found = _files_below(place)
        else:
            found = {check_path(place.name): _source(_real(place), place)}
    except OSError as error:
        raise explained(error, where=place) from error
    if not found:
        raise HelperError(Kind.INVALID, "the folder holds no files", where=str(place))
    check_paths(found)
    return found


def hub_repository(snapshot: Path) -> Union[Path, None]:
    """The cache of the repository that a Hugging Face snapshot belongs to; None for other folders.

    Source: huggingface_hub's cache layout, ``models--ORG--NAME/snapshots/COMMIT``.
    """
    repository = snapshot.parent.parent
    if snapshot.parent.name == "snapshots" and repository.name.startswith("models--"):
        return repository
    return None


def digests(
    sources: Mapping[str, Source], *, report: Report, cancelled: threading.Event
) -> Dict[str, Digest]:
    """Read every file once, several at a time.

    Raises:
        HelperError: one cannot be read, or was changed meanwhile (mismatch); cancelled.
    """
    paths = {path: source.path for path, source in sources.items()}
    total = sum(source.size for source in sources.values())
    found = digest_all(
        paths, total=total, phase="hash", reading=SOURCE, report=report, cancelled=cancelled
    )
    results: Dict[str, Digest] = {}
    for path, digest in found.items():
        if isinstance(digest, OSError):
            raise explained(digest, where=paths[path]) from digest
        check_unchanged(sources[path])
        results[path] = digest
    return results


def digest_all(
    paths: Mapping[str, Path],
    *,
    total: int,
    phase: str,
    reading: str = DISK,
    report: Report,
    cancelled: threading.Event,
) -> Dict[str, Union[Digest, OSError]]:
    """Read every file once, several at a time; in place of a digest, why a file cannot be read.

    Args:
        reading: what is waited for while a file is read, in the words of `transfer.limits`.

    Raises:
        HelperError: cancelled.
    """
    meter = Meter(phase, total=total)
    reporter = Reporter(report)
    results: Dict[str, Union[Digest, OSError]] = {}
    count = min(os.cpu_count() or 1, HASHERS, len(paths))
    crew = Crew({"hash": count}, cancelled=cancelled, tick=lambda: reporter.tell(meter))

    def job(name: str, path: Path) -> None:
        with meter.limits.worker() as doing:
            doing.turn_to(reading)
            try:
                results[name] = digest_file(
                    path, cancelled=crew.stopped_event, advanced=meter.add, doing=doing
                )
            except OSError as error:
                results[name] = error

    for name, path in paths.items():
        crew.add("hash", lambda name=name, path=path: job(name, path))  # type: ignore[misc]
    crew.run()
    return {name: results[name] for name in paths}


def check_unchanged(source: Source) -> None:
    """Raise `HelperError` (mismatch) if the file is not as it was when it was found."""
    try:
        now = source.path.stat()
    except OSError as error:
        raise explained(error, where=source.path) from error
    if (now.st_size, now.st_mtime_ns) != (source.size, source.mtime_ns):
        raise HelperError(
            Kind.MISMATCH,
            "the file was changed while it was being read",
            where=str(source.path),
            hint="try again when nobody writes to it",
        )


def _files_below(folder: Path) -> Dict[str, Source]:
    boundary = _real(hub_repository(folder.absolute()) or folder)
    found: Dict[str, Source] = {}
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if Path(parent, name).is_symlink():
                raise _refused(Path(parent, name), "a folder that is a link is not followed")
        for name in sorted(names):
            path = Path(parent, name)
            real = _real(path)
            if boundary not in real.parents:
                raise _refused(path, "the link leads out of the folder")
            found[check_path(path.relative_to(folder).as_posix())] = _source(real, path)
            if len(found) > MAX_FILES:
                raise _refused(folder, f"there are more than {MAX_FILES} files")
    return found


def _real(path: Path) -> Path:
    """Where the links of a path lead; unlike `Path.resolve` it takes a loop for what it is."""
    return Path(os.path.realpath(path))


def _source(real: Path, path: Path) -> Source:
    try:
        info = real.stat()
    except FileNotFoundError:
        raise HelperError(
            Kind.INCOMPLETE,
            "the file is a link to one that is not there",
            where=str(path),
            hint="finish the download that made this folder",
        ) from None
    if not stat.S_ISREG(info.st_mode):
        raise _refused(path, "it is neither a file nor a folder")
    return Source(real, info.st_size, info.st_mtime_ns, info.st_dev, info.st_uid)


def _refused(path: Path, reason: str) -> HelperError:
    return HelperError(Kind.INVALID, reason, where=str(path))


def _raise(error: OSError) -> None:
    raise error
