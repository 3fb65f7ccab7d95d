"""How states, counts and times of jobs and tasks are written: each state a shape, word and tone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from gswarm_tui import wording
from gswarm_tui.state.states import ENDED, State
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone
from gswarm_tui.watch.snapshot import FleetSnapshot, Job

SHAPES: Final[Mapping[State, tuple[str, Tone]]] = {
    State.PENDING: ("·", Tone.DIM),
    State.READY: ("…", Tone.PLAIN),
    State.RUNNING: ("▶", Tone.BUSY),
    State.RETRYING: ("↻", Tone.WARN),
    State.SUCCEEDED: ("✔", Tone.GOOD),
    State.FAILED: ("✖", Tone.BAD),
    State.SKIPPED: ("–", Tone.DIM),
    State.CANCELLED: ("■", Tone.WARN),
    State.LOST: ("?", Tone.WARN),
}
_COUNTED: Final = (
    *(State.FAILED, State.RUNNING, State.RETRYING, State.READY),
    *(State.LOST, State.CANCELLED, State.SKIPPED),
)
_DAY_S: Final = 86_400


def word(state: State) -> str:
    """A state as the screens call it: what is ready for its turn is waiting."""
    return "waiting" if state is State.READY else str(state)


def state_piece(state: State, *, tolerated: bool = False) -> Piece:
    """``▶ running``, ``✖ failed (tolerated)``."""
    shape, tone = SHAPES[state]
    if tolerated:
        return Piece(f"{shape} {word(state)} (tolerated)", Tone.WARN)
    return Piece(f"{shape} {word(state)}", tone)


def counted(job: Job) -> Cell:
    """``3/12, 1 failed, 1 failed (tolerated), 2 running``."""
    counts = dict(job.counts)
    said = [Piece(f"{counts.get(State.SUCCEEDED, 0)}/{sum(counts.values())}")]
    for state in _COUNTED:
        tolerated = job.tolerated if state is State.FAILED else 0
        others = counts.get(state, 0) - tolerated
        if others:
            tone = SHAPES[state][1] if state is State.FAILED else Tone.DIM
            said.append(Piece(f", {others} {word(state)}", tone))
        if tolerated:
            said.append(Piece(f", {tolerated} {word(state)} (tolerated)", Tone.WARN))
    return said


def tally(job: Job, room: int) -> Cell:
    """``3/12 ✖1 ▶2``: how many are done, and the signs of the others as far as they fit whole."""
    counts = dict(job.counts)
    said = [Piece(f"{counts.get(State.SUCCEEDED, 0)}/{sum(counts.values())}")]
    left = room - len(said[0].text)
    for state in _COUNTED:
        if counts.get(state):
            shape, tone = SHAPES[state]
            if state is State.FAILED and counts[state] == job.tolerated:
                tone = Tone.WARN
            piece = Piece(f" {shape}{counts[state]}", tone)
            left -= len(piece.text)
            if left < 0:
                break
            said.append(piece)
    return said


def done_percent(job: Job) -> float | None:
    """How many of its tasks are done; what was skipped is missing only where the job failed."""
    if job.state is State.SUCCEEDED:
        return 100.0
    counts = dict(job.counts)
    all_of_them = sum(counts.values())
    return 100 * counts.get(State.SUCCEEDED, 0) / all_of_them if all_of_them else None


def why(job: Job) -> Piece:
    """What it does, why it waits, or why it did not succeed."""
    if job.error and job.state not in (State.RUNNING, State.SUCCEEDED):
        return Piece(wording.first_line(job.error), Tone.BAD)
    if job.state is State.LOST:
        return Piece("the process that ran it is gone; r goes on with it", Tone.WARN)
    if job.waiting:
        return Piece(job.waiting, Tone.WARN)
    if job.state is State.PENDING:
        return Piece("no process runs it yet", Tone.DIM)
    return Piece(", ".join(job.running), Tone.DIM)


def took_s(began: float | None, ended: float | None, now: float) -> float | None:
    """Seconds that something took or takes so far, without fractions where it goes on."""
    if began is None:
        return None
    if ended is None:
        return float(int(max(0.0, now - began)))
    return max(0.0, ended - began)


def briefly(seconds: float | None) -> str:
    """A length of time in one unit, for columns: ``42 s``, ``12 min``, ``2.1 h``, ``3.5 d``."""
    if seconds is None or seconds < 59.5:
        return wording.roughly(seconds)
    if seconds < 3570:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < _DAY_S else f"{seconds / _DAY_S:.1f} d"


def queue_line(snapshot: FleetSnapshot) -> Cell:
    """The queue of all jobs' tasks: open or paused, and how many run and wait."""
    said = [Piece("queue ", Tone.TITLE)]
    if snapshot.queue_paused:
        said.append(Piece("‖ paused: nothing begins, what runs goes on", Tone.WARN))
    else:
        said.append(Piece("▶ open", Tone.GOOD))
    return [*said, Piece(f"   {queue_counts(snapshot.jobs)}")]


def queue_counts(jobs: Iterable[Job]) -> str:
    """``7 running, 5 waiting, 1 retrying``: the tasks of all jobs that are in the queue."""
    totals = Counter[State]()
    for job in jobs:
        if job.state not in ENDED:
            totals.update(dict(job.counts))
    said = f"{totals[State.RUNNING]} running, {totals[State.READY]} waiting"
    return f"{said}, {totals[State.RETRYING]} retrying" if totals[State.RETRYING] else said
