"""Why an engine ended: the error in its log from which the others follow.

An engine of several processes logs one failure many times: the worker's exception, then that of
each process that waited for it. The last one says no more than "see above"; the first one says what
is wrong.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from ..errors import HelperError, Kind
from .conflicts import joined
from .replica import Replica

LOG_LINES = 15
"""Lines of an engine's log that an error shows."""

# vLLM: "(VllmWorker-0 pid=812) ERROR 11-21 02:32:28 [multiproc_executor.py:953] ValueError: ..."
_WHO = re.compile(r"\([\w:. -]+ pid=\d+\) ?")
_WHEN = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:,.]+ \[[^\]]*\] ?")
_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = ("During handling of the above", "The above exception was the direct cause")


def first_error(lines: Sequence[str]) -> Optional[str]:
    """The exception of the first traceback; of tracebacks that are chained, the last one's.

    Args:
        lines: of a log, without escapes.

    Returns:
        ``ValueError: the reason``; None where there is no traceback.
    """
    parted = [_parted(line) for line in lines]
    for number, (who, text) in enumerate(parted):
        if text.startswith(_TRACEBACK):
            # What other processes have logged meanwhile is between the lines of this one.
            return _exception([t for w, t in parted[number:] if w == who])
    return None


def failure(replica: Replica, error: HelperError, lines: Sequence[str]) -> HelperError:
    """The error of an engine that did not become ready, with its cause and the end of its log.

    Args:
        lines: of its log, the last ones.
    """
    why = first_error(lines)
    shown = lines[-LOG_LINES:]
    said = error.message if why is None or why in shown else f"{error.message}: {why}"
    tail = "; the end of its log:\n" + "\n".join(f"  {line}" for line in shown)
    devices = joined(replica.devices)
    return HelperError(
        Kind.ENGINE_FAILED,
        f"{replica.engine} did not get {replica.model} ready on {devices}: {said}"
        + (tail if shown else "; its log is empty"),
        where=replica.log,
        hint=error.hint,
    )


def _parted(line: str) -> Tuple[str, str]:
    """Which process has logged a line, and what."""
    who = _WHO.match(line)
    rest = line if who is None else line[who.end() :]
    when = _WHEN.match(rest)
    return "" if who is None else who.group(), rest if when is None else rest[when.end() :]


def _exception(lines: List[str]) -> Optional[str]:
    """The exception at the end of the traceback with which the lines begin."""
    found: Optional[str] = None
    within = False
    for line in lines:
        if line.startswith(_TRACEBACK):
            within = True
        elif within and line and not line[0].isspace():
            found, within = line, False
        elif not within and line and not line.startswith(_CHAINED):
            break
    return found
