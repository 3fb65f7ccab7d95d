from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.watch.frames import Gpus, host_of, with_models
from gswarm_tui.watch.snapshot import Gpu, GpuState, Hardware, Host, Link

from .fake import PROCESS, STATIC, frame, gpu

NOW = 1000.0


def gpus(*, expected: tuple[int, ...] = ()) -> Gpus:
    made = Gpus("n1", expected)
    made.describe(STATIC)
    return made


def test_a_gpu_has_what_the_frame_and_the_description_tell() -> None:
    told = gpu(1, throttle=["power cap"], xid=[{"code": 31, "time": 7}])
    (made,) = gpus().take(frame(told, time=NOW), NOW)
    assert (made.node, made.index, made.state) == ("n1", 1, GpuState.OK)
    assert (made.uuid, made.name) == ("GPU-1", "NVIDIA H100 80GB HBM3")
    assert (made.util_percent, made.power_w, made.power_limit_w) == (90, 512.5, 700.0)
    assert (made.memory_used_bytes, made.memory_total_bytes) == (61_500_000_000, 80_000_000_000)
    assert made.fan_percent is None
    assert made.throttle == ("power cap",)
    assert made.xid == ((31, 7.0),)
    assert made.users == ("ana",)
    assert made.hardware == Hardware("00000000:01:00.0", 0, "9.0", 18, (Link(0, "NODE", True),))


def test_every_field_of_a_gpu_that_is_a_number_is_read() -> None:
    names = [
        *("pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s"),
        *("nvlink_rx_bytes_per_s", "nvlink_tx_bytes_per_s"),
        *("util_percent", "memory_util_percent", "temperature_c", "sm_clock_mhz"),
        *("memory_clock_mhz", "fan_percent", "pstate", "ecc_corrected", "ecc_uncorrected"),
        "remapped_rows",
    ]
    values = {name: place + 5 for place, name in enumerate(names)}
    (made,) = gpus().take(frame(gpu(0, **values)), NOW)
    assert {name: getattr(made, name) for name in names} == values


def test_what_did_not_change_is_the_same_object() -> None:
    made = gpus()
    first = made.take(frame(gpu(0), gpu(1)), NOW)
    second = made.take(frame(gpu(0), gpu(1, util_percent=3)), NOW + 1)
    assert second[0] is first[0]
    assert second[1].util_percent == 3


def test_processes_that_are_left_out_are_as_before() -> None:
    made = gpus()
    made.take(frame(gpu(0)), NOW)
    without = gpu(0, util_percent=2)
    del without["processes"]
    (after,) = made.take(frame(without), NOW + 1)
    assert [process.pid for process in after.processes] == [PROCESS["pid"]]
    (gone,) = made.take(frame(gpu(0, processes=[])), NOW + 2)
    assert gone.processes == ()


@pytest.mark.parametrize("ahead_s", [0.0, -7200.0, 7200.0])
def test_since_when_a_gpu_does_nothing_is_told_by_our_clock(ahead_s: float) -> None:
    made, now = gpus(), 10_000.0
    wire = gpu(0, util_percent=0, idle_since=now + ahead_s - 60, idle_seen=False)
    (first,) = made.take(frame(wire, time=now + ahead_s), now)
    assert (first.idle_since, first.idle_at_least) == (now - 60, True)
    (later,) = made.take(frame({**wire, "power_w": 1.0}, time=now + ahead_s + 1), now + 1.2)
    assert later.idle_since == now - 60
    again = {**wire, "idle_since": now + ahead_s + 5, "idle_seen": True}
    (again_idle,) = made.take(frame(again, time=now + ahead_s + 5), now + 5)
    assert (again_idle.idle_since, again_idle.idle_at_least) == (now + 5, False)
    (busy,) = made.take(frame(gpu(0, idle_since=None), time=now + ahead_s), now + 9)
    assert (busy.idle_since, busy.idle_at_least) == (None, False)


def test_gpus_that_are_lost_missing_or_silent() -> None:
    made = gpus(expected=(0, 1, 2))
    found = made.take(frame(gpu(0, lost=True, util_percent=None), gpu(1)), NOW)
    assert [each.state for each in found] == [GpuState.LOST, GpuState.OK, GpuState.MISSING]
    assert (found[0].uuid, found[0].util_percent) == ("GPU-0", None)
    assert found[2].uuid is None
    again = made.take(frame(gpu(0, lost=True, util_percent=None), gpu(1)), NOW)
    assert all(one is other for one, other in zip(found, again, strict=True))
    silent = made.take(frame(state="hung", error="…", silent_s=9.0), NOW)
    assert [each.state for each in silent] == [GpuState.SILENT, GpuState.SILENT]
    assert made.take(frame(gpu(0), gpu(1)), NOW)[1].state is GpuState.OK


