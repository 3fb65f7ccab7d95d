"""Models as they are now: what the registry says, merged with what every node says of itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gswarm_tui import times
from gswarm_tui.models.addresses import endpoint_of, node_url, tunnel_to
from gswarm_tui.models.ground import (
    NOT_AS_PUBLISHED,
    Ground,
    NodeStatus,
    Wire,
    model_name,
    shown_hash,
)
from gswarm_tui.models.registration import names, unknown
from gswarm_tui.models.results import CopyView, ModelView, ReplicaView, ServiceView, Survey

if TYPE_CHECKING:
    from gswarm_tui.state.models import RegisteredModel


_DOING = {
    "fetch": "downloading",
    "import": "downloading",
    "receive": "downloading",
    "load": "loading",
    "serve": "loading",
    "stage": "moving",
}
"""The operations of a helper that are a model's status."""


async def survey(ground: Ground, nodes: Iterable[str] | None = None) -> Survey:
    """See `gswarm_tui.models.Models.survey`."""
    known, failed = await ground.statuses(nodes)
    registered = {model.name: model for model in ground.registry.list()}
    unreachable = {node: error.message for node, error in failed.items()}
    models = [
        make_view(ground, name, registered.get(name), known, unreachable)
        for name in sorted(names(ground, known.values()))
    ]
    operations = [
        {"node": node, **item} for node, status in known.items() for item in status.operations
    ]
    return Survey(models, operations, unreachable)


async def view(ground: Ground, name: str, nodes: Iterable[str] | None = None) -> ModelView:
    """See `gswarm_tui.models.Models.view`."""
    model_name(name)
    known, failed = await ground.statuses(nodes)
    unreachable = {node: error.message for node, error in failed.items()}
    made = make_view(ground, name, ground.registry.get(name), known, unreachable)
    if not made.registered and not (made.copies or made.replicas or made.services):
        raise unknown(name, names(ground, known.values()), failed)
    return made


def make_view(
    ground: Ground,
    name: str,
    registered: RegisteredModel | None,
    known: Mapping[str, NodeStatus],
    unreachable: Mapping[str, str],
) -> ModelView:
    statuses = list(known.values())
    copies = [_copy(s.node, copy) for s in statuses for copy in s.copies_of(name)]
    replicas = [_replica(s.node, item) for s in statuses for item in s.replicas_of(name)]
    services = [
        service_view(ground, s.node, item) for s in statuses for item in s.services_of(name)
    ]
    whole = [copy for copy in copies if copy.state == "ready"]
    newest = max(whole, key=lambda copy: copy.published_at or "", default=None)
    described = newest.metadata if newest is not None else {}
    places = [copy.device for copy in whole]
    places += [device for item in replicas if item.state == "ready" for device in item.devices]
    return ModelView(
        name=name,
        registered=registered is not None,
        type=registered.type if registered else described.get("type"),
        source=registered.source if registered else (newest.source if newest else None),
        description=registered.description if registered else described.get("description"),
        tags=list(registered.tags if registered else described.get("tags") or ()),
        requirements=dict(
            registered.requirements if registered else described.get("requirements") or {}
        ),
        created_at=registered.created_at if registered else described.get("created_at"),
        updated_at=registered.updated_at if registered else described.get("updated_at"),
        status=_status(name, statuses, copies, replicas, services)
        or ("unknown" if unreachable else "registered"),
        size=newest.size if newest else None,
        hash=newest.hash if newest else None,
        locations=list(dict.fromkeys(places)),
        copies=copies,
        replicas=replicas,
        services=services,
        unreachable=dict(unreachable),
    )


def _status(
    name: str,
    statuses: Iterable[NodeStatus],
    copies: list[CopyView],
    replicas: list[ReplicaView],
    services: list[ServiceView],
) -> str | None:
    """What the nodes that answer make of a model; None where they have nothing of it."""
    kinds = {item["kind"] for s in statuses for item in s.operations if item.get("model") == name}
    if any(service.state == "ready" for service in services):
        return "serving"
    for kind, word in _DOING.items():
        if kind in kinds:
            return word
    if any(replica.state == "ready" for replica in replicas):
        return "loaded"
    if any(copy.state == "ready" for copy in copies):
        return "available"
    if any(copy.state in NOT_AS_PUBLISHED for copy in copies):
        return "damaged"
    return "partial" if copies else None


def _copy(node: str, copy: Wire) -> CopyView:
    return CopyView(
        device=f"{node}:{copy['tier']}",
        node=node,
        revision=copy["revision"],
        state=copy["state"],
        size=copy["size"],
        hash=shown_hash(copy.get("hash")) or None,
        path=copy.get("path"),
        files=copy.get("files") or 0,
        done=copy.get("done"),
        source=copy.get("source"),
        published_at=_moment(copy.get("published_at")),
        last_accessed=_moment(copy.get("last_accessed")),
        metadata=dict(copy.get("metadata") or {}),
        external=bool(copy.get("external")),
        waiting=copy.get("waiting"),
        verified_at=_moment(copy.get("verified_at")),
        damaged=[str(path) for path in copy.get("damaged") or ()],
    )


def _replica(node: str, replica: Wire) -> ReplicaView:
    return ReplicaView(
        id=replica["id"],
        node=node,
        devices=[f"{node}:{place}" for place in replica["devices"]],
        revision=replica["revision"],
        engine=replica["engine"],
        state=replica["state"],
        reason=replica.get("reason"),
        pid=replica.get("pid"),
        started_at=_moment(replica.get("started_at")),
        started_by=replica.get("started_by"),
        log=replica.get("log"),
    )


def _moment(value: object) -> str | None:
    """A time that a node sent, as times are written here; as it is where it makes no sense."""
    if isinstance(value, int | float | str):
        with contextlib.suppress(ValueError, OverflowError, OSError):
            return times.text(value)
    return None if value is None else str(value)


def service_view(ground: Ground, node: str, service: Wire) -> ServiceView:
    """A service, with the URLs at which it answers."""
    spec, port, address = ground.spec(node), service["port"], service["address"]
    return ServiceView(
        id=service["id"],
        model=service["model"],
        node=node,
        devices=[f"{node}:{place}" for place in service["devices"]],
        engine=service["engine"],
        state=service["state"],
        reason=service.get("reason"),
        url=node_url(node, port),
        endpoint=endpoint_of(spec, address, port),
        tunnel=tunnel_to(spec, address, port),
        address=address,
        port=port,
        guarded=bool(service.get("guarded")),
        requests=service.get("requests") or 0,
        pid=service.get("pid"),
        started_at=_moment(service.get("started_at")),
    )
