"""Models, copies and services as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from gswarm_tui.cli import output
from gswarm_tui.errors import EXIT_UNREACHABLE

if TYPE_CHECKING:
    from gswarm_tui.models.results import (
        CopyView,
        DeleteResult,
        ModelView,
        PlacementResult,
        ReplicaView,
        ServeResult,
        ServiceView,
    )


def finish(unreachable: Mapping[str, str]) -> None:
    """Name the nodes that did not answer; with any, the exit code is 3: not all was seen.

    Raises:
        typer.Exit: there are some.
    """
    for node, reason in unreachable.items():
        output.say(f"{node}: {output.clean(reason)}")
    if unreachable:
        raise typer.Exit(EXIT_UNREACHABLE)


def placement(result: PlacementResult, verb: str) -> None:
    """Where a model is now; `verb` is what was done, ``downloaded``."""
    places = ", ".join(result.devices)
    if result.already:
        output.show(f"{result.model} was on {places} already ({output.size(result.size)})")
        return
    output.show(
        f"{result.model} is on {places}: {verb} {output.size(result.size)}"
        f" in {output.duration(result.seconds)}"
    )


def deleted(result: DeleteResult, before: ModelView | None) -> None:
    """What went from where; files that another model has too stay for it, and free nothing.

    Args:
        before: what the nodes had of it, None for nothing.
    """
    there: set[str] = set()
    if before is not None:
        there.update(copy.device for copy in before.copies)
        there.update(device for engine in before.replicas for device in engine.devices)
    gone = [device for device in result.devices if device in there]
    absent = [device for device in result.devices if device not in there]
    if gone:
        copies = before.copies if before is not None else []
        held = [copy for copy in copies if copy.device in gone]
        size = sum(copy.size for copy in held if copy.state == "ready" and not copy.external)
        freed = f", {output.size(result.freed)} freed" if held else ""
        shared = "; files that others share stay" if result.freed < size else ""
        output.show(f"deleted {result.model} from {', '.join(gone)}{freed}{shared}")
    if absent:
        output.show(f"{result.model} was not on {', '.join(absent)}")


def served(result: ServeResult) -> None:
    """The URL that answers from here, or the tunnel that makes one."""
    before = " already" if result.already else ""
    output.show(f"{result.model} is{before} served on {', '.join(result.devices)}: {result.engine}")
    if result.endpoint is not None:
        output.show(result.endpoint)
    if result.tunnel is not None:
        output.show(f"it listens on {result.node} only; from here:")
        output.show(f"  {result.tunnel}")
        output.show(f"  http://127.0.0.1:{result.port}")


def models(found: Sequence[ModelView], *, verbose: bool) -> None:
    if not found:
        output.say("no models; register one: gswarm model register NAME --source hf://org/name")
        return
    output.table(
        ("name", "type", "status", "size", "locations", "source"),
        [
            (
                model.name,
                model.type,
                model.status,
                output.size(model.size),
                model.locations,
                model.source if model.registered else f"{output.cell(model.source)} (a node's)",
            )
            for model in found
        ],
        apart=("source",),
    )
    everything = [(model.name, copy) for model in found for copy in model.copies]
    if verbose and everything:
        output.show()
        copies(everything)


def _state(copy: CopyView) -> str:
    if copy.damaged:
        return f"{copy.state}: {', '.join(copy.damaged)}"
    if copy.state != "partial":
        return copy.state
    waiting = f", waiting for {copy.waiting}" if copy.waiting else ""
    return f"partial, {output.size(copy.done)}{waiting}"


def copies(found: Sequence[tuple[str, CopyView]]) -> None:
    output.table(
        (
            "model",
            "device",
            "revision",
            "state",
            "size",
            "files",
            "published",
            "verified",
            "last used",
            "path",
        ),
        [
            (
                name,
                copy.device,
                copy.revision[:12],
                _state(copy),
                output.size(copy.size),
                copy.files,
                output.moment(copy.published_at),
                output.moment(copy.verified_at),
                output.moment(copy.last_accessed),
                f"{copy.path} (in place)" if copy.external else copy.path,
            )
            for name, copy in found
        ],
        apart=("path",),
        key=2,
    )


def replicas(found: Sequence[tuple[str, ReplicaView]]) -> None:
    output.table(
        ("model", "devices", "engine", "state", "pid", "since", "log"),
        [
            (
                name,
                item.devices,
                item.engine,
                item.state,
                item.pid,
                output.moment(item.started_at),
                item.log,
            )
            for name, item in found
        ],
        apart=("log",),
        key=2,
    )


def services(found: Sequence[ServiceView]) -> None:
    output.table(
        ("model", "devices", "state", "url", "from here", "key", "requests", "since"),
        [
            (
                item.model,
                item.devices,
                item.state,
                item.url,
                item.endpoint or item.tunnel,
                "needed" if item.guarded else None,
                item.requests,
                output.moment(item.started_at),
            )
            for item in found
        ],
        apart=("from here",),
        whole=True,
        key=2,
    )


def model(found: ModelView) -> None:
    """All that is known of one model."""
    output.fields(
        [
            ("name", found.name),
            ("registered", found.registered),
            ("type", found.type),
            ("description", found.description),
            ("tags", found.tags),
            ("source", found.source),
            ("status", found.status),
            ("size", output.size(found.size)),
            ("hash", found.hash),
            ("locations", found.locations),
            *((f"needs {key}", _needed(key, value)) for key, value in found.requirements.items()),
            ("created", output.moment(found.created_at)),
            ("updated", output.moment(found.updated_at)),
        ]
    )
    places(found)


def model_status(found: ModelView) -> None:
    """Where it is and what runs, in short."""
    output.show(f"{found.name}: {found.status}")
    places(found)


def places(found: ModelView) -> None:
    if found.copies:
        output.show()
        copies([(found.name, copy) for copy in found.copies])
    if found.replicas:
        output.show()
        replicas([(found.name, item) for item in found.replicas])
    if found.services:
        output.show()
        services(found.services)


def _needed(key: str, value: object) -> object:
    return output.size(value) if key.startswith("min_") and isinstance(value, int) else value
