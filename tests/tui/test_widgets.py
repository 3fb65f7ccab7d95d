"""Plots, heat, what is sent to the terminal, and the command of a shell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from gswarm_tui.inventory.nodespec import NodeSpec
from gswarm_tui.tui import shell
from gswarm_tui.tui.narrow import NarrowUpdate
from gswarm_tui.tui.widgets.cells import Piece, fit, pieces
from gswarm_tui.tui.widgets.differences import changed_spans
from gswarm_tui.tui.widgets.header import _in_room, totals
from gswarm_tui.tui.widgets.heat import Heat
from gswarm_tui.tui.widgets.plot import (
    ONE_DAY,
    TEN_MINUTES,
    Series,
    Span,
    binned,
    percent,
    plot,
    rate,
    rounded_up,
)
from gswarm_tui.watch.rings import History
from gswarm_tui.wording import power

from .fleets import NOW, fleet, gpu, node, racks
from .stage import on_stage

KEY = ("one", 0, "util_percent")


def text(lines: list[object]) -> list[str]:
    return ["".join(piece.text for piece in pieces(line)) for line in lines]  # type: ignore[arg-type]


def remember(values: list[float | None], step_s: float = 1.0, until: float = NOW) -> History:
    history = History()
    for place, value in enumerate(values):
        history.add(KEY, until - (len(values) - 1 - place) * step_s, value)
    return history


def test_watts_are_written_as_everywhere_else() -> None:
    history = remember([1847.0, 700.0])
    series = Series("GPU power", (KEY,), power, 5600.0)
    drawn = text(list(plot(history, series, TEN_MINUTES, NOW, 70, 2)))
    assert drawn[0].strip() == "GPU power  700 W  mean 1.3 kW, most 1.8 kW"
    assert drawn[1].startswith("   5.6 kW ")


def test_a_plot_is_as_high_as_its_values() -> None:
    history = remember([0.0] * 300 + [50.0] * 150 + [100.0] * 150)
    series = Series("util", (KEY,), percent, 100.0)
    drawn = text(list(plot(history, series, TEN_MINUTES, NOW, 10 + 60, 2)))
    assert drawn[0].strip().startswith("util  100 %  mean 39 %, most 100 %")
    assert drawn[1].startswith("    100 % ")
    assert drawn[1].endswith("█" * 14)
    assert "▁" * 20 in drawn[2]
    assert drawn[2].endswith("█" * 29)


def test_what_is_not_known_is_blank_and_zero_is_not() -> None:
    history = remember([0.0] * 10 + [None] * 10 + [0.0] * 10)
    columns = binned(history, KEY, TEN_MINUTES, NOW, 600)[-30:]
    assert columns == [0.0] * 10 + [None] * 10 + [0.0] * 10
    drawn = text(list(plot(history, Series("u", (KEY,), percent), TEN_MINUTES, NOW, 610, 1)))
    assert drawn[1].endswith("▁" * 10 + " " * 10 + "▁" * 10)


@pytest.mark.parametrize(
    ("span", "room", "said"),
    [
        (TEN_MINUTES, 70, " " * 10 + "-10 min" + " " * 50 + "now"),
        (ONE_DAY, 70, " " * 10 + "-24 h" + " " * 52 + "now"),
        (TEN_MINUTES, 10 + 500, " " * 210 + "-10 min" + " " * 290 + "now"),  # two seconds each
        (TEN_MINUTES, 20, "-10 min"),
    ],
)
def test_below_a_plot_is_of_which_time_it_is(span: Span, room: int, said: str) -> None:
    history = remember([50.0] * 1200)
    series = Series("util", (KEY,), percent, 100.0)
    assert text(list(plot(history, series, span, NOW, room, 2)))[-1] == said


def test_columns_stay_where_they_are_from_one_second_to_the_next() -> None:
    values = [float(second * 7 % 100) for second in range(600)]
    history = remember(values)
    start = NOW // 10 * 10
    before = binned(history, KEY, TEN_MINUTES, start - 3, 60)
    after = binned(history, KEY, TEN_MINUTES, start - 2, 60)
    assert before[1:-1] == after[1:-1]


def test_a_day_is_drawn_from_the_minutes() -> None:
    history = remember([20.0] * 120, step_s=60.0)
    assert binned(history, KEY, ONE_DAY, NOW, 1440)[-120:] == [20.0] * 120


def test_several_are_added_up() -> None:
    history = remember([30.0] * 600)
    series = Series("power", (KEY, KEY, ("none", 0, "x")), percent, summed=True)
    assert "60 %  mean 60 %" in text(list(plot(history, series, TEN_MINUTES, NOW, 60, 2)))[0]


@pytest.mark.parametrize("span", [TEN_MINUTES, ONE_DAY])
def test_what_is_not_told_any_more_is_not_said_to_be_so_now(span: Span) -> None:
    history = remember([50.0] * 600)
    series = Series("util", (KEY,), percent, 100.0)

    def title(now: float) -> str:
        return text(list(plot(history, series, span, now, 70, 2)))[0].strip()

    assert title(NOW).startswith("util  50 %  mean 50 %")
    assert title(NOW + 9).startswith("util  50 %  mean 50 %")  # a picture between two ticks
    history.put(NOW + 10, (), ())  # the next tick, of which it tells nothing
    assert title(NOW + 10).startswith("util  -  mean 50 %")
    assert title(NOW + 300).startswith("util  -  mean 50 %")


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (63, "          network in  50.0 MB/s  mean 50.0 MB/s, most 50.0 MB/s"),
        (53, "network in  50.0 MB/s  mean 50.0 MB/s, most 50.0 MB/s"),
        (47, "          network in  50.0 MB/s  most 50.0 MB/s"),
        (37, "network in  50.0 MB/s  most 50.0 MB/s"),
        (31, "          network in  50.0 MB/s"),
        (21, "network in  50.0 MB/s"),
        (20, "          network in"),
        (9, "network …"),
    ],
)
def test_a_title_is_shortened_by_words_and_no_value_is_cut(room: int, said: str) -> None:
    history = remember([50e6] * 600)
    series = Series("network in", (KEY,), rate)
    title, top, *_ = text(list(plot(history, series, TEN_MINUTES, NOW, room, 3)))
    assert title.rstrip() == said
    assert top.startswith("50.0 MB/s ")


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (54, "          network in  nothing known of the last 24 h"),
        (50, "network in  nothing known of the last 24 h"),
        (40, "          network in  nothing known"),
    ],
)
def test_that_nothing_is_known_is_said_in_fewer_words(room: int, said: str) -> None:
    drawn = plot(History(), Series("network in", (KEY,), rate), ONE_DAY, NOW, room, 1)
    assert text(list(drawn))[0].rstrip() == said


@pytest.mark.parametrize(
    ("value", "up"), [(0, 1), (0.03, 0.05), (1, 1), (3, 5), (17, 20), (210, 500), (6e9, 1e10)]
)
def test_the_upper_edge_is_a_round_number(value: float, up: float) -> None:
    assert rounded_up(value) == pytest.approx(up)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("name", "name  "),
        ("x" * 10_000, "xxxxx…"),
        ("字" * 10_000, "字字 …"),
        ("é" * 3 + "x" * 10_000, "é" * 3 + "xx…"),
        ("a" + "\u0301" * 10_000, "a" + "\u0301" * 55 + "…" + "    "),
    ],
    ids=["short", "long", "wide", "marks", "nothing-but-marks"],
)
def test_a_text_has_its_room_and_no_more(said: str, shown: str) -> None:
    fitted = fit([Piece(said)], 6)
    assert "".join(piece.text for piece in fitted) == shown


def test_heat_does_not_flicker_but_follows() -> None:
    heat = Heat()

    def drawn(util: float) -> str:
        one = gpu("one", 0, util)
        return "".join(piece.text for piece in heat.pieces([one], [one], {}))

    assert drawn(50) == "▅"
    assert [drawn(util) for util in (61, 63, 45, 64)] == ["▅"] * 4
    assert drawn(90) == "█"
    assert drawn(1) == "▁"


def test_only_the_segments_that_differ_are_sent() -> None:
    red, blue = Style(color="red"), Style(color="blue")
    before = Strip([Segment("ab", red), Segment("cd" * 8, red), Segment("ef", red)])
    after = Strip([Segment("ab", red), Segment("cd" * 8, red), Segment("ef", blue)])
    assert changed_spans(before, before) == []
    assert changed_spans(before, after) == [(18, 20)]
    assert changed_spans(Strip([Segment("日本", red)]), Strip([Segment("日本", blue)])) == [(0, 4)]


def test_lines_are_cropped_on_both_sides() -> None:
    strip = Strip([Segment("abcdefgh"), Segment("ijklmnop")])
    update = ChopsUpdate([{0: strip}], [(0, 5, 11)], [[16]])
    narrow = NarrowUpdate(update.chops, update.spans, update.chop_ends)
    assert narrow.render_segments(Console(color_system=None)) == "\x1b[1;6Hfghijk"


async def test_a_picture_that_is_the_same_draws_nothing() -> None:
    async with on_stage(racks()) as stage:
        table = stage.view.query_one("FleetTable")
        await stage.push(racks())
        table._repaint_regions.clear()
        stage.source.push(racks())
        assert not table._repaint_regions


async def test_one_value_repaints_one_cell() -> None:
    first, second = (
        fleet(*(node(name, gpu(name, 0, power_w=power)) for name in ("a", "b")), time=NOW)
        for power in (500.0, 900.0)
    )
    async with on_stage(first, size=(80, 24)) as stage:
        await stage.press("v")
        table = stage.view.query_one("FleetTable")
        table._repaint_regions.clear()
        stage.source.push(second)
        assert {region.y for region in table._repaint_regions} == {1, 2}
        assert all(region.width < 12 for region in table._repaint_regions)


def test_a_shell_is_opened_as_the_inventory_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell.command(NodeSpec("a", "gpu-1")) == ["ssh", "gpu-1"]
    spec = NodeSpec("a", "::1", user="ana", port=2222, identity=Path("/k"), jump="gate")
    known = ["ssh", "-p", "2222", "-J", "gate", "-i", "/k", "ana@::1"]
    assert shell.command(spec) == known
    monkeypatch.setenv("SHELL", "/bin/fish")
    assert shell.command(NodeSpec("a", "here", connection="local")) == ["/bin/fish"]


@pytest.mark.parametrize(("watts", "said"), [(72.0, "72 W"), (999.7, "1.0 kW"), (1650.0, "1.6 kW")])
def test_little_power_is_said_in_watts(watts: float, said: str) -> None:
    picture = fleet(node("one", gpu("one", 0, power_w=watts)))
    assert totals(picture)[-1].text.strip() == said


def test_no_amount_at_the_top_is_cut_and_what_is_wrong_stays() -> None:
    said = totals(replace(racks(), queue_paused=True))
    whole = "".join(piece.text for piece in said)
    for width in range(20, len(whole) + 1):
        shown = "".join(piece.text for piece in _in_room(said, width))
        assert whole.startswith(shown)
        assert shown.endswith((" paused", " busy", " GB", " TB", "W"))
        assert len(shown) <= width or shown.endswith("queue paused")
