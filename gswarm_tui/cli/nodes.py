"""`gswarm nodes`, `gswarm status` and `gswarm node status`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from gswarm_tui.cli import context, nodeview, options, output, show
from gswarm_tui.cli.context import Session
from gswarm_tui.errors import EXIT_UNREACHABLE, GswarmError
from gswarm_tui.models.results import Survey

node_app = options.group("Show one node.")


def nodes(
    ctx: typer.Context,
    patterns: options.Patterns = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show each GPU too.")] = False,
    json: options.Json = False,
) -> None:
    """Show nodes: state, helper, GPUs, free space."""

    async def work(session: Session) -> nodeview.Answers:
        nodeview.say_where_nodes_come_from(session)
        names = [spec.name for spec in session.inventory.select(patterns)]
        return await session.fleet.gather(names, "node.info")

    answers = context.run(ctx, work)
    if json:
        output.emit({"nodes": [nodeview.document(name, answers[name]) for name in answers]})
    else:
        nodeview.table(answers)
        if verbose:
            nodeview.details(answers)
    if any(isinstance(answer, GswarmError) for answer in answers.values()):
        raise typer.Exit(EXIT_UNREACHABLE)


def status(ctx: typer.Context, json: options.Json = False) -> None:
    """Show the fleet, its models and its services."""

    async def work(session: Session) -> tuple[nodeview.Answers, Survey]:
        nodeview.say_where_nodes_come_from(session)
        names = list(session.inventory.nodes)
        info, survey = await asyncio.gather(
            session.fleet.gather(names, "node.info"), session.models.survey()
        )
        return info, survey

    info, survey = context.run(ctx, work)
    if json:
        output.emit(
            {
                "nodes": [nodeview.document(name, info[name]) for name in info],
                "models": survey.models,
                "services": survey.services,
                "operations": survey.operations,
                "unreachable": survey.unreachable,
            }
        )
    else:
        nodeview.table(info)
        output.show()
        show.models(survey.models, verbose=False)
        if survey.services:
            output.show()
            show.services(survey.services)
        nodeview.show_operations(survey.operations)
    if survey.unreachable:
        raise typer.Exit(EXIT_UNREACHABLE)


@node_app.command("status")
def node_status(
    ctx: typer.Context,
    node: Annotated[str, typer.Argument(metavar="NODE", help="Its name or host.")],
    json: options.Json = False,
) -> None:
    """Show one node: the machine, its helper, models and services."""

    async def work(session: Session) -> tuple[str, Any, Survey]:
        name = session.inventory.node(node).name
        info = (await session.fleet.gather([name], "node.info"))[name]
        if isinstance(info, GswarmError):
            raise info
        return name, info, await session.models.survey([name])

    name, info, survey = context.run(ctx, work)
    here = [model for model in survey.models if model.copies or model.replicas or model.services]
    if json:
        output.emit(
            {
                **nodeview.document(name, info),
                "models": here,
                "services": survey.services,
                "operations": survey.operations,
            }
        )
        return
    nodeview.details({name: info})
    for model in here:
        output.show()
        show.model_status(model)
    nodeview.show_operations(survey.operations)
