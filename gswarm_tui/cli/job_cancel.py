"""`gswarm job cancel`: the end of a job, whether somebody still runs it or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from gswarm_tui.cli import output
from gswarm_tui.cli.context import Settings, open_session
from gswarm_tui.cli.history import History
from gswarm_tui.errors import EXIT_OK, EXIT_UNREACHABLE, GswarmError
from gswarm_tui.state.states import ENDED, State

if TYPE_CHECKING:
    from gswarm_tui.models import Models
    from gswarm_tui.state.records import JobRecord

POLL_S: Final = 0.1
_BEGINS_WITHIN_S: Final = 3.0
"""A job that was handed over is begun by then, if anybody is there to begin it."""

_UNDER_WAY: Final = (State.PENDING, State.RUNNING)


def cancel(
    history: History,
    job: JobRecord,
    settings: Settings,
    *,
    as_json: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """End a job and say how; returns an exit code. What has ended already stays as it is.

    The process that runs it ends its tasks, on their nodes too, and this waits for it. Where that
    process is gone, or never was, the nodes are asked from here.
    """
    if job.state in ENDED:
        _tell(job.id, job.state, as_json=as_json, already=True)
        return EXIT_OK
    history.jobs.request_cancel(job.id)
    if job.state in _UNDER_WAY:
        said = False
        begins_until = time.monotonic() + _BEGINS_WITHIN_S
        while (job := _again(history, job)).state in _UNDER_WAY:
            if job.state is State.PENDING and time.monotonic() > begins_until:
                break
            if job.state is State.RUNNING and not said and not as_json:
                said = True
                output.say(f"asked process {job.pid} on {job.host} to end job {job.id}; waiting")
            sleep(POLL_S)
    if job.state in (State.PENDING, State.LOST):
        return _end_from_here(history, job, settings, as_json=as_json)
    _tell(job.id, job.state, as_json=as_json)
    return EXIT_OK


def _tell(
    job_id: int,
    state: State,
    *,
    as_json: bool,
    already: bool = False,
    unreachable: Mapping[str, str] | None = None,
) -> None:
    """Say how a job ended.

    Args:
        already: before its end was asked for.
        unreachable: nodes that could not be asked, with the reason.
    """
    left = unreachable or {}
    if as_json:
        output.emit({"job": job_id, "state": state, "already": already, "unreachable": left})
        return
    output.show(f"job {job_id}{' has ended already' if already else ''}: {state}")
    for node, reason in left.items():
        output.say(f"{node} could not be asked, and may go on: {reason}", prose=True)


def _again(history: History, job: JobRecord) -> JobRecord:
    history.jobs.mark_lost()
    now = history.jobs.get(job.id)
    if now is None:
        raise GswarmError(f"job {job.id} was removed meanwhile")
    return now


def _end_from_here(history: History, job: JobRecord, settings: Settings, *, as_json: bool) -> int:
    """End a job that no process runs: what nodes still do for it, then its rows."""
    left: dict[str, str] = {}
    begun = [task for task in history.jobs.tasks(job.id) if task.attempt and _may_go_on(task.state)]
    nodes = sorted({node for task in begun for node in task.nodes})
    if begun:
        ended, left = asyncio.run(_end_on_nodes(job, nodes, settings))
        if not as_json:
            tasks = output.number_of(ended, "task")
            output.say(f"nobody runs job {job.id} any more; {tasks} under way on nodes ended")
    history.jobs.abandon(job.id)
    _tell(job.id, State.CANCELLED, as_json=as_json, unreachable=left)
    return EXIT_UNREACHABLE if left else EXIT_OK


def _may_go_on(state: State) -> bool:
    # Also what failed: where a node was not reached, it may still be at it.
    return state not in (State.SUCCEEDED, State.SKIPPED)


async def _end_on_nodes(
    job: JobRecord, nodes: list[str], settings: Settings
) -> tuple[int, dict[str, str]]:
    """Ask nodes to end what they do for a job; how much, and who could not be asked."""
    async with open_session(settings) as session:
        answers = await asyncio.gather(*(_ask(session.models, node, job.key) for node in nodes))
    left = {
        node: answer.message
        for node, answer in zip(nodes, answers, strict=True)
        if isinstance(answer, GswarmError)
    }
    return sum(answer for answer in answers if isinstance(answer, int)), left


async def _ask(models: Models, node: str, key: str) -> int | GswarmError:
    try:
        return await models.task_cancel(node, f"{key}/")
    except GswarmError as error:
        return error
