"""`gswarm health`: is there anything that somebody should look at?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from gswarm_tui.cli import context, nodeview, options, output
from gswarm_tui.cli.context import Session
from gswarm_tui.errors import EXIT_FAILED, EXIT_UNREACHABLE, GswarmError
from gswarm_tui.models.ground import NOT_AS_PUBLISHED
from gswarm_tui.models.results import ModelView, ServiceView

if TYPE_CHECKING:
    from gswarm_tui.inventory.nodespec import NodeSpec

LOW_SPACE = 0.02
"""The part of a disk below which it is nearly full."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `detail` says what is wrong, or what is there."""

    node: str
    check: str
    ok: bool
    detail: str | None


def health(
    ctx: typer.Context, patterns: options.Patterns = None, json: options.Json = False
) -> None:
    """Check nodes, engines and services."""

    async def work(session: Session) -> tuple[list[Check], bool]:
        nodeview.say_where_nodes_come_from(session)
        return await _look(session, patterns)

    checks, reached = context.run(ctx, work)
    ok = all(check.ok for check in checks)
    if json:
        output.emit({"ok": ok, "checks": checks})
    else:
        output.table(
            ("node", "check", "ok", "detail"),
            [(c.node, c.check, c.ok, c.detail) for c in checks],
            apart=("detail",),
            key=2,
        )
    if not reached:
        raise typer.Exit(EXIT_UNREACHABLE)
    if not ok:
        raise typer.Exit(EXIT_FAILED)


async def _look(session: Session, patterns: list[str] | None) -> tuple[list[Check], bool]:
    """Every check, node by node; and whether every node was reached."""
    specs = session.inventory.select(patterns)
    names = [spec.name for spec in specs]
    info, survey = await asyncio.gather(
        session.fleet.gather(names, "node.info"), session.models.survey(names)
    )
    checks: list[Check] = []
    for spec in specs:
        answer = info[spec.name]
        if isinstance(answer, GswarmError):
            checks.append(Check(spec.name, "answers", False, answer.message))
        else:
            checks += _node_checks(spec, answer)
    for model in survey.models:
        checks += _damaged(model)
        for engine in model.replicas:
            fine = engine.state in ("ready", "starting")
            why = f"{engine.state}: {engine.reason}; its log is {engine.log}"
            detail = engine.state if fine else why
            checks.append(Check(engine.node, f"engine of {model.name}", fine, detail))
    checks += await asyncio.gather(*(_service_check(session, s) for s in survey.services))
    order = {name: index for index, name in enumerate(names)}
    reached = not any(isinstance(answer, GswarmError) for answer in info.values())
    return sorted(checks, key=lambda check: order[check.node]), reached


def _damaged(model: ModelView) -> Iterator[Check]:
    """The copies with files that are not what was published."""
    for copy in model.copies:
        if copy.state in NOT_AS_PUBLISHED:
            files = f": {', '.join(copy.damaged)}" if copy.damaged else ""
            how = f"see: gswarm model verify {model.name} --device {copy.device}"
            what = f"files of {model.name}"
            yield Check(copy.node, what, False, f"{copy.device} is {copy.state}{files}; {how}")


def _node_checks(spec: NodeSpec, answer: Mapping[str, Any]) -> Iterator[Check]:
    yield Check(spec.name, "answers", True, f"helper {answer['helper']['pid']}")
    yield _gpu_check(spec, answer)
    disk = answer["disk"]
    if disk is not None and disk["total"]:
        free = f"{output.size(disk['free'])} of {output.size(disk['total'])} are free"
        yield Check(spec.name, "disk", disk["free"] / disk["total"] >= LOW_SPACE, free)


def _gpu_check(spec: NodeSpec, answer: Mapping[str, Any]) -> Check:
    """GPUs can be read, each of them, and those that the inventory expects are there."""
    found = answer["gpus"]
    if found is None:
        return Check(spec.name, "GPUs", False, answer["gpus_error"])
    there = {gpu["index"] for gpu in found}
    missing = [f"gpu{index}" for index in spec.capabilities.gpus or () if index not in there]
    lost = [f"gpu{gpu['index']}" for gpu in found if gpu.get("lost")]
    wrong = [f"{', '.join(lost)} {'is' if len(lost) == 1 else 'are'} lost"] if lost else []
    if missing:
        wrong.append(f"the inventory has {', '.join(missing)} too")
    if wrong:
        return Check(spec.name, "GPUs", False, "; ".join(wrong))
    return Check(spec.name, "GPUs", True, f"{len(found) or 'none'} found")


async def _service_check(session: Session, service: ServiceView) -> Check:
    what = f"service of {service.model}"
    if service.state != "ready":
        why = f"{service.url} is {service.state}: {service.reason}"
        return Check(service.node, what, False, why)
    try:
        answer = await session.models.check_health(f"{service.url}/health", timeout_s=10)
    except GswarmError as error:
        return Check(service.node, what, False, str(error))
    return Check(service.node, what, True, f"{service.url}, {answer.latency_ms:.0f} ms")
