from __future__ import annotations

from gswarm_tui.state.states import State
from gswarm_tui.watch.details import JobDetails, JobTask, longest_chain


def task(name: str, began: float | None, ended: float | None, *needs: str) -> JobTask:
    state = State.PENDING if began is None else State.RUNNING if ended is None else State.SUCCEEDED
    return JobTask(name, "noop", "", needs, state, 1, began, ended)


def job(*tasks: JobTask) -> JobDetails:
    return JobDetails(1, "a.yaml", "normal", None, tasks)


def test_the_longest_chain_is_by_time_and_not_by_number() -> None:
    found = job(
        task("fetch", 0, 10),
        task("a", 10, 11, "fetch"),
        task("b", 11, 12, "a"),
        task("slow", 10, None, "fetch"),
        task("last", None, None, "b", "slow"),
    )
    assert longest_chain(found, 30.0) == (("fetch", "slow"), 30.0)
    assert longest_chain(found, 11.5)[1] == 12.0


def test_tasks_may_be_in_any_order_and_needs_may_be_unknown() -> None:
    found = job(task("b", 5, 9, "a", "gone"), task("a", 0, 5))
    assert longest_chain(found, 10.0) == (("a", "b"), 9.0)


def test_nothing_has_begun() -> None:
    assert longest_chain(job(task("a", None, None)), 10.0) == ((), 0.0)
    assert longest_chain(job(), 10.0) == ((), 0.0)


def test_a_circle_ends() -> None:
    found = job(task("a", 0, 1, "b"), task("b", 0, 1, "a"))
    assert longest_chain(found, 2.0)[1] >= 1.0


def test_ten_thousand_in_a_row_are_quick() -> None:
    names = [f"t{number}" for number in range(10_000)]
    chain = [task(n, 0, 1, *names[max(0, i - 1) : i]) for i, n in enumerate(names)]
    assert longest_chain(job(*reversed(chain)), 2.0)[1] == 10_000
