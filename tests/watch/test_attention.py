from __future__ import annotations

from dataclasses import replace

import pytest

from gswarm_tui.watch.attention import needs_a_look, spell
from gswarm_tui.watch.snapshot import (
    Attention,
    Concern,
    Gpu,
    GpuProcess,
    GpuState,
    Node,
    NodeState,
)

NOW = 1_000_000.0
GB = 10**9
FINE = Gpu("n1", 0, GpuState.OK, uuid="GPU-1", util_percent=50.0)


def node(*gpus: Gpu, state: NodeState = NodeState.UP, **more: object) -> Node:
    made = Node("n1", "10.0.0.1", state, since=NOW - 100, gpus=gpus)
    return replace(made, **more)  # type: ignore[arg-type]


def holding(user: str | None, memory: int | None) -> GpuProcess:
    return GpuProcess(1, user, "python", memory, 0.0, None, None)


def seen(*gpus: Gpu) -> list[Attention]:
    return list(needs_a_look([node(*gpus)], NOW))


def test_what_is_fine_needs_no_look() -> None:
    assert seen(FINE) == []
    connecting = node(state=NodeState.CONNECTING, error="not yet")
    assert needs_a_look([connecting], NOW) == ()


def test_a_node_that_does_not_answer() -> None:
    down = node(state=NodeState.UNREACHABLE, error="no route to host")
    (found,) = needs_a_look([down], NOW)
    assert found == Attention(
        Concern.UNREACHABLE, "n1", None, "does not answer: no route to host", NOW - 100
    )


def test_a_driver_that_hangs_is_told_once_not_for_each_gpu() -> None:
    silent = [Gpu("n1", index, GpuState.SILENT) for index in range(8)]
    (found,) = needs_a_look([node(*silent, silent_s=300.0)], NOW)
    assert (found.concern, found.gpu, found.since) == (Concern.HUNG, None, NOW - 300)
    assert found.text == "the GPU driver has not answered for 5 min"
    stuck = "the GPU driver has not answered for 300 s; the process 7 hangs in it"
    (found,) = needs_a_look([node(silent_s=300.0, error=stuck)], NOW)
    assert found.text == "the GPU driver has not answered for 5 min; the process 7 hangs in it"


@pytest.mark.parametrize(
    ("gpu", "concern", "text"),
    [
        (replace(FINE, state=GpuState.LOST), Concern.LOST, "no contact"),
        (replace(FINE, state=GpuState.MISSING), Concern.MISSING, "the inventory expects it"),
        (
            replace(FINE, xid=((79, NOW - 60), (31, NOW - 5))),
            Concern.XID,
            "XID 31 (GPU memory page fault), and 1 more",
        ),
        (replace(FINE, ecc_uncorrected=3), Concern.ECC, "3 since the driver was loaded"),
        (
            replace(FINE, throttle=("power cap", "hardware thermal slowdown")),
            Concern.THROTTLED,
            "clocks are held down: hardware thermal slowdown",
        ),
    ],
)
def test_what_is_wrong_with_a_gpu(gpu: Gpu, concern: Concern, text: str) -> None:
    (found,) = seen(gpu)
    assert found.concern is concern
    assert found.gpu == 0
    assert text in found.text


def test_what_is_long_ago_or_harmless_needs_no_look() -> None:
    assert seen(replace(FINE, xid=((79, NOW - 3700),))) == []
    assert seen(replace(FINE, throttle=("power cap",))) == []
    assert seen(replace(FINE, ecc_uncorrected=0, ecc_corrected=12)) == []


def test_gpus_that_are_missing_are_told_once_for_a_node() -> None:
    (found,) = seen(*(Gpu("n1", index, GpuState.MISSING) for index in range(4)), FINE)
    assert (found.concern, found.gpu) == (Concern.MISSING, None)
    assert found.text == "the inventory expects 4 GPUs that the node has not: 0, 1, 2, 3"


def test_a_driver_that_fails_is_told_in_its_own_words() -> None:
    (found,) = needs_a_look([node(error="NVMLError_Unknown")], NOW)
    assert (found.concern, found.text) == (Concern.SILENT, "NVMLError_Unknown")


def idle(*processes: GpuProcess, for_s: float = 3 * 3600, models: tuple[str, ...] = ()) -> Gpu:
    return replace(
        FINE, util_percent=0.0, processes=processes, idle_since=NOW - for_s, models=models
    )


def test_a_gpu_that_is_held_and_does_nothing() -> None:
    (found,) = seen(idle(holding("ana", 61 * GB)))
    assert found.text == "ana holds 61.0 GB and has not computed for 3 h"
    assert found.since == NOW - 3 * 3600


def test_what_was_idle_before_anybody_looked() -> None:
    (found,) = seen(replace(idle(holding("ana", 61 * GB), for_s=720), idle_at_least=True))
    assert found.text == "ana holds 61.0 GB and has not computed for at least 12 min"


def test_whose_they_are_who_has_most_first() -> None:
    (found,) = seen(idle(holding("ana", 2 * GB), holding(None, GB), holding("eve", 9 * GB)))
    assert found.text.startswith("eve and ana and somebody hold 12.0 GB and have not computed")


def test_a_model_that_nobody_uses_is_named() -> None:
    (found,) = seen(idle(holding("ana", 61 * GB), models=("llama",)))
    assert found.text == "ana holds 61.0 GB for llama and has not computed for 3 h"


@pytest.mark.parametrize(
    "gpu",
    [
        idle(),
        idle(holding("ana", 61 * GB), for_s=599),
        idle(holding("ana", 300_000_000)),
        idle(holding("ana", None)),
        replace(idle(holding("ana", 61 * GB)), idle_since=None),
    ],
)
def test_what_is_free_or_short_or_small_is_not_held(gpu: Gpu) -> None:
    assert seen(gpu) == []


def test_the_most_urgent_comes_first() -> None:
    nodes = [
        node(idle(holding("ana", 61 * GB)), replace(FINE, state=GpuState.LOST)),
        node(state=NodeState.UNREACHABLE),
    ]
    assert [each.concern for each in needs_a_look(nodes, NOW)] == [
        Concern.UNREACHABLE,
        Concern.LOST,
        Concern.IDLE,
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s"), (90, "2 min"), (3600, "1 h"), (7300, "2 h"), (100_000, "28 h"), (300_000, "3 d")],
)
def test_a_length_of_time_has_one_unit(seconds: float, text: str) -> None:
    assert spell(seconds) == text
