"""The cursor stays on its subject; when that goes, no key is taken for another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.widgets.dialog import PlanScreen
from gswarm_tui.tui.widgets.gpu_cards import GpuCards
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.tui.widgets.place import Place
from gswarm_tui.watch.snapshot import FleetSnapshot, Job

from .fleets import fleet, gpu, node
from .some_jobs import DONE, FAILED, JOBS, LOST, PENDING, PICTURE, RUNNING
from .stage import Stage, on_stage


def jobs(*rows: Job) -> FleetSnapshot:
    return replace(PICTURE, jobs=rows)


def under(stage: Stage) -> int:
    """The number of the job under the cursor."""
    table: LineTable[object] = stage.view.query_one(LineTable)
    return table.current.job.id  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("before", "cursor", "after", "place"),
    [
        ("abc", 1, "abc", 1),
        ("abc", 1, "cba", 1),
        ("abc", 0, "cba", 2),
        ("abc", 1, "ac", 1),  # gone: the next one
        ("abc", 2, "ab", 1),  # there is no next one
        ("abcd", 1, "dca", 1),  # gone, and the others in another order
        ("abcd", 1, "xad", 2),  # its neighbour is gone as well
        ("abc", 1, "xy", 1),  # nothing is as before
        ("abc", 2, "x", 0),
        ("abc", 2, "", 0),
        ("", 0, "abc", 0),
    ],
)
def test_where_the_cursor_is(before: str, cursor: int, after: str, place: int) -> None:
    assert Place().among({key: n for n, key in enumerate(after)}, before, cursor) == place


def test_it_comes_back_with_its_subject_unless_it_was_moved() -> None:
    def among(place: Place, after: Sequence[str], before: Sequence[str], cursor: int) -> int:
        return place.among({key: n for n, key in enumerate(after)}, before, cursor)

    place = Place()
    assert among(place, "ac", "abc", 1) == 1
    assert place.is_astray
    assert among(place, "", "ac", 1) == 0
    assert among(place, "cba", "", 0) == 1
    assert not place.is_astray
    assert among(place, "ac", "abc", 1) == 1
    place.settle()
    assert among(place, "abc", "ac", 1) == 2


def test_one_that_nobody_moved_stays_at_the_top_when_something_comes_in_above_it() -> None:
    def among(place: Place, after: Sequence[str], before: Sequence[str], cursor: int = 0) -> int:
        return place.among({key: n for n, key in enumerate(after)}, before, cursor)

    place = Place(from_top=True)
    assert among(place, "abc", "bc") == 0
    assert place.is_astray  # a key that was pressed just now was for b
    assert among(place, "abc", "abc") == 0
    assert not place.is_astray
    assert among(place, "cab", "abc") == 1  # another order, and nothing new
    assert among(Place(from_top=True), "bac", "abc", 1) == 0
    place.choose()
    assert among(place, "xabc", "abc") == 1
    assert among(Place(), "abc", "bc") == 1


async def test_a_key_for_what_has_gone_does_nothing_to_its_neighbour() -> None:
    actor = Recording()
    async with on_stage(jobs(*JOBS), actor=actor) as stage:
        await stage.open("jobs")
        await stage.press("j")
        await stage.push(jobs(PENDING, LOST, DONE, RUNNING))  # 8 is gone, the order another one
        assert under(stage) == 7
        await stage.press("X")
        assert actor.proposed == []
        assert stage.notices() == [
            "⚠ Remove: what it was meant for has gone; the cursor is on another line now"
        ]
        await stage.press("X")
        assert [deed.about for deed in actor.proposed] == ["job 7"]


async def test_it_waits_for_what_is_gone_for_a_moment() -> None:
    actor = Recording()
    async with on_stage(jobs(*JOBS), actor=actor) as stage:
        await stage.open("jobs")
        await stage.press("j")
        await stage.push(jobs(RUNNING, LOST))
        await stage.push(jobs(*JOBS))
        assert under(stage) == 8
        await stage.press("X")
        assert [deed.about for deed in actor.proposed] == ["job 8"]


async def test_who_moves_the_cursor_means_where_it_is() -> None:
    actor = Recording()
    async with on_stage(jobs(*JOBS), actor=actor) as stage:
        await stage.open("jobs")
        await stage.press("j")
        await stage.push(jobs(RUNNING, LOST, DONE))
        await stage.press("j", "X")
        assert [deed.about for deed in actor.proposed] == ["job 6"]


async def test_a_filter_that_hides_the_cursors_line_is_meant() -> None:
    actor = Recording()
    async with on_stage(jobs(*JOBS), actor=actor) as stage:
        await stage.open("jobs")
        await stage.press("slash", *"weekly", "enter", "X")
        assert [deed.about for deed in actor.proposed] == ["job 7"]


async def test_marks_that_have_all_gone_leave_nothing_to_the_cursor() -> None:
    actor = Recording()
    async with on_stage(jobs(*JOBS), actor=actor) as stage:
        await stage.open("jobs")
        await stage.press("j", "space", "space", "G")
        await stage.push(jobs(RUNNING, DONE, PENDING))
        await stage.press("X")
        assert actor.proposed == []


async def test_marks_that_are_left_count() -> None:
    actor = Recording()
    async with on_stage(jobs(*JOBS), actor=actor) as stage:
        await stage.open("jobs")
        await stage.press("j", "space", "space", "G")
        await stage.push(jobs(RUNNING, FAILED, DONE, PENDING))
        await stage.press("X")
        assert [deed.about for deed in actor.proposed] == ["job 8"]


async def test_what_is_confirmed_is_what_was_named() -> None:
    """Its line goes, and another one is under the cursor, while the plan is shown."""
    actor = Recording()
    async with on_stage(jobs(*JOBS), actor=actor) as stage:
        await stage.open("jobs")
        await stage.press("j", "X")
        assert isinstance(stage.app.screen, PlanScreen)
        await stage.push(jobs(LOST, DONE, RUNNING))
        assert "remove job 8 (roll-out)" in stage.text()
        await stage.press("enter")
        assert [deed.commands for deed in actor.done] == [(("job", "rm", "8"),)]
        await stage.press("X")  # the list is seen again, and 8 is not there
        assert len(actor.proposed) == 1


async def test_the_cursor_stays_in_sight_when_its_line_goes_elsewhere() -> None:
    many = [replace(DONE, id=number) for number in range(100)]
    async with on_stage(jobs(*many), size=(80, 24)) as stage:
        await stage.open("jobs")
        await stage.press("j")
        await stage.push(jobs(*many[2:], *many[:2]))
        assert under(stage) == 1
        await stage.shows("  99  ")


async def test_the_cards_go_to_the_neighbour() -> None:
    def one(*indices: int) -> FleetSnapshot:
        return fleet(node("one", *(gpu("one", index) for index in indices)))

    async with on_stage(one(0, 1, 2, 3)) as stage:
        cards = stage.view.query_one(GpuCards)
        await stage.press("l", "l")
        await stage.push(one(3, 1, 0))
        assert cards.current is not None
        assert cards.current.index == 3
