"""What a controller may ask about the models of a node; fetching them is transfer's."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from ..devices import DISK, TIERS
from ..errors import HelperError, Kind
from ..operations import in_thread
from ..transfer.progress import Report
from . import adopt, scan
from .checks import check_metadata, check_name, check_revision, invalid
from .manifest import Manifest
from .records import now
from .stage import stage
from .store import Store
from .verify import verify

if TYPE_CHECKING:
    from ..node import Node
    from ..rpc import Call, Handler


def handlers(node: Node) -> Dict[str, Handler]:
    """The methods of this module by name."""
    methods = _Methods(node)
    return {
        "model.import": methods.import_,
        "model.stage": methods.stage,
        "model.manifest": methods.manifest,
        "model.delete": methods.delete,
        "model.verify": methods.verify,
        "model.scan": methods.scan,
        "model.adopt": methods.adopt,
        "model.describe": methods.describe,
    }


class _Methods:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def import_(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        tier = _text(params, "tier")
        store = self._node.store(tier)
        found = _found(params, revision=None)

        def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            began = now()
            manifest = adopt.copy_in(store, found, report=report, cancelled=cancelled)
            return _answer(store, manifest, tier, began)

        key = (tier, found.name, str(found.place))
        place = str(found.place)
        return await self._run(call, "import", key, work, model=found.name, tier=tier, source=place)

    async def adopt(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        store = self._node.store(DISK)
        found = _found(params, revision=_revision(params))
        how = _text(params, "how", adopt.AUTO)

        def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            began = now()
            manifest = adopt.adopt(store, found, how, report=report, cancelled=cancelled)
            return _answer(store, manifest, DISK, began)

        key = (found.name, found.revision, str(found.place), how)
        return await self._run(call, "adopt", key, work, model=found.name, tier=DISK)

    async def stage(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        name, revision = _name(params), _revision(params)
        tiers = (_text(params, "from"), _text(params, "to"))
        if tiers[0] == tiers[1]:
            raise invalid(f"{name} is to be staged from {tiers[0]} to where it is")
        source, target = self._node.store(tiers[0]), self._node.store(tiers[1])
        remove_source = params.get("remove_source") is True
        if remove_source:
            self._refuse_in_use(name, revision, tiers[0])

        def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            began = now()
            manifest = stage(
                source,
                target,
                name,
                revision,
                remove_source=remove_source,
                report=report,
                cancelled=cancelled,
            )
            return _answer(target, manifest, tiers[1], began)

        key = (name, revision, *tiers, remove_source)
        return await self._run(call, "stage", key, work, model=name, tier=tiers[1], source=tiers[0])

    async def verify(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        name, revision, tier = _name(params), _revision(params), _text(params, "tier")
        store = self._node.store(tier)

        def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            return verify(store, name, revision, report=report, cancelled=cancelled)

        return await self._run(call, "verify", (name, revision, tier), work, model=name, tier=tier)

    async def scan(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        store = self._node.store(DISK)
        places = _places(params)

        def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            chosen = list(places or scan.default_places(os.environ, Path.home()))
            if places is None and store.root.is_dir():
                chosen.append(store.root)
            return {"found": scan.scan(store, chosen, cancelled=cancelled)}

        key = None if places is None else tuple(str(place) for place in places)
        return await self._run(call, "scan", key, work, model=None, tier=DISK)

    async def manifest(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        store = self._node.store(_text(params, "tier"))
        manifest: Manifest = await in_thread(store.manifest, _name(params), _revision(params))
        return manifest.to_dict()

    async def delete(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        name, revision, tier = _name(params), _revision(params), _text(params, "tier")
        if params.get("force") is not True:
            self._refuse_in_use(name, revision, tier)
        removed, freed = await in_thread(self._node.store(tier).delete, name, revision)
        return {"removed": removed, "freed": freed}

    async def describe(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        name, metadata = _name(params), check_metadata(params.get("metadata"))
        described: List[str] = []
        for tier in TIERS:
            if await in_thread(self._describe, tier, name, metadata):
                described.append(tier)
        if not described:
            raise HelperError(
                Kind.NOT_FOUND, f"{name} is not here", where=str(self._node.paths.root)
            )
        return {"described": described}

    def _describe(self, tier: str, name: str, metadata: Dict[str, Any]) -> bool:
        try:
            self._node.store(tier).describe(name, metadata)
        except HelperError as error:
            if error.kind not in (Kind.NOT_FOUND, Kind.UNSUPPORTED):
                raise
            return False
        return True

    def _refuse_in_use(self, name: str, revision: Optional[str], tier: str) -> None:
        """A copy that an engine reads stays, unless it is forced."""
        for replica in self._node.replicas.list():
            same = replica["model"] == name and revision in (None, replica["revision"])
            if same and replica["tier"] == tier and replica["state"] != "failed":
                devices = ", ".join(replica["devices"])
                raise HelperError(
                    Kind.IN_USE,
                    f"{name} on {tier} is used by the engine {replica['id']} on {devices}",
                    where=str(self._node.paths.root),
                    hint="stop it first (gswarm model stop, or delete it from there), or force",
                )

    async def _run(
        self,
        call: Call,
        kind: str,
        key: Any,
        work: Callable[[Report, threading.Event], Dict[str, Any]],
        *,
        model: Optional[str],
        tier: str,
        source: Optional[str] = None,
    ) -> Dict[str, Any]:
        """Do blocking work as an operation, in a thread of its own."""

        async def in_its_thread(report: Report, cancelled: threading.Event) -> Any:
            return await in_thread(work, report, cancelled)

        result: Dict[str, Any] = await self._node.operations.run(
            call, kind=kind, key=key, work=in_its_thread, model=model, tier=tier, source=source
        )
        return result


def _answer(store: Store, manifest: Manifest, tier: str, began: str) -> Dict[str, Any]:
    """The copy, and whether it was there before it was asked for."""
    return {**store.copy(manifest, tier), "already": manifest.published_at < began}


def _text(params: Dict[str, Any], key: str, default: Optional[str] = None) -> str:
    value = params.get(key, default)
    if not isinstance(value, str) or not value:
        raise invalid(f"{key!r} is missing, or is not a text")
    return value


def _name(params: Dict[str, Any]) -> str:
    return check_name(params.get("name"))


def _revision(params: Dict[str, Any]) -> Optional[str]:
    revision = params.get("revision")
    return None if revision is None else check_revision(revision)


def _found(params: Dict[str, Any], *, revision: Optional[str]) -> adopt.Found:
    return adopt.Found(
        place=_place(_text(params, "path")),
        name=_name(params),
        revision=revision,
        source=str(params.get("source") or ""),
        metadata=check_metadata(params.get("metadata")),
    )


def _place(text: str) -> Path:
    if "\0" in text:
        raise invalid(f"{text!r:.200} is not a path")
    return Path(text).expanduser()


def _places(params: Dict[str, Any]) -> Optional[Tuple[Path, ...]]:
    paths = params.get("paths")
    if paths is None:
        return None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise invalid("'paths' is a list of folders")
    return tuple(_place(path) for path in paths)
