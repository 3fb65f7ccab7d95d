"""The list of jobs and the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gswarm_tui.errors import UsageError
from gswarm_tui.state.states import State
from gswarm_tui.tui import job_acts
from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.job_words import briefly, counted, done_percent, tally
from gswarm_tui.tui.widgets.cells import Tone, pieces
from gswarm_tui.tui.widgets.line_table import LineTable
from gswarm_tui.watch.simulated import SimulatedSource
from gswarm_tui.watch.simulation.hostile import NASTY
from gswarm_tui.watch.snapshot import FleetSnapshot

from .some_jobs import DETAILS, DONE, FAILED, JOBS, LOST, NOW, PENDING, PICTURE, RUNNING, job
from .stage import LARGE, MIDDLE, SIZES, SMALL, Stage, harmless, on_stage

Same = Callable[[Stage, str], None]


def table(stage: Stage) -> LineTable[Any]:
    return stage.view.query_one(LineTable)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_screen(size: tuple[int, int], same_as_before: Same) -> None:
    async with on_stage(PICTURE, size=size) as stage:
        await stage.open("jobs")
        same_as_before(stage, f"jobs-{size[0]}x{size[1]}")


async def test_each_job_says_its_state_in_a_word_and_why() -> None:
    async with on_stage(PICTURE, size=LARGE) as stage:
        await stage.open("jobs")
        assert "▶ running" in stage.line_with("nightly")
        assert "held by job 3" in stage.line_with("nightly")
        assert "✖ failed" in stage.line_with("roll-out")
        assert "no space on node2:disk" in stage.line_with("roll-out")
        assert "and more" not in stage.text()
        assert "r goes on with it" in stage.line_with("weekly")
        assert "3/3" in stage.line_with("smoke")
        assert "no process runs it yet" in stage.line_with("later")


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_names_and_reasons_can_be_read_whole(size: tuple[int, int]) -> None:
    name, why = "copy tiny-llama from node2:disk to node3:dram", "fetch: no space on node2:disk"
    counts = ((State.SUCCEEDED, 3), (State.FAILED, 1), (State.SKIPPED, 1))
    failed = job(9, name, State.FAILED, error=why, counts=counts)
    async with on_stage(replace(PICTURE, jobs=(failed, LOST)), size=size) as stage:
        await stage.open("jobs")
        assert "3/5 ✖1 –1" in stage.line_with("✖ failed")
        assert name in stage.line_with("begun")
        stage.line_with("3/5, 1 failed, 1 skipped")
        assert why in stage.lines()[-2]
        await stage.press("j")
        assert name not in stage.line_with("begun")


@pytest.mark.parametrize("width", [60, 72, 80, 95, 96, 110, 120, 130, 140])
async def test_names_are_told_apart_at_any_width(width: int) -> None:
    names = ("roll-out-deepseek-r1-distill-14b-a", "roll-out-deepseek-r1-distill-14b-b")
    jobs = tuple(job(9 - n, name, State.RUNNING, user="ana") for n, name in enumerate(names))
    async with on_stage(replace(PICTURE, jobs=jobs), size=(width, 24)) as stage:
        await stage.open("jobs")
        shown = [line for line in stage.lines() if "▶ running" in line]
        assert [name in line for name, line in zip(names, shown, strict=True)] == [True, True]


async def test_a_narrow_terminal_has_the_reason_below_the_list_only() -> None:
    async with on_stage(PICTURE, size=SMALL) as stage:
        await stage.open("jobs")
        assert "WHY" not in stage.line_with("NAME")
        assert "waiting for" not in stage.line_with("▶ running")
        assert stage.line_with("2/4, 1 running").strip() == "2/4, 1 running"
        stage.line_with(" waiting for node1:gpu0, held by job 3")
        await stage.pilot.resize_terminal(*MIDDLE)
        await stage.pilot.pause()
        stage.line_with("2/4, 1 running  waiting for node1:gpu0, held by job 3")


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "0/0"),
        ({State.SUCCEEDED: 3}, "3/3"),
        ({State.SUCCEEDED: 3, State.FAILED: 1, State.RUNNING: 1}, "3/5 ✖1 ▶1"),
        ({State.SUCCEEDED: 480, State.RUNNING: 16, State.READY: 16}, "480/512 ▶16"),
    ],
)
def test_counts_are_short_and_whole(counts: dict[State, int], said: str) -> None:
    made = tally(job(9, "a", State.RUNNING, counts=tuple(counts.items())), 11)
    assert "".join(piece.text for piece in pieces(made)) == said


@pytest.mark.parametrize(
    ("state", "counts", "percent"),
    [
        (State.FAILED, {State.FAILED: 1}, 0),
        (State.FAILED, {State.SUCCEEDED: 2, State.FAILED: 1, State.SKIPPED: 1}, 50),
        (State.CANCELLED, {State.SUCCEEDED: 1, State.CANCELLED: 3}, 25),
        (State.RUNNING, {State.SUCCEEDED: 1, State.RUNNING: 1}, 50),
        (State.SUCCEEDED, {State.SUCCEEDED: 1, State.SKIPPED: 1}, 100),
        (State.PENDING, {}, None),
    ],
)
def test_the_bar_is_what_is_done(
    state: State, counts: dict[State, int], percent: float | None
) -> None:
    assert done_percent(job(9, "a", state, counts=tuple(counts.items()))) == percent


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0.02, "20 ms"), (0.4, "0.4 s"), (0.96, "1 s")),
        *((None, "-"), (0, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (3569, "59 min")),
        *((3599, "1.0 h"), (86_399, "24.0 h"), (86_400, "1.0 d"), (8_640_000, "100.0 d")),
    ],
)
def test_times_in_one_unit(seconds: float | None, said: str) -> None:
    assert briefly(seconds) == said


async def test_the_queue_is_told_of() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("jobs")
        assert "▶ open" in stage.line_with("queue")
        await stage.push(replace(PICTURE, queue_paused=True))
        assert "paused" in stage.line_with("queue")


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("failed", {"roll-out"}),
        ("!failed", {"nightly", "weekly", "smoke", "later"}),
        ("cron", {"weekly"}),
        ("serve", {"nightly"}),
        ("nothing-has-this", set()),
    ],
)
async def test_the_filter(typed: str, names: set[str]) -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("jobs")
        await stage.press("slash", *["exclamation_mark" if c == "!" else c for c in typed])
        await stage.press("enter")
        assert {row.job.name for row in table(stage).rows} == names
        await stage.press("escape")
        assert len(table(stage).rows) == len(JOBS)


async def test_no_job_is_there() -> None:
    async with on_stage(FleetSnapshot(1.0)) as stage:
        await stage.open("jobs")
        assert "no job is there" in stage.text()
        await stage.press("l", "d", "enter")
        assert stage.view.WORD == "jobs"


async def test_ways_in_and_back() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("jobs")
        await stage.press("enter")
        assert (stage.view.WORD, stage.view.subject) == ("job", "9")
        assert stage.source.focused == 9
        await stage.press("escape")
        assert stage.view.WORD == "jobs"
        assert stage.source.focused is None
        await stage.press("down", "l")
        assert (stage.view.WORD, stage.view.subject) == ("log", "8")
        await stage.press("escape", "d")
        assert "no space" in stage.text()
        await stage.press("escape", "o", "j", "enter")
        assert table(stage).sorted_by == "job"


@pytest.mark.parametrize(
    ("keys", "commands"),
    [
        (["C"], [("job", "cancel", "9")]),
        (["down", "R"], [("job", "retry", "8", "--detach")]),
        (["down", "down", "r"], [("job", "resume", "7", "--detach")]),
        (["down", "X"], [("job", "rm", "8")]),
        (["p"], [("queue", "pause")]),
        (
            ["down", "space", "space", "R"],
            [("job", "retry", "8", "--detach"), ("job", "retry", "7", "--detach")],
        ),
    ],
)
async def test_keys_propose_the_command_that_does_it(
    keys: list[str], commands: list[tuple[str, ...]]
) -> None:
    actor = Recording()
    async with on_stage(PICTURE, actor=actor) as stage:
        await stage.open("jobs")
        await stage.press(*keys)
        assert [list(deed.commands) for deed in actor.proposed] == [commands]
        assert not actor.done  # it is asked first
        assert f"gswarm {' '.join(commands[0])}" in " ".join(stage.text().split())


async def test_nothing_is_changed_in_read_only_mode() -> None:
    actor = Recording()
    async with on_stage(PICTURE, actor=actor, read_only=True) as stage:
        await stage.open("jobs")
        await stage.press("C")
        assert not actor.proposed
        assert "--read-only" in stage.text()


async def test_how_many_jobs_fit_is_said() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("jobs")
        await stage.press("slash")
        await stage.type("failed")
        count = len(PICTURE.jobs)
        fit = len(stage.view.query_one(LineTable).rows)
        assert 0 < fit < count
        assert f"filter: failed   {fit} of {count} fit" in stage.lines()[1]


async def test_only_the_keys_are_shown_that_can_do_something() -> None:
    def shown(stage: Stage) -> set[str]:
        return {"cancel", "resume", "retry", "remove"} - stage.view.vain

    async with on_stage(PICTURE, size=LARGE) as stage:
        await stage.open("jobs")
        seen = [shown(stage)]
        await stage.shows("C Cancel")
        assert "R Retry" not in stage.lines()[-1]
        for _ in JOBS[1:]:
            await stage.press("j")
            seen.append(shown(stage))
        assert seen == [
            {"cancel"},
            {"retry", "remove"},
            {"cancel", "resume", "retry", "remove"},
            {"remove"},
            {"cancel", "resume"},
        ]
        await stage.press("g", "space", "space")
        assert shown(stage) == {"cancel", "retry", "remove"}
        await stage.push(FleetSnapshot(NOW + 1))
        assert shown(stage) == set()


async def test_going_on_with_a_job_that_failed_names_the_key_that_does() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("jobs")
        await stage.press("j", "r")
        stage.line_with("nothing to resume: job 8 has failed")
        stage.line_with("R does again what failed")


@pytest.mark.parametrize("word", ["jobs", "job"])
async def test_a_job_that_its_time_limit_has_ended_goes_on_with_another_one(word: str) -> None:
    actor = Recording()
    counts = ((State.SUCCEEDED, 2), (State.CANCELLED, 2))
    said = "it took longer than 2 h, its time limit"
    ended = replace(FAILED, counts=counts, error=said, timed_out=True)
    async with on_stage(replace(PICTURE, jobs=(ended, LOST)), actor=actor, size=LARGE) as stage:
        await stage.open(word, "8" if word == "job" else None)
        await stage.shows("r Resume")
        await stage.press("r")
        stage.line_with(f"job 8: {said}")
        await stage.type("2 hours")
        await stage.press("enter")
        stage.line_with("is no length of time: write 2h")
        assert not actor.proposed
        await stage.press("ctrl+u")
        await stage.type("4h")
        await stage.press("enter")
        (deed,) = actor.proposed
        assert deed.commands == (("job", "resume", "8", "--timeout", "4h", "--detach"),)
        assert deed.does == ("job 8 (roll-out): 2 tasks will run; 2 succeeded, not run again",)
        assert job_acts.resume([ended], " ").commands == (("job", "resume", "8", "--detach"),)


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(UsageError, match=r"nothing to cancel: job 6 has succeeded$"):
        job_acts.cancel([DONE])
    with pytest.raises(UsageError, match=r"nothing to resume: job 9 still runs$"):
        job_acts.resume([RUNNING])
    with pytest.raises(UsageError, match=r"nothing to retry: job 6 has succeeded$"):
        job_acts.retry([DONE])
    with pytest.raises(UsageError, match=r"nothing to remove: they still run$"):
        job_acts.remove([RUNNING, RUNNING])
    said = "nothing to resume: jobs 9, 9 still run; job 8 has failed; job 6 has succeeded$"
    with pytest.raises(UsageError, match=said):
        job_acts.resume([RUNNING, FAILED, RUNNING, DONE])
    with pytest.raises(UsageError, match=r"job 9 still runs; job 5 is still to run$"):
        job_acts.remove([RUNNING, PENDING])
    with pytest.raises(UsageError, match=r"job 7 is cancelled; job 6 has succeeded$"):
        job_acts.cancel([replace(LOST, state=State.CANCELLED), DONE])
    with pytest.raises(UsageError, match="there is no job to cancel"):
        job_acts.cancel([])
    with pytest.raises(UsageError, match="fetch has ended already"):
        job_acts.cancel_tasks(9, "fetch", DETAILS.tasks[:1], DETAILS)


def test_what_is_lost_is_named() -> None:
    assert job_acts.cancel([RUNNING]).losses == ("job 9 (nightly): serve is ended",)
    deed = job_acts.cancel_tasks(9, "serve", DETAILS.tasks[2:3], DETAILS)
    assert deed.commands == (("queue", "cancel", "9/serve"),)
    assert deed.losses == ("serve is ended on its node", "what needs it is skipped: try")
    assert "job 8 (roll-out)" in job_acts.remove([FAILED]).losses[0]
    again = job_acts.retry([DONE], start="fetch")
    assert again.commands == (("job", "retry", "6", "--from", "fetch", "--detach"),)
    assert job_acts.resume([RUNNING, LOST]).commands == (("job", "resume", "7", "--detach"),)


@pytest.mark.parametrize("nasty", NASTY)
async def test_hostile_names_are_harmless(nasty: str) -> None:
    bad = job(9, nasty, State.FAILED, error=nasty, user=nasty, running=(nasty,), waiting=nasty)
    async with on_stage(FleetSnapshot(NOW, jobs=(bad,)), size=SMALL) as stage:
        await stage.open("jobs")
        assert harmless(stage.strips())
        await stage.press("C")
        assert harmless(stage.strips())


async def test_the_simulated_fleet_has_jobs() -> None:
    picture = SimulatedSource(clock=lambda: NOW).picture(NOW)
    async with on_stage(picture) as stage:
        await stage.open("jobs")
        assert len(table(stage).rows) == len(picture.jobs)


def test_a_plan_says_how_many_tasks_are_done_again() -> None:
    assert job_acts.retry([FAILED]).does == (
        "job 8 (roll-out): 2 tasks will run; 2 succeeded, not run again",
    )
    ended = replace(LOST, counts=((State.FAILED, 1), (State.LOST, 1), (State.SUCCEEDED, 3)))
    assert job_acts.resume([ended]).does == (
        "job 7 (weekly): 1 task will run; 1 failed, not run again; 3 succeeded, not run again",
    )
    assert job_acts.retry([DONE], "fetch", DETAILS).does == (
        "run again, however they ended: fetch, check, serve, try; 4 of 4 tasks",
    )
    assert job_acts.retry([DONE], "serve", DETAILS).does == (
        "run again, however they ended: serve, try; 2 of 4 tasks",
    )
    others = tuple(
        replace(task, state=State.FAILED) if task.id == "check" else task for task in DETAILS.tasks
    )
    assert job_acts.retry([FAILED], "serve", replace(DETAILS, tasks=others)).does == (
        "run again, however they ended: serve, try; 2 of 4 tasks; also run, not done yet: check",
    )


def test_what_was_skipped_for_a_cancelled_task_goes_on_with_it() -> None:
    counts = ((State.CANCELLED, 1), (State.SKIPPED, 2), (State.SUCCEEDED, 1))
    assert job_acts.resume([replace(LOST, state=State.CANCELLED, counts=counts)]).does == (
        "job 7 (weekly): 1 task will run; 2 skipped, run only if for a cancelled task;"
        " 1 succeeded, not run again",
    )
    assert job_acts.hold_queue(JOBS, paused=False).does == (
        "what runs goes on, nothing else begins: 3 running, 0 waiting",
    )
    assert job_acts.hold_queue([DONE], paused=True).does == (
        "what waits begins as there is room: 0 running, 0 waiting",
    )


async def test_the_plan_for_the_queue_has_the_counts_of_its_line() -> None:
    counts = {State.RUNNING: 7, State.READY: 5, State.PENDING: 20, State.RETRYING: 1}
    busy = job(9, "busy", State.RUNNING, counts=tuple(counts.items()))
    async with on_stage(replace(PICTURE, jobs=(busy, DONE))) as stage:
        await stage.open("jobs")
        stage.line_with("▶ open   7 running, 5 waiting, 1 retrying")
        await stage.press("p")
        stage.line_with("nothing else begins: 7 running, 5 waiting, 1 retrying")


async def test_what_is_done_again_stands_in_the_plan() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("jobs")
        await stage.press("j", "R")
        stage.line_with("job 8 (roll-out): 2 tasks will run")


def test_failures_that_are_tolerated_are_counted_apart() -> None:
    counts = ((State.SUCCEEDED, 3), (State.FAILED, 2))
    both = counted(job(9, "a", State.FAILED, counts=counts, tolerated=1))
    assert "".join(piece.text for piece in pieces(both)) == "3/5, 1 failed, 1 failed (tolerated)"
    only = counted(job(9, "a", State.SUCCEEDED, counts=counts, tolerated=2))
    assert "".join(piece.text for piece in pieces(only)) == "3/5, 2 failed (tolerated)"
    assert Tone.BAD not in [piece.tone for piece in pieces(only)]
