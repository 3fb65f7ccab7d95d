"""The end of an attempt whose lease is gone: it would go on beside somebody else."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, final

from gswarm_tui.errors import GswarmError


@final
class Guard:
    """Ends the block that it is around when a lease is lost, as `asyncio.timeout` does in time."""

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._error: GswarmError | None = None

    def lose(self, sentence: str) -> None:
        """End the block, now or when it is entered; it raises ``in_use`` with that sentence."""
        if self._error is not None:
            return
        hint = "gswarm job retry does it again; `retry: {on: [in_use]}` would have"
        self._error = GswarmError(sentence, hint=hint)
        self._error.kind = "in_use"
        if self._task is not None:
            self._task.cancel()

    async def __aenter__(self) -> Self:
        if self._error is not None:
            raise self._error
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self._error is None or task is None:
            return
        # Where somebody asked for the end of the task as well, that is what it ends by.
        only_us = task.uncancel() <= self._cancelling
        if only_us and isinstance(error, asyncio.CancelledError):
            raise self._error from None
