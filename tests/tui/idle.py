"""When the screens have come to rest, by what they have left to do instead of by the clock.

Textual's pilot sleeps until the process has used little CPU for 20 ms. That takes longer than most
tests, and where the machine is busy it ends before the footer is drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from textual._context import active_app
from textual.screen import Screen

_ROUNDS: Final = 10_000
"""So often may one thing lead to another before it never comes to rest."""
_THREADS_S: Final = 30.0
"""As long is waited for threads; one that takes longer waits for the test itself."""


class Threads(ThreadPoolExecutor):
    """The threads of a loop, which tell what they are at."""

    def __init__(self) -> None:
        super().__init__(max_workers=4)
        self.busy: set[Future[Any]] = set()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = super().submit(fn, *args, **kwargs)
        self.busy.add(future)
        future.add_done_callback(self.busy.discard)
        return future


async def at_rest(min_sleep: float = 0.0, max_sleep: float = 0.0) -> None:
    """Let the application go on until it waits for the test: no task of the loop can run, no thread
    is at work, and what has to be drawn is drawn. Frames come when they are due, not at their time.

    Takes the place of `textual._wait.wait_for_idle`, whose arguments it ignores.
    """
    threads = _threads()
    for _ in range(_ROUNDS):
        await _nothing_can_run()
        if threads.busy:
            working = [asyncio.wrap_future(future) for future in tuple(threads.busy)]
            _, late = await asyncio.wait(working, timeout=_THREADS_S)
            if not late:
                continue
        app = active_app.get()
        if app._resize_event is not None:
            app._check_resize()
        elif _is_due(app.screen):
            app.screen._on_timer_update()
        else:
            return
    raise AssertionError("the screens do not come to rest")


def _threads() -> Threads:
    """The threads of this loop; they are counted from the first time that this is asked."""
    loop: Any = asyncio.get_running_loop()
    if not isinstance(loop._default_executor, Threads):
        loop.set_default_executor(Threads())
    threads = loop._default_executor
    assert isinstance(threads, Threads)
    return threads


async def _nothing_can_run() -> None:
    loop: Any = asyncio.get_running_loop()
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
        if not loop._ready:  # every other task waits for a timer, a thread or a file
            return
    raise AssertionError("something always runs")


def _is_due(screen: Screen[Any]) -> bool:
    """Whether it would draw or call something at its next frame."""
    if screen.app._batch_count:
        return False
    return bool(
        screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )
