"""When something is to be run: the five fields of crontab(5), or a word like ``@daily``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cronsim import CronSim, CronSimError

from gswarm_tui.errors import UsageError

REBOOT: Final = "@reboot"

_WORDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_RANGES: Final = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of the month": "1 to 31, and one that the months have",
    "month": "1 to 12, or Jan to Dec",
    "day of the week": "0 to 7, or Sun to Sat",
}
_ALLOWED: Final = re.compile(r"[0-9*/,\-A-Za-z]+")
_FOREIGN: Final = re.compile(r"L|W|#|\?", re.IGNORECASE)
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_EXAMPLE = 'five fields, "minute hour day month weekday": "0 3 * * *" is each night at three'


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule that is right, see `parse`.

    Args:
        text: as it stands in a crontab.
        fields: the five fields; none for ``@reboot``.
    """

    text: str
    fields: str | None

    def next(self, now: datetime) -> datetime | None:
        """The first time after ``now``, which has a zone; when the clock changes, as Debian's cron.

        None for ``@reboot``.
        """
        return None if self.fields is None else next(CronSim(self.fields, now))

    def on_calendar(self) -> tuple[str, ...]:
        """The same as systemd.time(7) has it; each of them is a time at which it is run.

        Cron takes a day that fits either of its two fields where both are restricted, systemd a
        day that fits both: that is two expressions.

        Raises:
            UsageError: it is ``@reboot``.
        """
        if self.fields is None:
            raise UsageError(
                f"a systemd timer cannot say {self.text}: a user's timers begin at the login",
                hint="give it times, or leave --systemd out: cron knows it",
            )
        cron = CronSim(self.fields, datetime(2000, 1, 1))
        time = f"{_numbers(cron.hours, 24)}:{_numbers(cron.minutes, 60)}:00"
        days = _numbers(cron.days, 31)
        months = _numbers(cron.months, 12)
        weekdays = _weekdays({int(str(day)) % 7 for day in cron.weekdays})
        if cron.day_and:
            return (f"{weekdays}*-{months}-{days} {time}",)
        if days == "*" or not weekdays:  # one of the two fits each day
            return (f"*-{months}-* {time}",)
        return f"*-{months}-{days} {time}", f"{weekdays}*-{months}-* {time}"


def parse(text: str) -> Schedule:
    """Read a schedule.

    Raises:
        UsageError: it is none, or there is no such day (30 February).
    """
    words = text.split()
    if len(words) == 1 and words[0].startswith("@"):
        return _word(words[0].lower())
    if len(words) != len(_FIELDS):
        raise UsageError(f"the schedule {text!r} has {len(words)} fields", hint=_EXAMPLE)
    for name, field in zip(_FIELDS, words, strict=True):
        letters = re.sub(r"[A-Za-z]{3}", "", field)  # names of months and days
        if not _ALLOWED.fullmatch(field) or _FOREIGN.search(letters):
            raise UsageError(f"the schedule {text!r}: cron knows no {name} {field!r}")
    fields = " ".join(words)
    try:
        next(CronSim(fields, datetime(2000, 1, 1)))
    except CronSimError as error:
        wrong = str(error).removeprefix("Bad ").replace("day-of-", "day of the ")
        hint = f"the {wrong} is {_RANGES.get(wrong, 'a number')}; {_EXAMPLE}"
        raise UsageError(f"the schedule {text!r} has a wrong {wrong}", hint=hint) from None
    except StopIteration:
        raise UsageError(f"the schedule {text!r} never comes: there is no such day") from None
    return Schedule(fields, fields)


def _word(word: str) -> Schedule:
    if word == REBOOT:
        return Schedule(word, None)
    if word not in _WORDS:
        known = ", ".join([*_WORDS, REBOOT])
        raise UsageError(f"there is no schedule {word!r}", hint=f"these are: {known}")
    return Schedule(word, _WORDS[word])


def _numbers(chosen: Iterable[int], count: int) -> str:
    numbers = sorted(chosen)
    return "*" if len(numbers) == count else ",".join(f"{number:02d}" for number in numbers)


def _weekdays(chosen: Iterable[int]) -> str:
    """``Mon,Tue `` with the space behind; nothing for all seven."""
    days = sorted(chosen)
    return "" if len(days) == len(_DAYS) else ",".join(_DAYS[day] for day in days) + " "
