"""GPUs through the real nvitop and nvidia-ml-py, with a simulated driver library beneath them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pynvml
import pytest
from gswarm_remote.metrics import gpus

OK, NOT_SUPPORTED = 0, 3
GIB = 1024**3


class Driver:
    """What is asked of libnvidia-ml, for two GPUs; the second supports little."""

    def nvmlInitWithFlags(self, flags: Any) -> int:  # noqa: N802 - NVML's names
        return OK

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return OK

    def nvmlShutdown(self) -> int:  # noqa: N802
        return OK

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return OK

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:  # noqa: N802
        self._set_handle(handle, index.value + 1)
        return OK

    def nvmlDeviceGetIndex(self, handle: Any, index: Any) -> int:  # noqa: N802
        index._obj.value = self._number(handle) - 1
        return OK

    def nvmlDeviceGetName(self, handle: Any, text: Any, length: Any) -> int:  # noqa: N802
        text.value = b"NVIDIA Simulated"
        return OK

    def nvmlDeviceGetUUID(self, handle: Any, text: Any, length: Any) -> int:  # noqa: N802
        text.value = b"GPU-%d" % self._number(handle)
        return OK

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        memory._obj.total, memory._obj.used, memory._obj.free = 80 * GIB, 3 * GIB, 77 * GIB
        return OK

    def nvmlDeviceGetMemoryInfo_v2(self, handle: Any, memory: Any) -> int:  # noqa: N802
        return self.nvmlDeviceGetMemoryInfo(handle, memory)

    def nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:  # noqa: N802
        if self._number(handle) == 2:
            return NOT_SUPPORTED
        rates._obj.gpu, rates._obj.memory = 37, 12
        return OK

    def nvmlDeviceGetPowerUsage(self, handle: Any, milliwatts: Any) -> int:  # noqa: N802
        if self._number(handle) == 2:
            return NOT_SUPPORTED
        milliwatts._obj.value = 251_500
        return OK

    def _set_handle(self, handle: Any, number: int) -> None:
        ctypes.cast(ctypes.byref(handle._obj), ctypes.POINTER(ctypes.c_void_p))[0] = number

    def _number(self, handle: Any) -> int:
        return int(ctypes.cast(handle, ctypes.c_void_p).value or 0)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from nvitop.api import libnvml

    monkeypatch.setattr(pynvml, "nvmlLib", Driver())
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setattr(pynvml, "_LoadNvmlLibrary", lambda: None)
    yield
    libnvml.nvmlShutdown()


def test_what_the_driver_says_is_read_and_the_rest_is_none(driver: None) -> None:
    first, second = gpus.read()
    assert first["index"] == 0
    assert first["uuid"] == "GPU-1"
    assert first["name"] == "NVIDIA Simulated"
    assert first["memory_total"] == 80 * GIB
    assert first["memory_used"] == 3 * GIB
    assert first["utilization_percent"] == 37
    assert first["power_w"] == 251.5
    assert first["temperature_c"] is None
    assert second["uuid"] == "GPU-2"
    assert second["utilization_percent"] is None
    assert second["power_w"] is None
    assert second["processes"] == []


async def test_a_child_answers_for_the_machine_the_tests_run_on() -> None:
    snapshot = await gpus.Reader().snapshot()
    assert snapshot.error is None
    assert isinstance(snapshot.gpus, list)


async def test_a_driver_that_hangs_is_a_sentence_and_one_child(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpus, "_CHILD", "import time; time.sleep(1000)")
    reader = gpus.Reader()
    first = await reader.snapshot(timeout_s=0.01)
    asking = reader._asking
    second = await reader.snapshot(timeout_s=0.01)
    assert first.gpus is None
    assert second.error == "the GPU driver has not answered for 0 s"
    assert reader._asking is asking
    await reader.close()


async def test_a_child_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_CHILD", "raise ImportError('psutil: failed to map segment')")
    snapshot = await gpus.Reader().snapshot()
    assert snapshot.gpus is None
    assert "failed to map segment" in (snapshot.error or "")
