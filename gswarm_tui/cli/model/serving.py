"""`gswarm model serve, stop, services, service-health`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from gswarm_tui.cli import context, options, output, progress, show
from gswarm_tui.cli.context import Session
from gswarm_tui.cli.model import names
from gswarm_tui.errors import EXIT_FAILED, GswarmError
from gswarm_tui.models.registration import unknown
from gswarm_tui.models.results import ServeResult, ServiceView, StopResult, Survey


def serve(
    ctx: typer.Context,
    name: options.Name,
    device: Annotated[
        list[str],
        typer.Option("--device", metavar="DEVICE", help="gpu0, node1:gpu0, or dram for the CPU."),
    ],
    node: options.Node = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="The port; a free one by default."),
    ] = None,
    address: Annotated[
        str,
        typer.Option(
            "--address", metavar="IP", help="The node's address; any but loopback needs a key."
        ),
    ] = "127.0.0.1",
    api_key_env: options.ApiKeyEnv = None,
    engine: options.Engine = None,
    config: options.Config = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="The time that loading may take.")
    ] = "10m",
    json: options.Json = False,
) -> None:
    """Publish a model at a port; load it first if necessary."""
    limit_s = options.limit(timeout)

    async def work(session: Session) -> ServeResult:
        places = options.devices(session.inventory, device, node)
        await names.check(session, name, names.nodes_of(places))
        with progress.reporter(f"serve {name}", quiet=json) as report:
            return await session.models.serve(
                name,
                places,
                engine=engine,
                port=port,
                address=address,
                api_key_env=api_key_env,
                config=options.config(config),
                timeout_s=limit_s,
                progress=report,
            )

    result = context.run(ctx, work)
    if json:
        output.emit(result)
    else:
        show.served(result)


def stop(
    ctx: typer.Context,
    name: options.Name,
    device: options.Devices = None,
    node: options.Node = None,
    json: options.Json = False,
) -> None:
    """Drain and close a model's services. What was moved to a GPU stays loaded."""

    async def work(session: Session) -> StopResult:
        if device:
            places = options.devices(session.inventory, device, node)
            await names.check(session, name, names.nodes_of(places))
            return await session.models.stop_serve(name, places)
        if node is None:
            await names.check(session, name)
            return await session.models.stop_serve(name)
        nodes = options.node_names(session.inventory, node)
        await names.check(session, name, nodes)
        model = await session.model_on(name, nodes)
        if model is None or not model.services:
            return StopResult(model=name, devices=[], stopped=0)
        written = [place for service in model.services for place in service.devices]
        places = [session.inventory.device(text) for text in dict.fromkeys(written)]
        return await session.models.stop_serve(name, places)

    result = context.run(ctx, work)
    if json:
        output.emit(result)
    elif result.stopped:
        output.show(f"{name} is not served any more on {', '.join(result.devices)}")
    else:
        output.show(f"{name} was not served")


def services(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only services of this model.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List running services."""
    survey = context.run(ctx, lambda session: session.models.survey())
    known = [model.name for model in survey.models]
    if name is not None and name not in known:
        raise unknown(name, known, survey.unreachable)
    found = _of(survey, name)
    if json:
        output.emit({"services": found, "unreachable": survey.unreachable})
    elif found:
        show.services(found)
    else:
        where = " on the nodes that answer" if survey.unreachable else ""
        output.say(f"no services{where}")
    show.finish(survey.unreachable)


def service_health(
    ctx: typer.Context,
    name: options.Name,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", metavar="TEXT", help="Also ask for a completion of this."),
    ] = None,
    api_key_env: options.ApiKeyEnv = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="The time that each answer may take.")
    ] = "30s",
    json: options.Json = False,
) -> None:
    """Ask every service of a model whether it answers."""
    limit_s = options.limit(timeout)

    async def check(session: Session, service: ServiceView) -> dict[str, Any]:
        row: dict[str, Any] = {"service": service.id, "node": service.node, "url": service.url}
        row |= {"ok": False, "status": None, "latency_ms": None, "completion": None, "error": None}
        try:
            health = await session.models.check_health(
                f"{service.url}/health",
                prompt=prompt,
                model=name,
                timeout_s=limit_s,
                api_key_env=api_key_env,
            )
        except GswarmError as error:
            return {**row, "error": error.message}
        return {
            **row,
            "ok": True,
            "status": health.status,
            "latency_ms": health.latency_ms,
            "completion": health.completion,
        }

    async def work(session: Session) -> tuple[list[dict[str, Any]], Survey]:
        survey = await session.models.survey()
        found = _of(survey, name)
        return await asyncio.gather(*(check(session, service) for service in found)), survey

    checks, survey = context.run(ctx, work)
    if json:
        output.emit({"model": name, "checks": checks, "unreachable": survey.unreachable})
    elif checks:
        columns = ("node", "url", "ok", "status", "ms", "said")
        output.table(
            columns,
            [
                (c["node"], c["url"], c["ok"], c["status"], c["latency_ms"], _said(c))
                for c in checks
            ],
            apart=("said",),
        )
    else:
        where = " on the nodes that answer" if survey.unreachable else ""
        output.say(f"{name} is not served{where}")
    show.finish(survey.unreachable)
    if not checks or not all(check["ok"] for check in checks):
        raise typer.Exit(EXIT_FAILED)


def _said(check: dict[str, Any]) -> str | None:
    said: str | None = check["error"] or check["completion"]
    return said


def _of(survey: Survey, name: str | None) -> list[ServiceView]:
    return [service for service in survey.services if name in (None, service.model)]
