"""A stage for the screens: pictures are pushed by the test, keys pressed, the screen read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.segment import Segment
from textual.pilot import Pilot
from textual.strip import Strip

from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.app import GswarmApp
from gswarm_tui.tui.screens.view import View
from gswarm_tui.watch.rings import History
from gswarm_tui.watch.series import record
from gswarm_tui.watch.snapshot import FleetSnapshot
from gswarm_tui.watch.source import Listener

SMALL, MIDDLE, LARGE = (80, 24), (120, 40), (300, 90)
SIZES = (SMALL, MIDDLE, LARGE)


@dataclass
class StillSource:
    """A `Source` whose pictures come from the test, when the test wants it."""

    first: FleetSnapshot
    history: History = field(default_factory=History)
    listener: Listener | None = None
    focused: int | None = None
    """The job whose details were asked for."""
    logs: dict[tuple[int, str | None, int], asyncio.Queue[str]] = field(default_factory=dict)
    """What comes in the log of an attempt of a task of a job."""

    async def run(self, listener: Listener) -> None:
        self.listener = listener
        self.push(self.first)
        await asyncio.Event().wait()

    def focus(self, job_id: int | None) -> None:
        self.focused = job_id

    async def log(self, job_id: int, action_id: str | None, attempt: int) -> AsyncIterator[str]:
        queue = self.logs.setdefault((job_id, action_id, attempt), asyncio.Queue())
        while True:
            yield await queue.get()
            queue.task_done()  # whoever reads it has shown it

    def push(self, snapshot: FleetSnapshot) -> None:
        assert self.listener is not None
        record(self.history, snapshot)
        self.listener(snapshot)


@dataclass
class Stage:
    """The application under a test."""

    app: GswarmApp
    source: StillSource
    pilot: Pilot[None]

    @property
    def view(self) -> View:
        """The screen on top, without those that ask something."""
        return self.app.views[-1]

    @property
    def on_top(self) -> type:
        """The class of the screen on top."""
        return type(self.app.screen)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Press the keys of a text."""
        names = {" ": "space", ":": "colon", "/": "slash", "?": "question_mark"}
        await self.press(*(names.get(character, character) for character in text))

    async def push(self, snapshot: FleetSnapshot) -> None:
        """Give the application its next picture."""
        self.source.push(snapshot)
        await self.pilot.pause()

    async def open(self, word: str, subject: str | None = None) -> None:
        """Go to a screen."""
        self.app.go_to(word, subject)
        await self.pilot.pause()

    async def shows(self, text: str) -> None:
        """Let the application go on until a text is on the screen; its footer is drawn late."""
        for _ in range(50):
            if text in self.text():
                return
            await self.pilot.pause()
        self.line_with(text)

    def strips(self) -> list[Strip]:
        """What is on the screen, line by line."""
        return self.app.screen._compositor.render_strips()

    def lines(self) -> list[str]:
        return [strip.text for strip in self.strips()]

    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.lines())

    def notices(self) -> list[str]:
        """What was said in the corner."""
        return [notice.message for notice in self.app._notifications]

    def line_with(self, text: str) -> str:
        """The first line that has `text`; fails where there is none."""
        found = [line for line in self.lines() if text in line]
        assert found, f"{text!r} is not on the screen:\n{self.text()}"
        return found[0]


@asynccontextmanager
async def on_stage(
    snapshot: FleetSnapshot,
    *,
    size: tuple[int, int] = MIDDLE,
    history: History | None = None,
    toasts: bool = False,
    **options: Any,
) -> AsyncIterator[Stage]:
    """Run the application on a picture.

    Args:
        history: what was before.
        toasts: whether what is said in the corner is drawn.
        options: of `GswarmApp`; without an actor, one that only remembers.
    """
    options.setdefault("actor", Recording())
    source = StillSource(snapshot, history or History())
    app = GswarmApp(source, **options)
    async with app.run_test(size=size, notifications=toasts) as pilot:
        await pilot.pause()
        yield Stage(app, source, pilot)


def harmless(strips: Iterable[Strip]) -> bool:
    """Whether nothing there could steer a terminal, and every line is as wide as it says."""
    return all(
        all(_plain(segment) for segment in strip) and strip.cell_length == strips_width(strip)
        for strip in strips
    )


def strips_width(strip: Strip) -> int:
    return sum(segment.cell_length for segment in strip)


def _plain(segment: Segment) -> bool:
    hidden = ("\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\u200f", "\n", "\r", "\t", "\x00")
    return not any(character in segment.text for character in hidden)
