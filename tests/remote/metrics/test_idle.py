"""Since when GPUs compute nothing, as the node counts it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from gswarm_remote import processtable
from gswarm_remote.metrics.idle import IdleTimes

NOW = 1_000_000.0


class Looking:
    """Looks at one GPU, by a clock that is as far from the calendar as one likes.

    Attributes:
        energy_j: what it has taken; None where it does not tell.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at = 50.0
        self.energy_j: float | None = None
        self.times = self.helper()

    def helper(self) -> IdleTimes:
        """What the next helper knows."""
        self.times = IdleTimes(self.path, lambda: self.at)
        self.times.load()
        return self.times

    def save(self) -> None:
        self.times.save(self.times.content())

    def look(self, util: float | None, at: float) -> tuple[float | None, bool | None]:
        self.at = 50.0 + at
        gpu: dict[str, Any] = {"index": 3, "util_percent": util, "energy_j": self.energy_j}
        self.times.mark([gpu], NOW + at)
        assert "energy_j" not in gpu
        return gpu["idle_since"], gpu["idle_seen"]

    def watch(self, since: int, until: int, watts: float) -> None:
        """Look at an idle GPU each ten seconds."""
        for at in range(since, until + 1, 10):
            if at > since:
                self.energy_j = (self.energy_j or 0.0) + 10 * watts
            self.look(0, at)


@pytest.fixture
def looking(tmp_path: Path) -> Looking:
    return Looking(tmp_path / "idle.json")


def test_from_when_it_was_seen_to_end(looking: Looking) -> None:
    assert looking.look(90, 0) == (None, None)
    assert looking.look(0, 1) == (NOW + 1, True)
    assert looking.look(1, 2) == (NOW + 1, True)  # what looks at it is measured too
    assert looking.look(2, 3) == (None, None)
    assert looking.look(0, 4) == (NOW + 4, True)
    assert looking.look(None, 5) == (None, None)


def test_what_began_before_anybody_looked_lasts_at_least_so_long(looking: Looking) -> None:
    assert looking.look(0, 0) == (NOW, False)
    assert looking.look(0, 20) == (NOW, False)
    assert looking.look(50, 21) == (None, None)
    assert looking.look(0, 22) == (NOW + 22, True)


def test_who_knows_what_it_did_while_nobody_looked(looking: Looking) -> None:
    looking.look(0, 0)
    assert looking.look(0, 20) == (NOW, False)
    assert looking.look(0, 41) == (NOW + 41, False)
    looking.look(90, 42)
    assert looking.look(0, 63) == (NOW + 63, False)


@pytest.mark.parametrize(
    ("taken_w", "since"), [(70.0, 10), (74.0, 10), (69.0, 10), (75.0, 3700), (300.0, 3700)]
)
def test_the_energy_that_it_took_says_whether_it_was_idle(
    looking: Looking, taken_w: float, since: int
) -> None:
    looking.energy_j = 1e9
    looking.look(80, 0)
    looking.watch(10, 100, watts=70.0)
    looking.save()
    looking.helper()
    looking.energy_j += 3600 * taken_w
    assert looking.look(0, 3700) == (NOW + since, since == 10)


def test_what_an_idle_gpu_takes_does_not_creep(looking: Looking) -> None:
    looking.energy_j = 0.0
    looking.watch(0, 100, watts=70.0)
    looking.energy_j += 3600 * 74.0
    assert looking.look(0, 3700) == (NOW, False)
    looking.energy_j += 3600 * 78.0
    assert looking.look(0, 7300) == (NOW + 7300, False)


@pytest.mark.parametrize("told", [None, 5.0])
def test_a_counter_that_says_nothing_or_began_anew(looking: Looking, told: float | None) -> None:
    looking.energy_j = 1e6
    looking.watch(0, 100, watts=70.0)
    looking.energy_j = told
    assert looking.look(0, 3700) == (NOW + 3700, False)


def test_what_it_takes_has_to_be_measured(looking: Looking) -> None:
    looking.energy_j = 0.0
    looking.watch(0, 50, watts=70.0)
    looking.energy_j += 70.0 * 3650
    assert looking.look(0, 3700) == (NOW + 3700, False)


def test_one_that_computed_when_it_was_looked_at_last(looking: Looking) -> None:
    looking.energy_j = 0.0
    looking.look(80, 0)
    looking.look(80, 20)
    assert looking.look(0, 3700) == (NOW + 3700, False)


SEEN: dict[str, Any] = {
    "since": NOW,
    "from_the_beginning": True,
    "idle": True,
    "began": 10.0,
    "began_j": None,
    "at": 49.0,
    "at_j": None,
    "usual_w": None,
}


def kept(seen: object, **changes: object) -> str:
    content = {"boot_id": processtable.boot_id(), "epoch": NOW - 50, "gpus": {"3": seen}}
    return json.dumps({**content, **changes})


def test_a_file_as_it_is_written(looking: Looking) -> None:
    looking.path.write_text(kept(SEEN))
    looking.helper()
    assert looking.look(0, 1) == (NOW, True)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "[" * 100_000, "\0" * 500, kept({}), kept(SEEN, epoch="x"), kept([SEEN])]
    + [kept(SEEN, gpus=[SEEN]), kept({**SEEN, "at": 9e9}), kept({**SEEN, "began": 49.5})]
    + [kept({**SEEN, name: value}) for name in SEEN for value in ("x", math.inf, [], 10**400)]
    + [kept({**SEEN, name: ""}) for name in SEEN],
)
def test_a_file_that_says_nothing(looking: Looking, content: str) -> None:
    looking.path.write_text(content)
    looking.helper()
    assert looking.look(0, 0) == (NOW, False)
    assert looking.look(0, 1) == (NOW, False)


def test_a_file_that_cannot_be_is_done_without(looking: Looking) -> None:
    looking.path.mkdir()
    looking.helper()
    assert looking.look(0, 0) == (NOW, False)
    looking.save()


@pytest.mark.parametrize("set_s", [30 * 365 * 86400.0, -3600.0, 61.0])
def test_a_calendar_that_is_set_changes_no_length_of_time(looking: Looking, set_s: float) -> None:
    looking.look(80, 0)
    looking.look(0, 10)
    gpu: dict[str, Any] = {"index": 3, "util_percent": 0}
    looking.at += 10
    looking.times.mark([gpu], NOW + 20 + set_s)
    assert gpu["idle_since"] == NOW + 10 + set_s
    looking.save()
    looking.helper()
    gpu = {"index": 3, "util_percent": 0}
    looking.times.mark([gpu], NOW + 20)
    assert gpu["idle_since"] == NOW + 10


def test_nothing_outlives_the_machines_start(
    looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking.look(0, 0)
    looking.save()
    monkeypatch.setattr(processtable, "boot_id", lambda: "another")
    looking.helper()
    assert looking.look(0, 1) == (NOW + 1, False)


def test_it_is_saved_once_a_minute(looking: Looking) -> None:
    assert not looking.times.due
    looking.at += 60
    assert looking.times.due
    looking.save()
    assert not looking.times.due
    assert not looking.path.exists()  # there is nothing to say


def test_each_gpu_has_its_own(looking: Looking) -> None:
    gpus = [{"index": index, "util_percent": util} for index, util in enumerate((0, 80))]
    looking.times.mark(gpus, NOW)
    assert [gpu["idle_since"] for gpu in gpus] == [NOW, None]
