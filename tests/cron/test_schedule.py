"""Schedules: what cron knows, and the same for systemd."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from gswarm_tui.cron.schedule import parse
from gswarm_tui.errors import UsageError

SATURDAY = datetime(2026, 11, 21, 4, 21, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 3 * * *", "2026-11-22T03:00"),
        ("*/15 * * * *", "2026-11-21T04:30"),
        ("30 4 1,15 * 5", "2026-11-27T04:30"),  # the 15th or a Friday
        ("0 0 * * sun", "2026-11-22T00:00"),
        ("0 12 * jan-mar 1-5", "2027-01-01T12:00"),
        ("@daily", "2026-11-22T00:00"),
        ("@Hourly", "2026-11-21T05:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
    ],
)
def test_the_next_time(text: str, expected: str) -> None:
    assert parse(text).next(SATURDAY) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_an_hour_that_the_clock_leaves_out_is_not_left_out() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2027, 3, 28, 1, 0, tzinfo=berlin)
    assert parse("30 2 * * *").next(before) == datetime(2027, 3, 28, 3, 0, tzinfo=berlin)


def test_a_restart_has_no_time() -> None:
    assert parse("@reboot").next(SATURDAY) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 fields"),
        ("0 3 * *", "has 4 fields"),
        ("0 0 3 * * *", "has 6 fields"),
        ("60 3 * * *", "has a wrong minute"),
        ("0 24 * * *", "has a wrong hour"),
        ("0 3 0 * *", "has a wrong day of the month"),
        ("0 3 30 2 *", "has a wrong day of the month"),
        ("0 3 31 4,6 *", "has a wrong day of the month"),
        ("0 3 * 13 *", "has a wrong month"),
        ("0 3 * * 8", "has a wrong day of the week"),
        ("0 3 * * mo", "has a wrong day of the week"),
        ("5-1 3 * * *", "has a wrong minute"),
        ("*/0 3 * * *", "has a wrong minute"),
        ("0 3 L * *", "cron knows no day of the month 'L'"),
        ("0 3 * * 5#2", "cron knows no day of the week '5#2'"),
        ("0 3 ? * *", "cron knows no day of the month '?'"),
        ("0 3 * * *\n* * * * * rm", "fields"),
        ("@fortnightly", "there is no schedule '@fortnightly'"),
    ],
)
def test_what_is_none(text: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 3 * * *", ("*-*-* 03:00:00",)),
        ("*/20 8-10 * 1 1-5", ("Mon,Tue,Wed,Thu,Fri *-01-* 08,09,10:00,20,40:00",)),
        ("0 0 1 * 0", ("*-*-01 00:00:00", "Sun *-*-* 00:00:00")),
        ("0 0 * * 7", ("Sun *-*-* 00:00:00",)),
        ("@weekly", ("Sun *-*-* 00:00:00",)),
    ],
)
def test_as_systemd_says_it(text: str, expected: tuple[str, ...]) -> None:
    assert parse(text).on_calendar() == expected


def test_what_systemd_cannot_say() -> None:
    with pytest.raises(UsageError, match="cannot say @reboot"):
        parse("@reboot").on_calendar()


def number(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high).map(str)
    span = st.tuples(st.integers(low, high), st.integers(low, high)).map(
        lambda ends: f"{min(ends)}-{max(ends)}"
    )
    step = st.integers(1, high).map(lambda every: f"*/{every}")
    return st.one_of(st.just("*"), one, span, step, st.lists(one, min_size=2).map(",".join))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@settings(max_examples=25, deadline=None)
@example(("0", "0", "1-31", "*", "1"))
@example(("0", "0", "5", "*", "0-6"))
@example(("0", "0", "*/2", "*", "1"))
@given(st.tuples(number(0, 59), number(0, 23), number(1, 31), number(1, 12), number(0, 7)))
def test_systemd_and_cron_mean_the_same_time(fields: tuple[str, ...]) -> None:
    """In UTC: at changes of the clock the two differ a little."""
    try:
        schedule = parse(" ".join(fields))
    except UsageError:  # 31 April
        assume(False)
    elapses = [_next_of_systemd(text, SATURDAY) for text in schedule.on_calendar()]
    assert min(elapses) == schedule.next(SATURDAY)


def _next_of_systemd(text: str, now: datetime) -> datetime:
    said = subprocess.run(
        ["systemd-analyze", "calendar", f"--base-time={now:%Y-%m-%d %H:%M:%S} UTC", f"{text} UTC"],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "UTC", "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    ).stdout
    line = next(line for line in said.splitlines() if "Next elapse:" in line)
    if line.split()[2] == "never":  # the 31st of April, where weekdays would do as well
        return datetime.max.replace(tzinfo=UTC)
    day, time = line.split()[3:5]
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC)
