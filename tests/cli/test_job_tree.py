from __future__ import annotations

import io
from typing import Any, cast

import pytest
from rich.console import Console

from gswarm_tui.cli.job_tree import Tree
from gswarm_tui.errors import GswarmError
from gswarm_tui.jobs import JobResult, TaskResult
from gswarm_tui.jobs.events import (
    JobFinished,
    JobStarted,
    Task,
    TaskFinished,
    TaskProgress,
    TaskRetrying,
    TaskStarted,
    TaskWaiting,
)
from gswarm_tui.progress import Progress
from gswarm_tui.state.states import State

NO_ACTION = cast(Any, None)


def screen(height: int = 20, encoding: str = "utf-8") -> Console:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace", write_through=True)
    return Console(
        file=file, force_terminal=True, color_system=None, width=90, height=height, highlight=False
    )


def task(name: str, *needs: str, summary: str = "http://x/") -> Task:
    return Task(name, "health_check", summary, needs)


def drawn(console: Console, tree: Tree) -> list[str]:
    # On a console of its own: rich adds a frame to whatever is printed while it draws.
    paper = screen(console.height, console.encoding)
    with paper.capture() as capture:
        paper.print(tree.render())
    return [line.rstrip() for line in capture.get().splitlines()]


def ended(of: Task, state: State, **more: Any) -> TaskFinished:
    return TaskFinished(TaskResult(of, state, 1.0, NO_ACTION, **more))


def started(*tasks: Task) -> JobStarted:
    return JobStarted(7, "demo", None, tasks, ())


def test_tasks_are_below_the_deepest_that_they_need() -> None:
    console = screen()
    with Tree(console) as tree:
        tree(
            started(
                task("fetch"),
                task("copy", "fetch"),
                task("load", "fetch"),
                task("serve", "fetch", "load"),
                task("other"),
            )
        )
        lines = drawn(console, tree)
    assert lines[0].startswith("job 7  demo  0 of 5 done")
    assert [line.split(" health_check")[0].rstrip() for line in lines[1:-1]] == [
        "· fetch",
        "├─ · copy",
        "└─ · load",
        "   └─ · serve",
        "· other",
    ]


def test_a_task_shows_its_state_its_progress_and_its_end() -> None:
    console = screen()
    one, two, three = task("one"), task("two"), task("three", "two")
    with Tree(console) as tree:
        tree(started(one, two, three))
        tree(TaskStarted(one))
        tree(TaskStarted(two))
        tree(TaskProgress(one, Progress("download", 1_000_000, 4_000_000, 500_000.0)))
        tree(ended(two, State.FAILED, error=GswarmError("no [bold]room\x1b[0m", where="node1")))
        tree(ended(three, State.SKIPPED, because="needs two, which failed"))
        lines = drawn(console, tree)
    assert "0 of 3 done, 1 failed" in lines[0]
    assert "━" in lines[1]
    assert "download  1.0 MB of 4.0 MB, 500 kB/s, 6 s left" in lines[1]
    assert lines[2] == "✖ two      node1: no [bold]room�[0m"
    assert lines[3] == "└─ – three skipped: needs two, which failed"


def test_a_large_job_fits_the_terminal_and_keeps_what_matters() -> None:
    console = screen(height=10)
    tasks = [task(f"t{n}") for n in range(1000)]
    with Tree(console) as tree:
        tree(started(*tasks))
        tree(TaskStarted(tasks[500]))
        tree(ended(tasks[900], State.FAILED, error=GswarmError("bad")))
        lines = drawn(console, tree)
    assert len(lines) <= 10
    text = "\n".join(lines)
    assert " t500 " in text
    assert "✖ t900" in text


def test_a_chain_of_a_thousand_actions_is_drawn() -> None:
    console = screen()
    tasks = [task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, 1000))]
    with Tree(console) as tree:
        tree(started(*tasks))
        assert len(drawn(console, tree)) <= 20


def test_a_terminal_without_utf8_gets_plain_characters() -> None:
    console = screen(encoding="ascii")
    one, two = task("one"), task("two", "one")
    with Tree(console) as tree:
        tree(started(one, two))
        tree(TaskStarted(one))
        lines = drawn(console, tree)
    assert lines[1].startswith("* one")
    assert lines[2].startswith("`- . two")
    assert all(line.isascii() for line in lines)


@pytest.mark.parametrize("cancelled", [False, True])
def test_cancelling_is_said(cancelled: bool) -> None:
    console = screen()
    with Tree(console) as tree:
        tree(started(task("one")))
        if cancelled:
            tree.cancelling()
        text = "\n".join(drawn(console, tree))
    assert ("Ctrl-C again leaves at once" in text) is cancelled


def test_the_last_line_has_room_for_what_a_terminal_writes_at_ctrl_c() -> None:
    console = screen()
    with Tree(console) as tree:
        tree(started(task("one")))
        *_, row, last = drawn(console, tree)
    assert row.startswith("· one")
    assert last == ""


