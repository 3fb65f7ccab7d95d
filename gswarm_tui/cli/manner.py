"""How a job is run and shown, and where it is written that it could not be."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gswarm_tui.cli import output
from gswarm_tui.errors import GswarmError, UsageError
from gswarm_tui.jobs.overlap import Overlap

if TYPE_CHECKING:
    from gswarm_tui.cron.history import Note


@dataclass(frozen=True, slots=True)
class Manner:
    """How a job is run and shown.

    Args:
        as_json: one JSON object a line on stdout.
        quiet: say nothing but what failed.
        junit: a file that says how each task went, for CI servers.
        log_file: gets what the job's own log gets, and what comes before.
        overlap: where another run of the playbook is under way.
        timeout_s: for all of it, waiting for another run included.
        spent_before_s: what of that was over when this process was begun.
        note: what cron's record of its runs is told.
    """

    as_json: bool = False
    quiet: bool = False
    junit: Path | None = None
    log_file: Path | None = None
    overlap: Overlap = Overlap.FAIL
    timeout_s: float | None = None
    spent_before_s: float = 0.0
    note: Note | None = None
    began: float = field(default_factory=time.monotonic)

    def spent_s(self) -> float:
        """What of the time limit is over; 0 where there is none."""
        if self.timeout_s is None:
            return 0.0
        return min(self.spent_before_s + time.monotonic() - self.began, self.timeout_s)

    def tell(self, sentence: str) -> None:
        """Say something that is no part of the job: whom it waits for, why it is skipped."""
        from gswarm_tui.cli import job_view
        from gswarm_tui.jobs.lines import date_and_time

        self._append(sentence)
        if self.as_json:
            job_view.print_event("notice", message=sentence)
        elif not self.quiet:
            stamp = "" if sys.stderr.isatty() else f"{date_and_time()}  "
            output.say(stamp + output.clean(sentence))

    @contextmanager
    def recorded(self, name: str) -> Iterator[None]:
        """Around all that is done for a run: an error is also where nobody sees stderr.

        Args:
            name: of the playbook, as far as it is known.
        """
        from gswarm_tui.cli import junit

        if self.junit is not None:
            junit.check(self.junit)
        try:
            yield
        except GswarmError as error:
            self._append(f"error: {error}")
            if self.junit is not None:
                with self.warned():
                    junit.write_refusal(self.junit, name, error)
            raise

    @contextmanager
    def warned(self) -> Iterator[None]:
        """Around what is written of a run: where that fails, the run went as it went."""
        try:
            yield
        except GswarmError as error:
            output.say(f"warning: {error}", prose=True)
            with suppress(GswarmError):
                self._append(f"warning: {error}")

    def _append(self, sentence: str) -> None:
        """Write a sentence, with the time, to the end of ``--log-file``.

        Raises:
            UsageError: it cannot be written.
        """
        from gswarm_tui.jobs.lines import date_and_time
        from gswarm_tui.jobs.logs import LogFile

        if self.log_file is None:
            return
        try:
            with closing(LogFile(self.log_file, lambda path, error: None)) as file:
                said = output.clean(sentence, keep="\n")
                file.write(f"{date_and_time()}  {said}\n")
        except OSError as error:
            where = str(self.log_file)
            raise UsageError(f"cannot be written: {error.strerror}", where=where) from None
