"""What a job did, in sentences: for the terminal, the log and the last lines of a run."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gswarm_tui.cli import output
from gswarm_tui.devices import parse
from gswarm_tui.models.results import (
    DeleteResult,
    HealthResult,
    PlacementResult,
    ServeResult,
    StopResult,
)
from gswarm_tui.playbook import JobResult, TaskResult
from gswarm_tui.playbook.outcome import Outcome
from gswarm_tui.state.jobs import State

_COMPLETION_SHOWN = 600


def state_and_ending(task: TaskResult) -> str:
    """How a task ended, in a line that begins with its state."""
    says_it = task.state in (State.SKIPPED, State.CANCELLED)
    return ending(task) if says_it else f"{task.state}: {ending(task)}"


def ending(task: TaskResult) -> str:
    """How a task ended, in a line, beside a mark of its state."""
    if task.state is State.SUCCEEDED:
        return f"{done(task.result)} ({output.duration(task.seconds)})"
    if task.state is State.FAILED:
        # The rest, an engine's log say, is in the summary.
        return output.clean(str(task.error).split("\n", 1)[0])
    if task.state is State.SKIPPED:
        return f"skipped: {task.because} did not succeed"
    return "cancelled"


def done(result: Any) -> str:
    """What a task's result says, in a few words."""
    match result:
        case PlacementResult(already=True):
            words = f"was on {', '.join(result.devices)} already"
        case PlacementResult():
            words = f"{output.size(result.size)} on {', '.join(result.devices)}"
        case ServeResult():
            words = f"{result.url} with {result.engine}{', already' if result.already else ''}"
        case StopResult():
            words = f"{result.stopped} stopped"
        case DeleteResult():
            words = f"{output.size(result.freed)} freed"
        case HealthResult():
            words = f"{result.status} in {result.latency_ms:.1f} ms from {result.checked_from}"
        case _:
            words = "done"
    return output.clean(words)


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
        "Services": list(_services(outcome)),
        "Answers": list(_answers(outcome)),
        "Try next": list(_next_steps(outcome, command)),
    }
    for title, lines in sections.items():
        if lines:
            yield ""
            yield title
            yield from (f"  {line}" for line in lines)


def failures(result: JobResult) -> Iterator[str]:
    """What failed and why, and what was not done because of it."""
    for task in result.tasks:
        if task.error is not None:
            reason = output.clean(str(task.error), keep="\n")
            yield f"failed: {task.task.action_id}: {reason}"
            if task.error.hint:
                hint = output.clean(task.error.hint, keep="\n")
                yield f"  hint: {hint}"
    skipped: dict[str, list[str]] = {}
    for task in result.tasks:
        if task.because is not None:
            skipped.setdefault(task.because, []).append(task.task.action_id)
    for because, names in skipped.items():
        yield f"skipped, because of {because}: {', '.join(names)}"


def verdict(result: JobResult) -> str:
    """The last line: ``5 tasks done in 12.3 s``."""
    counts = Counter(task.state for task in result.tasks)
    seconds = output.duration(result.seconds)
    if result.state is State.SUCCEEDED:
        return f"{tasks(len(result.tasks))} done in {seconds}"
    parts = [
        f"{counts[state]} {word}"
        for state, word in (
            (State.SUCCEEDED, "done"),
            (State.FAILED, "failed"),
            (State.SKIPPED, "skipped"),
            (State.CANCELLED, "cancelled"),
        )
        if counts[state]
    ]
    return f"{tasks(len(result.tasks))}: {', '.join(parts)}, in {seconds}"


def afterwards(result: JobResult) -> Iterator[str]:
    """What is left by a run that did not come to its end, and how it goes on."""
    if result.state is State.CANCELLED:
        yield "what is done stays done, and what was downloaded so far is kept:"
        yield "the same command goes on from here"


def tasks(count: int) -> str:
    """``1 task``, ``2 tasks``."""
    return "1 task" if count == 1 else f"{count} tasks"


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
