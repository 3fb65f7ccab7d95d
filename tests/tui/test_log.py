"""A log that grows: following, searching, attempts, and whatever bytes there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gswarm_tui.tui.screens.log import LogName
from gswarm_tui.tui.widgets.log_text import LONGEST, MOST_LINES, LogText
from gswarm_tui.watch.simulation.hostile import NASTY

from .some_jobs import DETAILS, PICTURE, TASKS, WITH_DETAILS
from .stage import SIZES, Stage, harmless, on_stage

Same = Callable[[Stage, str], None]


async def write(stage: Stage, text: str, *, task: str | None = None, attempt: int = 0) -> None:
    queue = stage.source.logs.setdefault((9, task, attempt), asyncio.Queue())
    queue.put_nowait(text)
    await queue.join()
    await stage.pilot.pause()


def log(stage: Stage) -> LogText:
    return stage.view.query_one(LogText)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_screen(size: tuple[int, int], same_as_before: Same) -> None:
    async with on_stage(WITH_DETAILS, size=size) as stage:
        await stage.open("log", "9")
        await write(stage, "".join(f"line {n} of the log\n" for n in range(100)))
        await stage.press("slash", "5", "enter")
        same_as_before(stage, f"log-{size[0]}x{size[1]}")


async def test_it_follows_until_one_scrolls_up() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("log", "9")
        assert "nothing is in it yet" in stage.text()
        await write(stage, "".join(f"line {n}\n" for n in range(100)))
        assert "line 99" in stage.text()
        await stage.press("k")
        assert "not following" in stage.text()
        await write(stage, "the newest\n")
        assert "the newest" not in stage.text()
        await stage.press("f")
        assert "the newest" in stage.text()
        await stage.press("g")
        assert "line 0" in stage.text()
        await stage.press("j", "pagedown", "pageup", "G")
        assert "the newest" in stage.text()
        assert "▼ following" in stage.text()


async def test_a_line_comes_in_pieces() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("log", "9")
        await write(stage, "hel")
        await write(stage, "lo\nwor")
        assert "hello" in stage.text()
        await write(stage, "ld\n\nend\n")
        assert [line.strip() for line in stage.lines()[3:7]] == ["hello", "world", "", "end"]
        assert "4 lines" in stage.text()


async def test_searching() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("log", "9")
        await write(
            stage, "".join(f"{'Error' if n % 40 == 7 else 'fine'} {n}\n" for n in range(99))
        )
        await stage.press("slash", *"error", "enter")
        assert "3 of 3" in stage.text()
        assert "▶" in stage.line_with("Error 87")
        await stage.press("n")
        assert "▶" in stage.line_with("Error 7")
        assert "1 of 3" in stage.text()
        await stage.press("N", "N")
        assert "▶" in stage.line_with("Error 47")
        await write(stage, "another error\n")
        assert "2 of 4" in stage.text()
        await stage.shows("esc Clear search")
        await stage.press("slash", *"zzz", "enter")
        assert "nothing has that" in stage.text()
        await stage.press("n", "escape")
        assert stage.view.filter == ""
        assert stage.view.WORD == "log"


async def test_the_newest_attempt_is_followed_and_others_can_be_read() -> None:
    async with on_stage(WITH_DETAILS) as stage:
        await stage.open("job", "9")
        await stage.press("l")  # the cursor is on the task that runs
        await write(stage, "second\n", task="serve", attempt=2)
        assert "attempt 2 of 2" in stage.text()
        assert "second" in stage.text()
        tasks = (*TASKS[:2], replace(TASKS[2], attempt=3), TASKS[3])
        await stage.push(replace(PICTURE, job_details=replace(DETAILS, tasks=tasks)))
        await write(stage, "third\n", task="serve", attempt=3)
        assert "third" in stage.text()
        assert "second" not in stage.text()
        await stage.press("left_square_bracket", "left_square_bracket", "left_square_bracket")
        await write(stage, "first\n", task="serve", attempt=1)
        assert "attempt 1 of 3" in stage.text()
        assert "first" in stage.text()
        await stage.press("right_square_bracket")
        assert "attempt 2 of 3" in stage.text()


async def test_the_attempt_is_waited_for() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("log", "9")
        await stage.press("left_square_bracket")
        stage.app.open_view("log", "9/serve")
        await stage.pilot.pause()
        assert "attempt ?" in stage.text()
        await stage.push(WITH_DETAILS)
        assert "attempt 2 of 2" in stage.text()


def test_names() -> None:
    assert LogName.read("17") == LogName(17)
    assert LogName.read("17/fetch") == LogName(17, "fetch")
    assert LogName.read("17/fetch#2") == LogName(17, "fetch", 2)
    assert LogName.read("17/pull[hf://a/b#1]") == LogName(17, "pull[hf://a/b#1]")


@pytest.mark.parametrize("nasty", NASTY)
async def test_hostile_bytes_are_harmless(nasty: str) -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("log", "9")
        await write(stage, f"{nasty}\n" * 3 + nasty)
        assert harmless(stage.strips())
        await stage.press("slash", "x", "enter")
        assert harmless(stage.strips())


async def test_huge_lines_and_very_many_are_cut() -> None:
    async with on_stage(PICTURE) as stage:
        await stage.open("log", "9")
        await write(stage, "x" * 1_000_000)
        await write(stage, "y" * 1_000_000 + "\n")
        assert "this line is longer" in stage.text()
        assert len(log(stage)._lines[0]) == LONGEST
        await write(stage, "n\n" * (MOST_LINES + 500))
        assert len(log(stage)._lines) <= MOST_LINES
        assert "n" in stage.lines()[-3]
