"""`gswarm down`: stop idle helpers and drop what is staged; models on disk are never touched."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import typer

from gswarm_tui.cli import context, options, output
from gswarm_tui.cli.context import Session
from gswarm_tui.errors import EXIT_FAILED, EXIT_UNREACHABLE, GswarmError


@dataclass(frozen=True, slots=True)
class Stopped:
    """What became of one node's helper.

    Args:
        state: ``stopped``, ``busy`` (then `reasons` says why) or ``unreachable`` (`error`).
        dropped: models whose copies in dram are gone.
        hints: what to type first where it is busy.
    """

    node: str
    state: str
    dropped: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    error: str | None = None
    hints: list[str] = field(default_factory=list)


def down(ctx: typer.Context, patterns: options.Patterns = None, json: options.Json = False) -> None:
    """Stop idle helpers and drop staged copies."""

    async def work(session: Session) -> list[Stopped]:
        names = [spec.name for spec in session.inventory.select(patterns)]
        return await asyncio.gather(*(_stop(session, name) for name in names))

    results = context.run(ctx, work)
    if json:
        output.emit({"nodes": results})
    else:
        for result in results:
            output.show(f"{result.node}: {_sentence(result)}")
            for hint in result.hints:
                output.say(output.clean(f"  hint: {hint}"))
    states = {result.state for result in results}
    if "unreachable" in states:
        raise typer.Exit(EXIT_UNREACHABLE)
    if "busy" in states:
        raise typer.Exit(EXIT_FAILED)


async def _stop(session: Session, name: str) -> Stopped:
    node = session.fleet.node(name)
    try:
        status = await node.call("node.status", {})
        reasons = [
            f"{replica['engine']} with {replica['model']} on {', '.join(replica['devices'])}"
            for replica in status["replicas"]
            if replica["state"] not in ("failed", "stale")
        ]
        reasons += [
            f"{operation['kind']} of {operation['model'] or 'models'}"
            for operation in status["operations"]
        ]
        if reasons:
            return Stopped(name, "busy", reasons=reasons, hints=_hints(name, status))
        answer = await node.call("helper.exit", {"force": False, "drop_staged": True})
    except GswarmError as error:
        return Stopped(name, "unreachable", error=error.message)
    state = "stopped" if answer["exiting"] else "busy"
    return Stopped(name, state, list(answer["dropped"]), list(answer["reasons"]))


def _hints(node: str, status: Mapping[str, Any]) -> list[str]:
    """What ends each engine: its service's end, where it was loaded to be served, or its own."""
    hints = []
    published = {service["replica"] for service in status["services"]}
    for replica in status["replicas"]:
        if replica["state"] in ("failed", "stale"):
            continue
        if replica["id"] in published:
            hints.append(f"gswarm model stop {replica['model']} --node {node}")
        if replica["id"] not in published or replica["started_by"] != "serve":
            device = f"{node}:{replica['devices'][0]}"
            hints.append(f"gswarm model delete {replica['model']} --device {device}")
    return list(dict.fromkeys(hints))


def _sentence(result: Stopped) -> str:
    if result.state == "unreachable":
        return f"unreachable: {result.error}"
    if result.state == "busy":
        return f"stays, it is busy: {', '.join(result.reasons)}"
    dropped = f"; dropped from dram: {', '.join(result.dropped)}" if result.dropped else ""
    return f"stopped{dropped}"
