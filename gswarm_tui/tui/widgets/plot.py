"""What a number was like before, as an area of block characters.

A column stands for a span of time that begins at the same moments whenever it is drawn: from one
second to the next only the last column is different, and a slow line has little to carry. Drawing
one costs half a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from gswarm_tui import wording
from gswarm_tui.tui.widgets.cells import Cell, Piece, Tone, fit
from gswarm_tui.watch.rings import MINUTES, SECONDS, History
from gswarm_tui.watch.series import Key

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_AXIS = 10
"""Columns for what is at the edges: ``10.0 MB/s`` and a blank."""


@dataclass(frozen=True, slots=True)
class Span:
    """How far back a plot goes.

    Args:
        title: ``10 min``.
        count: how many steps.
        step_s: how long a step is, in seconds.
    """

    title: str
    count: int
    step_s: int


TEN_MINUTES = Span("10 min", SECONDS, 1)
ONE_DAY = Span("24 h", MINUTES, 60)


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn.

    Args:
        keys: whose values; of several the mean, or the sum.
        top: the value at the upper edge; None takes the highest there was.
        text: how a value is written.
    """

    title: str
    keys: tuple[Key, ...]
    text: Callable[[float], str]
    top: float | None = None
    summed: bool = False


def plot(
    history: History, series: Series, span: Span, now: float, width: int, height: int
) -> list[Cell]:
    """A line with the title, `height` lines with the area, and one that says of which time."""
    columns = max(1, width - _AXIS)
    values = _together(
        [binned(history, key, span, now, columns) for key in series.keys], summed=series.summed
    )
    known = [value for value in values if value is not None]
    top = series.top or rounded_up(max(known, default=0.0))
    newest = _newest(history, series)
    title = _title(series, span, known, newest, width)
    area = _area(values, top, series.text, columns, height)
    return [title, *area, _time_axis(span, columns)]


def binned(history: History, key: Key, span: Span, now: float, columns: int) -> list[float | None]:
    """A mean for each column; None where there was no value."""
    steps = _steps(span, columns)
    into = int(now // span.step_s) % steps + 1
    count = (columns - 1) * steps + into
    ask = history.seconds if span.step_s == 1 else history.minutes
    found = ask(key, count, now)
    return [_mean(found[max(0, place - steps) : place]) for place in range(steps, count, steps)] + [
        _mean(found[-into:])
    ]


def _steps(span: Span, columns: int) -> int:
    """How many steps of the span a column is, so that there is room for all of it."""
    return max(1, -(-span.count // columns))


def rounded_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20… that is not below; 1 for what is not above zero."""
    scale = 1.0
    if value <= 0:
        return scale
    while scale < value:
        scale *= 10
    while scale / 10 >= value:
        scale /= 10
    return next(part * scale / 10 for part in (1, 2, 5, 10) if part * scale / 10 >= value)


def _together(many: Sequence[Sequence[float | None]], *, summed: bool) -> Sequence[float | None]:
    """The mean, or the sum, of each column of several series."""
    if len(many) == 1:
        return many[0]
    means = [(_mean(column), column) for column in zip(*many, strict=True)]
    if not summed:
        return [mean for mean, _ in means]
    counts = [sum(value is not None for value in column) for _, column in means]
    return [
        None if mean is None else mean * count
        for (mean, _), count in zip(means, counts, strict=True)
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _newest(history: History, series: Series) -> float | None:
    """How much of it there is now; None where nobody tells any more."""
    told = [[history.newest(key)] for key in series.keys]
    return _together(told, summed=series.summed)[0]


def _title(
    series: Series, span: Span, known: Sequence[float], newest: float | None, width: int
) -> Cell:
    """What is drawn and how much of it there is, in as many words as there is room for."""
    titles = list(_titles(series, span, known, newest))
    room = (each for each in titles if sum(cell_len(piece.text) for piece in each) <= width)
    return fit(next(room, titles[-1]), width)


def _titles(
    series: Series, span: Span, known: Sequence[float], newest: float | None
) -> Iterator[list[Piece]]:
    """The title with ever fewer words; it is above the area as long as it can."""
    title = Piece(series.title, Tone.TITLE)
    more: list[list[Piece]]
    if known:
        now = Piece(f"  {wording.NOTHING if newest is None else series.text(newest)}")
        most = f"most {series.text(max(known))}"
        mean = f"mean {series.text(sum(known) / len(known))}"
        more = [
            [now, Piece(f"  {mean}, {most}", Tone.DIM)],
            [now, Piece(f"  {most}", Tone.DIM)],
            [now],
            [],
        ]
    else:
        nothing = ("  nothing known", f" of the last {span.title}")
        more = [[Piece("".join(nothing), Tone.DIM)], [Piece(nothing[0], Tone.DIM)], []]
    for words in more:
        yield [Piece(" " * _AXIS), title, *words]
        yield [title, *words]


def _area(
    values: Sequence[float | None],
    top: float,
    text: Callable[[float], str],
    columns: int,
    height: int,
) -> list[Cell]:
    filled = [_eighths(value, top, height) for value in values]
    lines: list[Cell] = []
    for row in range(height - 1, -1, -1):
        label = text(top) if row == height - 1 else text(0.0) if row == 0 else ""
        area = "".join(_EIGHTHS[max(0, min(8, count - row * 8))] for count in filled)
        axis = Piece(f"{label[: _AXIS - 1]:>{_AXIS - 1}} ", Tone.DIM)
        lines.append((axis, Piece(area.ljust(columns), Tone.BUSY)))
    return lines


def _time_axis(span: Span, columns: int) -> Cell:
    """Where the span begins, below its first column, and now; on little room only the span."""
    begin, end = f"-{span.title}", "now"
    before = columns - -(-span.count // _steps(span, columns))
    between = columns - before - len(begin) - len(end)
    if between < 1:
        return Piece(begin, Tone.DIM)
    return Piece(" " * (_AXIS + before) + begin + " " * between + end, Tone.DIM)


def _eighths(value: float | None, top: float, height: int) -> int:
    """How high a column is; a value of zero can be told from none at all."""
    if value is None:
        return 0
    return max(1, min(height * 8, round(value / top * height * 8)))


def percent(value: float) -> str:
    return f"{value:.0f} %"


def degrees(value: float) -> str:
    return f"{value:.0f} °C"


def rate(value: float) -> str:
    return f"{wording.size(value)}/s"
