"""One job: its graph, the task under the cursor, keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gswarm_tui.state.states import State
from gswarm_tui.tui.acting import Recording
from gswarm_tui.tui.job_graph import lay_out, rows
from gswarm_tui.tui.widgets.graph import Graph
from gswarm_tui.watch.details import JobDetails
from gswarm_tui.watch.simulation.hostile import NASTY, disfigure

from .some_jobs import DETAILS, JOBS, NOW, PICTURE, RUNNING, TASKS, WITH_DETAILS, job, task
from .stage import SIZES, SMALL, Stage, harmless, on_stage

Same = Callable[[Stage, str], None]


def step(stage: Stage) -> str | None:
    return stage.view.query_one(Graph).step


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_screen(size: tuple[int, int], same_as_before: Same) -> None:
    async with on_stage(WITH_DETAILS, size=size) as stage:
        await stage.open("job", "9")
        same_as_before(stage, f"job-{size[0]}x{size[1]}")


async def test_states_are_shapes_and_words_and_the_longest_chain_is_marked() -> None:
    async with on_stage(WITH_DETAILS) as stage:
        await stage.open("job", "9")
        assert stage.line_with("serve  running").count("▶") == 1
        assert "»" in stage.line_with("serve  running")
        assert "»" not in stage.line_with("check  succeeded")
        assert "attempt 2" in stage.line_with("serve  running")
        assert "longest so far, 1 min 40 s: fetch → serve" in stage.text()
        assert "1.2 GB of 4 GB, 310 MB/s" in stage.text()
        assert "process 4711 on laptop" in stage.text()
        ended = [job(9, "nightly", State.SUCCEEDED)]
        await stage.push(replace(WITH_DETAILS, jobs=tuple(ended)))
        assert "» took longest, 1 min 40 s: fetch → serve" in stage.text()


@pytest.mark.parametrize(
    ("states", "opened"),
    [
        ((State.SUCCEEDED, State.FAILED, State.FAILED, State.SKIPPED), "check"),
        ((State.FAILED, State.SUCCEEDED, State.RUNNING, State.PENDING), "serve"),
        ((State.SUCCEEDED, State.SUCCEEDED, State.CANCELLED, State.SKIPPED), "serve"),
        ((State.SUCCEEDED,) * 4, "fetch"),
        ((State.READY, *(State.PENDING,) * 3), "fetch"),
    ],
)
@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_it_opens_on_what_runs_or_failed_and_leaves_the_cursor_then(
    size: tuple[int, int], states: tuple[State, ...], opened: str
) -> None:
    tasks = tuple(replace(one, state=state) for one, state in zip(TASKS, states, strict=True))
    picture = replace(PICTURE, job_details=replace(DETAILS, tasks=tasks))
    async with on_stage(PICTURE, size=size) as stage:
        await stage.open("job", "9")
        await stage.push(picture)
        assert step(stage) == opened
        await stage.press("g")
        await stage.push(replace(picture, time=NOW + 1))
        assert step(stage) == "fetch"


async def test_the_task_that_it_is_opened_for_is_seen() -> None:
    chain = [task(f"t{number}", State.SUCCEEDED, started_at=NOW - 90) for number in range(12)]
    broken = task("broken", State.FAILED, started_at=NOW - 50, error="no space", hint="free some")
    details = replace(DETAILS, tasks=(*chain, broken))
    async with on_stage(replace(WITH_DETAILS, job_details=details), size=(120, 30)) as stage:
        await stage.open("job", "9")
        await stage.shows("broken  failed")
        await stage.pilot.resize_terminal(120, 20)
        await stage.shows("broken  failed")


async def test_the_cursor_goes_from_task_to_task() -> None:
    async with on_stage(WITH_DETAILS) as stage:
        await stage.open("job", "9")
        await stage.press("g")
        seen = [step(stage)]
        for _ in range(5):
            await stage.press("j")
            seen.append(step(stage))
        assert seen[:4] == ["fetch", "check", "serve", "try"]
        assert seen[-1] == "try"
        await stage.press("k")
        assert step(stage) == "serve"
        await stage.press("g")
        assert step(stage) == "fetch"
        await stage.press("G")
        assert step(stage) == "try"


async def test_a_failed_task_tells_its_error_and_what_to_do() -> None:
    failed = task(
        "fetch", State.FAILED, error="no space\nleft", error_kind="no_space", hint="gswarm model gc"
    )
    picture = replace(PICTURE, job_details=replace(DETAILS, tasks=(failed,)))
    async with on_stage(picture) as stage:
        await stage.open("job", "9")
        assert "(no_space) no space" in stage.line_with("error  ")
        assert "left" in stage.text()
        assert "gswarm model gc" in stage.line_with("hint")


@pytest.mark.parametrize("size", SIZES[:2], ids=str)
async def test_every_word_of_an_error_is_shown_whatever_its_kind(size: tuple[int, int]) -> None:
    words = [f"word{n}" for n in range(14)]
    failed = task("fetch", State.FAILED, error=" ".join(words), error_kind="unreachable")
    quick = task("check", State.SUCCEEDED, started_at=NOW - 9, finished_at=NOW - 8.98)
    picture = replace(PICTURE, job_details=replace(DETAILS, tasks=(failed, quick)))
    async with on_stage(picture, size=size) as stage:
        await stage.open("job", "9")
        stage.line_with("check  succeeded  20 ms")
        pane = stage.text().partition("(unreachable)")[2]
        assert [word for word in words if word not in pane.split()] == []


async def test_a_task_that_waits_says_for_what_and_one_that_retries_until_when() -> None:
    waits = task("fetch", State.READY, waiting="waiting for node1:gpu0, held by job 3")
    tries = task("serve", State.RETRYING, error="no answer", retry_at=NOW + 12)
    picture = replace(PICTURE, job_details=replace(DETAILS, tasks=(waits, tries)))
    async with on_stage(picture) as stage:
        await stage.open("job", "9")
        assert "12 s" in stage.line_with("again in")
        await stage.press("k")
        assert "held by job 3" in stage.line_with("waits")


async def test_before_the_details_are_there_and_those_of_another_job() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("job", "9")
        assert stage.source.focused == 9
        assert "its tasks are being read" in stage.text()
        await stage.press("l")
        assert stage.view.subject == "9"
        await stage.press("escape", "c", "F", "f", "d")
        await stage.push(replace(PICTURE, job_details=replace(DETAILS, job=8)))
        assert "its tasks are being read" in stage.text()
        await stage.push(WITH_DETAILS)
        assert "serve  running" in stage.text()


async def test_a_job_that_is_not_there() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("job", "4711")
        stage.line_with("it is being read")
        stage.line_with("its tasks are being read")
        await stage.push(replace(PICTURE, time=NOW + 6))
        stage.line_with("there is no job 4711")
        assert "being read" not in stage.text()
        await stage.press("C")
        stage.line_with("┃ there is no job 4711")


@pytest.mark.parametrize("key", ["c", "C", "r", "R", "F", "X"])
async def test_a_job_that_was_removed(key: str) -> None:
    async with on_stage(WITH_DETAILS, toasts=True) as stage:
        await stage.open("job", "9")
        await stage.push(replace(PICTURE, jobs=JOBS[1:]))
        stage.line_with("job 9 was removed")
        assert "being read" not in stage.text()
        await stage.press(key)
        stage.line_with("that cannot be done")
        stage.line_with("┃ job 9 was removed")
        assert not stage.notices()


async def test_logs_of_the_task_and_of_the_job() -> None:
    async with on_stage(WITH_DETAILS) as stage:
        await stage.open("job", "9")
        await stage.press("enter")
        assert stage.view.subject == "9/serve"
        assert stage.source.focused == 9
        await stage.press("escape", "L")
        assert stage.view.subject == "9"
        await stage.press("escape", "G", "l")
        assert stage.view.subject == "9"  # that task has none yet
        await stage.press("escape")
        assert stage.source.focused == 9
        await stage.press("d")
        assert "id: try" in stage.text()


@pytest.mark.parametrize(
    ("keys", "command"),
    [
        (["C"], ("job", "cancel", "9")),
        (["c"], ("queue", "cancel", "9/serve")),
        (["X"], None),
    ],
)
async def test_keys_of_a_running_job(keys: list[str], command: tuple[str, ...] | None) -> None:
    actor = Recording()
    async with on_stage(WITH_DETAILS, actor=actor) as stage:
        await stage.open("job", "9")
        await stage.press(*keys)
        assert [deed.commands for deed in actor.proposed] == ([(command,)] if command else [])


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("r", ("job", "resume", "9", "--detach")),
        ("R", ("job", "retry", "9", "--detach")),
        ("F", ("job", "retry", "9", "--from", "serve", "--detach")),
        ("X", ("job", "rm", "9")),
    ],
)
async def test_keys_of_a_cancelled_job(key: str, command: tuple[str, ...]) -> None:
    actor = Recording()
    picture = replace(WITH_DETAILS, jobs=(job(9, "nightly", State.CANCELLED),))
    async with on_stage(picture, actor=actor) as stage:
        await stage.open("job", "9")
        await stage.press(key)
        assert [deed.commands for deed in actor.proposed] == [(command,)]


@pytest.mark.parametrize(
    ("state", "place", "shown"),
    [
        (State.RUNNING, "serve", {"cancel", "cancel_task"}),
        (State.RUNNING, "fetch", {"cancel"}),
        (State.FAILED, "serve", {"retry", "retry_from", "remove"}),
        (State.SUCCEEDED, "fetch", {"retry_from", "remove"}),
    ],
)
async def test_only_the_keys_are_shown_that_can_do_something(
    state: State, place: str, shown: set[str]
) -> None:
    picture = replace(WITH_DETAILS, jobs=(job(9, "nightly", state),))
    async with on_stage(picture) as stage:
        await stage.open("job", "9")
        await stage.press("g", *["j"] * ["fetch", "check", "serve"].index(place))
        assert stage.view.CHANGES - stage.view.vain == shown


def many(count: int) -> JobDetails:
    each = [task(f"pull[{n}]", State.SUCCEEDED, "plan") for n in range(count - 1)]
    made = (task("plan", State.SUCCEEDED), *each, task("pull[x]", State.FAILED, "plan"))
    last = task("end", State.SKIPPED, *[one.id for one in made[1:]])
    return replace(DETAILS, tasks=(*made, last))


async def test_many_of_a_for_each_are_one_until_they_are_asked_for() -> None:
    async with on_stage(replace(PICTURE, job_details=many(40))) as stage:
        await stage.open("job", "9")
        assert "× 40: 1 failed, 39 succeeded" in stage.line_with("pull  ×")
        assert "✖ failed" in stage.line_with("state")  # the pane tells of that one
        await stage.press("enter")
        assert "pull[0]" in stage.text()
        await stage.press("f")
        assert "pull[0]  " not in stage.text()


async def test_cancelling_a_folded_for_each_ends_all_that_have_not_ended() -> None:
    states = (*[State.RUNNING] * 8, *[State.READY] * 2, State.SUCCEEDED)
    each = tuple(task(f"w[{n}]", state) for n, state in enumerate(states))
    details = replace(DETAILS, tasks=(*each, task("end", State.PENDING, *[t.id for t in each])))
    counts = ((State.RUNNING, 8), (State.READY, 2), (State.SUCCEEDED, 1))
    picture = replace(PICTURE, jobs=(job(9, "n", State.RUNNING, counts=counts),))
    actor = Recording()
    async with on_stage(replace(picture, job_details=details), actor=actor) as stage:
        await stage.open("job", "9")
        stage.line_with("w  × 11: 8 running, 2 waiting, 1 succeeded")
        stage.line_with("1/11, 8 running, 2 waiting")
        stage.line_with("w × 11")
        stage.line_with("tasks       8 running, 2 waiting, 1 succeeded")
        await stage.press("c")
        (deed,) = actor.proposed
        assert deed.title == "cancel 10 tasks of w, job 9"
        waiting_first = [8, 9, *range(8)]
        assert deed.commands == tuple(("queue", "cancel", f"9/w[{n}]") for n in waiting_first)
        assert deed.losses == (
            "ended on their nodes: w[0], w[1], w[2], w[3], w[4], w[5] and 2 more",
            "what needs them is skipped: end",
            "not done: w[8], w[9]",
        )


def test_a_thousand_lanes_leave_room_for_the_text() -> None:
    details = many(300)
    found = rows(lay_out(details, {"pull"}), details, (), NOW, 80)
    heads = {row.step: row for row in found if row.number == 0}
    assert len(heads) == 302
    for row in heads.values():
        assert sum(len(piece.text) for piece in row.pieces[:3]) <= 80


def test_needs_that_are_not_known_and_circles_are_drawn_all_the_same() -> None:
    strange = replace(
        DETAILS, tasks=(task("a", State.PENDING, "b", "gone"), task("b", State.PENDING, "a"))
    )
    found = rows(lay_out(strange), strange, (), NOW, 80)
    assert {row.step for row in found} == {"a", "b"}


@pytest.mark.parametrize("nasty", NASTY)
async def test_hostile_texts_are_harmless(nasty: str) -> None:
    bad = [replace(one, summary=nasty, error=nasty, hint=nasty, progress=nasty) for one in TASKS]
    bad += [task(nasty, State.FAILED, "fetch", error=nasty, waiting=nasty)]
    details = replace(DETAILS, tasks=tuple(bad), playbook=nasty, process=nasty)
    picture = replace(PICTURE, jobs=(replace(RUNNING, name=nasty, error=nasty),))
    async with on_stage(replace(picture, job_details=details), size=SMALL) as stage:
        await stage.open("job", "9")
        assert harmless(stage.strips())
        await stage.press("G")
        assert harmless(stage.strips())
        await stage.press("k", "k", "d")
        assert harmless(stage.strips())
    assert disfigure(DETAILS) != DETAILS
