from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.watch.rings import MINUTES, SECONDS, History
from gswarm_tui.watch.series import gpu_key, host_key, record, service_key
from gswarm_tui.watch.simulated import SimulatedSource

NOW = 1_700_000_040.0  # a minute begins


def test_the_newest_value_is_the_last_and_gaps_are_nothing() -> None:
    history = History()
    for time, value in ((100.0, 1.0), (101.2, 2.0), (103.9, 4.0)):
        history.add("a", time, value)
    assert history.seconds("a", 5, 103.9) == [None, 1.0, 2.0, None, 4.0]
    assert history.seconds("a", 3, 105.0) == [4.0, None, None]
    assert history.seconds("b", 2, 105.0) == [None, None]
    assert (history.newest("a"), history.newest("b")) == (4.0, None)
    history.put(108.0, (), ())
    assert history.newest("a") is None
    history.add("a", 105.0, 5.0)  # the clock was set back
    assert history.newest("a") == 5.0
    assert History().newest("a") is None


def test_of_several_values_in_a_second_the_last_is_kept() -> None:
    history = History()
    for time, value in ((5.0, 1.0), (5.4, 2.0), (5.8, None)):
        history.add("a", time, value)
    assert history.seconds("a", 1, 5.9) == [2.0]


def test_a_minute_has_the_mean_of_its_seconds() -> None:
    history = History()
    for second in range(150):
        history.add("a", NOW + second, float(second))
    assert history.minutes("a", 4, NOW + 149) == [None, 29.5, 89.5, 134.5]
    history.add("a", NOW + 600, 1.0)  # after a gap
    assert history.minutes("a", 3, NOW + 600) == [None, None, 1.0]
    assert history.minutes("a", 9, NOW + 600)[0] == 134.5
    assert history.minutes("b", 2, NOW) == [None, None]


def test_seconds_without_a_value_do_not_count_in_the_mean() -> None:
    history = History()
    history.add("a", NOW, 10.0)
    history.add("other", NOW + 1, 5.0)
    history.add("a", NOW + 2, 20.0)
    history.add("other", NOW + 60, 5.0)
    assert history.minutes("a", 2, NOW + 60) == [15.0, None]
    assert history.minutes("other", 2, NOW + 60) == [5.0, 5.0]


def test_what_is_old_is_overwritten() -> None:
    history = History()
    history.add("a", NOW, 1.0)
    history.add("a", NOW + SECONDS, 2.0)
    assert history.seconds("a", SECONDS + 1, NOW + SECONDS)[0] is None
    history.add("a", NOW + SECONDS - 1, 4.0)  # late, but not too late
    assert history.seconds("a", 2, NOW + SECONDS) == [4.0, 2.0]


def test_it_goes_on_when_the_clock_is_set_back() -> None:
    history = History()
    for second in range(120):
        history.add("a", NOW + second, float(second))
    back = NOW - 7200  # somebody sets it right
    for second in range(3):
        history.add("a", back + second, 500.0 + second)
    assert history.seconds("a", 5, back + 2) == [118.0, 119.0, 500.0, 501.0, 502.0]
    assert history.minutes("a", 3, back + 2) == [29.5, 89.5, 501.0]
    history.fill(["b"], back + 2, [(1.0,), (2.0,)])
    assert history.seconds("b", 3, back + 2) == [None, 1.0, 2.0]
    again = back - 90_000  # and back once more
    history.add("a", again, 7.0)
    assert history.seconds("a", 2, again) == [502.0, 7.0]


