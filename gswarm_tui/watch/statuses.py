"""From a node's answer to ``node.status`` to copies, services and transfers of a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from gswarm_remote.devices import gpu_index
from gswarm_remote.transfer import limits

from gswarm_tui.devices import DRAM
from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.models.addresses import endpoint_of, tunnel_to
from gswarm_tui.models.ground import NOT_AS_PUBLISHED, NodeStatus, shown_hash, status_from_wire
from gswarm_tui.watch import frames
from gswarm_tui.watch.frames import Wire, number, text, whole
from gswarm_tui.watch.snapshot import Copy, Service, Transfer

MOVING: Final = {
    "fetch": "downloading",
    "import": "importing",
    "receive": "receiving",
    "stage": "staging",
}
"""The operations of a helper that move bytes, and what they are called before they have a phase."""

_SERVING: Final = "serve"
"""The operation that loads a model and publishes it."""

_LOADING: Final = ("load", _SERVING)
"""The operations that start an engine."""

_STARTING: Final = "starting"

CONTROLLER: Final = "the controller"
"""Where an upload comes from, as the node sees it."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a node has and does beside its metrics.

    Args:
        types: of the models that it knows the type of, by their names.
        sources: where its copies come from, by the models' names.
        loaded: the models on each GPU, by its index.
    """

    copies: tuple[Copy, ...] = ()
    services: tuple[Service, ...] = ()
    starting: tuple[Service, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    loaded: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


NOTHING: Final = Holdings()


def holdings(spec: NodeSpec, answer: object, job_of: Callable[[str], int | None]) -> Holdings:
    """Read an answer; what in it is no copy, service or operation is left out.

    Args:
        job_of: the id of the job with a key, as tasks of nodes have it.
    """
    if not isinstance(answer, Mapping):
        return NOTHING
    status = status_from_wire(spec.name, answer)
    moving = [
        each
        for each in status.operations
        if text(each.get("kind")) in MOVING and text(each.get("model")) and text(each.get("tier"))
    ]
    under_way = {(each["model"], each["tier"]) for each in moving}
    copies = [_copy(spec.name, each, under_way) for each in status.copies if _is_copy(each)]
    known = {(copy.model, copy.device) for copy in copies}
    copies += [
        _arriving(spec.name, each)
        for each in moving
        if (each["model"], f"{spec.name}:{each['tier']}") not in known
    ]
    sources = {
        each["name"]: source
        for each in status.copies
        if _is_copy(each) and (source := text(each.get("source"))) is not None
    }
    return Holdings(
        copies=_with_replicas(spec.name, copies, status),
        services=tuple([_service(spec, each) for each in status.services if _is_service(each)]),
        starting=tuple(_starting(spec.name, status, job_of)),
        transfers=tuple([_transfer(spec.name, each, sources, job_of) for each in moving]),
        types=_types(status.copies),
        sources=sources,
        loaded=_loaded(status.replicas),
    )


def with_rates(service: Service, row: Wire | None) -> Service:
    """A service with what the metrics tell of it."""
    if row is None:
        return service
    requests = whole(row.get("requests"))
    return replace(
        service,
        requests=service.requests if requests is None else requests,
        requests_per_s=number(row.get("requests_per_s")),
        running=whole(row.get("running")),
        waiting=whole(row.get("waiting")),
        kv_cache_percent=number(row.get("kv_cache_percent")),
        prompt_tokens_per_s=number(row.get("prompt_tokens_per_s")),
        generation_tokens_per_s=number(row.get("generation_tokens_per_s")),
        time_to_first_token_s=number(row.get("time_to_first_token_s")),
    )


def moment(value: object) -> float | None:
    """Seconds since the epoch of such a number, or of a time in ISO 8601."""
    if isinstance(value, str):
        try:
            return frames.moment(datetime.fromisoformat(value).timestamp())
        except (ValueError, OverflowError, OSError):
            return None
    return frames.moment(value)


def _is_copy(each: Wire) -> bool:
    return all(isinstance(each.get(key), str) for key in ("name", "revision", "tier", "state"))


def _is_service(each: Wire) -> bool:
    return all(isinstance(each.get(key), str) for key in ("id", "model", "state"))


def _copy(node: str, each: Wire, under_way: set[tuple[Any, Any]]) -> Copy:
    state, bad = each["state"], each.get("damaged")
    begun = state == "partial"
    return Copy(
        model=each["name"],
        revision=each["revision"],
        device=f"{node}:{each['tier']}",
        state="in flight" if begun and (each["name"], each["tier"]) in under_way else state,
        size_bytes=whole(each.get("size")),
        done_bytes=whole(each.get("done")) if begun else None,
        hash=shown_hash(text(each.get("hash"))) or None,
        # What is published was verified file by file.
        verified=state == "ready" if state in ("ready", *NOT_AS_PUBLISHED) else None,
        waiting=text(each.get("waiting")),
        verified_at=moment(each.get("verified_at") or each.get("published_at")),
        bad_files=len(bad) if isinstance(bad, (list, tuple)) else 0,
    )


def _arriving(node: str, operation: Wire) -> Copy:
    """A copy of which nothing is on the node's disk yet."""
    return Copy(
        model=operation["model"],
        revision="",
        device=f"{node}:{operation['tier']}",
        state="in flight",
        size_bytes=whole(operation.get("total")),
        done_bytes=whole(operation.get("done")),
    )


