from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.watch.rings import History, Ring


def test_the_newest_value_is_the_last_and_gaps_are_nothing() -> None:
    ring = Ring(5, 1.0)
    for time, value in ((100.0, 1.0), (101.2, 2.0), (103.9, 4.0)):
        ring.add(time, value)
    assert ring.last(5, 103.9) == [None, 1.0, 2.0, None, 4.0]
    assert ring.last(3, 105.0) == [4.0, None, None]


def test_more_than_one_value_in_a_step_are_their_mean() -> None:
    ring = Ring(3, 60.0)
    for time, value in ((0.0, 99.0), (60.0, 1.0), (80.0, 3.0), (119.0, None)):
        ring.add(time, value)
    assert ring.last(1, 119.0) == [2.0]


def test_what_is_old_is_overwritten_and_what_comes_late_is_dropped() -> None:
    ring = Ring(3, 1.0)
    for second in range(10, 20):
        ring.add(second, float(second))
    ring.add(12, 0.0)
    assert ring.last(5, 19) == [None, None, 17.0, 18.0, 19.0]
    ring.add(10_000, 5.0)
    assert ring.last(3, 10_000) == [None, None, 5.0]


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 100, width=32)), max_size=60))
def test_it_is_what_a_dictionary_would_say(values: list[tuple[int, float]]) -> None:
    ring, said, now = Ring(8, 1.0), {}, 0
    for time, value in values:
        if time > now:
            now, said[time] = time, [value]
        elif time == now:
            said[time].append(value)
        ring.add(time, value)
    expected = [said.get(second) for second in range(now - 7, now + 1)]
    means = [None if some is None else sum(some) / len(some) for some in expected]
    assert ring.last(8, now) == [None if m is None else pytest.approx(m, abs=1e-3) for m in means]


def test_a_series_costs_what_its_arrays_do() -> None:
    history = History()
    tracemalloc.start()
    for index in range(100):
        for second in range(50):
            history.add(("node", index, "util"), 1e9 + second, 1.0)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 100 < 9_500
    assert history.seconds(("node", 7, "util"), 2, 1e9 + 49) == [1.0, 1.0]
    assert history.minutes(("nobody",), 2, 1e9) == [None, None]
