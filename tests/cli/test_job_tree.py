from __future__ import annotations

import io
from typing import Any, cast

import pytest
from rich.console import Console

from gswarm_tui.cli.job_tree import Tree
from gswarm_tui.errors import GswarmError
from gswarm_tui.playbook import JobResult, TaskResult
from gswarm_tui.playbook.events import (
    JobFinished,
    JobStarted,
    Task,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from gswarm_tui.progress import Progress
from gswarm_tui.state.jobs import State

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
    assert [line.split(" health_check")[0].rstrip() for line in lines[1:]] == [
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
        tree(ended(three, State.SKIPPED, because="two"))
        lines = drawn(console, tree)
    assert "0 of 3 done, 1 failed" in lines[0]
    assert "━" in lines[1]
    assert "download  1.0 MB of 4.0 MB, 500 kB/s, 6.0 s left" in lines[1]
    assert lines[2] == "✖ two      node1: no [bold]room�[0m"
    assert lines[3] == "└─ – three skipped: two did not succeed"


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
