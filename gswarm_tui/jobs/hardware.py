"""What a plan needs of its nodes' hardware, asked for before anything is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, final

from gswarm_tui.errors import PlaybookError

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.playbook.plan import Plan


@final
class HardwareCheck:
    """`check_gpus`, for somebody who may not want to wait for it."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._is_left = False

    async def run(self, plan: Plan, models: Models) -> None:
        """Return when it is over, or was left.

        Raises:
            PlaybookError: a GPU is not there.
        """
        self._task = asyncio.create_task(check_gpus(plan, models))
        try:
            await self._task
        except asyncio.CancelledError:
            # A run that is cancelled meanwhile goes on to say so; its coroutine's end does not.
            if not self._is_left:
                raise

    def leave(self) -> None:
        """Wait for it no more; nothing where it is over."""
        self._is_left = True
        if self._task is not None:
            self._task.cancel()


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
