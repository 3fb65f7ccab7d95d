"""Device names: what they mean, that they round-trip, and what is said about wrong ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gswarm_tui.devices import MAX_GPU_INDEX, Device, is_place, parse
from gswarm_tui.errors import DeviceError

names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")
addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
    st.ip_addresses(v=6).map(lambda address: f"{address}%eth0"),
)
nodes = st.one_of(names, addresses)
devices = st.one_of(
    st.just(Device(None, "web")),
    st.builds(Device, nodes, st.sampled_from(["disk", "dram"])),
    st.builds(Device, nodes, st.just("gpu"), st.integers(0, MAX_GPU_INDEX)),
)


@given(devices)
def test_round_trip(device: Device) -> None:
    assert parse(str(device)) == device


@given(st.lists(devices))
def test_sorting_is_total(unsorted: list[Device]) -> None:
    ordered = sorted(unsorted)
    assert sorted(sorted(unsorted, key=str)) == ordered
    assert len(set(ordered)) == len(set(unsorted))


@given(st.text(max_size=30))
def test_any_text_is_a_device_or_a_device_error(text: str) -> None:
    try:
        device = parse(text)
    except DeviceError:
        return
    assert parse(str(device)) == device


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("web", Device(None, "web")),
        ("node1:disk", Device("node1", "disk")),
        ("node1:dram", Device("node1", "dram")),
        ("node1:gpu0", Device("node1", "gpu", 0)),
        ("node1:gpu:10", Device("node1", "gpu", 10)),
        ("192.168.1.100:gpu1", Device("192.168.1.100", "gpu", 1)),
        ("a.example.org:disk", Device("a.example.org", "disk")),
        ("[fe80::1]:gpu:0", Device("fe80::1", "gpu", 0)),
        ("[fe80::1%eth0]:disk", Device("fe80::1%eth0", "disk")),
    ],
)
def test_parse(text: str, device: Device) -> None:
    assert parse(text) == device


@pytest.mark.parametrize("text", ["gpu0", "gpu:0", "node1:gpu0", "node1:gpu:0"])
def test_parse_with_a_node(text: str) -> None:
    assert parse(text, node="node1") == Device("node1", "gpu", 0)


def test_parse_with_a_node_of_no_use() -> None:
    assert parse("web", node="node1") == Device(None, "web")
    with pytest.raises(DeviceError) as caught:
        parse("node1:disk", node="node2")
    assert str(caught.value) == (
        "`node1:disk` is on node1, and the node that was asked for is node2"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpu0", "`gpu0` names no node; write it as `node1:gpu0`"),
        ("node1", "`node1` names no place on a node; did you mean `node1:disk`?"),
        ("node1:gpu", "`node1:gpu` does not say which GPU; did you mean `node1:gpu0`?"),
        (
            "node1:disk:0",
            "`node1:disk:0` has an index, which disk has not; did you mean `node1:disk`?",
        ),
        (
            "node1:dram1",
            "`node1:dram1` has an index, which dram has not; did you mean `node1:dram`?",
        ),
        ("node1:dsik", "`node1:dsik` is no device; did you mean `node1:disk`?"),
        ("node1:GPU1", "`node1:GPU1` is no device; did you mean `node1:gpu1`?"),
        ("node1:gpu-1", "`node1:gpu-1` is no device; did you mean `node1:gpu1`?"),
        ("node1:gpu01", "`node1:gpu01` is no device; did you mean `node1:gpu1`?"),
        ("node1:cuda:3", "`node1:cuda:3` is no device; did you mean `node1:gpu3`?"),
        ("node1:memory", "`node1:memory` is no device; did you mean `node1:dram`?"),
        (" node1: disk", "` node1: disk` is no device; did you mean `node1:disk`?"),
        ("fe80::1:gpu0", "`fe80::1:gpu0` is no device; did you mean `[fe80::1]:gpu0`?"),
        ("Web", "`Web` is no device; did you mean `web`?"),
        ("node1:web", "`node1:web` is no device"),
        ("node1:", "`node1:` is no device"),
        (":disk", "`:disk` is no device; did you mean `disk`?"),
        ("", "a device is empty here"),
        ("[nonsense]:disk", "`[nonsense]:disk` is no device; did you mean `nonsense:disk`?"),
        ("no de:disk", "`no de` cannot be the name or host of a node"),
        ("node1:gpu256", "a GPU's index is 0 to 255, not 256"),
    ],
)
def test_wrong(text: str, message: str) -> None:
    with pytest.raises(DeviceError) as caught:
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "parts",
    [
        (None, "disk", None),
        ("node1", "web", None),
        ("node1", "gpu", None),
        ("node1", "disk", 0),
        ("node1", "gpu", -1),
        ("node1", "tape", None),
        ("a b", "disk", None),
    ],
)
def test_parts_that_make_no_device(parts: tuple[str | None, str, int | None]) -> None:
    with pytest.raises(DeviceError):
        Device(*parts)


def test_properties() -> None:
    disk, dram, gpu = parse("n:disk"), parse("n:dram"), parse("n:gpu3")
    assert [device.tier_name for device in (disk, dram, gpu)] == ["disk", "dram", "gpu3"]
    assert [device.is_store for device in (disk, dram, gpu)] == [True, True, False]
    assert [device.is_gpu for device in (disk, dram, gpu)] == [False, False, True]
    mixed = [parse(text) for text in ("b:disk", "a:gpu10", "a:gpu2", "web", "a:dram", "a:disk")]
    ordered = ["web", "a:disk", "a:dram", "a:gpu2", "a:gpu10", "b:disk"]
    assert [str(device) for device in sorted(mixed)] == ordered


def test_places() -> None:
    assert [is_place(text) for text in ("web", "disk", "gpu0", "gpu:1", "gpu")] == [True] * 5
    assert not any(is_place(text) for text in ("node1", "node1:disk", "gpus", "diskless"))
