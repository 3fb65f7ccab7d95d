"""GPUs through the real nvitop and nvidia-ml-py, with a simulated driver library beneath them."""

from __future__ import annotations

import time
from typing import Any

import pynvml
import pytest
from gswarm_remote.metrics import events, reading, simulated
from gswarm_remote.metrics.bandwidth import Bandwidth
from gswarm_remote.metrics.simulation import MODELS

from .conftest import Install

MIB = 1024**2


def gpus(simulation: Any) -> list[reading.Gpu]:
    return [reading.Gpu(device, simulation.facts) for device in reading.devices()]


def test_what_a_gpu_is(install: Install) -> None:
    install(gpus=2, model="H100")
    first, second = map(reading.describe, reading.devices())
    assert first["name"] == "NVIDIA H100 80GB HBM3"
    assert first["memory_total_bytes"] == 81559 * MIB
    assert first["power_limit_w"] == 700
    assert first["pci_bus_id"] == "00000000:17:00.0"
    assert first["cuda_compute"] == "9.0"
    assert first["nvlinks"] == 18
    assert first["mig"] == []
    assert (first["numa_node"], second["numa_node"]) == (0, 1)
    assert first["uuid"] != second["uuid"]


def test_how_gpus_reach_each_other(install: Install) -> None:
    install(gpus=4, model="H100")
    pairs = {tuple(pair["gpus"]): pair for pair in reading.topology(reading.devices())}
    assert len(pairs) == 6
    assert pairs[0, 1] == {"gpus": [0, 1], "pcie": "NODE", "nvlink": True}
    assert pairs[1, 2]["pcie"] == "SYS"
    install(gpus=2, model="L40S")
    assert reading.topology(reading.devices())[0]["nvlink"] is False


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_read_within_its_limits(install: Install, model: str) -> None:
    simulation = install(gpus=1, model=model, pattern="busy")
    device = reading.devices()[0]
    static, values = reading.describe(device), reading.Gpu(device, simulation.facts).read()
    assert 90 <= values["util_percent"] <= 100
    assert 0 < values["memory_used_bytes"] < static["memory_total_bytes"]
    assert 0 < values["power_w"] <= static["power_limit_w"]
    assert values["sm_clock_mhz"] > 1000
    assert values["pstate"] == 0
    assert values["throttle"] == []
    assert values["lost"] is False


def test_what_is_not_supported_is_none(install: Install) -> None:
    simulation = install(gpus=1, model="RTX4090", pattern="idle")
    values = gpus(simulation)[0].read()
    assert values["ecc_uncorrected"] is None
    assert values["remapped_rows"] is None
    assert values["fan_percent"] == 30
    simulation = install(gpus=1, model="H100", pattern="idle")
    assert gpus(simulation)[0].read()["fan_percent"] is None


