"""Since when GPUs compute nothing, as the node counts it."""

from __future__ import annotations

from typing import Any

import pytest
from gswarm_remote.metrics.idle import IdleTimes

NOW = 1_000_000.0


class Looking:
    """Looks at one GPU, by a clock that is as far from the calendar as one likes."""

    def __init__(self) -> None:
        self.at = 50.0
        self.times = IdleTimes(lambda: self.at)

    def look(self, util: float | None, at: float) -> tuple[float | None, bool | None]:
        self.at = 50.0 + at
        gpu: dict[str, Any] = {"index": 3, "util_percent": util}
        self.times.mark([gpu], NOW + at)
        return gpu["idle_since"], gpu["idle_seen"]


@pytest.fixture
def looking() -> Looking:
    return Looking()


def test_from_when_it_was_seen_to_end(looking: Looking) -> None:
    assert looking.look(90, 0) == (None, None)
    assert looking.look(0, 1) == (NOW + 1, True)
    assert looking.look(1, 2) == (NOW + 1, True)  # what looks at it is measured too
    assert looking.look(2, 3) == (None, None)
    assert looking.look(0, 4) == (NOW + 4, True)
    assert looking.look(None, 5) == (None, None)


def test_what_began_before_anybody_looked_lasts_at_least_so_long(looking: Looking) -> None:
    assert looking.look(0, 0) == (NOW, False)
    assert looking.look(0, 60) == (NOW, False)
    assert looking.look(50, 61) == (None, None)
    assert looking.look(0, 62) == (NOW + 62, True)


def test_a_while_without_a_look(looking: Looking) -> None:
    looking.look(0, 0)
    assert looking.look(0, 119) == (NOW, False)
    assert looking.look(0, 240) == (NOW + 240, False)  # who knows what it did
    looking.look(90, 241)
    assert looking.look(0, 400) == (NOW + 400, False)


def test_each_gpu_has_its_own(looking: Looking) -> None:
    gpus = [{"index": index, "util_percent": util} for index, util in enumerate((0, 80))]
    looking.times.mark(gpus, NOW)
    assert [gpu["idle_since"] for gpu in gpus] == [NOW, None]
