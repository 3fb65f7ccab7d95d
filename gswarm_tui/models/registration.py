"""Names and sources: register, and forget again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gswarm_tui.devices import Device, parse
from gswarm_tui.errors import GswarmError, SourceNameError
from gswarm_tui.models.ground import Ground, model_name
from gswarm_tui.models.results import UnregisterResult
from gswarm_tui.nearest import did_you_mean

if TYPE_CHECKING:
    from gswarm_tui.models.ground import NodeStatus
    from gswarm_tui.state.models import RegisteredModel


async def register(
    ground: Ground,
    name: str,
    *,
    source: str | None,
    model_type: str | None,
    description: str | None,
    tags: Sequence[str],
    requirements: Mapping[str, Any] | None,
) -> RegisteredModel:
    """See `gswarm_tui.models.Models.register`."""
    from gswarm_tui import sources

    model_name(name)
    reference = None if source is None else sources.parse(source).reference
    before = ground.registry.get(name)
    after = ground.registry.put(
        name,
        source=reference,
        type=model_type,
        description=description,
        tags=tuple(tags) or None,
        requirements=requirements,
    )
    if before is not None and metadata(before) != metadata(after):
        await _describe(ground, after)
    return after


def metadata(model: RegisteredModel) -> dict[str, Any]:
    """What the manifests on nodes keep of a registered model, so that a scan brings it back."""
    return {
        "type": model.type,
        "description": model.description,
        "tags": list(model.tags),
        "requirements": dict(model.requirements),
        "created_at": model.created_at,
        "updated_at": model.updated_at,
    }


def source_of(ground: Ground, name: str) -> str:
    """The registered source of a model.

    Raises:
        SourceNameError: it has none, or the name is not registered.
    """
    model = ground.registry.get(name)
    if model is not None and model.source is not None:
        return model.source
    how = f"give a source (hf://org/name), or: gswarm model register {name} --source hf://org/name"
    if model is not None:
        raise SourceNameError(f"{name} is registered without a source", hint=how)
    known = [other.name for other in ground.registry.list()]
    raise SourceNameError(f"{name} is not registered{did_you_mean(name, known)}", hint=how)


def unknown(name: str, known: Iterable[str], unasked: Iterable[str] = ()) -> SourceNameError:
    """The error for a name that neither the registry nor a node that answers knows.

    Args:
        known: the names that there are.
        unasked: nodes that did not answer; the model may be there.
    """
    silent = ", ".join(sorted(unasked))
    return SourceNameError(
        f"no model is called {name}{did_you_mean(name, list(known))}",
        hint="see: gswarm model list" + (f"; {silent} did not answer" if silent else ""),
    )


def names(ground: Ground, statuses: Iterable[NodeStatus]) -> set[str]:
    """Every model that the registry or one of `statuses` knows."""
    found = {model.name for model in ground.registry.list()}
    for status in statuses:
        found.update(copy["name"] for copy in status.copies)
        found.update(item["model"] for item in (*status.replicas, *status.services))
    return found


async def unregister(ground: Ground, name: str, *, force: bool) -> UnregisterResult:
    """See `gswarm_tui.models.Models.unregister`."""
    from gswarm_tui.models.removal import delete

    model_name(name)
    known, failed = await ground.statuses()
    devices = [device for status in known.values() for device in _devices(status, name)]
    services = sum(len(status.services_of(name)) for status in known.values())
    registered = ground.registry.get(name) is not None
    if not registered and not devices:
        raise unknown(name, names(ground, known.values()), failed)
    if not force:
        _refuse(name, devices, services, failed)
    freed = (await delete(ground, name, devices, force=True)).freed if devices else 0
    ground.registry.remove(name)
    return UnregisterResult(
        model=name,
        stopped=services,
        deleted=[str(device) for device in devices],
        freed=freed,
        left={node: error.message for node, error in failed.items()},
    )


def _refuse(
    name: str, devices: Sequence[Device], services: int, failed: Mapping[str, GswarmError]
) -> None:
    hint = f"to stop and delete it everywhere: gswarm model unregister {name} --force"
    if devices:
        places = ", ".join(map(str, devices))
        served = f" and {services} of its services run" if services else ""
        raise GswarmError(f"{name} is on {places}{served}", hint=hint)
    if failed:
        nodes = ", ".join(sorted(failed))
        raise GswarmError(
            f"whether {name} has copies on {nodes} cannot be known: no answer from there", hint=hint
        )


def _devices(status: NodeStatus, name: str) -> list[Device]:
    """Every device of a node that holds something of the model: engines first, files after."""
    running = [*status.replicas_of(name), *status.services_of(name)]
    places = [place for item in running for place in item["devices"]]
    places += [copy["tier"] for copy in status.copies_of(name)]
    return [parse(place, node=status.node) for place in dict.fromkeys(places)]


async def _describe(ground: Ground, model: RegisteredModel) -> None:
    """Bring the manifests on nodes up to date, as far as nodes have any and answer."""
    known, _ = await ground.statuses()
    for node, status in known.items():
        if status.copies_of(model.name):
            await ground.call(
                node, "model.describe", {"name": model.name, "metadata": metadata(model)}
            )
