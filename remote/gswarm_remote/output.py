"""The output of a command, on its way to those who follow it.

A report has ``output`` (text) and the position of its bytes in the whole, ``start`` and ``end``.
Reports may be joined when a connection is slow, and repeated after a reconnect: with the positions
nothing is lost, and nothing is shown twice.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

MOST = 1024 * 1024
"""Bytes that wait for a slow connection; of more, the end."""


class Trimmer:
    """Takes reports, and gives what is new in each."""

    def __init__(self) -> None:
        self._seen = 0

    def new(self, report: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """The report without what was seen already; None where that is all of it."""
        if report.get("output") is None:
            return report
        trimmed = after(report, self._seen)
        self._seen = max(self._seen, int(report["end"]))
        return trimmed


def joined(old: Optional[Dict[str, Any]], new: Dict[str, Any]) -> Dict[str, Any]:
    """One report in place of two; the newer one says all but the output."""
    if old is None or old.get("output") is None:
        return new
    if new.get("output") is None:
        return {**new, "output": old["output"], "start": old["start"], "end": old["end"]}
    rest = after(new, int(old["end"]))
    if rest is None:
        return {**new, "output": old["output"], "start": old["start"], "end": old["end"]}
    both = {**rest, "output": old["output"] + rest["output"], "start": old["start"]}
    return after(both, int(both["end"]) - MOST) or both


def after(report: Dict[str, Any], place: int) -> Optional[Dict[str, Any]]:
    """What of a report is beyond a place in the whole; None where nothing is."""
    start, end = int(report["start"]), int(report["end"])
    if end <= place:
        return None
    if start >= place:
        return report
    text = report["output"].encode()[place - start :].decode(errors="replace")
    return {**report, "output": text, "start": place}
