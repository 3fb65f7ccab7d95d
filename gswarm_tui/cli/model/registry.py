"""`gswarm model register, list, info, status, unregister`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gswarm_tui.cli import context, options, output, show
from gswarm_tui.cli.context import Session
from gswarm_tui.errors import EXIT_UNREACHABLE

if TYPE_CHECKING:
    from gswarm_tui.inventory import Inventory
    from gswarm_tui.models.results import ModelView, Survey

_TIER = re.compile(r"disk|dram|gpu\d*")


def register(
    ctx: typer.Context,
    name: options.Name,
    model_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="llm, diffusion, vision, embedding…"),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="SOURCE", help="hf://org/name, https://…, file:///…, local:…"
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="A web address, as --source.")
    ] = None,
    description: Annotated[
        str | None, typer.Option("--desc", "--description", metavar="TEXT", help="A description.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; may be repeated.")
    ] = None,
    min_memory: Annotated[
        str | None,
        typer.Option("--min-memory", metavar="SIZE", help="The memory that it needs: 16GB."),
    ] = None,
    min_vram: Annotated[
        str | None,
        typer.Option("--min-vram", metavar="SIZE", help="The GPU memory that it needs: 8GB."),
    ] = None,
    gpu_arch: Annotated[
        list[str] | None,
        typer.Option("--gpu-arch", metavar="NAME", help="A GPU that it runs on; may be repeated."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Register a model's name and source, or change them."""
    from gswarm_tui import sources

    reference = sources.from_options(source, url)
    requirements = _requirements(min_memory, min_vram, gpu_arch)

    async def work(session: Session) -> Any:
        return await session.models.register(
            name,
            source=reference,
            type=model_type,
            description=description,
            tags=tuple(tags or ()),
            requirements=requirements,
        )

    model = context.run(ctx, work)
    if json:
        output.emit(model)
    else:
        source = "without a source" if model.source is None else f"from {model.source}"
        output.show(f"{model.name} is registered, {source}")


def list_models(
    ctx: typer.Context,
    location: Annotated[
        str | None,
        typer.Option(
            "--location", metavar="PLACE", help="A device, a node, or a tier such as dram."
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every copy.")] = False,
    json: options.Json = False,
) -> None:
    """List models, registered ones and those that nodes have."""

    async def work(session: Session) -> Survey:
        wanted = _location(session.inventory, location)
        survey = await session.models.survey()
        return replace(survey, models=[model for model in survey.models if wanted(model)])

    survey = context.run(ctx, work)
    if json:
        output.emit(
            {
                "models": survey.models,
                "total_count": len(survey.models),
                "unreachable": survey.unreachable,
            }
        )
    else:
        show.models(survey.models, verbose=verbose)
    show.finish(survey.unreachable)


def info(ctx: typer.Context, name: options.Name, json: options.Json = False) -> None:
    """Show everything that is known about a model."""
    found = context.run(ctx, lambda session: session.models.view(name))
    if json:
        output.emit(found)
    else:
        show.model(found)
    show.finish(found.unreachable)


def status(
    ctx: typer.Context,
    name: options.Name,
    node: options.Node = None,
    json: options.Json = False,
) -> None:
    """Show where a model is and what is being done with it."""

    async def work(session: Session) -> ModelView:
        nodes = None if node is None else options.node_names(session.inventory, node)
        return await session.models.view(name, nodes)

    found = context.run(ctx, work)
    if json:
        output.emit(found)
    else:
        show.model_status(found)
    show.finish(found.unreachable)


def unregister(
    ctx: typer.Context,
    name: options.Name,
    force: Annotated[
        bool, typer.Option("--force", help="Stop and delete it everywhere first.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Forget a model. Refused while copies or services exist."""
    result = context.run(ctx, lambda session: session.models.unregister(name, force=force))
    if json:
        output.emit(result)
    else:
        if result.stopped:
            output.show(f"stopped {output.number_of(result.stopped, 'service')}")
        for device in result.deleted:
            output.show(f"deleted from {device}")
        output.show(f"{name} is not registered any more")
        for node, reason in result.left.items():
            output.say(f"left on {node}, if it is there: {output.clean(reason)}")
    if result.left:
        raise typer.Exit(EXIT_UNREACHABLE)


def _location(inventory: Inventory, text: str | None) -> Callable[[ModelView], bool]:
    """Whether a model is at a place: a device, a tier of any node, or nodes by a pattern.

    Raises:
        DeviceError: it is none of them.
    """
    if text is None:
        return lambda model: True
    if _TIER.fullmatch(text):
        return lambda model: any(place.split(":")[-1].startswith(text) for place in _places(model))
    if _TIER.fullmatch(text.rpartition(":")[2]):
        device = str(inventory.device(text))
        return lambda model: device in _places(model)
    nodes = {node.name for node in inventory.select(text)}
    return lambda model: any(place.rpartition(":")[0] in nodes for place in _places(model))


def _places(model: ModelView) -> list[str]:
    return [*model.locations, *(copy.device for copy in model.copies)]


def _requirements(
    min_memory: str | None, min_vram: str | None, gpu_arch: list[str] | None
) -> dict[str, Any] | None:
    from gswarm_tui.errors import UsageError
    from gswarm_tui.sizes import parse_size

    given: dict[str, Any] = {}
    for key, text in (("min_memory", min_memory), ("min_vram", min_vram)):
        if text is not None:
            try:
                given[key] = parse_size(text)
            except ValueError as error:
                raise UsageError(f"--{key.replace('_', '-')}: {error}") from None
    if gpu_arch:
        given["gpu_arch"] = list(gpu_arch)
    return given or None
