"""What the machine does."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from gswarm_remote.metrics import hostload
from gswarm_remote.metrics.hostload import HostLoad


def test_what_it_has(tmp_path: Path) -> None:
    load = HostLoad(tmp_path / "not" / "there")
    values = {**load.space(), **load.read()}
    assert values["memory_total_bytes"] == psutil.virtual_memory().total
    assert 0 < values["memory_used_bytes"] <= values["memory_total_bytes"]
    assert 0 < values["disk_free_bytes"] <= values["disk_total_bytes"]
    assert values["load1"] >= 0
    assert values["disk_read_bytes_per_s"] is None  # nothing to compare with yet


def test_rates_are_of_the_time_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([(1000, 500), (3000, 500), (100, None)])
    now = iter([10.0, 12.0, 13.0])
    load = HostLoad(tmp_path)
    monkeypatch.setattr(hostload.time, "monotonic", lambda: next(now))
    assert load._rates("net", next(counts)) == (None, None)
    assert load._rates("net", next(counts)) == (1000, 0)
    assert load._rates("net", next(counts)) == (None, None)  # a counter that began anew


def test_the_loopback_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counter:
        def __init__(self, count: int) -> None:
            self.bytes_recv = self.bytes_sent = count

    load = HostLoad(tmp_path)
    interfaces = {"lo": Counter(1), "eth0": Counter(20), "eth1": Counter(300), "br0": Counter(4000)}
    monkeypatch.setattr(load._psutil, "net_io_counters", lambda pernic: interfaces)
    monkeypatch.setattr(hostload, "_INTERFACES", tmp_path)
    assert load._network_bytes() == (4320, 4320)
    for name in ("eth0", "eth1"):  # hardware; the bridge is not
        (tmp_path / name / "device").mkdir(parents=True)
    assert load._network_bytes() == (320, 320)


def test_the_disk_is_that_of_the_models(tmp_path: Path) -> None:
    statistics = tmp_path / "stat"
    statistics.write_text("  100 0 8 0  200 0 16 0 0 0 0\n")
    assert hostload._disk_bytes(statistics) == (8 * 512, 16 * 512)
    statistics.write_text("garbage")
    assert hostload._disk_bytes(statistics) == (None, None)
    assert hostload._disk_bytes(None) == (None, None)


def test_what_the_system_hides_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(*_: object, **__: object) -> None:
        raise PermissionError("/proc")

    load = HostLoad(tmp_path)
    for name in ("cpu_percent", "virtual_memory", "swap_memory", "net_io_counters"):
        monkeypatch.setattr(load._psutil, name, hidden)
    values = load.read()
    told = {name for name, value in values.items() if value is not None}
    assert told == {"cpu_count", "load1", "load5", "load15"}
