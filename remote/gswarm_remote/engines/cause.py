"""Why an engine ended: the error in its log from which the others follow.

An engine of several processes logs one failure many times: the worker's exception, then that of
each process that waited for it. The last one says no more than "see above"; the first one says what
is wrong.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

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
