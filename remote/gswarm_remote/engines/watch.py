"""Looking after an engine while it loads."""

from __future__ import annotations

import time

from .. import process
from ..errors import HelperError, Kind
from ..operations import Report
from .replica import Replica

_REPORT_S = 1.0


class Watch:
    """Called again and again meanwhile: raises when it has ended, and reports each second."""

    def __init__(self, replica: Replica, report: Report) -> None:
        self._replica = replica
        self._report = report
        self._began = time.monotonic()
        self._reported = self._began - _REPORT_S

    def __call__(self) -> None:
        process_record = self._replica.process
        if process_record is None or not process_record.alive():
            how = process.exit_reason(process_record) if process_record else None
            raise HelperError(Kind.ENGINE_FAILED, f"it {how or 'ended'} before it was ready")
        now = time.monotonic()
        if now - self._reported >= _REPORT_S:
            self._reported = now
            seconds = f"{now - self._began:.0f} s"
            message = f"{self._replica.engine} is loading {self._replica.model} ({seconds})"
            self._report({"phase": "load", "message": message})
