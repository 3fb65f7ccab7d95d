from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from gswarm_tui import times


@pytest.mark.parametrize(
    "moment",
    [
        1_800_000_000.25,
        datetime(2027, 1, 15, 10, tzinfo=timezone(timedelta(hours=2)))
        + timedelta(milliseconds=250),
        "2027-01-15T08:00:00.250Z",
    ],
)
def test_a_moment_is_written_in_one_way(moment: object) -> None:
    assert times.text(moment) == "2027-01-15T08:00:00.250+00:00"  # type: ignore[arg-type]


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="noon"):
        times.text("noon")


def test_later_moments_are_later_texts() -> None:
    assert times.now() <= times.now() < times.text(9_999_999_999)
