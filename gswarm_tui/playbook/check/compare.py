"""A plan compared with the fleet: what each action would come to, if it ran now.

Nodes and sources are asked, and nothing is changed. What an earlier action of the plan would do
counts: a copy whose source an earlier download brings is not missing it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gswarm_tui.devices import DISK, DRAM, Device, parse
from gswarm_tui.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_UNREACHABLE,
    GswarmError,
    NodeError,
)
from gswarm_tui.playbook.check.expected import Expected
from gswarm_tui.playbook.check.finding import Finding, Unknowable, Verdict
from gswarm_tui.playbook.check.outputs import Output, late_outputs, late_references
from gswarm_tui.playbook.check.rates import Rates
from gswarm_tui.playbook.language.options import CONTINUE
from gswarm_tui.playbook.plan import Plan, PlannedAction

if TYPE_CHECKING:
    from gswarm_tui.models import Models


@dataclass(frozen=True, slots=True)
class Compared:
    """One action; ``seconds`` is an estimate from earlier tasks, None where there is none."""

    planned: PlannedAction
    finding: Finding
    seconds: float | None


@dataclass(frozen=True, slots=True)
class SpaceAfter:
    """Free bytes of a disk or memory, now and after; None where sizes are not known."""

    device: Device
    free: int
    after: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found, in the order of the plan.

    Args:
        seconds: of the longest chain of actions, as far as their times are known; None where no
            time is.
        outputs: what actions refer to and only the run brings.
        unreachable: node to reason, of those that something depends on.
    """

    plan: Plan
    tasks: tuple[Compared, ...]
    spaces: tuple[SpaceAfter, ...]
    outputs: tuple[Output, ...]
    seconds: float | None
    unreachable: Mapping[str, str]

    @property
    def problems(self) -> list[tuple[PlannedAction, str]]:
        """Why actions would fail."""
        return [(task.planned, why) for task in self.tasks for why in task.finding.problems]

    @property
    def exit_code(self) -> int:
        """3 where a node did not answer, 1 where an action would fail, else 0."""
        if self.unreachable:
            return EXIT_UNREACHABLE
        return EXIT_FAILED if self.problems else EXIT_OK


async def compare(plan: Plan, models: Models, rates: Rates | None = None) -> Comparison:
    """Go through a plan and change nothing.

    Args:
        rates: how fast things were; without them no time is estimated.
    """
    expected = Expected(models)
    await expected.look(_nodes(plan))
    rates = rates or Rates()
    found: dict[str, Finding] = {}
    blocked: dict[str, str] = {}
    goes_on = {other.action_id for other in plan.actions if other.options.on_failure == CONTINUE}
    for planned in plan.actions:
        reason = _blocked_by(planned, blocked, goes_on)
        finding = _skipped(planned, found) or await _find(planned, expected, reason)
        if finding.problems:
            blocked[planned.action_id] = f"`{planned.action_id}`, which would fail"
        elif reason is not None:
            blocked[planned.action_id] = f"`{planned.action_id}`"
        found[planned.action_id] = finding
    tasks = tuple(
        Compared(planned, finding, _seconds(planned, finding, rates))
        for planned, finding in zip(plan.actions, found.values(), strict=True)
    )
    return Comparison(
        plan=plan,
        tasks=tasks,
        spaces=tuple(_spaces(tasks, expected)),
        outputs=tuple(late_outputs(plan)),
        seconds=_longest(tasks),
        unreachable=expected.unreachable,
    )


def _skipped(planned: PlannedAction, found: Mapping[str, Finding]) -> Finding | None:
    """That an action is skipped: its condition is false, or a value of a skipped one is missing."""
    if planned.runs is False:
        return Finding(Verdict.SKIP, (f"when: {planned.options.when}",))
    for reference in late_references(planned):
        owner = found.get(reference.owner)
        if owner is not None and owner.verdict is Verdict.SKIP:
            return Finding(Verdict.SKIP, (f"`{reference.owner}` is skipped, which it refers to",))
    return None


async def _find(planned: PlannedAction, expected: Expected, reason: str | None) -> Finding:
    action = planned.action
    try:
        if reason is not None:
            raise Unknowable(f"it needs {reason}")
        if planned.runs is None:
            raise Unknowable(f"when: {planned.options.when}")
        finding = await action.compare(expected)
    except Unknowable as error:
        finding = Finding(Verdict.UNKNOWN, (str(error),))
    except NodeError as error:
        if error.where is not None:
            expected.unreachable[error.where] = error.message
        finding = Finding(Verdict.UNKNOWN, (str(error),))
    except GswarmError as error:
        finding = Finding(Verdict.UNKNOWN, (str(error),))
        if not error.passes:
            finding = Finding(Verdict.WOULD_FAIL, problems=(str(error),))
    if finding.problems or finding.verdict is Verdict.UNKNOWN:
        written = (use.key for use in action.uses() if use.exclusive)
        expected.doubt(written, f"it depends on `{planned.action_id}`")
    return finding


def _blocked_by(
    planned: PlannedAction, blocked: Mapping[str, str], goes_on: Set[str]
) -> str | None:
    """The action that keeps this one from running, in words.

    Args:
        goes_on: those whose failure only matters to what refers to their values.
    """
    reads = {reference.owner for reference in late_references(planned)}
    for needed in planned.needs:
        if needed in blocked and (needed not in goes_on or needed in reads):
            return blocked[needed]
    return None


def _nodes(plan: Plan) -> Iterator[str]:
    """The nodes whose disks, memory, GPUs or ports the plan uses."""
    for planned in plan.actions:
        if planned.runs is False:
            continue
        for use in planned.action.uses():
            match use.key:
                case ("copy" | "service", _, device):
                    yield str(parse(device).node)
                case ("port", node, _) | ("command", node):
                    yield node
                case _:
                    pass


def _seconds(planned: PlannedAction, finding: Finding, rates: Rates) -> float | None:
    sizes = finding.moves or finding.reads
    if finding.verdict is not Verdict.WOULD_DO or not sizes:
        return None
    return rates.seconds(planned.action_type, sizes)


def _longest(tasks: tuple[Compared, ...]) -> float | None:
    if all(task.seconds is None for task in tasks):
        return None
    ends: dict[str, float] = {}
    for task in tasks:
        begins = max((ends[needed] for needed in task.planned.needs), default=0.0)
        ends[task.planned.action_id] = begins + (task.seconds or 0.0)
    return max(ends.values())


def _spaces(tasks: tuple[Compared, ...], expected: Expected) -> Iterator[SpaceAfter]:
    moves: dict[Device, Any] = {}
    for task in tasks:
        for device, size in task.finding.moves.items():
            moves[device] = moves.get(device, True) and size is not None
    for name, node in expected.nodes():
        for tier in (DISK, DRAM):
            device = Device(name, tier)
            room, before = node.rooms.get(tier), node.look.spaces.get(tier)
            if room is None or before is None or (device not in moves and room.free == before.free):
                continue
            known = moves.get(device, True)
            yield SpaceAfter(device, before.free, room.free if known else None)