def test_what_a_gpu_does_not_tell_is_none_and_what_happened_stays() -> None:
    made = gpus()
    happened = [{"code": 79, "time": 7.0}]
    dead = gpu(0, lost=True, throttle=None, processes=[], xid=happened)
    (lost, mute, *_) = made.take(frame(dead, gpu(1, throttle=None, xid=None), time=0.0), NOW)
    assert (lost.throttle, lost.processes, lost.xid) == (None, None, ((79, 7.0 + NOW),))
    assert (mute.throttle, mute.xid, len(mute.processes or ())) == (None, (), 1)
    (silent, _) = made.take(frame(state="hung", silent_s=9.0), NOW + 1)
    assert (silent.throttle, silent.processes, silent.xid) == (None, None, lost.xid)
    untold = gpu(0)
    del untold["processes"]
    (first,) = gpus().take(frame(untold), NOW)
    assert first.processes is None


def test_a_node_without_a_driver_lacks_what_is_expected_of_it() -> None:
    made = Gpus("n1", (0, 1))
    assert [each.state for each in made.take(frame(state="no_driver"), NOW)] == [
        GpuState.MISSING
    ] * 2
    assert Gpus("n1").take(frame(state="no_driver"), NOW) == ()


def test_models_are_on_gpus() -> None:
    made = gpus()
    before = made.take(frame(gpu(0), gpu(1)), NOW)
    made.hold({1: ("llama",)})
    now = with_models(before, {1: ("llama",)})
    assert now[0] is before[0]
    assert now[1].models == ("llama",)
    assert made.take(frame(gpu(0), gpu(1)), NOW) == now


def test_a_host_is_as_before_where_a_frame_tells_nothing() -> None:
    host = host_of(frame(), Host())
    assert (host.cpu_percent, host.load1, host.swap_used_bytes) == (12.5, 3.0, None)
    assert host_of(frame(host={}), host) is host
    assert host_of(frame(host=None), host) is host


garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
FIELDS = sorted(gpu(0))


@given(
    st.dictionaries(st.sampled_from(["state", "gpus", "host", "error", "silent_s"]), garbage),
    st.lists(st.dictionaries(st.sampled_from(FIELDS), garbage), max_size=3),
    st.dictionaries(st.sampled_from(["gpus", "topology", "version", "driver"]), garbage),
)
def test_whatever_a_node_sends_is_gpus(
    changes: dict[str, object], told: list[dict[str, object]], static: dict[str, object]
) -> None:
    made = Gpus("n1", (0,))
    made.describe(static)
    for wire in (frame(**changes), frame(*({"index": 0, **each} for each in told))):
        for each in made.take(wire, NOW):
            assert isinstance(each, Gpu)
            assert each.util_percent is None or -1e18 <= each.util_percent <= 1e18
        host_of(wire, Host())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, True, "90", -1, [], {}])
def test_what_is_no_amount_is_nothing(value: object) -> None:
    (made,) = gpus().take(frame(gpu(0, memory_used_bytes=value)), NOW)
    assert made.memory_used_bytes is None


def test_a_node_cannot_send_endless_gpus_or_texts() -> None:
    found = gpus().take(frame(*(gpu(index) for index in range(1000))), NOW)
    assert len(found) == 256
    (made,) = gpus().take(frame(gpu(0, processes=[{**PROCESS, "command": "x" * 10**6}])), NOW)
    assert len(made.processes[0].command) == 4096


def test_a_node_cannot_have_ever_new_gpus() -> None:
    """What is remembered of each would grow for as long as somebody watches."""
    assert gpus().take(frame(gpu(256), gpu(10**9)), NOW) == ()


def test_what_a_node_says_twice_counts_once() -> None:
    (made,) = gpus().take(frame(gpu(0, throttle=["power brake"] * 10**6)), NOW)
    assert made.throttle == ("power brake",)


@pytest.mark.parametrize("time", [1e17, -1, 253_402_300_800])
def test_a_time_that_no_calendar_has_is_none(time: float) -> None:
    wire = gpu(0, processes=[{**PROCESS, "since": time}], xid=[{"code": 31, "time": time}])
    (made,) = gpus().take(frame(wire), NOW)
    assert (made.processes[0].since, made.xid) == (None, ())


@pytest.mark.parametrize("ahead_s", [-7200.0, 7200.0])
def test_when_an_error_came_is_told_by_our_clock(ahead_s: float) -> None:
    """An hour old is old, whatever the node's own clock says."""
    made, now = gpus(), 10_000.0
    wire = gpu(0, xid=[{"code": 31, "time": now + ahead_s - 60}])
    (first,) = made.take(frame(wire, time=now + ahead_s), now)
    assert first.xid == ((31, now - 60),)
    (later,) = made.take(frame({**wire, "power_w": 1.0}, time=now + ahead_s + 1), now + 1.2)
    assert later.xid == first.xid
