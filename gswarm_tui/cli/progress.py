"""Progress of one piece of work on stderr: a bar on a terminal, otherwise lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gswarm_tui.cli import output
from gswarm_tui.progress import Progress, ProgressCallback, ignore
from gswarm_tui.wording import describe

_LINE_EVERY_S = 5.0


@contextmanager
def reporter(title: str, *, quiet: bool) -> Iterator[ProgressCallback]:
    """A callback that shows what it is told, for as long as this is open.

    Args:
        title: what is being done, ``download llama-7b``.
        quiet: show nothing, as with --json.
    """
    if quiet:
        yield ignore
    elif sys.stderr.isatty():
        with _bar(title) as callback:
            yield callback
    else:
        yield Lines(title)


@contextmanager
def _bar(title: str) -> Iterator[ProgressCallback]:
    from rich.console import Console, RenderableType
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Bars(RichProgress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield from super().get_renderables()
            # A terminal writes ^C here: behind a full line it would begin one that nobody counts,
            # and the bar would stay.
            yield Text("")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[facts]}", markup=False),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, facts="")

        def callback(report: Progress) -> None:
            bars.update(
                task,
                description=f"{title}: {output.clean(report.phase)}",
                completed=report.done or 0,
                total=report.total,
                facts=describe(report),
            )

        yield callback


class Lines:
    """Prints a line when the phase changes, and otherwise every few seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._phase: str | None = None
        self._printed = 0.0

    def __call__(self, report: Progress) -> None:
        now = time.monotonic()
        if report.phase == self._phase and now - self._printed < _LINE_EVERY_S:
            return
        self._phase, self._printed = report.phase, now
        facts = describe(report)
        output.say(f"{self._title}: {output.clean(report.phase)}{'  ' if facts else ''}{facts}")
