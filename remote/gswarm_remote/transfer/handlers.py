"""The methods that bring a model's bytes to a node, or take them from it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from ..errors import HelperError, Kind
from ..models import copies, records
from ..models.checks import check_name, check_revision, check_text, invalid
from ..models.manifest import Manifest, Plan
from ..models.store import Store
from ..operations import Report, Shown, in_thread
from ..rpc import Call, Handler
from ..tasks.entry import check_task
from . import bulk
from .assemble import assemble, finish
from .progress import Meter
from .readahead import SentPiece
from .receiving import Receiving
from .redirects import origin_of

if TYPE_CHECKING:
    from ..node import Node

MAX_PIECES = 1_000_000
"""Pieces in one request, at most: 16 TB in pieces of 16 MiB, and as much as a frame holds."""

_MAX_AUTHORIZATION = 8192

_Key = Tuple[str, str]  # a tier and the id of a plan


def handlers(node: Node) -> Dict[str, Handler]:
    """The methods of this module by name."""
    transfers = _Transfers(node)
    return {
        "model.fetch": transfers.fetch,
        "model.receive.begin": transfers.begin_receiving,
        "model.receive.finish": transfers.finish_receiving,
        "model.send.begin": transfers.begin_sending,
    }


class _Transfers:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._receiving: Dict[_Key, Receiving] = {}

    async def fetch(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        """Download a plan; the same plan asked for twice is downloaded once."""
        plan = Plan.from_dict(params.get("plan"))
        tier = params.get("tier", "")
        store = self._node.store(tier)
        authorization = _authorization(params.get("headers"))
        origin = _origin(params.get("origin"), needed=authorization is not None)

        async def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            copy: Dict[str, Any] = await in_thread(
                _fetch, store, tier, plan, authorization, origin, report, cancelled
            )
            return copy

        return await self._run(call, "fetch", plan, tier, work, source=plan.source)

    async def begin_receiving(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        """Say which pieces of a model are missing here, and offer a token to send them with."""
        plan = Plan.from_manifest(Manifest.from_dict(params.get("manifest")))
        tier, sender = params.get("tier", ""), _sender(params)
        tasks = [] if params.get("task") is None else [check_task(params["task"])]
        store = self._node.store(tier)
        key = (tier, plan.id)
        await self._make_way(key)
        answer: Dict[str, Any] = await in_thread(_begin, store, tier, plan)
        pieces = [(number, offset, size) for number, offset, size in answer.get("missing", ())]
        if pieces:
            meter = Meter(
                "upload" if sender is None else "copy", done=answer["done"], total=answer["total"]
            )
            receiving = Receiving(lambda: store.open_partial(plan), pieces, meter)

            async def session(reader: Any, writer: Any) -> None:
                with self._node.operations.show(_arriving(plan, tier, sender, tasks, meter)):
                    await self._receive(key, receiving, reader, writer)

            answer["token"] = self._node.bulk.offer(session)
        return answer

    async def finish_receiving(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        """Verify what was received, and publish it."""
        plan = Plan.from_manifest(Manifest.from_dict(params.get("manifest")))
        tier = params.get("tier", "")
        store = self._node.store(tier)

        async def work(report: Report, cancelled: threading.Event) -> Dict[str, Any]:
            copy: Dict[str, Any] = await in_thread(_finish, store, tier, plan, report, cancelled)
            return copy

        return await self._run(call, "receive", plan, tier, work, source=_sender(params))

    async def begin_sending(self, call: Call, params: Dict[str, Any]) -> Dict[str, Any]:
        """Offer a token to read pieces of a published model with."""
        name, revision = check_name(params.get("name")), params.get("revision")
        if revision is not None:
            check_revision(revision)
        store = self._node.store(params.get("tier", ""))
        manifest, folder = await in_thread(store.open, name, revision)
        pieces = _pieces(params.get("pieces"), manifest)
        files = {number: folder / manifest.files[number].path for number, _, _ in pieces}

        async def session(reader: Any, writer: Any) -> None:
            await bulk.send(writer, files, pieces)

        token = self._node.bulk.offer(session)
        return {"token": token, "total": sum(length for _, _, length in pieces)}

    async def _make_way(self, key: _Key) -> None:
        receiving = self._receiving.get(key)
        if receiving is not None and not await receiving.make_way():
            raise HelperError(
                Kind.IN_USE,
                "another controller is sending this model here now",
                hint="wait until that is done",
            )

    async def _receive(self, key: _Key, receiving: Receiving, reader: Any, writer: Any) -> None:
        before = self._receiving.get(key)
        if before is None or before.ended:  # else the partial is locked, and this ends at once
            self._receiving[key] = receiving
        try:
            await receiving.run(reader, writer)
        finally:
            if self._receiving.get(key) is receiving:
                del self._receiving[key]

    async def _run(
        self,
        call: Call,
        kind: str,
        plan: Plan,
        tier: str,
        work: Callable[..., Any],
        *,
        source: Optional[str],
    ) -> Dict[str, Any]:
        result: Dict[str, Any] = await self._node.operations.run(
            call,
            kind=kind,
            key=(tier, plan.id),
            work=work,
            model=plan.name,
            tier=tier,
            source=source,
        )
        return result


def _arriving(
    plan: Plan, tier: str, sender: Optional[str], tasks: List[str], meter: Meter
) -> Shown:
    """Bytes of a model that a controller sends now, as an operation is told of."""
    began = time.time()

    def look() -> Dict[str, Any]:
        return {
            "kind": "receive",
            "model": plan.name,
            "tier": tier,
            "source": sender,
            **meter.report(),
            "started_at": began,
            "tasks": tasks,
        }

    return look


# In a thread of its own, each


def _fetch(
    store: Store,
    tier: str,
    plan: Plan,
    authorization: Optional[str],
    origin: Optional[str],
    report: Report,
    cancelled: threading.Event,
) -> Dict[str, Any]:
    from .download import HttpSource  # urllib3 takes its time to import

    began = records.now()
    manifest = store.published(plan)
    if manifest is None:
        source = HttpSource(authorization=authorization, origin=origin)
        try:
            with store.open_partial(plan, cancelled=cancelled) as partial:
                copies.note_credentials(partial.folder, needed=authorization is not None)
                manifest = assemble(partial, source, report=report, cancelled=cancelled)
        finally:
            source.close()
    return {**store.copy(manifest, tier), "already": manifest.published_at < began}


def _begin(store: Store, tier: str, plan: Plan) -> Dict[str, Any]:
    published = store.published(plan)
    if published is not None:
        return {"present": store.copy(published, tier)}
    with store.open_partial(plan) as partial:
        # What another model here has too is copied from it when the transfer is finished.
        missing = [list(piece) for piece in partial.missing() if piece[0] not in partial.twins]
        to_send = sum(length or 0 for _, _, length in missing)
        return {"missing": missing, "total": plan.size, "done": (plan.size or 0) - to_send}


def _finish(
    store: Store, tier: str, plan: Plan, report: Report, cancelled: threading.Event
) -> Dict[str, Any]:
    manifest = store.published(plan)
    if manifest is None:
        with store.open_partial(plan, cancelled=cancelled) as partial:
            manifest = finish(partial, report=report, cancelled=cancelled)
    return store.copy(manifest, tier)


# What comes from outside


def _authorization(headers: object) -> Optional[str]:
    """The one header that a controller may send along."""
    if headers is None or headers == {}:
        return None
    if not isinstance(headers, dict) or set(headers) != {"Authorization"}:
        raise HelperError(Kind.INVALID, "headers may hold Authorization, and nothing else")
    value = headers["Authorization"]
    text = value if isinstance(value, str) else "\0"
    if len(text) > _MAX_AUTHORIZATION or not (text.isascii() and text.isprintable()):
        raise HelperError(Kind.INVALID, "the Authorization header is not a line of ASCII text")
    return text


def _origin(origin: object, *, needed: bool) -> Optional[str]:
    if origin is None and not needed:
        return None
    if not isinstance(origin, str):
        raise HelperError(Kind.INVALID, "an Authorization header needs the origin that it is for")
    return origin_of(origin)


def _sender(params: Dict[str, Any]) -> Optional[str]:
    """The device that a controller copies from, to be shown."""
    sender = params.get("sender")
    return None if sender is None else check_text(sender, "sender")


def _pieces(data: object, manifest: Manifest) -> List[SentPiece]:
    """Pieces of `manifest` as a controller asks for them."""
    if not isinstance(data, list) or not 0 < len(data) <= MAX_PIECES:
        raise invalid(f"pieces are a list of at most {MAX_PIECES}")
    return [_piece(item, manifest) for item in data]


def _piece(item: object, manifest: Manifest) -> SentPiece:
    if isinstance(item, list) and len(item) == 3 and all(type(number) is int for number in item):
        number, offset, length = item
        size = manifest.files[number].size if 0 <= number < len(manifest.files) else 0
        if offset >= 0 and length > 0 and offset + length <= size:
            return number, offset, length
    raise invalid(f"{item!r:.80} is not a piece of {manifest.name}: [file, offset, length]")
