"""The graph of a job's tasks, by itself."""

from __future__ import annotations

from gswarm_tui.jobs.dag import Dag, Vertex
from gswarm_tui.state.states import State


def test_what_needs_an_always_task_of_an_earlier_run_is_given_out_once() -> None:
    tidy, after = Vertex("tidy", (), always=True), Vertex("after", ("tidy",), always=True)
    dag = Dag([Vertex("a", ()), tidy, after])
    dag.settle("a", State.SUCCEEDED)
    dag.settle("tidy", State.SUCCEEDED)
    assert dag.take_ready() == ["after"]
