"""Keys in the order in which they are typed, however many come in one piece.

Textual hands each key to whatever has the focus when it comes, and an action may be done only later
and elsewhere. Over a slow line `/gpu`, Enter and `jj` come at once, and the two letters would be
typed into the filter: the prompt had not closed yet. Here a key waits for the one before it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Container
from itertools import takewhile
from typing import TYPE_CHECKING, Final, final

from textual import events
from textual.widgets import Input

if TYPE_CHECKING:
    from textual.app import App

_STILL: Final = 4
"""Turns of the loop without a message after which a key is done with; one message leads to another
in the next turn."""
_LONGEST_S: Final = 0.2
"""For so long a key is waited for; what goes on by itself must not stand in the way of typing."""


@final
class Turns:
    """Whose turn it is among what was typed; the owner of what waits."""

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._waiting: deque[events.Event] = deque()
        self._due: deque[events.Event] = deque()
        """Posted again, and not come yet."""
        self._going_on: asyncio.Task[None] | None = None
        self.was_ahead = False
        """Whether the key whose turn it is was typed before what the one before it did was seen."""

    def waits(self, event: events.Event) -> bool:
        """Whether it has to wait for one before it; it is posted again in its turn."""
        if self._due and event is self._due[0]:
            self._due.popleft()
            self.was_ahead = True
            return False
        if self._going_on is None:
            self.was_ahead = False
            self._going_on = asyncio.create_task(self._go_on())
            return False
        self._waiting.append(event)
        return True

    async def _go_on(self) -> None:
        """Post what waits, one after the other."""
        try:
            await self._done_with()
            while self._waiting:
                event = self._next()
                self._due.append(event)
                self._app.post_message(event)
                await self._done_with()
        finally:
            self._going_on = None

    def _next(self) -> events.Event:
        """The key whose turn it is; characters for a line in which one types come together.

        A terminal that does not say that it pastes sends a text key by key; each of them would
        have the screen drawn and the line completed.
        """
        if self._app.screen_stack and isinstance(self._app.focused, Input):
            active = self._app.screen.active_bindings.items()
            before = {key for key, each in active if each.binding.priority}
            typed = list(takewhile(bool, (_character(each, before) for each in self._waiting)))
            if len(typed) > 1:
                for _ in typed:
                    self._waiting.popleft()
                return events.Paste("".join(typed))
        return self._waiting.popleft()

    async def _done_with(self) -> None:
        """Until what a key began has been done: nothing has a message left."""
        end, still = time.monotonic() + _LONGEST_S, 0
        while still < _STILL and time.monotonic() < end:
            await asyncio.sleep(0)
            still = 0 if self._is_at_work() else still + 1

    def _is_at_work(self) -> bool:
        """Whether the application or what is on its screen has something to do."""
        stack = self._app.screen_stack
        on_top = stack[-1].walk_children() if stack else ()
        return any(each.message_queue_size for each in (self._app, *stack, *on_top))


def _character(event: events.Event, before: Container[str]) -> str:
    """What a key types in a line; nothing where it is one of those that count before that."""
    if not isinstance(event, events.Key) or not event.is_printable or event.key in before:
        return ""
    return event.character or ""
