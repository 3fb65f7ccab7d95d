"""The sampler's own threads, in this process: a driver that comes, fails and comes back."""

from __future__ import annotations

from typing import Any

import pynvml
import pytest
from gswarm_remote.metrics import sampler, simulated
from gswarm_remote.metrics.sampler import GpuReader, Sampler
from gswarm_remote.metrics.simulation import Fault

from .conftest import Install

ORDER: dict[str, Any] = {
    "interval_s": 1.0,
    "hung_s": 5.0,
    "bandwidth": False,
    "nvlink": False,
    "gpus": True,
    "models": "/",
    "simulate": {"gpus": 2, "pattern": "busy"},
    "began": 0.0,
}
PATIENCE_S = 10.0


@pytest.fixture
def reader(install: Install, monkeypatch: pytest.MonkeyPatch) -> GpuReader:
    monkeypatch.setattr(sampler, "_RETRY_S", 1000.0)
    return GpuReader(ORDER)


def look_now(reader: GpuReader) -> None:
    reader._look_at = 0.0


def fail(*_: Any) -> int:
    return int(pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)


def test_a_driver_that_fails_and_comes_back(reader: GpuReader) -> None:
    reader.ask(PATIENCE_S)
    assert (reader.state, len(reader.values)) == ("ok", 2)
    version = reader.static["version"]
    pynvml._nvmlGetFunctionPointer_cache["nvmlDeviceGetCount_v2"] = fail
    look_now(reader)
    for _ in range(2):
        reader.ask(PATIENCE_S)
        assert (reader.state, reader.values) == ("error", [])
        assert "LibRmVersionMismatch" in (reader.error or "")
    assert reader.static["gpus"] == []
    del pynvml._nvmlGetFunctionPointer_cache["nvmlDeviceGetCount_v2"]
    look_now(reader)
    reader.ask(PATIENCE_S)
    assert (reader.state, reader.error, len(reader.values)) == ("ok", None, 2)
    assert reader.static["version"] == version


def test_what_changes_has_another_version(reader: GpuReader) -> None:
    reader.ask(PATIENCE_S)
    version = reader.static["version"]
    look_now(reader)
    reader.ask(PATIENCE_S)
    assert reader.static["version"] == version
    functions = pynvml.nvmlLib._functions
    functions["nvmlDeviceGetPowerManagementLimit"] = lambda _, out: simulated._set(out, 350_000)
    pynvml._nvmlGetFunctionPointer_cache.clear()
    look_now(reader)
    reader.ask(PATIENCE_S)
    assert reader.static["version"] != version
    assert reader.static["gpus"][0]["power_limit_w"] == 350


def test_a_gpu_that_gets_lost_keeps_its_name(reader: GpuReader) -> None:
    reader.ask(PATIENCE_S)
    before = reader.static
    simulation = pynvml.nvmlLib._simulation
    simulation.faults = [Fault(gpu=1, kind="lost")]
    look_now(reader)
    reader.ask(PATIENCE_S)
    assert reader.static == before
    assert [gpu["lost"] for gpu in reader.values] == [False, True]


def test_bandwidth_can_be_wished_for_and_not_any_more(reader: GpuReader) -> None:
    reader.pcie = True
    reader.ask(PATIENCE_S)
    assert "pcie_rx_bytes_per_s" in reader.values[0]
    reader.pcie = False
    reader.ask(PATIENCE_S)
    assert "pcie_rx_bytes_per_s" not in reader.values[0]


def test_static_facts_are_written_before_the_frame_that_names_them(install: Install) -> None:
    written: list[dict[str, Any]] = []
    one = Sampler(ORDER, written.append)
    one._tick()
    one._tick()
    assert [list(message) for message in written] == [["static"], ["frame"], ["frame"]]
    assert written[1]["frame"]["static"] == written[0]["static"]["version"]


def test_without_the_gpus_there_is_the_machine() -> None:
    written: list[dict[str, Any]] = []
    Sampler({**ORDER, "gpus": False}, written.append)._tick()
    assert written[0]["frame"]["state"] == "off"
    assert written[0]["frame"]["host"]["cpu_count"]
