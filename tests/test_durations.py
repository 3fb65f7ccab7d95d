"""Lengths of time."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from gswarm_tui.durations import PATTERN, parse, parse_limit


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (0, 0),
        (90, 90),
        (1.5, 1.5),
        ("0", 0),
        ("0s", 0),
        ("90", 90),
        ("0.5", 0.5),
        ("90s", 90),
        (" 5s ", 5),
        ("250ms", 0.25),
        ("10m", 600),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1h05m", 3900),
        ("1d", 86_400),
    ],
)
def test_a_length_of_time_is_read(written: str | float, seconds: float) -> None:
    assert parse(written) == seconds
    if seconds:
        assert parse_limit(written) == seconds
    else:
        with pytest.raises(ValueError, match="a time limit of 0 would end everything at once"):
            parse_limit(written)
    if isinstance(written, str):
        assert re.search(PATTERN, written)


@pytest.mark.parametrize(
    "written",
    [
        *("", "s", "h2", "5 weeks", "1:30", "1 2", "1s 2", "1e3", "-1s", "-5", "٣s", "٣", "0300"),
        *(-1, math.inf, math.nan, True, None, [], "soon"),
    ],
)
def test_what_is_none_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected a length of time such as 90s, 10m or 2h"):
        parse(written)


@pytest.mark.parametrize("written", ["9" * 400 + "d", "9" * 400, 10**400])
def test_what_is_endless_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="expected a length of time"):
        parse(written)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5min", "5m"),
        ("5 minutes", "5m"),
        ("5M", "5m"),
        ("1.5 Hours", "1.5h"),
        ("1h 30m", "1h30m"),
        ("4 min 10 s", "4m10s"),
    ],
)
def test_other_words_are_told_ours(written: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"'{written}' is no length of time: write {meant}$"):
        parse(written)
    assert not re.search(PATTERN, written)
    assert parse(meant) > 0
