"""A job on a terminal: its tasks as a tree, each with its state, bar, bytes, rate and time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self, final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gswarm_tui.cli import output
from gswarm_tui.jobs import Event, TaskResult, sentences
from gswarm_tui.jobs.events import (
    JobFinished,
    JobStarted,
    Task,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State
from gswarm_tui.wording import describe, roughly

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ICONS: Final = {
    State.PENDING: ("·", ".", "dim"),
    State.READY: ("…", ":", "dim"),
    State.RUNNING: ("", "*", "cyan"),
    State.RETRYING: ("↻", "~", "yellow"),
    State.SUCCEEDED: ("✔", "+", "green"),
    State.FAILED: ("✖", "x", "bold red"),
    State.SKIPPED: ("–", "-", "yellow"),
    State.CANCELLED: ("■", "#", "yellow"),
    State.LOST: ("?", "?", "yellow"),
}
_INTEREST: Final = (
    *(State.FAILED, State.RUNNING, State.RETRYING, State.LOST, State.CANCELLED),
    *(State.READY, State.SKIPPED, State.PENDING, State.SUCCEEDED),
)
_MOST_ROWS_AT_THE_END: Final = 60
_REFRESHES_A_SECOND: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One task as it is shown.

    Args:
        guide: the lines of the tree in front of it.
        since: when it began, or when it is to be tried again, by the monotonic clock.
        says: why it waits, or why it is tried again.
        is_final: the job is over, and what failed and why follows below.
    """

    task: Task
    guide: str
    state: State = State.PENDING
    since: float = 0.0
    says: str | None = None
    progress: Progress | None = None
    result: TaskResult | None = None
    is_final: bool = False

    @property
    def is_tolerated(self) -> bool:
        """It failed, and the job goes on all the same."""
        return self.result is not None and self.result.tolerated


