"""The trail of screens, and the mouse on it."""

from __future__ import annotations

import pytest

from gswarm_tui.tui.widgets.header import Header, crumb_at

from .some_models import placed
from .stage import on_stage

TRAIL = ("Fleet", "Model llama", "Node alpha")


@pytest.mark.parametrize(
    ("width", "x", "place"),
    [
        *((80, 0, 0), (80, 4, 0), (80, 5, None), (80, 8, 1), (80, 18, 1), (80, 22, 2)),
        *((80, 31, 2), (80, 32, None), (30, 0, 0), (30, 4, 1), (16, 0, 1), (16, 4, 2), (5, 2, 2)),
    ],
)
def test_a_column_is_of_one_part_of_the_trail(width: int, x: int, place: int | None) -> None:
    assert crumb_at(TRAIL, width, x) == place


async def test_a_click_on_a_part_of_the_trail_goes_back_there() -> None:
    async with on_stage(placed(), size=(80, 24)) as stage:
        for word, subject in (("models", None), ("model", "llama"), ("node", "alpha")):
            stage.app.open_view(word, subject)
        await stage.pilot.pause()
        trail = stage.lines()[1]
        assert "Fleet › Models › Model llama › Node alpha" in trail
        await stage.pilot.click(Header, offset=(trail.index("Node"), 1))  # one is there already
        assert stage.app.trail()[-1] == "Node alpha"
        await stage.pilot.click(Header, offset=(trail.index("Models"), 1))
        assert stage.app.trail() == ("Fleet", "Models")
        await stage.pilot.click(Header, offset=(1, 0))  # the totals lead nowhere
        assert stage.app.trail() == ("Fleet", "Models")
        await stage.pilot.click(Header, offset=(1, 1))
        assert stage.app.trail() == ("Fleet",)
