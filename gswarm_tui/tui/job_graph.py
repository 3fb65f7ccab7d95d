"""A job's tasks as a graph: lanes drawn by `playbook.drawing`, states on them.

Where a line runs is worked out once for a job; a new picture changes signs and texts only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gswarm_tui import wording
from gswarm_tui.playbook import graph
from gswarm_tui.playbook.drawing import FOLD, Step, lanes
from gswarm_tui.playbook.drawing.steps import depth_first
from gswarm_tui.state.states import State
from gswarm_tui.tui.job_words import SHAPES, state_piece, took_s, word
from gswarm_tui.tui.widgets.cells import Piece, Tone, fit
from gswarm_tui.watch.details import JobDetails, JobTask

CHAIN: Final = "»"
"""Beside the tasks of the longest chain."""
_FIRST: Final = (
    *(State.FAILED, State.LOST, State.RUNNING, State.RETRYING, State.READY, State.CANCELLED),
    *(State.PENDING, State.SKIPPED, State.SUCCEEDED),
)
"""Of tasks that are shown as one, the state that is told."""

_GOES_ON: Final = (State.RUNNING, State.RETRYING)
_LOOKED_FOR: Final = (*_GOES_ON, State.FAILED, State.LOST, State.CANCELLED)
"""What a job is opened for, the first that there is."""


@dataclass(frozen=True, slots=True)
class GraphRow:
    """A line of the picture.

    Args:
        step: the id of a task, or what those of a ``for_each`` have in common.
        number: which line of the step it is; the first has the sign.
        folded: how many tasks the step stands for, where that is more than one.
    """

    step: str
    number: int
    pieces: tuple[Piece, ...]
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """Where lines run: for each step what is drawn, in the order from top to bottom.

    Args:
        members: the tasks that each step stands for.
        widest: how wide the widest line is.
    """

    drawn: Mapping[str, tuple[str, ...]]
    members: Mapping[str, tuple[str, ...]]
    widest: int


def structure(details: JobDetails, unfolded: Collection[str]) -> tuple[object, ...]:
    """What a layout depends on."""
    shape = tuple([(task.id, task.needs) for task in details.tasks])
    return (details.job, shape, frozenset(unfolded))


def lay_out(details: JobDetails, unfolded: Collection[str] = ()) -> Layout:
    """Work out where lines run.

    Args:
        unfolded: of which ``for_each`` every task is shown, though they are many.
    """
    members = _members(details, unfolded)
    step_of = {task: step for step, tasks in members.items() for task in tasks}
    needs: dict[str, list[str]] = {step: [] for step in members}
    for task in details.tasks:
        mine = needs[step_of[task.id]]
        for needed in task.needs:
            step = step_of.get(needed)
            if step is not None and step not in (step_of[task.id], *mine):
                mine.append(step)
    _, needs = graph.open_circles(needs)
    direct = graph.direct_needs(needs, graph.order(needs))
    steps = {name: Step(name, "", "", tuple(direct[name])) for name in members}
    ordered = [steps[name] for name in depth_first(steps)]
    drawn = {
        step.id: tuple([line.drawn for line in lines])
        for step, lines in lanes.lay_out(ordered, lambda step, taken: ["", ""])
    }
    widest = max((len(line) for lines in drawn.values() for line in lines), default=0)
    return Layout(drawn, members, widest)


def _members(details: JobDetails, unfolded: Collection[str]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for task in details.tasks:
        groups.setdefault(task.id.partition("[")[0], []).append(task.id)
    found: dict[str, tuple[str, ...]] = {}
    for name, tasks in groups.items():
        if len(tasks) > FOLD and name not in unfolded:
            found[name] = tuple(tasks)
        else:
            found.update({task: (task,) for task in tasks})
    return found


Known = dict[str, tuple[object, list[GraphRow]]]
"""The lines of each step when they were made last, with all that they were made from."""


def rows(
    layout: Layout,
    details: JobDetails,
    chain: Collection[str],
    now: float,
    width: int,
    known: Known | None = None,
) -> list[GraphRow]:
    """The picture: each task with its sign, state and time, and what it does or waits for.

    Args:
        chain: the tasks of the longest chain.
        width: of the whole line; lanes get no more than a half of it.
        known: is kept from one picture to the next: lines that stay the same are not made again.
    """
    known = {} if known is None else known
    tasks = {task.id: task for task in details.tasks}
    room = min(layout.widest, max(8, width // 2))
    found: list[GraphRow] = []
    for step, drawn in layout.drawn.items():
        mine = tuple([tasks[name] for name in layout.members[step] if name in tasks])
        on_chain = any(task.id in chain for task in mine)
        goes_on = any(task.state in _GOES_ON for task in mine)
        made_from = (drawn, mine, on_chain, room, int(now) if goes_on else None)
        before = known.get(step)
        if before is None or before[0] != made_from:
            made = _rows(step, drawn, mine, now, room, on_chain=on_chain) if mine else []
            before = known[step] = (made_from, made)
        found += before[1]
    return found


def looked_for(layout: Layout, details: JobDetails) -> str | None:
    """The step that a job is opened for: the first that runs; else that failed, or was not done."""
    states = {task.id: task.state for task in details.tasks}
    for state in _LOOKED_FOR:
        for step in layout.drawn:
            if any(states.get(task) is state for task in layout.members[step]):
                return step
    return None


def told_of(tasks: Sequence[JobTask]) -> JobTask:
    """Of the tasks that are shown as one, the one whose state is told."""
    return min(tasks, key=lambda task: _FIRST.index(task.state))


def states_of(tasks: Sequence[JobTask]) -> Piece:
    """``8 running, 2 waiting``: how many of the tasks that are shown as one are in which state."""
    counts = Counter(task.state for task in tasks)
    said = [f"{counts[state]} {word(state)}" for state in _FIRST if counts[state]]
    return Piece(", ".join(said), SHAPES[told_of(tasks).state][1])


def _rows(
    step: str,
    drawn: Sequence[str],
    mine: Sequence[JobTask],
    now: float,
    room: int,
    *,
    on_chain: bool,
) -> list[GraphRow]:
    """The lines of one step."""
    told = told_of(mine)
    state = told.state
    texts = [
        _first(step, mine, state, now, on_chain=on_chain),
        [Piece("  "), says(told)],
    ]
    folded = len(mine) if len(mine) > 1 else 0
    found = []
    for number, line in enumerate(drawn):
        lane = fit(_lane(line, state, is_first=number == 0), room)
        text = texts[number] if number < len(texts) else []
        found.append(GraphRow(step, number, (*lane, *text), folded))
    return found


def _lane(line: str, state: State, *, is_first: bool) -> list[Piece]:
    """The lines in front of a text, with the sign of the state where the task is."""
    sign = lanes.UNICODE.step
    if not is_first or sign not in line:
        return [Piece(line, Tone.DIM)]
    shape, tone = SHAPES[state]
    before, _, after = line.partition(sign)
    return [Piece(before, Tone.DIM), Piece(shape, tone), Piece(after, Tone.DIM)]


def _first(
    step: str, mine: Sequence[JobTask], state: State, now: float, *, on_chain: bool
) -> list[Piece]:
    said = [
        Piece(f"{CHAIN} " if on_chain else "  ", Tone.BUSY),
        Piece(step, Tone.TITLE),
        Piece("  "),
    ]
    if len(mine) > 1:
        states = states_of(mine)
        return [*said, Piece(f"× {len(mine)}: {states.text}", states.tone)]
    (task,) = mine
    said.append(Piece(word(state), SHAPES[state][1]))  # its sign is on its lane
    seconds = took_s(task.started_at, task.finished_at, now)
    if seconds is not None and state not in (State.PENDING, State.READY):
        said.append(Piece(f"  {wording.roughly(seconds)}"))
    if task.attempt > 1:
        said.append(Piece(f"  attempt {task.attempt}", Tone.WARN))
    return said


def says(task: JobTask) -> Piece:
    """What a task does, how far it is, why it waits or what went wrong, in one line."""
    if task.error and task.state in (State.FAILED, State.RETRYING, State.SKIPPED):
        tone = Tone.DIM if task.state is State.SKIPPED else Tone.BAD
        said = wording.first_line(task.error)
        return Piece(f"tolerated: {said}", Tone.WARN) if task.tolerated else Piece(said, tone)
    if task.waiting and task.state in (State.READY, State.RUNNING):
        return Piece(task.waiting, Tone.WARN)
    if task.progress and task.state is State.RUNNING:
        return Piece(task.progress, Tone.BUSY)
    return Piece(f"{task.type} {task.summary}".strip(), Tone.DIM)


def about(task: JobTask, details: JobDetails, now: float) -> Iterator[tuple[str, Piece]]:
    """Everything that is known of a task, by name."""
    yield "does", Piece(f"{task.type} {task.summary}".strip())
    yield "state", state_piece(task.state, tolerated=task.tolerated)
    seconds = took_s(task.started_at, task.finished_at, now)
    if task.attempt:
        yield "attempt", Piece(f"{task.attempt}, {wording.roughly(seconds)}")
    if task.state is State.RETRYING and task.retry_at is not None:
        yield (
            "again in",
            Piece(wording.roughly(max(0.0, float(int(task.retry_at - now)))), Tone.WARN),
        )
    if task.waiting:
        yield "waits", Piece(task.waiting, Tone.WARN)
    if task.progress:
        yield "progress", Piece(task.progress, Tone.BUSY)
    if task.error:
        kind = f"({task.error_kind}) " if task.error_kind not in (None, "failed") else ""
        yield "error", Piece(f"{kind}{task.error}", Tone.BAD)
    if task.hint:
        yield "hint", Piece(task.hint, Tone.WARN)
    if task.needs:
        yield "needs", Piece(", ".join(task.needs), Tone.DIM)
    needed_by = [other.id for other in details.tasks if task.id in other.needs]
    if needed_by:
        yield "needed by", Piece(", ".join(needed_by), Tone.DIM)
