from __future__ import annotations

from dataclasses import replace

import pytest

from gswarm_tui.state.states import State
from gswarm_tui.watch.happenings import between
from gswarm_tui.watch.snapshot import (
    Copy,
    FleetSnapshot,
    Gpu,
    GpuState,
    Job,
    Model,
    Node,
    NodeState,
    Service,
)

GPU = Gpu("n1", 0, GpuState.OK, ecc_uncorrected=0)
UP = Node("n1", "n1", NodeState.UP, 0.0, sampled_at=1.0, gpus=(GPU,))
DOWN = replace(UP, state=NodeState.UNREACHABLE, error="no route to host", gpus=())
JOB = Job(7, "nightly", State.RUNNING, 1.0, 1.0, None, (), user="ana")
SERVICE = Service("m", "n1", ("n1:gpu0",), "vllm", "ready", "", 80, None, "s", "r")


def with_gpu(**changes: object) -> Node:
    return replace(UP, gpus=(replace(GPU, **changes),))  # type: ignore[arg-type]


def said(before: FleetSnapshot, after: FleetSnapshot) -> list[tuple[str, str, str]]:
    found = between(before, after)
    assert all(event.time == after.time for event in found)
    return [(event.level, event.about, event.text) for event in found]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (UP, DOWN, ("error", "does not answer: no route to host")),
        (DOWN, UP, ("info", "answers again")),
        (UP, replace(UP, silent_s=6.0), ("error", "the GPU driver does not answer")),
        (replace(UP, silent_s=6.0), UP, ("info", "the GPU driver answers again")),
        (UP, with_gpu(state=GpuState.LOST), ("error", "gpu0: the driver has lost it")),
        (with_gpu(state=GpuState.LOST), UP, ("info", "gpu0: is there again")),
        (
            with_gpu(xid=((31, 5.0),)),
            with_gpu(xid=((31, 5.0), (79, 9.0))),
            ("error", "gpu0: XID 79"),
        ),
        (
            UP,
            with_gpu(ecc_uncorrected=2),
            ("error", "gpu0: 2 memory errors that cannot be corrected"),
        ),
    ],
)
def test_what_happens_to_nodes(before: Node, after: Node, expected: tuple[str, str]) -> None:
    pictures = (FleetSnapshot(1.0, nodes=(before,)), FleetSnapshot(2.0, nodes=(after,)))
    assert said(*pictures) == [(expected[0], "n1", expected[1])]


def test_what_goes_on_is_no_event() -> None:
    node = with_gpu(xid=((31, 5.0),), util_percent=5.0)
    before = FleetSnapshot(1.0, nodes=(node,), jobs=(JOB,), services=(SERVICE,))
    after = replace(
        before,
        time=2.0,
        nodes=(with_gpu(xid=((31, 5.0),), util_percent=50.0),),
        jobs=(replace(JOB, running=("a",)),),
        services=(replace(SERVICE, running=3),),
    )
    assert said(before, after) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": State.SUCCEEDED}, ("info", "nightly is done")),
        ({"state": State.FAILED, "error": "no space"}, ("error", "nightly failed: no space")),
        ({"state": State.CANCELLED}, ("warning", "nightly was cancelled")),
        (
            {"state": State.LOST},
            ("error", "nightly is lost: the process that ran it has ended"),
        ),
    ],
)
def test_jobs_end(changes: dict[str, object], expected: tuple[str, str]) -> None:
    after = replace(JOB, **changes)  # type: ignore[arg-type]
    pictures = (FleetSnapshot(1.0, jobs=(JOB,)), FleetSnapshot(2.0, jobs=(after,)))
    assert said(*pictures) == [(expected[0], "job 7", expected[1])]


def test_jobs_begin_and_those_of_before_are_no_news() -> None:
    old = replace(JOB, id=3, state=State.FAILED)
    handed_over = replace(JOB, state=State.PENDING, started_at=None)
    empty, nothing = FleetSnapshot(0.0), FleetSnapshot(1.0, jobs=(old,))
    assert said(empty, replace(nothing, jobs=(JOB, old))) == []
    waiting = replace(nothing, time=2.0, jobs=(handed_over, old))
    assert said(nothing, waiting) == []
    began = ("info", "job 7", "nightly began, for ana")
    assert said(waiting, replace(nothing, time=3.0, jobs=(JOB, old))) == [began]
    assert said(nothing, replace(nothing, time=3.0, jobs=(JOB, old))) == [began]


def test_a_copy_arrives_or_is_found_damaged_but_one_that_was_so_is_no_news() -> None:
    def model(*copies: Copy) -> FleetSnapshot:
        return FleetSnapshot(1.0, models=(Model("m", None, None, 1, copies, True),))

    ready, partial = Copy("m", "r", "n1:disk", "ready", 1), Copy("m", "r", "n1:disk", "partial", 1)
    assert said(model(partial), model(ready)) == [("info", "m", "m is on n1:disk")]
    assert said(model(), model(ready)) == []  # its node has just answered
    damaged = replace(ready, state="damaged")
    assert said(model(ready), model(damaged)) == [("error", "m", "m on n1:disk is damaged")]
    assert said(model(), model(damaged)) == []


def test_services_come_and_go() -> None:
    none, some = FleetSnapshot(1.0, nodes=(UP,)), FleetSnapshot(1.0, (UP,), services=(SERVICE,))
    assert said(none, some) == [("info", "m", "m is served on n1")]
    assert said(some, none) == [("info", "m", "m is not served on n1 any more")]
    failed = replace(some, services=(replace(SERVICE, state="failed", error="out of memory"),))
    assert said(some, failed) == [("error", "m", "m on n1 is failed: out of memory")]
    # of a node that is gone nothing is known
    assert [each[2] for each in said(some, replace(none, nodes=(DOWN,)))] == [
        "does not answer: no route to host"
    ]
    # a node that answers for the first time had it before
    new = replace(UP, sampled_at=None)
    assert said(replace(none, nodes=(new,)), replace(some, nodes=(new,))) == []
