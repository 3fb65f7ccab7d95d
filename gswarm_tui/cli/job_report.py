"""What a job did: what is where, what failed and why, and how to go on. The end of a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterator

from gswarm_tui.cli import output
from gswarm_tui.devices import parse
from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs import JobResult, TaskResult
from gswarm_tui.jobs.failures import NOT_NEEDED
from gswarm_tui.jobs.sentences import state_of
from gswarm_tui.jobs.sentences import verdict as verdict
from gswarm_tui.models.results import PlacementResult
from gswarm_tui.playbook.outcome import Outcome
from gswarm_tui.state.states import State

_COMPLETION_SHOWN = 600


def outcome_of(result: JobResult) -> Outcome:
    """Where things are after a job."""
    outcome = Outcome()
    for task in result.tasks:
        if task.state is State.SUCCEEDED:
            task.action.settle(task.result, outcome)
    return outcome


def report(result: JobResult, *, command: str) -> Iterator[str]:
    """What is where after a job, and what to try next; nothing where it changed nothing.

    Args:
        command: how `gswarm` is to be called to see the same fleet, ``gswarm -i inventory.yaml``.
    """
    outcome = outcome_of(result)
    sections = {
        "Models": list(_copies(outcome)),
        "Verified": list(_verified(outcome)),
        "Services": list(_services(outcome)),
        "Answers": list(_answers(outcome)),
        "Try next": list(_next_steps(outcome, command)),
    }
    for title, lines in sections.items():
        if lines:
            yield ""
            yield title
            yield from (f"  {line}" for line in lines)


def failures(result: JobResult, *, told: Collection[str] = ()) -> Iterator[str]:
    """What failed and why, and what was not done because of it.

    Args:
        told: tasks whose failure the reader has just been told of in full. Where those are not all
            that failed, all are told: a part of them would look like all.
    """
    failed = [task for task in result.tasks if task.error is not None]
    untold = [] if all(task.task.action_id in told for task in failed) else failed
    for task in untold:
        yield from _error(f"{state_of(task)}: {task.task.action_id}", task.error)
    if result.error is not None:
        yield from _error(f"job {result.job_id}", result.error)
    skipped: dict[str | None, list[str]] = {}
    for task in result.tasks if untold else ():
        if task.because not in (None, NOT_NEEDED):
            skipped.setdefault(task.because, []).append(task.task.action_id)
    for because, names in skipped.items():
        yield output.clean(f"skipped: {', '.join(names)}: {because}")


def _error(what: str, error: GswarmError | None) -> Iterator[str]:
    yield output.clean(f"{what}: {error}", keep="\n")
    if error is not None and error.hint:
        yield output.clean(f"  hint: {error.hint}", keep="\n")


def afterwards(result: JobResult) -> Iterator[str]:
    """What is left by a run that did not come to its end, and how it goes on."""
    if result.state is State.CANCELLED:
        kept: list[str] = []
        if any(task.state is State.SUCCEEDED for task in result.tasks):
            kept.append("what is done stays done")
        if any(_was_moving(task) for task in result.tasks):
            kept.append("what was transferred so far is kept")
        if kept:
            yield f"{', and '.join(kept)}:"
        # What moves models finds what is done; a command of a new job knows nothing of the old one.
        is_new = any(task.task.action_type == "command" for task in result.tasks)
        also = "" if is_new else ", and so does the same command"
        yield f"gswarm job resume {result.job_id} goes on from here{also}"


def _was_moving(task: TaskResult) -> bool:
    """Whether it was cancelled in its middle, and leaves what the next attempt goes on from."""
    moves = task.task.action_type in ("download", "copy", "move")
    return moves and task.state is State.CANCELLED and task.attempt > 0


def _copies(outcome: Outcome) -> Iterator[str]:
    yield from _aligned(
        [
            (model, device, _path(device, placed) or "")
            for (model, device), placed in outcome.copies.items()
        ]
    )


def _path(device: str, placed: PlacementResult) -> str | None:
    if parse(device).is_gpu:
        return "loaded"
    # A result has the path on its first device; on others it can be asked for.
    return placed.path if device == placed.device else None


def _verified(outcome: Outcome) -> Iterator[str]:
    yield from _aligned(
        [(model, device, copy.state) for (model, device, _), copy in outcome.verified.items()]
    )


def _services(outcome: Outcome) -> Iterator[str]:
    for service in outcome.services:
        where = f"{service.engine} on {', '.join(service.devices)}"
        yield output.clean(f"{service.model}  {service.endpoint or service.url}  ({where})")
        if service.tunnel is not None:
            yield output.clean(f"  from here: {service.tunnel}")
            yield f"  and then:  http://127.0.0.1:{service.port}"


def _answers(outcome: Outcome) -> Iterator[str]:
    for answer in outcome.completions:
        prompt = output.clean(_one_line(answer.prompt or ""))
        text = output.clean(_one_line(answer.completion or ""))
        if len(text) > _COMPLETION_SHOWN:
            text = text[:_COMPLETION_SHOWN] + "…"
        yield f"{output.clean(answer.checked_from)}: {prompt} → {text}"


def _next_steps(outcome: Outcome, command: str) -> Iterator[str]:
    for service in outcome.services[:1]:
        url = service.endpoint or f"http://127.0.0.1:{service.port}"
        prompt = next((answer.prompt for answer in outcome.completions), "Hello")
        body = json.dumps({"model": service.model, "prompt": prompt, "max_tokens": 32})
        if service.endpoint is None and service.tunnel is not None:
            yield output.clean(f"{service.tunnel}  # leave it open; then, elsewhere:")
        yield (
            f"curl {shlex.quote(url + '/v1/completions')}"
            f" -H 'Content-Type: application/json' -d {shlex.quote(body)}"
        )
        yield f"{command} model services"
        yield f"{command} model stop {service.model}"
    if outcome.copies and not outcome.services:
        model = next(iter(outcome.copies))[0]
        yield f"{command} model status {model}"


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield output.clean("  ".join(cells).rstrip())


def _one_line(text: str) -> str:
    return " ".join(text.split())
