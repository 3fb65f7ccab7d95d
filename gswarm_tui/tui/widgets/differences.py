"""Where two drawings of a line differ: over a slow line, the rest is not sent again."""

from __future__ import annotations

from collections.abc import Iterator

from rich.segment import Segment
from textual.strip import Strip

_CLOSE = 6
"""Moving the cursor costs as many bytes as so many letters."""


def changed_spans(before: Strip, after: Strip) -> list[tuple[int, int]]:
    """The columns ``[start, end)`` in which `after` is not as `before`, in whole segments."""
    known = dict(_placed(before))
    spans: list[tuple[int, int]] = []
    for x, segment in _placed(after):
        if known.get(x) == segment:
            continue
        end = x + segment.cell_length
        if spans and x - spans[-1][1] <= _CLOSE:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((x, end))
    return spans


def _placed(strip: Strip) -> Iterator[tuple[int, Segment]]:
    """The segments, each with the column in which it begins."""
    x = 0
    for segment in strip:
        yield x, segment
        x += segment.cell_length