def _with_replicas(node: str, copies: Sequence[Copy], status: NodeStatus) -> tuple[Copy, ...]:
    """The copies and those that engines hold; one whose files an engine reads in place is one."""
    files = {(copy.model, copy.revision, copy.device): copy for copy in copies}
    held: dict[tuple[str, str, str], Copy] = {}
    loads = _loads(status)
    for each in (*status.replicas, *_without_engine(loads, copies, status.replicas)):
        model, revision = text(each.get("model")), text(each.get("revision")) or ""
        state = text(each.get("state")) or ""
        load = loads.get((model, tuple(_places(each))), each) if state == _STARTING else {}
        phase, since = text(load.get("phase")), moment(load.get("started_at"))
        for place in _places(each) if model else ():
            key = (model or "", revision, f"{node}:{place}")
            if key in files:
                held_as = files[key].engine
                if held_as is None or _rank(state) < _rank(held_as):
                    files[key] = replace(files[key], engine=state, phase=phase, started_at=since)
            elif key not in held or _rank(state) < _rank(held[key].state):
                why = text(each.get("reason"))
                held[key] = Copy(*key, state, None, waiting=why, phase=phase, started_at=since)
    return (*files.values(), *held.values())


_Loads = Mapping[tuple[str | None, tuple[str, ...]], Wire]
"""Operations that start an engine, by the model and the places of each."""


def _loads(status: NodeStatus) -> _Loads:
    return {
        (model, tuple(tier.split(","))): each
        for each in status.operations
        if text(each.get("kind")) in _LOADING
        and (model := text(each.get("model")))
        and (tier := text(each.get("tier")))
    }


def _without_engine(
    loads: _Loads, copies: Sequence[Copy], replicas: Sequence[Wire]
) -> Iterator[Wire]:
    """As replicas that start: what is to be loaded, and whose engine is not there yet."""
    there = {
        (text(each.get("model")), tuple(_places(each)))
        for each in replicas
        if text(each.get("state")) in (_STARTING, "ready")
    }
    for model, places in loads:
        if (model, places) not in there:
            revisions = {copy.revision for copy in copies if copy.model == model}
            revision = revisions.pop() if len(revisions) == 1 else None
            yield {"model": model, "revision": revision, "devices": places, "state": _STARTING}


def _rank(state: str) -> int:
    """Of several engines on one device, which one is told of: the least."""
    return {"ready": 0, _STARTING: 1}.get(state, 2)


def _places(each: Wire) -> list[str]:
    places = each.get("devices")
    return [p for p in places if isinstance(p, str)] if isinstance(places, (list, tuple)) else []


def _loaded(replicas: Sequence[Wire]) -> dict[int, tuple[str, ...]]:
    found: dict[int, tuple[str, ...]] = {}
    for each in replicas:
        name = text(each.get("model"))
        for place in _places(each):
            index = gpu_index(place)
            if index is not None and name is not None:
                found[index] = tuple(dict.fromkeys((*found.get(index, ()), name)))
    return found


