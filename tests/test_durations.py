"""Lengths of time."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gswarm_tui.durations import parse


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (0, 0),
        (3600, 3600),
        (1.5, 1.5),
        ("90", 90),
        ("0.5", 0.5),
        ("90s", 90),
        ("250ms", 0.25),
        ("10m", 600),
        ("10 min", 600),
        ("1.5h", 5400),
        ("1h30m", 5400),
        (" 1D 2h ", 93600),
    ],
)
def test_parse(text: str | float, seconds: float) -> None:
    assert parse(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "s", "-1s", -1, True, "1e3", "5 weeks", "1:30", "h2", "٣s", "1 2", math.inf, math.nan, []],
)
def test_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="expected a length of time such as 90s, 10m or 2h"):
        parse(text)
