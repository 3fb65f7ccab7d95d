from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from gswarm_tui.state.states import State
from gswarm_tui.watch.attention import needs_a_look
from gswarm_tui.watch.happenings import Happenings
from gswarm_tui.watch.slowdowns import Slowdowns
from gswarm_tui.watch.snapshot import (
    Copy,
    FleetSnapshot,
    Gpu,
    GpuProcess,
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
    found = Happenings().between(before, after)
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
            ("error", "gpu0: XID 79 (GPU has fallen off the bus)"),
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


NEW = Node("n1", "n1", NodeState.CONNECTING, 0.0, gpu_count=1)
LOST = with_gpu(state=GpuState.LOST)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (NEW, replace(NEW, state=NodeState.UP), []),
        (NEW, replace(DOWN, sampled_at=None), []),
        (replace(NEW, state=NodeState.UP), LOST, []),
        (replace(NEW, state=NodeState.UP), with_gpu(state=GpuState.MISSING), []),
        (replace(NEW, state=NodeState.UP), replace(UP, silent_s=6.0), []),
        (replace(DOWN, sampled_at=None), replace(NEW, state=NodeState.UP), ["answers"]),
        (DOWN, LOST, ["answers again", "gpu0: the driver has lost it"]),
    ],
)
def test_what_was_so_when_it_was_first_looked_at_is_no_event(
    before: Node, after: Node, expected: list[str]
) -> None:
    pictures = (FleetSnapshot(1.0, nodes=(before,)), FleetSnapshot(2.0, nodes=(after,)))
    assert [each[2] for each in said(*pictures)] == expected


HUNG = replace(with_gpu(state=GpuState.SILENT), silent_s=6.0)


@pytest.mark.parametrize("away", [DOWN, HUNG])
def test_what_was_known_before_a_node_was_away_is_no_news_when_it_is_back(away: Node) -> None:
    found, old, new = Happenings(), (31, 5.0), (79, 9.0)
    damaged = (replace(LOST.gpus[0], xid=(old,), ecc_uncorrected=2),)
    back = replace(LOST, gpus=())
    nodes = [UP, replace(LOST, gpus=damaged), away, back, replace(LOST, gpus=damaged)]
    nodes += [away, with_gpu(xid=(old, new), ecc_uncorrected=3)]
    pictures = [FleetSnapshot(float(time), nodes=(node,)) for time, node in enumerate(nodes)]
    told = [[event.text for event in found.between(*pair)] for pair in pairwise(pictures)]
    of_gpus = [[text for text in texts if text.startswith("gpu0: ")] for texts in told]
    assert of_gpus[1:-1] == [[]] * 4
    assert of_gpus[-1] == [
        "gpu0: is there again",
        "gpu0: XID 79 (GPU has fallen off the bus)",
        "gpu0: 1 memory error that cannot be corrected",
    ]


HELD = Gpu(
    *("n1", 0, GpuState.OK),
    idle_since=0.0,
    processes=(GpuProcess(1, "ana", "python", 60 * 10**9, 0.0, None, None),),
)
SLOW = replace(GPU, throttle=("hardware thermal slowdown",))


def at(time: float, *gpus: Gpu) -> FleetSnapshot:
    node = replace(UP, gpus=gpus)
    return FleetSnapshot(time, nodes=(node,), attention=needs_a_look((node,), time))


def test_a_gpu_that_has_been_held_for_too_long_is_an_event_once() -> None:
    text = "gpu0: ana holds 60.0 GB and has not computed for 10 min"
    assert said(at(599.0, HELD), at(600.0, HELD)) == [("warning", "n1", text)]
    assert said(at(600.0, HELD), at(601.0, HELD)) == []
    assert said(at(700.0), at(701.0, HELD)) == []  # nobody knows when that began


def test_being_slowed_begins_and_ends() -> None:
    slowdowns, free = Slowdowns(), replace(GPU, throttle=())
    pictures = [at(0.0, free), at(1.0, SLOW), at(2.0, free), at(3.0, SLOW)]
    pictures += [at(float(second), free) for second in range(4, 40)]
    pictures.append(at(40.0, replace(GPU, throttle=("power cap",))))
    events = [event for pair in pairwise(pictures) for event in slowdowns.between(*pair)]
    assert [(event.time, event.level, event.about, event.text) for event in events] == [
        (1.0, "warning", "n1", "gpu0: clocks are held down: hardware thermal slowdown"),
        (34.0, "info", "n1", "gpu0: clocks are not held down any more"),
    ]


def test_what_was_slowed_when_it_was_first_seen_is_no_event_but_its_end_is() -> None:
    slowdowns = Slowdowns()
    assert slowdowns.between(at(0.0), at(1.0, SLOW)) == []
    assert slowdowns.between(at(1.0, SLOW), at(2.0, SLOW)) == []
    free = replace(GPU, throttle=())
    assert [each.level for each in slowdowns.between(at(2.0, SLOW), at(60.0, free))] == ["info"]
    slowdowns.between(at(61.0), at(62.0, SLOW))
    gone = replace(GPU, state=GpuState.LOST)
    assert slowdowns.between(at(62.0, SLOW), at(99.0, gone)) == []
    slowdowns.between(at(100.0), at(101.0, SLOW))
    untold = replace(GPU, throttle=None)
    assert slowdowns.between(at(101.0, SLOW), at(140.0, untold)) == []


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


def test_a_service_of_a_node_that_is_back_is_no_news_but_its_state_is() -> None:
    some, away = FleetSnapshot(1.0, (UP,), services=(SERVICE,)), FleetSnapshot(2.0, (DOWN,))
    back = FleetSnapshot(3.0, (UP,))  # what it serves is told a moment later
    for state, expected in (("ready", []), ("sleeping", ["m on n1 is sleeping"])):
        found, told = Happenings(), []
        for pair in pairwise([some, away, back, replace(some, services=(_in(state),))]):
            told += [event.text for event in found.between(*pair) if event.about == "m"]
        assert told == expected


def test_a_node_that_was_away_between_two_pictures_still_serves_what_it_served() -> None:
    some = FleetSnapshot(1.0, (UP,), services=(SERVICE,))
    back = FleetSnapshot(11.0, (replace(UP, since=9.0),))
    found = Happenings()
    for pair in pairwise([some, back, replace(back, services=(SERVICE,))]):
        assert found.between(*pair) == []


def _in(state: str) -> Service:
    return replace(SERVICE, state=state)
