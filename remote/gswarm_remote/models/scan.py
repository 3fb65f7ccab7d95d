"""Finding models that are on a node already: in Hugging Face caches, and in plain folders.

Only names and sizes are looked at, nothing is read whole and nothing is written. Whether a model
is complete is told by its links (a cache's unfinished files are not linked) and by its index of
weights.
"""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ..errors import HelperError
from . import records
from .checks import RESERVED, invalid
from .files import explained, stopped
from .folder import Source, files_of, hub_repository
from .store import Store

MAX_DEPTH = 5
MAX_FOLDERS = 20_000
_MAX_INDEX = 64 * 2**20

_WEIGHTS = (".safetensors", ".bin", ".gguf", ".pt", ".pth", ".npz", ".onnx")
_MARKERS = ("config.json", "params.json", "model_index.json")
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.(?:safetensors|bin|gguf)")


def default_places(environment: Mapping[str, str], home: Path) -> List[Path]:
    """Where Hugging Face's libraries keep models, the most specific setting first.

    Source: huggingface_hub's environment variables HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME.
    """
    chosen = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    places = [Path(chosen)] if chosen else []
    if environment.get("HF_HOME"):
        places.append(Path(environment["HF_HOME"]) / "hub")
    if environment.get("XDG_CACHE_HOME"):
        places.append(Path(environment["XDG_CACHE_HOME"]) / "huggingface" / "hub")
    places.append(home / ".cache" / "huggingface" / "hub")
    return [place for place in dict.fromkeys(places) if place.is_dir()]


def scan(store: Store, places: List[Path], *, cancelled: threading.Event) -> List[Dict[str, Any]]:
    """The models below `places`, in the order of their paths.

    Returns:
        ``{path, name, revision, source, files, size, adoptable, reason}`` for each; `revision` is
        None where only hashing tells it, `reason` says why a model is not adoptable.

    Raises:
        HelperError: a place is not there or cannot be read; cancelled.
    """
    known = _Known(store)
    found: Dict[str, Dict[str, Any]] = {}
    for place in places:
        if not place.is_absolute():
            raise invalid(f"{str(place)!r} is not an absolute path")
        try:
            place.stat()
        except OSError as error:
            raise explained(error, where=place) from error
        for candidate in _candidates(place, store, cancelled):
            found.setdefault(str(candidate), _describe(candidate, known))
    return [found[path] for path in sorted(found)]


class _Known:
    """What the store has: by folder for models in place, by inode for those that are linked."""

    def __init__(self, store: Store) -> None:
        self._inodes: Dict[Tuple[int, int], str] = {}
        self._places: Dict[str, str] = {}
        for record in records.published(store.layout):
            label = f"{record.manifest.name} {record.manifest.revision}"
            folder = record.folder(store.layout)
            if record.external:
                if record.fault(store.layout) is None:
                    self._places.update(
                        {
                            os.path.realpath(folder / file.path): label
                            for file in record.manifest.files
                        }
                    )
                continue
            for entry in record.manifest.files:
                if entry.size:
                    self._note(folder / entry.path, label)

    def label(self, sources: Mapping[str, Source]) -> Optional[str]:
        """The model that has all these files, or None."""
        labels: Set[Optional[str]] = set()
        for source in sources.values():
            if source.size:
                info = source.path.stat()
                linked = self._inodes.get((info.st_dev, info.st_ino))
                labels.add(linked or self._places.get(str(source.path)))
        return labels.pop() if len(labels) == 1 else None

    def _note(self, path: Path, label: str) -> None:
        try:
            info = path.stat()
        except OSError:
            return
        self._inodes[info.st_dev, info.st_ino] = label


def _candidates(place: Path, store: Store, cancelled: threading.Event) -> Iterator[Path]:
    """Folders and single files below `place` that look like models."""
    if place.is_file():
        yield place
        return
    managed = {folder.name for folder in store.layout.manifests.glob("*")}
    for visited, (parent, folders, names) in enumerate(os.walk(place)):
        if cancelled.is_set():
            raise stopped()
        folder = Path(parent)
        if visited >= MAX_FOLDERS:
            raise invalid(
                f"more than {MAX_FOLDERS} folders are there",
                where=str(place),
                hint="name a folder further down",
            )
        found = _models_in(folder, names)
        yield from found
        deep = len(folder.relative_to(place).parts) >= MAX_DEPTH
        if folder in found or deep or hub_repository(folder) is not None:
            folders[:] = []
        folders[:] = sorted(_worth_a_look(folder, folders, store, managed))


