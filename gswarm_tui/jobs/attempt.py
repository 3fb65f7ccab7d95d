"""One attempt of a task: the leases it needs, its time limit, and what a failure means."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gswarm_tui import wording
from gswarm_tui.config import QueueConfig
from gswarm_tui.errors import GswarmError, TimedOutError
from gswarm_tui.fleet import TASK
from gswarm_tui.jobs.guard import Guard
from gswarm_tui.models.ground import all_of
from gswarm_tui.models.leases import Want, Who
from gswarm_tui.playbook.actions import Action
from gswarm_tui.playbook.language.options import Options, Retry
from gswarm_tui.progress import ProgressCallback

if TYPE_CHECKING:
    from gswarm_tui.models import Models


@dataclass(frozen=True, slots=True)
class Terms:
    """What an attempt runs under.

    Args:
        key: what nodes know its work by.
        stale_on: nodes that may still do what earlier attempts began: that is ended first.
        wants: the leases that it holds meanwhile, by node.
        who: who holds them, for others.
        timeout_s: how long the action may take; waiting for leases does not count.
    """

    key: str
    stale_on: Sequence[str]
    wants: Mapping[str, Sequence[Want]]
    who: Who
    timeout_s: float | None


async def perform(
    action: Action,
    models: Models,
    terms: Terms,
    *,
    older_work_ended: Callable[[], None],
    waiting: Callable[[str | None], None],
    progress: ProgressCallback,
) -> Any:
    """Run an action once; returns its result.

    Args:
        older_work_ended: is told that nothing is left of what earlier attempts began.
        waiting: is told why it waits for a node's lease, and (None) that it does no more.

    Raises:
        GswarmError: it failed; `TimedOutError` where it took too long, ``in_use`` where a lease was
            lost to somebody else.
    """
    # In this task's own context: whatever it asks of nodes is asked in that name.
    TASK.set(terms.key)
    if terms.stale_on:
        await _end_older_work(models, terms)
        older_work_ended()
    guard = Guard()
    if terms.wants:
        await _take_leases(models, terms, waiting, guard)
    try:
        async with guard:
            return await _within(terms.timeout_s, action, models, progress)
    finally:
        if terms.wants:
            # A node that cannot be asked lets go of them by itself.
            with suppress(GswarmError):
                await models.drop_leases(terms.wants)


async def _end_older_work(models: Models, terms: Terms) -> None:
    """Let no node do the task twice beside itself.

    Raises:
        NodeError: one cannot be reached, and may be at it.
    """
    prefix = terms.key.rpartition("/")[0] + "/"
    there = [node for node in terms.stale_on if node in models.nodes]
    await all_of(models.task_cancel(node, prefix) for node in there)


async def _take_leases(
    models: Models, terms: Terms, waiting: Callable[[str | None], None], guard: Guard
) -> None:
    waited = False

    def tell(reason: str) -> None:
        nonlocal waited
        waited = True
        waiting(reason)

    await models.take_leases(terms.wants, terms.who, tell, guard.lose)
    if waited:
        waiting(None)


async def _within(
    timeout_s: float | None, action: Action, models: Models, progress: ProgressCallback
) -> Any:
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            return await action.run(models, progress=progress)
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimedOutError(
            f"it took longer than {wording.limit(timeout_s or 0.0)}",
            hint="what it did on nodes was ended; `timeout:` gives it more",
        ) from None


def retry_of(options: Options, config: QueueConfig) -> Retry:
    """How often an action is tried: as it says, else as the configuration does."""
    if options.retry is not None:
        return options.retry
    return Retry(
        attempts=config.retry_count + 1,
        backoff_s=config.retry_backoff_s,
        max_backoff_s=config.retry_max_backoff_s,
    )


def delay_before_next(error: BaseException, tries: int, retry: Retry) -> float | None:
    """Seconds until the next attempt after ``tries`` of them; None where there is no next one.

    The delay doubles, with a jitter of up to a half, so that those that failed together do not
    come back together ("equal jitter" of Brooker, "Exponential Backoff And Jitter", AWS, 2015).
    """
    if tries >= retry.attempts or not isinstance(error, GswarmError):
        return None
    if not (error.passes if retry.on is None else error.kind in retry.on):
        return None
    longest: float = min(retry.max_backoff_s, retry.backoff_s * 2.0 ** min(tries - 1, 60))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311
