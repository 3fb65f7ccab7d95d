"""What a plan needs of its nodes' hardware, asked for before anything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gswarm_tui.errors import PlaybookError

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.plan import Plan


async def check_gpus(plan: Plan, models: Models) -> None:
    """Ask the nodes whether the GPUs are there that the plan loads models on.

    A node that cannot be reached is left to the actions, which say so.

    Raises:
        PlaybookError: one is not there; the error says all of them, each with its action's place.
    """
    wanted = [
        (planned.where, device)
        for planned in plan.actions
        for device in planned.action.loads_on()
        if device.is_gpu
    ]
    if not wanted:
        return
    reasons = await models.missing_gpus(device for _, device in wanted)
    found = [(where, reasons[device]) for where, device in wanted if device in reasons]
    if found:
        (where, message), *others = dict.fromkeys(found)
        lines = [message, *(f"{other}: {reason}" for other, reason in others)]
        hint = "`gswarm nodes` shows what nodes have; dram serves on the CPU"
        raise PlaybookError("\n".join(lines), where=where, hint=hint)
