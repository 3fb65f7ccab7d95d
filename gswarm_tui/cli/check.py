"""`gswarm run --check`: what a plan would do, compared with the fleet or (`--offline`) not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gswarm_tui import wording
from gswarm_tui.cli import output
from gswarm_tui.cli.context import Settings, open_session
from gswarm_tui.errors import EXIT_OK

if TYPE_CHECKING:
    from gswarm_tui.playbook import Plan, PlannedAction
    from gswarm_tui.playbook.check.compare import Compared, Comparison

HISTORY = 500
"""Tasks that ended, from which times are estimated."""


def show_check(
    plan: Plan, settings: Settings, *, as_json: bool, quiet: bool = False, offline: bool = False
) -> int:
    """Print what a plan would do, and do nothing.

    Args:
        quiet: print only what would fail, on stderr, as a run does.
        offline: no node and no source is asked.

    Returns:
        The exit code: 3 where a node did not answer, 1 where an action would fail, else 0.
    """
    if offline:
        if as_json or not quiet:
            _show_plan(plan, as_json=as_json)
        return EXIT_OK
    comparison = asyncio.run(_compare(plan, settings))
    if as_json:
        output.emit(plan.mask_json(_document(comparison)))
    elif not quiet:
        _show(comparison)
    elif comparison.exit_code:
        for line in _problems(comparison):
            output.say(line, prose=True)
        output.say(f"{plan.name}: {_verdict(comparison)}", prose=True)
    return comparison.exit_code


async def _compare(plan: Plan, settings: Settings) -> Comparison:
    from gswarm_tui.playbook.check.compare import compare
    from gswarm_tui.playbook.check.rates import Rates
    from gswarm_tui.state.database import Database
    from gswarm_tui.state.queue import Queue

    with Database(settings.home().database) as database:
        rates = Rates(Queue(database).history(HISTORY))
    async with open_session(settings) as session:
        return await compare(plan, session.models, rates)


def _show_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        document = {**_head(plan), "actions": [_action(planned) for planned in plan.actions]}
        output.emit(plan.mask_json(document))
        return
    _show_head(plan)
    output.table(
        ("action", "type", "what", "after"),
        [
            (planned.action_id, planned.action_type, plan.mask(planned.summary), planned.needs)
            for planned in plan.actions
        ],
    )
    output.flush()
    output.say("the playbook is right; nothing was done and no node asked (--offline)")


def _show(comparison: Comparison) -> None:
    plan = comparison.plan
    _show_head(plan)
    output.table(
        ("action", "type", "check", "to move", "time", "what", "because"),
        [_row(plan, task) for task in comparison.tasks],
        apart=("what", "because"),
    )
    _show_spaces(comparison)
    _show_outputs(comparison)
    if comparison.problems:
        output.show()
        for line in _problems(comparison):
            output.show(line, prose=True)
    output.flush()
    output.say(_verdict(comparison), prose=True)


def _problems(comparison: Comparison) -> list[str]:
    return [
        comparison.plan.mask(f"{planned.action_id} would fail: {why} ({planned.where})")
        for planned, why in comparison.problems
    ]


def _row(plan: Plan, task: Compared) -> tuple[Any, ...]:
    finding = task.finding
    size = finding.size if finding.moves else None
    return (
        task.planned.action_id,
        task.planned.action_type,
        finding.verdict,
        "not known" if finding.moves and size is None else output.size(size),
        _about(task.seconds),
        plan.mask(task.planned.summary),
        plan.mask("; ".join(finding.because)),
    )


def _show_spaces(comparison: Comparison) -> None:
    if not comparison.spaces:
        return
    output.show()
    output.table(
        ("space", "free", "after"),
        [
            (
                space.device,
                output.size(space.free),
                "not known" if space.after is None else output.size(space.after),
            )
            for space in comparison.spaces
        ],
    )


def _show_outputs(comparison: Comparison) -> None:
    if not comparison.outputs:
        return
    output.show()
    for late in comparison.outputs:
        output.show(f"{late.expression}: {late.type}, known after {late.after}", prose=True)


def _verdict(comparison: Comparison) -> str:
    verdicts = [task.finding.verdict for task in comparison.tasks]
    counted = [f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts)]
    parts = [f"nothing was done (--check): {', '.join(counted)}"]
    if comparison.seconds is not None:
        timed = [task for task in comparison.tasks if task.seconds is not None]
        moves = any(task.finding.moves for task in timed)
        parts.append(wording.estimate(comparison.seconds, moves=moves))
    parts += [
        f"{node} does not answer: {reason}" for node, reason in comparison.unreachable.items()
    ]
    return "; ".join(parts)


def _about(seconds: float | None) -> str:
    return output.NOTHING if seconds is None else f"about {output.duration(seconds)}"


def _show_head(plan: Plan) -> None:
    output.show(plan.name)
    if plan.description:
        output.show(plan.mask(plan.description), prose=True)


def _document(comparison: Comparison) -> dict[str, Any]:
    return {
        **_head(comparison.plan),
        "actions": [
            {
                **_action(task.planned),
                "check": task.finding.verdict,
                "because": list(task.finding.because),
                "problems": list(task.finding.problems),
                "moves": {str(device): size for device, size in task.finding.moves.items()},
                "reads": {str(device): size for device, size in task.finding.reads.items()},
                "seconds": task.seconds,
            }
            for task in comparison.tasks
        ],
        "space": [
            {"device": str(space.device), "free": space.free, "after": space.after}
            for space in comparison.spaces
        ],
        "outputs": list(map(_plain, comparison.outputs)),
        "seconds": comparison.seconds,
        "unreachable": dict(comparison.unreachable),
        "exit_code": comparison.exit_code,
    }


def _plain(late: Any) -> dict[str, str]:
    return {"expression": late.expression, "type": late.type, "after": late.after}


def _head(plan: Plan) -> dict[str, Any]:
    return {"name": plan.name, "description": plan.description, "file": plan.file}


def _action(planned: PlannedAction) -> dict[str, Any]:
    return {
        "action_id": planned.action_id,
        "action_type": planned.action_type,
        "summary": planned.summary,
        "needs": list(planned.needs),
        "where": planned.where,
    }