@final
class Tree:
    """Draws itself several times a second, from the events that it is told.

    rich draws in a thread of its own: it reads rows, which are frozen, and the loop replaces them.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._rows: dict[str, Row] = {}
        self._title = ""
        self._began = time.monotonic()
        self._cancelling = False
        self._live = Live(
            console=self._console,
            get_renderable=self.render,
            refresh_per_second=_REFRESHES_A_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case JobStarted():
                self._begin(event)
            case TaskWaiting():
                self._wait(event)
            case TaskStarted():
                since = time.monotonic() - event.ago_s
                self._change(event.task, state=State.RUNNING, since=since, says=None, progress=None)
            case TaskProgress():
                self._change(event.task, progress=event.progress)
            case TaskRetrying():
                says = f"attempt {event.attempt} failed: {sentences.first_line(event.error)}"
                since = time.monotonic() + event.delay_s
                self._change(event.task, state=State.RETRYING, since=since, says=says)
            case TaskFinished():
                self._change(event.task, state=event.result.state, result=event.result)
            case JobFinished():
                self._live.stop()
                self._console.print(self._at_the_end())

    @property
    def near(self) -> frozenset[str]:
        """None: the tree that stays says that a task failed, and leaves the reason to the end."""
        return frozenset()

    def cancelling(self) -> None:
        self._cancelling = True

    def leave(self) -> None:
        """What was seen last stays."""
        self._live.transient = False
        self._live.stop()
        self._console.show_cursor(True)

    def render(self) -> RenderableType:
        """The job as it is now, not higher than the terminal."""
        rows = list(self._rows.values())
        room = max(self._console.size.height - 3, 3)
        if len(rows) > room:
            rows = _most_interesting(rows, room)
        # The last line is short, or empty: a terminal writes ^C behind it, and behind one of full
        # width that would begin a line that nobody counts, and the headline would stay above.
        said = "cancelling what runs; Ctrl-C again leaves at once" if self._cancelling else ""
        return Group(self._headline(), self._table(rows), Text(said, style="yellow"))

    def _begin(self, event: JobStarted) -> None:
        self._title = output.clean(f"job {event.job_id}  {event.name}")
        guides = _Guides(event.tasks, ascii_only=self._ascii_only)
        self._rows = {task.action_id: Row(task, guide) for task, guide in guides.in_order()}
        for notice in event.notices:
            self._console.print(Text(output.clean(notice), style="yellow"))
        for result in event.done:
            self._change(result.task, state=result.state, result=result)
        self._began = time.monotonic() - event.ago_s
        self._live.start()

    def _wait(self, event: TaskWaiting) -> None:
        """A task waits for its turn in the queue; or, when it runs, for something on a node."""
        is_running = self._rows[event.task.action_id].state is State.RUNNING
        state = State.RUNNING if is_running else State.READY
        self._change(event.task, state=state, says=event.reason)

    def _change(self, task: Task, **changes: object) -> None:
        row = self._rows[task.action_id]
        self._rows[task.action_id] = replace(row, task=task, **changes)  # type: ignore[arg-type]

    @property
    def _ascii_only(self) -> bool:
        return not self._console.encoding.startswith("utf")

    def _headline(self) -> Text:
        counts = Counter(row.state for row in self._rows.values())
        ended = f"{counts[State.SUCCEEDED]} of {len(self._rows)} done"
        failures = Counter({State.FAILED: counts[State.FAILED]})
        tolerated = sum(row.is_tolerated for row in self._rows.values())
        failed = f", {sentences.counted(failures, tolerated)}" if counts[State.FAILED] else ""
        elapsed = output.duration(time.monotonic() - self._began)
        return Text.assemble((self._title, "bold"), f"  {ended}{failed}  ", (elapsed, "dim"))

    def _at_the_end(self) -> RenderableType:
        rows = list(self._rows.values())
        if len(rows) > _MOST_ROWS_AT_THE_END:
            rows = _most_interesting(rows, _MOST_ROWS_AT_THE_END)
        rows = [replace(row, is_final=True) for row in rows]
        return Group(self._headline(), self._table(rows))

    def _table(self, rows: Sequence[Row]) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        for row in rows:
            table.add_row(self._name(row), _what(row), _seconds(row))
        return table

    def _name(self, row: Row) -> Text:
        icon, ascii_icon, style = _ICONS.get(row.state, ("?", "?", ""))
        if row.state is State.RUNNING:
            frame = int(time.monotonic() * _REFRESHES_A_SECOND) % len(_FRAMES)
            icon = _FRAMES[frame]
        icon = ascii_icon if self._ascii_only else icon
        style = "yellow" if row.is_tolerated else style
        # An id that `for_each` made has an item of a list in it.
        name = output.clean(row.task.action_id)
        return Text.assemble((row.guide, "dim"), (icon, style), " ", name)


def _what(row: Row) -> RenderableType:
    """What a task does, how far it is, or how it ended."""
    if row.result is not None:
        style = {State.FAILED: "red", State.SUCCEEDED: ""}.get(row.state, "dim")
        style = "yellow" if row.is_tolerated else style
        if row.is_final and row.state is State.FAILED:
            how = sentences.state_of(row.result)
            return Text(f"{how} after {output.duration(row.result.seconds)}", style=style)
        return Text(sentences.ending(row.result), style=style)
    if row.state is State.RETRYING and row.says is not None:
        # The time first: the reason may be longer than the line.
        left = roughly(max(row.since - time.monotonic(), 0.0))
        return Text(f"again in {left}; {output.clean(row.says)}", style="yellow")
    if row.says is not None:
        return Text(output.clean(row.says), style="yellow")
    if row.state is State.RUNNING and row.progress is not None:
        return _progress(row.progress)
    style = "" if row.state is State.RUNNING else "dim"
    return Text(output.clean(f"{row.task.action_type} {row.task.summary}"), style=style)


def _progress(progress: Progress) -> RenderableType:
    said = describe(progress) or _last_line(progress.output or "")
    text = Text(output.clean(f"{progress.phase}  {said}"))
    if not progress.total or progress.done is None:
        return text
    line = Table.grid(padding=(0, 1))
    line.add_column(width=20)
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_row(ProgressBar(total=progress.total, completed=progress.done, width=20), text)
    return line


def _last_line(written: str) -> str:
    return next(reversed(written.strip().splitlines()), "")


def _seconds(row: Row) -> Text:
    if row.state is not State.RUNNING:
        return Text("")
    return Text(output.duration(time.monotonic() - row.since), style="dim")


def _most_interesting(rows: list[Row], room: int) -> list[Row]:
    """As many rows as there is room for: what failed, what runs, what is next, what is done."""
    chosen = sorted(rows, key=lambda row: _INTEREST.index(row.state))[:room]
    kept = {row.task.action_id for row in chosen}
    return [replace(row, guide="") for row in rows if row.task.action_id in kept]


class _Guides:
    """The tree that a graph is shown as: each task below the deepest of those that it needs."""

    def __init__(self, tasks: Sequence[Task], *, ascii_only: bool) -> None:
        self._branch, self._last, self._line, self._blank = (
            ("|- ", "`- ", "|  ", "   ") if ascii_only else ("├─ ", "└─ ", "│  ", "   ")
        )
        depth: dict[str, int] = {}
        self._children: dict[str, list[Task]] = {"": []}
        for task in tasks:
            parent = max(task.needs, key=depth.__getitem__, default="")
            depth[task.action_id] = depth.get(parent, 0) + 1
            self._children.setdefault(parent, []).append(task)

    def in_order(self) -> Iterator[tuple[Task, str]]:
        """The tasks from top to bottom, each with the lines in front of it."""
        # A stack, because a chain of a thousand actions is deeper than Python recurses.
        stack = [(task, "", "") for task in reversed(self._children[""])]
        while stack:
            task, guide, below = stack.pop()
            yield task, guide
            children = self._children.get(task.action_id, [])
            for index, child in reversed(list(enumerate(children))):
                is_last = index == len(children) - 1
                lead = self._last if is_last else self._branch
                further = self._blank if is_last else self._line
                stack.append((child, below + lead, below + further))
