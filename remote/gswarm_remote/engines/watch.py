"""Looking after an engine until it is ready."""

from __future__ import annotations

import time
from pathlib import Path

from .. import process
from ..errors import HelperError, Kind
from ..operations import Report
from .replica import Replica
from .workplace import last_lines

_REPORT_S = 1.0
_LINES = 200  # of its log that are looked at each time


class Watch:
    """Called again and again meanwhile: raises when it has ended, and reports each second."""

    def __init__(self, replica: Replica, report: Report) -> None:
        self._replica = replica
        self._report = report
        self._began = time.monotonic()
        self._reported = self._began - _REPORT_S
        self._healthy = False

    def healthy(self) -> None:
        """It is healthy, and is asked for its first token."""
        self._healthy = True
        self._tell(time.monotonic())

    def __call__(self) -> None:
        started = self._replica.process
        if started is None or not started.alive():
            how = process.exit_reason(started) if started else None
            raise HelperError(Kind.ENGINE_FAILED, f"it {how or 'ended'} before it was ready")
        now = time.monotonic()
        if now - self._reported >= _REPORT_S:
            self._check_log()
            self._tell(now)

    def _check_log(self) -> None:
        """Raise where the engine says that it has given up, though it stays."""
        given_up = self._replica.ready.given_up
        if given_up is None:
            return
        if any(given_up in line for line in last_lines(Path(self._replica.log), _LINES)):
            raise HelperError(Kind.ENGINE_FAILED, "it gave up before it was ready")

    def _tell(self, now: float) -> None:
        self._reported = now
        doing = (
            "is asked for a first token" if self._healthy else f"is loading {self._replica.model}"
        )
        message = f"{self._replica.engine} {doing} ({now - self._began:.0f} s)"
        self._report({"phase": "check" if self._healthy else "load", "message": message})