def test_a_driver_that_lacks_functions_tells_none(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = install(gpus=1, pattern="busy")
    for name in list(pynvml.nvmlLib._functions):
        if name.startswith("nvmlDeviceGet") and "Handle" not in name and "Count" not in name:
            del pynvml.nvmlLib._functions[name]
    values = gpus(simulation)[0].read()
    told = {name for name, value in values.items() if value is not None}
    assert told == {"index", "lost", "processes"}
    assert values["processes"] == []


def test_a_lost_gpu_has_no_values(install: Install) -> None:
    simulation = install(gpus=2, pattern="busy", faults=[{"gpu": 1, "kind": "lost"}])
    good, bad = (gpu.read() for gpu in gpus(simulation))
    assert good["lost"] is False
    assert bad["lost"] is True
    assert {value for value in bad.values() if not isinstance(value, (bool, int, list))} == {None}


def test_a_gpu_that_was_lost_before_has_no_name(install: Install) -> None:
    install(gpus=1, faults=[{"gpu": 0, "kind": "lost"}])
    static = reading.describe(reading.devices()[0])
    assert static.pop("index") == 0
    assert static.pop("mig") == []
    assert set(static.values()) == {None}


def test_a_gpu_that_is_lost_while_it_is_watched(install: Install) -> None:
    began = time.time()
    simulation = install(began, gpus=1, pattern="busy", faults=[{"gpu": 0, "kind": "lost"}])
    simulation.began = began + 1000
    (gpu,) = gpus(simulation)
    assert gpu.read()["lost"] is False
    simulation.began = began
    assert gpu.read()["lost"] is True
    assert gpu.read()["processes"] == []


def test_throttling_is_said_in_words(install: Install) -> None:
    simulation = install(gpus=1, pattern="busy", faults=[{"gpu": 0, "kind": "throttle"}])
    values = gpus(simulation)[0].read()
    assert values["throttle"] == ["hardware slowdown", "hardware thermal slowdown"]
    assert values["temperature_c"] > 85


def test_old_drivers_have_another_name_for_the_reasons(install: Install) -> None:
    simulation = install(gpus=1, pattern="busy", faults=[{"gpu": 0, "kind": "throttle"}])
    functions = pynvml.nvmlLib._functions
    functions["nvmlDeviceGetCurrentClocksThrottleReasons"] = functions.pop(
        "nvmlDeviceGetCurrentClocksEventReasons"
    )
    assert "hardware slowdown" in gpus(simulation)[0].read()["throttle"]


def test_memory_errors(install: Install) -> None:
    simulation = install(gpus=1, faults=[{"gpu": 0, "kind": "ecc"}])
    values = gpus(simulation)[0].read()
    assert (values["ecc_corrected"], values["ecc_uncorrected"], values["remapped_rows"]) == (
        17,
        2,
        1,
    )


def test_processes_have_owners_and_shares(install: Install) -> None:
    simulation = install(gpus=1, pattern="serve", processes=3)
    values = gpus(simulation)[0].read()
    assert len({process["pid"] for process in values["processes"]}) == 3
    for process in values["processes"]:
        assert process["command"] == "VLLM::EngineCore"
        assert process["unit"].startswith("docker ")
        assert process["user"]
        assert process["memory_bytes"] > 0
        assert 0 <= process["util_percent"] <= 34
        assert process["since"] < time.time()


def test_no_driver_is_no_error(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "_LoadNvmlLibrary", none)
    with pytest.raises(reading.NoDriver):
        reading.devices()


def test_bandwidth_of_a_gpu_that_does_not_block(install: Install) -> None:
    install(gpus=1, model="H100", pattern="busy")
    bandwidth = Bandwidth(reading.devices(), pcie=True, nvlink=True)
    assert set(bandwidth.read(0).values()) == {None}  # there is nothing to compare with yet
    rates = bandwidth.read(0)
    assert rates["pcie_rx_bytes_per_s"] > 1e8
    assert rates["nvlink_tx_bytes_per_s"] > rates["pcie_tx_bytes_per_s"]
    bandwidth.end()


def test_only_the_wanted_bandwidth_is_told(install: Install) -> None:
    install(gpus=1, model="H100")
    assert Bandwidth(reading.devices(), pcie=False, nvlink=False).read(0) == {}
    one = Bandwidth(reading.devices(), pcie=True, nvlink=False).read(0)
    assert set(one) == {"pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s"}


def test_bandwidth_of_a_gpu_that_blocks(install: Install) -> None:
    install(gpus=1, model="A100", pattern="busy")
    bandwidth = Bandwidth(reading.devices(), pcie=True, nvlink=True)
    deadline = time.monotonic() + 30
    while bandwidth.read(0)["nvlink_rx_bytes_per_s"] is None:
        assert time.monotonic() < deadline
    assert bandwidth.read(0)["pcie_tx_bytes_per_s"] > 0
    bandwidth.end()


def test_errors_are_heard_as_they_happen(install: Install) -> None:
    faults = [
        {"gpu": 0, "kind": "xid", "after_s": 1000, "code": 13},
        {"gpu": 1, "kind": "lost", "after_s": 1000},
    ]
    simulation = install(gpus=2, faults=faults)
    heard = events.Xids(reading.devices(), {1: [{"code": 31, "time": 1.0}]})
    assert heard.of(0) == []
    simulation.began = time.time() - 999.9
    deadline = time.monotonic() + 30
    while not heard.of(0) or len(heard.of(1) or ()) < 2:
        assert time.monotonic() < deadline
    assert [error["code"] for error in heard.of(0) or ()] == [13]
    assert [error["code"] for error in heard.of(1) or ()] == [31, 79]


def test_an_error_of_the_beginning_is_heard_as_well(install: Install) -> None:
    install(gpus=1, faults=[{"gpu": 0, "kind": "xid", "code": 13}])
    heard = events.Xids(reading.devices(), {})
    deadline = time.monotonic() + 30
    while not heard.of(0):
        assert time.monotonic() < deadline
    assert [error["code"] for error in heard.of(0) or ()] == [13]


def test_a_driver_that_tells_of_no_errors(install: Install) -> None:
    install(gpus=1)
    del pynvml.nvmlLib._functions["nvmlDeviceRegisterEvents"]
    assert events.Xids(reading.devices(), {}).of(0) is None


def test_simulated_processes_are_nobody_elses() -> None:
    most = 2**22  # Linux, PID_MAX_LIMIT
    simulation = simulated.Simulation({"gpus": 8, "processes": 5, "pattern": "busy"}, 0.0)
    assert all(p.pid > most for gpu in range(8) for p in simulation.processes(gpu, 0.0))
