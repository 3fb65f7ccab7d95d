"""`gswarm model download, move, copy, delete`."""

from __future__ import annotations

from typing import Annotated

import typer

from gswarm_tui.cli import context, options, output, progress, show
from gswarm_tui.cli.context import Session
from gswarm_tui.cli.model import names
from gswarm_tui.devices import Device
from gswarm_tui.models.results import (
    CopyResult,
    DeleteResult,
    DownloadResult,
    ModelView,
    MoveResult,
)


def download(
    ctx: typer.Context,
    name: options.Name,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="SOURCE", help="hf://org/name, or 'huggingface' with --url."
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="A web address, as --source.")
    ] = None,
    model_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", help="llm, diffusion, vision, embedding…"),
    ] = None,
    description: Annotated[
        str | None, typer.Option("--desc", "--description", metavar="TEXT", help="A description.")
    ] = None,
    node: options.Node = None,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", metavar="DEVICE", help="disk (the default), dram, node1:disk…"),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include", metavar="PATTERN", help="Only files that match; may be repeated."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="PATTERN", help="No files that match; may be repeated."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Bring a model from its source to nodes.

    Without --source and --url, its registered source is used.
    """
    from gswarm_tui import sources

    reference = sources.from_options(source, url)

    async def work(session: Session) -> DownloadResult:
        targets = options.devices(session.inventory, device or ["disk"], node)
        with progress.reporter(f"download {name}", quiet=json) as report:
            return await session.models.download(
                name,
                reference,
                targets,
                type=model_type,
                description=description,
                include=tuple(include or ()),
                exclude=tuple(exclude or ()),
                progress=report,
            )

    result = context.run(ctx, work)
    if json:
        output.emit(result)
    else:
        show.placement(result, "downloaded")


def move(
    ctx: typer.Context,
    name: options.Name,
    source: Annotated[
        str, typer.Option("--from", metavar="DEVICE", help="disk, dram, gpu0, node1:disk…")
    ],
    to: options.Targets,
    node: options.Node = None,
    keep_source: Annotated[
        bool | None,
        typer.Option(
            "--keep-source/--no-keep-source",
            help="Keep or remove the source's copy; disk to memory keeps it by default.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if it is the last copy, or is served.")
    ] = False,
    engine: options.Engine = None,
    config: options.Config = None,
    json: options.Json = False,
) -> None:
    """Move a model to other devices. On a GPU, an engine loads it."""

    async def work(session: Session) -> tuple[Device, MoveResult]:
        origin = options.one_device(session.inventory, source, node)
        targets = options.devices(session.inventory, to, node)
        await names.check(session, name, names.nodes_of([origin]))
        with progress.reporter(f"move {name}", quiet=json) as report:
            return origin, await session.models.move(
                name,
                origin,
                targets,
                keep_source=keep_source,
                force=force,
                engine=engine,
                config=options.config(config),
                progress=report,
            )

    origin, result = context.run(ctx, work)
    if json:
        output.emit(result)
        return
    show.placement(result, "moved")
    output.show(f"{origin} {'keeps its copy' if result.source_kept else 'has it no more'}")


def copy(
    ctx: typer.Context,
    name: options.Name,
    source: Annotated[
        str, typer.Option("--from", metavar="DEVICE", help="disk, dram, node1:disk…")
    ],
    to: options.Targets,
    node: options.Node = None,
    json: options.Json = False,
) -> None:
    """Copy a model to other devices. The source stays."""

    async def work(session: Session) -> CopyResult:
        origin = options.one_device(session.inventory, source, node)
        targets = options.devices(session.inventory, to, node)
        await names.check(session, name, names.nodes_of([origin]))
        with progress.reporter(f"copy {name}", quiet=json) as report:
            return await session.models.copy(name, origin, targets, progress=report)

    result = context.run(ctx, work)
    if json:
        output.emit(result)
    else:
        show.placement(result, "copied")


def delete(
    ctx: typer.Context,
    name: options.Name,
    device: Annotated[
        list[str],
        typer.Option(
            "--device", metavar="DEVICE", help="disk, dram, gpu0, node1:disk…; may be repeated."
        ),
    ],
    node: options.Node = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even if an engine reads it, or it is served.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Remove a model from devices. On a GPU, its engine is ended."""

    async def work(session: Session) -> tuple[ModelView | None, DeleteResult]:
        places = options.devices(session.inventory, device, node)
        nodes = names.nodes_of(places)
        await names.check(session, name, nodes)
        found = (await session.models.survey(nodes)).models
        before = next((model for model in found if model.name == name), None)
        return before, await session.models.delete(name, places, force=force)

    before, result = context.run(ctx, work)
    if json:
        output.emit(result)
    else:
        show.deleted(result, before)