def test_what_was_seen_last_stays_when_one_leaves() -> None:
    console = screen()
    one = task("one")
    with Tree(console) as tree:
        tree(started(one))
        tree(TaskStarted(one))
        tree(TaskProgress(one, Progress("download", message="half")))
        with console.capture() as capture:
            tree.leave()
            tree.leave()
    assert capture.get().count("one download  half") == 1


def test_the_whole_tree_stays_when_the_job_ends() -> None:
    console = screen()
    one = task("one")
    with Tree(console) as tree:
        tree(started(one))
        tree(TaskStarted(one))
        tree(ended(one, State.CANCELLED))
        with console.capture() as capture:
            tree(JobFinished(JobResult(7, "demo", State.CANCELLED, 1.0, ())))
    assert "■ one cancelled" in capture.get()


def test_what_waits_says_for_what_and_what_is_tried_again_says_why() -> None:
    console = screen()
    one, two, three = task("one"), task("two"), task("three")
    with Tree(console) as tree:
        tree(started(one, two, three))
        tree(TaskWaiting(one, "waiting for node1:gpu0, held by job 3 (serve llama)"))
        tree(TaskStarted(two))
        tree(TaskWaiting(two, "waiting for tiny on node1:disk, held by job 4"))
        tree(TaskStarted(three))
        tree(TaskRetrying(three, 1, GswarmError("no \x1banswer", where="node1"), 59.0))
        lines = drawn(console, tree)
        assert lines[1] == "… one   waiting for node1:gpu0, held by job 3 (serve llama)"
        assert lines[2].split(" two ")[1].startswith("  waiting for tiny on node1:disk, held by")
        assert lines[2].endswith((" ms", " s"))
        left, _, why = lines[3].removeprefix("↻ three again in ").partition(" s; ")
        assert 30 < int(left) <= 59
        assert why == "attempt 1 failed: node1: no �answer"
        tree(TaskStarted(one))
        tree(TaskWaiting(two, None))
        tree(TaskStarted(three, 2))
        assert "waiting" not in "".join(drawn(console, tree))


def test_a_resumed_job_begins_with_what_had_ended() -> None:
    console = screen()
    one, two = task("one"), task("two", "one")
    ended_before = ended(one, State.SUCCEEDED).result
    with Tree(console) as tree:
        tree(JobStarted(7, "demo", None, (one, two), (), done=(ended_before,), ago_s=75.0))
        lines = drawn(console, tree)
    assert lines[0] == "job 7  demo  1 of 2 done  1 min 15 s"
    assert lines[1] == "✔ one    done (1.0 s)"


def test_the_tree_that_stays_leaves_the_reason_to_what_follows() -> None:
    console = screen()
    one = task("one")
    with Tree(console) as tree:
        tree(started(one))
        tree(TaskStarted(one))
        tree(ended(one, State.FAILED, error=GswarmError("no room")))
        assert "no room" in "\n".join(drawn(console, tree))
        with console.capture() as capture:
            tree(JobFinished(JobResult(7, "demo", State.FAILED, 1.0, ())))
        assert tree.near == frozenset()
    stays = capture.get().rpartition("job 7")[2]  # behind what was drawn before
    assert "✖ one failed after 1.0 s" in stays
    assert "no room" not in stays


def test_a_failure_that_is_tolerated_is_told_apart() -> None:
    console = screen()
    one, two = task("one"), task("two")
    with Tree(console) as tree:
        tree(started(one, two))
        tree(ended(one, State.FAILED, error=GswarmError("no room")))
        assert "0 of 2 done, 1 failed  " in drawn(console, tree)[0]
        tree(ended(two, State.FAILED, error=GswarmError("no net"), tolerated=True))
        assert "0 of 2 done, 1 failed, 1 failed (tolerated)  " in drawn(console, tree)[0]
        with console.capture() as capture:
            tree(JobFinished(JobResult(7, "demo", State.FAILED, 1.0, ())))
    stays = capture.get().rpartition("job 7")[2]
    assert "✖ one failed after 1.0 s" in stays
    assert "✖ two failed (tolerated) after 1.0 s" in stays


def test_ids_cannot_steer_the_terminal() -> None:
    console = screen()
    with Tree(console) as tree:
        tree(started(task("fetch[\x1b[2J\u202e[bold]x]")))
        assert drawn(console, tree)[1].startswith("· fetch[�[2J�[bold]x] health_check")


def test_a_command_shows_the_last_line_of_what_it_writes() -> None:
    console = screen()
    one = task("one")
    with Tree(console) as tree:
        tree(started(one))
        tree(TaskStarted(one))
        tree(TaskProgress(one, Progress("running", output="first\n\x1b[31mlast\n\n")))
        text = "\n".join(drawn(console, tree))
    assert "running  �[31mlast" in text
    assert "first" not in text