def _worth_a_look(folder: Path, names: List[str], store: Store, managed: Set[str]) -> Iterator[str]:
    for name in names:
        ours = name == RESERVED or (folder == store.root and name in managed)
        if not ours and (not name.startswith(".") or name == ".cache"):
            yield name


def _models_in(folder: Path, names: List[str]) -> List[Path]:
    weights = [name for name in names if name.endswith(_WEIGHTS)]
    if hub_repository(folder) is not None:
        return [folder]
    if "model_index.json" in names or (weights and any(name in names for name in _MARKERS)):
        return [folder]
    ggufs = sorted(name for name in weights if name.endswith(".gguf"))
    sets = {_set_of(name) for name in ggufs}
    if len(sets) == 1:
        return [folder if len(ggufs) > 1 else folder / ggufs[0]]
    return [folder / name for name in ggufs]


def _set_of(name: str) -> str:
    """What the parts of one model have in common."""
    part = _SHARD.fullmatch(name)
    return part["stem"] if part else name


def _describe(place: Path, known: _Known) -> Dict[str, Any]:
    name, revision, source = _origin(place)
    found: Dict[str, Any] = {
        "path": str(place),
        "name": name,
        "revision": revision,
        "source": source,
        "files": 0,
        "size": 0,
        "adoptable": False,
        "reason": None,
    }
    try:
        sources = files_of(place)
        label = known.label(sources)
        reason = f"it is here as {label}" if label else _lacking(sources)
    except HelperError as error:
        return dict(found, reason=str(error.message) + (f": {error.where}" if error.where else ""))
    except OSError as error:
        return dict(found, reason=str(error.strerror))
    size = sum(entry.size for entry in sources.values())
    found.update(files=len(sources), size=size, adoptable=reason is None, reason=reason)
    return found


def _origin(place: Path) -> Tuple[str, Optional[str], str]:
    """A name to suggest, the revision where it is known, and where it is from."""
    repository = hub_repository(place)
    if repository is None:
        name = place.stem if place.is_file() else place.name
        return _as_name(name), None, f"file://{place}"
    identity = repository.name[len("models--") :].replace("--", "/", 1)
    return _as_name(identity.rpartition("/")[2]), place.name, f"hf://{identity}@{place.name}"


def _as_name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:96]
    return name or "model"


def _lacking(sources: Mapping[str, Source]) -> Optional[str]:
    """What a model lacks to be whole, or None."""
    weights = [path for path in sources if path.endswith(_WEIGHTS)]
    if not weights:
        return "it has no weights"
    for path, source in sources.items():
        if not os.access(source.path, os.R_OK):
            return f"{path} cannot be read"
    for index in sorted(path for path in sources if path.endswith(".index.json")):
        missing = _missing_shards(index, sources)
        # An index whose shards are all away is for another format of the same weights.
        if missing and _has_any(index, sources):
            return f"{len(missing)} files of {index} are missing, {missing[0]} for one"
    return _missing_parts(weights)


def _shards(index: str, sources: Mapping[str, Source]) -> Set[str]:
    """The files that an index of weights names. Source: transformers' ``weight_map``."""
    source = sources[index]
    if source.size > _MAX_INDEX:
        return set()
    try:
        names = set(json.loads(source.path.read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
    folder = index.rpartition("/")[0]
    return {f"{folder}/{name}" if folder else str(name) for name in names}


def _missing_shards(index: str, sources: Mapping[str, Source]) -> List[str]:
    return sorted(shard for shard in _shards(index, sources) if shard not in sources)


def _has_any(index: str, sources: Mapping[str, Source]) -> bool:
    return any(shard in sources for shard in _shards(index, sources))


def _missing_parts(weights: List[str]) -> Optional[str]:
    """Whether numbered parts say that there should be more of them."""
    counts: Dict[Tuple[str, int], int] = {}
    for path in weights:
        part = _SHARD.fullmatch(path)
        if part is not None:
            key = (f"{part['stem']}{Path(path).suffix}", int(part["count"]))
            counts[key] = counts.get(key, 0) + 1
    for (stem, count), there in sorted(counts.items()):
        if there < count:
            return f"{count - there} of the {count} parts of {stem} are missing"
    return None
