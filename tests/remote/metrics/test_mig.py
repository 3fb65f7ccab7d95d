"""A GPU that is divided: its instances, and the processes on them."""

from __future__ import annotations

from typing import Any

import pynvml
from gswarm_remote.metrics import reading
from gswarm_remote.metrics.simulated import _address, _fill, _point, _set, _text

from .conftest import Install

GIB = 1024**3
FIRST = 1001  # handles of instances begin here


def divide(driver: Any) -> None:
    """Give the only GPU of a simulated driver two instances."""
    functions = driver._functions
    whole = dict(functions)

    def of_instance(name: str, instance: Any) -> None:
        def call(handle: Any, *arguments: Any) -> None:
            number = _address(handle) - FIRST
            (instance if number >= 0 else lambda _, *rest: whole[name](handle, *rest))(
                number, *arguments
            )

        functions[name] = call

    def mode(handle: Any, current: Any, pending: Any) -> None:
        _set(current, 1)
        _set(pending, 1)

    def by_index(handle: Any, index: Any, found: Any) -> None:
        if index.value >= 2:
            driver._by_index(index, found)  # there is none: it refuses
        _point(found, FIRST + index.value)

    functions["nvmlDeviceGetMigMode"] = mode
    functions["nvmlDeviceGetMaxMigDeviceCount"] = lambda handle, count: _set(count, 7)
    functions["nvmlDeviceGetMigDeviceHandleByIndex"] = by_index
    functions["nvmlDeviceGetGpuInstanceId"] = lambda h, out: _set(out, _address(h) - FIRST + 3)
    functions["nvmlDeviceGetComputeInstanceId"] = lambda h, out: _set(out, 0)
    of_instance("nvmlDeviceGetUUID", lambda n, text, _: _text(text, b"MIG-%d" % n))
    of_instance("nvmlDeviceGetName", lambda n, text, _: _text(text, b"H100 MIG 3g.40gb"))
    of_instance(
        "nvmlDeviceGetMemoryInfo_v2",
        lambda n, memory: _fill(memory, total=40 * GIB, used=(n + 1) * GIB, free=0),
    )
    running = "nvmlDeviceGetComputeRunningProcesses_v3"
    of_instance(running, lambda n, count, found: driver._running(0, count, found))
    graphics = "nvmlDeviceGetGraphicsRunningProcesses_v3"
    of_instance(graphics, lambda n, count, found: _set(count, 0))


def test_instances(install: Install) -> None:
    simulation = install(gpus=1, model="H100", pattern="busy")
    divide(pynvml.nvmlLib)
    (device,) = reading.devices()
    static = reading.describe(device)
    assert static["memory_total_bytes"] == 81559 * 1024**2
    assert static["mig"] == [
        {
            "index": number,
            "uuid": f"MIG-{number}",
            "name": "H100 MIG 3g.40gb",
            "memory_total_bytes": 40 * GIB,
            "gpu_instance": number + 3,
            "compute_instance": 0,
        }
        for number in (0, 1)
    ]
    values = reading.Gpu(device, simulation.facts).read()
    assert values["mig"] == [
        {"index": 0, "memory_used_bytes": GIB},
        {"index": 1, "memory_used_bytes": 2 * GIB},
    ]
    assert [process["user"] for process in values["processes"]] != []
