"""What Ctrl-C and TERM do to a run."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, final

from gswarm_tui.cli import output

if TYPE_CHECKING:
    from gswarm_tui.cli.job_view import View
    from gswarm_tui.jobs import Runner


@final
class Interrupts:
    """What Ctrl-C and TERM do: the first cancels the run, the second leaves at once.

    Until there is a run, the first cancels the task that made this.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._runner: Runner | None = None
        self._view: View | None = None
        self._job_id: int | None = None
        self._asked = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # A shell starts what it puts in the background with SIGINT ignored: so it stays.
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._handle)

    def go_to(self, runner: Runner, view: View, job_id: int) -> None:
        """From now on they are for this run."""
        self._runner, self._view, self._job_id = runner, view, job_id

    def _handle(self) -> None:
        if self._asked:
            self._leave()
        self._asked = True
        if self._runner is not None and self._view is not None:
            self._view.cancelling()
            self._runner.cancel()
        elif self._task is not None:
            self._task.cancel()

    def _leave(self) -> None:
        from gswarm_tui.cli import EXIT_INTERRUPTED

        if self._view is not None:
            self._view.leave()
            output.flush()
            output.say(f"nodes may go on; gswarm job resume {self._job_id} goes on from there")
        # Nothing is waited for: the next run marks this one as lost.
        os._exit(EXIT_INTERRUPTED)