def _types(copies: Sequence[Wire]) -> dict[str, str]:
    found = {}
    for each in copies:
        metadata = each.get("metadata")
        kind = text(metadata.get("type")) if isinstance(metadata, Mapping) else None
        if kind is not None and isinstance(each.get("name"), str):
            found[each["name"]] = kind
    return found


def _service(spec: NodeSpec, each: Wire) -> Service:
    address, port = text(each.get("address")) or "", whole(each.get("port"))
    return Service(
        model=each["model"],
        node=spec.name,
        devices=tuple([f"{spec.name}:{place}" for place in _places(each)]),
        engine=text(each.get("engine")) or "",
        state=each["state"],
        address=address,
        port=port,
        url=None if port is None else endpoint_of(spec, address, port),
        service=each["id"],
        replica=text(each.get("replica")) or "",
        started_at=moment(each.get("started_at")),
        requests=whole(each.get("requests")),
        error=text(each.get("reason")),
        tunnel=None if port is None else tunnel_to(spec, address, port),
    )


def _starting(
    node: str, status: NodeStatus, job_of: Callable[[str], int | None]
) -> Iterator[Service]:
    """What is being loaded to be served; once it is published, it is a service."""
    published = {(s["model"], tuple(_places(s))) for s in status.services if _is_service(s)}
    loading = {(text(each.get("model")), tuple(_places(each))): each for each in status.replicas}
    for each in status.operations:
        model, tier = text(each.get("model")), text(each.get("tier"))
        if text(each.get("kind")) != _SERVING or model is None or tier is None:
            continue
        places = tuple(tier.split(","))
        replica = loading.get((model, places), {})
        if (model, places) not in published:
            yield Service(
                model=model,
                node=node,
                devices=tuple([f"{node}:{place}" for place in places]),
                engine=text(replica.get("engine")) or "",
                state=_STARTING,
                address="",
                port=None,
                url=None,
                service=f"{model} on {tier}",
                replica=text(replica.get("id")) or "",
                started_at=moment(each.get("started_at")),
                job=_job(each, job_of),
            )


def _job(operation: Wire, job_of: Callable[[str], int | None]) -> int | None:
    """The job that an operation is for."""
    tasks = operation.get("tasks")
    named = tasks if isinstance(tasks, (list, tuple)) else ()
    keys = [task.partition("/")[0] for task in named if isinstance(task, str)]
    return next((job for key in keys if (job := job_of(key)) is not None), None)


def _transfer(
    node: str, each: Wire, sources: Mapping[str, str], job_of: Callable[[str], int | None]
) -> Transfer:
    kind, model, source = each["kind"], each["model"], text(each.get("source"))
    if kind == "stage":
        source = f"{node}:{source or 'disk'}"
    elif kind == "receive":
        source = source or CONTROLLER
    return Transfer(
        model=model,
        source=source or sources.get(model, ""),
        target=f"{node}:{each['tier']}",
        phase=text(each.get("phase")) or MOVING[kind],
        done_bytes=whole(each.get("done")),
        total_bytes=whole(each.get("total")),
        rate_bytes_per_s=number(each.get("rate")),
        started_at=moment(each.get("started_at")),
        job=_job(each, job_of),
        limit=_limit(kind, each.get("limited_by"), node, source, each["tier"]),
    )


def _limit(kind: str, word: object, node: str, source: str | None, tier: str) -> str | None:
    """What a transfer waits for most, in a sentence's words; None where that is not clear."""
    match word:
        case limits.SOURCE if kind == "stage":
            return _medium(*str(source).split(":", 1))
        case limits.SOURCE if kind == "import":
            return f"reading what is imported on {node}"
        case limits.SOURCE:
            return "the source sends no faster"
        case limits.RELAY if source == CONTROLLER:
            return "the controller sends no faster"
        case limits.RELAY:
            return "the way through the controller"
        case limits.DISK:
            return _medium(node, tier)
        case limits.HASH:
            return f"checking the hashes on {node}"
        case _:
            return None


def _medium(node: str, tier: str) -> str:
    return f"the memory of {node}" if tier == DRAM else f"the disk of {node}"
