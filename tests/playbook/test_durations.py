from typing import Any

import pytest

from gswarm_tui.playbook.language.durations import seconds


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (1, 1.0),
        (0.5, 0.5),
        ("90s", 90.0),
        ("10m", 600.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        ("1d", 86400.0),
        ("250ms", 0.25),
        (" 5s ", 5.0),
    ],
)
def test_a_length_of_time_is_read(written: Any, value: float) -> None:
    assert seconds(written) == value


@pytest.mark.parametrize(
    "written",
    [0, -1, "0s", "", "5", "s", "5 m", "5min", "1h 30m", "-5s", True, None, [5], float("inf")],
)
def test_what_is_none_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|length of time"):
        seconds(written)


def test_a_delay_can_be_nothing() -> None:
    assert seconds(0, zero=True) == 0.0
    with pytest.raises(ValueError, match="zero or more"):
        seconds(-1, zero=True)
