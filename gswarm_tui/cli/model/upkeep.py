"""`gswarm model verify, scan`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer

from gswarm_tui.cli import context, options, output, progress, show
from gswarm_tui.cli.context import Session
from gswarm_tui.cli.model import names
from gswarm_tui.devices import Device
from gswarm_tui.errors import EXIT_FAILED, GswarmError
from gswarm_tui.models.results import ModelView, ScanResult, VerifyResult
from gswarm_tui.models.verifying import WHOLE, repair


class How(StrEnum):
    """The ways to adopt a model."""

    AUTO = "auto"
    LINK = "link"
    IN_PLACE = "in_place"


def verify(
    ctx: typer.Context,
    name: options.Name,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device", metavar="DEVICE", help="disk, dram, node1:disk…; every copy by default."
        ),
    ] = None,
    node: options.Node = None,
    json: options.Json = False,
) -> None:
    """Check the bytes of copies against what was published.

    A copy with a bad file is damaged: nothing is loaded or copied from it until it is repaired.
    """

    async def work(session: Session) -> tuple[VerifyResult, ModelView | None]:
        places: list[Device] | None = None
        if device:
            places = options.devices(session.inventory, device, node)
            await names.check(session, name, names.nodes_of(places))
        elif node is None:
            await names.check(session, name)
        else:
            nodes = options.node_names(session.inventory, node)
            await names.check(session, name, nodes)
            model = await session.model_on(name, nodes)
            whole = [copy.device for copy in (model.copies if model else ()) if copy.state in WHOLE]
            places = [session.inventory.device(text) for text in dict.fromkeys(whole)]
            if not places:
                raise GswarmError(f"{name} has no whole copy on {', '.join(nodes)}")
        with progress.reporter(f"verify {name}", quiet=json) as report:
            result = await session.models.verify(name, places, progress=report)
        return result, None if result.ok else await session.models.view(name)

    result, damaged = context.run(ctx, work)
    if json:
        output.emit(result)
    else:
        several = len(result.copies) > len(result.devices)
        for copy in result.copies:
            revision = f" {copy.revision[:12]}" if several else ""
            output.show(f"{copy.device}{revision}: {copy.state}")
            for path, reason in copy.bad.items():
                output.show(f"  {path}: {reason}")
            if copy.shared_with:
                output.show(f"  the same files belong to {', '.join(copy.shared_with)}")
        if damaged is not None:
            for line in _repair(result, damaged):
                output.say(line)
    if not result.ok:
        raise typer.Exit(EXIT_FAILED)


def _repair(result: VerifyResult, model: ModelView) -> Iterator[str]:
    """What to type, line by line."""
    for device, commands in repair(result, model).items():
        yield f"  hint: to repair {device}:"
        for words in commands:
            yield f"    {shlex.join(['gswarm', *words])}"


def scan(
    ctx: typer.Context,
    nodes: Annotated[
        list[str] | None,
        typer.Argument(metavar="NODES", help="Nodes by patterns; all by default."),
    ] = None,
    node: options.Node = None,
    path: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="PATH", help="A folder on the nodes; may be repeated."),
    ] = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Hash the models found, and adopt them.")
    ] = False,
    how: Annotated[
        How, typer.Option("--how", help="By hard links, in place, or whichever is possible.")
    ] = How.AUTO,
    json: options.Json = False,
) -> None:
    """Find models on nodes.

    Models that have a manifest there and are not registered yet are registered.
    """

    async def work(session: Session) -> ScanResult:
        patterns = [*(nodes or ()), *([node] if node else ())]
        names = [spec.name for spec in session.inventory.select(patterns or None)]
        with progress.reporter("scan", quiet=json) as report:
            return await session.models.scan(
                names, path or None, adopt=adopt, how=how.value, progress=report
            )

    result = context.run(ctx, work)
    if json:
        output.emit(result)
    else:
        _show(result)
        if any(found.adoptable and not found.adopted for found in result.found):
            again = [*(nodes or ()), *(("--node", node) if node else ())]
            again += [word for folder in path or () for word in ("--path", folder)]
            line = shlex.join(["gswarm", "model", "scan", *again, "--adopt"])
            output.say(f"to take them in: {line}")
    show.finish(result.unreachable)


def _show(result: ScanResult) -> None:
    if result.found:
        columns = ("node", "model", "size", "files", "state", "path", "source")
        output.table(
            columns,
            [
                (
                    found.node,
                    found.name,
                    output.size(found.size),
                    found.files,
                    f"adopted as {found.adopted}"
                    if found.adopted
                    else "can be adopted"
                    if found.adoptable
                    else found.reason,
                    found.path,
                    found.source,
                )
                for found in result.found
            ],
            apart=("state", "path", "source"),
            key=2,
        )
    else:
        output.say("no models beside those that gswarm has")
    for name in result.registered:
        output.show(f"{name} is registered")