def test_what_is_gone_for_a_day_makes_room() -> None:
    history = History()

    def minute(number: int, **values: float) -> None:
        for name, value in values.items():
            keys = ((name, 0), (name, 1))
            columns = history.block(name, lambda keys=keys: keys)  # type: ignore[misc]
            history.put(NOW + 60 * number, columns, [value, value])

    minute(0, old=1.0, new=2.0)
    for number in range(1, MINUTES + 1):
        minute(number, new=2.0)
        if number == MINUTES // 2:
            minute(number, rare=3.0)
    assert history.minutes(("old", 0), MINUTES, NOW) == [None] * (MINUTES - 1) + [1.0]
    minute(MINUTES + 1, new=2.0)
    assert history.minutes(("old", 0), MINUTES + 2, NOW) == [None] * (MINUTES + 2)
    assert history.width == 6
    minute(MINUTES + 2, newer=9.0)
    assert history.width == 6  # in the place of the old one
    assert history.seconds(("newer", 0), 1, NOW + 60 * (MINUTES + 2)) == [9.0]
    assert history.minutes(("newer", 0), MINUTES, NOW + 60 * (MINUTES + 1)) == [None] * MINUTES
    half = history.minutes(("rare", 0), MINUTES, NOW + 60 * (MINUTES + 2))
    assert [value for value in half if value is not None] == [3.0]
    minute(MINUTES + 3, old=5.0, new=6.0)  # it is back
    assert history.seconds(("old", 0), 1, NOW + 60 * (MINUTES + 3)) == [5.0]
    assert history.seconds(("new", 0), 1, NOW + 60 * (MINUTES + 3)) == [6.0]
    assert history.seconds(("newer", 0), 1, NOW + 60 * (MINUTES + 3)) == [None]


def test_a_day_is_kept_by_the_minute() -> None:
    history = History()
    for minute in range(MINUTES + 3):
        history.add("a", NOW + 60 * minute, float(minute))
    found = history.minutes("a", MINUTES, NOW + 60 * (MINUTES + 2))
    assert found[0] == 3.0
    assert found[-1] == MINUTES + 2


@given(
    st.lists(
        st.tuples(st.integers(0, 700), st.sampled_from("abc"), st.floats(0, 100, width=32)),
        max_size=80,
    )
)
def test_it_is_what_a_dictionary_would_say(values: list[tuple[int, str, float]]) -> None:
    history, said = History(), {}
    for time, key, value in sorted(values, key=lambda each: each[0]):
        history.add(key, time, value)
        said[key, time] = value
    for key in "abc":
        seconds = history.seconds(key, SECONDS, 700)
        assert seconds == [said.get((key, second)) for second in range(101, 701)]
        for minute, mean in enumerate(history.minutes(key, 12, 700)):
            some = [value for (k, t), value in said.items() if k == key and t // 60 == minute]
            assert mean == (pytest.approx(sum(some) / len(some), abs=1e-3) if some else None)


def test_the_past_is_filled_and_goes_on() -> None:
    history = History()
    history.add("b", NOW, 7.0)
    history.fill(["a", "c"], NOW, [(float(value), value / 2) for value in range(700)])
    assert history.seconds("a", 3, NOW) == [697.0, 698.0, 699.0]
    assert history.seconds("c", 2, NOW) == [349.0, 349.5]
    assert None not in history.seconds("a", SECONDS, NOW)
    assert history.seconds("b", 2, NOW) == [None, 7.0]
    history.add("a", NOW + 1, 1.0)
    assert history.minutes("a", 2, NOW + 1) == [668.5, 350.0]


def test_a_picture_is_remembered() -> None:
    source, history = SimulatedSource(32, 2, clock=lambda: NOW), History()
    for second in range(3):
        picture = source.picture(NOW + second)
        record(history, picture)
    node = picture.nodes[0]
    service = picture.services[0]
    for key, value in (
        (gpu_key(node.name, 1, "util_percent"), node.gpus[1].util_percent),
        (host_key(node.name, "cpu_percent"), node.host.cpu_percent),
        (service_key(service.node, service.service, "running"), service.running),
    ):
        assert history.seconds(key, 1, picture.time) == [pytest.approx(value)]
        assert None not in history.seconds(key, 3, picture.time)
    down = next(node for node in picture.nodes if not node.gpus)
    assert history.seconds(host_key(down.name, "cpu_percent"), 1, picture.time) == [None]


def test_a_series_costs_what_its_arrays_do() -> None:
    history = History()
    columns = history.columns(("node", index, "util") for index in range(1000))
    tracemalloc.start()
    for second in range(SECONDS + 60):
        history.put(NOW + second, columns, [1.0] * 1000)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 1000 < 4 * (SECONDS + 60)
