"""A simulated GPU driver: NVML's C functions, beneath the real pynvml and nvitop.

`install` puts it where pynvml has the library that it loaded. What is not here answers as a
function that an old driver lacks. A GPU with the fault ``hang`` blocks whoever asks it, as a real
one does.
"""

from __future__ import annotations

import ctypes
import math
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import pynvml

from .simulation import Process, Simulation, State

DRIVER_VERSION = b"580.95.05"
_NVML_VERSION = b"13.580.95.05"
_CUDA_VERSION = 13000

_HANG_STEP_S = 0.05
_PCIE_S = 0.02  # that long the real call blocks for each direction
_STATE_S = 0.02  # one state serves all calls of a reading
_THROTTLED = 0x40 | 0x8  # nvmlClocksEventReasonHwThermalSlowdown, HwSlowdown
_IDLE = 0x1  # nvmlClocksEventReasonGpuIdle
_KIB, _MIB = 1024, 1024**2


class _Refused(Exception):
    """A call that does not succeed, with NVML's code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def install(config: Mapping[str, Any], began: float, heard_until: float = -math.inf) -> Simulation:
    """Have pynvml, and so nvitop, ask simulated GPUs in this process from now on.

    Args:
        began: see `Simulation`.
        heard_until: errors until then were heard by an earlier process, and are not told again.

    Raises:
        HelperError: the configuration is wrong.
    """
    simulation = Simulation(config, began)
    pynvml.nvmlLib = Driver(simulation, heard_until)
    pynvml._nvmlGetFunctionPointer_cache.clear()
    return simulation


class Driver:
    """What pynvml takes for libnvidia-ml: its attributes are NVML's functions."""

    def __init__(
        self,
        simulation: Simulation,
        heard_until: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._simulation = simulation
        self._clock = clock
        self._events_until = heard_until
        self._events: List[Tuple[float, int, int]] = []
        self._states: Dict[int, Tuple[float, State]] = {}
        self._samples: Dict[int, Tuple[int, float]] = {}
        self._functions = {**self._of_system(), **self._of_gpus()}

    def __getattr__(self, name: str) -> Callable[..., int]:
        if name.startswith("nvml") and name in self._functions:
            return self._answering(self._functions[name])
        raise AttributeError(name)

    def _of_system(self) -> Dict[str, Callable[..., None]]:
        return {
            "nvmlInitWithFlags": lambda flags: None,
            "nvmlInit_v2": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlSystemGetDriverVersion": lambda text, _: _text(text, DRIVER_VERSION),
            "nvmlSystemGetNVMLVersion": lambda text, _: _text(text, _NVML_VERSION),
            "nvmlSystemGetCudaDriverVersion": lambda out: _set(out, _CUDA_VERSION),
            "nvmlDeviceGetCount_v2": lambda out: _set(out, self._simulation.count),
            "nvmlDeviceGetHandleByIndex_v2": self._by_index,
            "nvmlDeviceGetHandleByUUID": self._by_uuid,
            "nvmlEventSetCreate": lambda out: _point(out, 1),
            "nvmlEventSetFree": lambda events: None,
            "nvmlEventSetWait_v2": self._wait_for_event,
            "nvmlGpmSampleAlloc": self._new_sample,
            "nvmlGpmMetricsGet": self._gpm_metrics,
        }

    def _of_gpus(self) -> Dict[str, Callable[..., None]]:
        """Those whose first argument is a GPU's handle."""
        hardware = self._simulation.hardware
        simple: Dict[str, Callable[..., None]] = {
            "nvmlDeviceGetIndex": lambda gpu, out: _set(out, gpu),
            "nvmlDeviceGetName": lambda gpu, text, _: _text(text, hardware.name.encode()),
            "nvmlDeviceGetUUID": lambda gpu, text, _: _text(text, self._uuid(gpu)),
            "nvmlDeviceGetPciInfo_v3": _pci,
            "nvmlDeviceGetMemoryInfo_v2": self._memory,
            "nvmlDeviceGetUtilizationRates": self._utilization,
            "nvmlDeviceGetEncoderUtilization": lambda gpu, out, period: _set(out, 0),
            "nvmlDeviceGetDecoderUtilization": lambda gpu, out, period: _set(out, 0),
            "nvmlDeviceGetClockInfo": self._clock_info,
            "nvmlDeviceGetTemperature": lambda gpu, _, o: _set(o, self._state(gpu).temperature_c),
            "nvmlDeviceGetPowerUsage": lambda gpu, o: _set(
                o, round(1000 * self._state(gpu).power_w)
            ),
            "nvmlDeviceGetTotalEnergyConsumption": lambda gpu, o: _set(
                o, round(1000 * self._simulation.energy_j(gpu, self._clock()))
            ),
            "nvmlDeviceGetPowerManagementLimit": lambda g, o: _set(
                o, 1000 * hardware.power_limit_w
            ),
            "nvmlDeviceGetFanSpeed": self._fan,
            "nvmlDeviceGetPerformanceState": lambda g, o: _set(o, 0 if self._state(g).util else 8),
            "nvmlDeviceGetCurrentClocksEventReasons": self._reasons,
            "nvmlDeviceGetTotalEccErrors": self._ecc,
            "nvmlDeviceGetRemappedRows": self._remapped,
            "nvmlDeviceGetComputeRunningProcesses_v3": self._running,
            "nvmlDeviceGetGraphicsRunningProcesses_v3": lambda gpu, count, found: _set(count, 0),
            "nvmlDeviceGetProcessUtilization": self._process_utilization,
            "nvmlDeviceGetPcieThroughput": self._pcie,
            "nvmlDeviceGetFieldValues": self._fields,
            "nvmlDeviceGetCudaComputeCapability": self._compute,
            "nvmlDeviceGetMemoryAffinity": self._affinity,
            "nvmlDeviceGetTopologyCommonAncestor": self._ancestor,
            "nvmlDeviceGetP2PStatus": self._p2p,
            "nvmlDeviceGetNvLinkState": self._link_state,
            "nvmlDeviceGetSupportedEventTypes": lambda g, o: _set(
                o, pynvml.nvmlEventTypeXidCriticalError
            ),
            "nvmlDeviceRegisterEvents": lambda gpu, types, events: None,
            "nvmlGpmQueryDeviceSupport": lambda g, o: _fill(o, isSupportedDevice=int(hardware.gpm)),
            "nvmlGpmSampleGet": self._take_sample,
        }
        return {name: self._on_gpu(function) for name, function in simple.items()}

    # Who is asked

    def _answering(self, function: Callable[..., None]) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            try:
                function(*arguments)
            except _Refused as refused:
                return refused.code
            return int(pynvml.NVML_SUCCESS)

        return call

    def _on_gpu(self, function: Callable[..., None]) -> Callable[..., None]:
        def call(handle: Any, *arguments: Any) -> None:
            gpu = _address(handle) - 1
            self._check(gpu)
            function(gpu, *arguments)

        return call

    def _check(self, gpu: int) -> None:
        """Be as unwilling as the GPU is."""
        while self._simulation.fault(gpu, "hang", self._clock()) is not None:
            time.sleep(_HANG_STEP_S)
        if self._simulation.fault(gpu, "lost", self._clock()) is not None:
            raise _Refused(pynvml.NVML_ERROR_GPU_IS_LOST)

    def _by_index(self, index: Any, handle: Any) -> None:
        if index.value >= self._simulation.count:
            raise _Refused(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        self._check(index.value)
        _point(handle, index.value + 1)

    def _by_uuid(self, uuid: Any, handle: Any) -> None:
        for gpu in range(self._simulation.count):
            if self._uuid(gpu) == uuid.value:
                return _point(handle, gpu + 1)
        raise _Refused(pynvml.NVML_ERROR_NOT_FOUND)

    # What it is

    def _uuid(self, gpu: int) -> bytes:
        return self._simulation.uuid(gpu).encode()

    def _compute(self, gpu: int, major: Any, minor: Any) -> None:
        _set(major, self._simulation.hardware.compute[0])
        _set(minor, self._simulation.hardware.compute[1])

    def _affinity(self, gpu: int, size: int, nodes: Any, scope: Any) -> None:
        nodes._obj[0] = 1 << self._socket(gpu)

    def _socket(self, gpu: int) -> int:
        return int(gpu >= (self._simulation.count + 1) // 2)

    def _ancestor(self, gpu: int, other: Any, level: Any) -> None:
        near = self._socket(gpu) == self._socket(_address(other) - 1)
        _set(level, pynvml.NVML_TOPOLOGY_NODE if near else pynvml.NVML_TOPOLOGY_SYSTEM)

    def _p2p(self, gpu: int, other: Any, kind: int, status: Any) -> None:
        if kind != pynvml.NVML_P2P_CAPS_INDEX_NVLINK or not self._simulation.hardware.nvlinks:
            _set(status, pynvml.NVML_P2P_STATUS_NOT_SUPPORTED)
        else:
            _set(status, pynvml.NVML_P2P_STATUS_OK)

    def _link_state(self, gpu: int, link: int, active: Any) -> None:
        if link >= self._simulation.hardware.nvlinks:
            raise _Refused(pynvml.NVML_ERROR_NOT_SUPPORTED)
        _set(active, 1)

    # What it does

    def _state(self, gpu: int) -> State:
        now = self._clock()
        known = self._states.get(gpu)
        if known is None or not 0 <= now - known[0] < _STATE_S:
            known = self._states[gpu] = (now, self._simulation.state(gpu, now))
        return known[1]

    def _memory(self, gpu: int, memory: Any) -> None:
        total, used = self._simulation.hardware.memory_mib * _MIB, self._state(gpu).memory_used
        _fill(memory, total=total, used=used, free=total - used, reserved=600 * _MIB)

    def _utilization(self, gpu: int, rates: Any) -> None:
        state = self._state(gpu)
        _fill(rates, gpu=round(state.util), memory=round(state.memory_util))

    def _clock_info(self, gpu: int, kind: Any, clock: Any) -> None:
        _set(clock, self._state(gpu).clocks_mhz[int(kind.value == pynvml.NVML_CLOCK_MEM)])

    def _fan(self, gpu: int, speed: Any) -> None:
        if not self._simulation.hardware.fan:
            raise _Refused(pynvml.NVML_ERROR_NOT_SUPPORTED)
        _set(speed, 30 + round(0.4 * self._state(gpu).util))

    def _reasons(self, gpu: int, reasons: Any) -> None:
        state = self._state(gpu)
        _set(reasons, _THROTTLED if state.throttled else 0 if state.util else _IDLE)

    def _ecc(self, gpu: int, kind: Any, counter: Any, count: Any) -> None:
        fault = self._simulation.fault(gpu, "ecc", self._clock())
        if self._simulation.hardware.fan:
            raise _Refused(pynvml.NVML_ERROR_NOT_SUPPORTED)
        uncorrected = kind.value == pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        _set(count, 0 if fault is None else 2 if uncorrected else 17)

    def _remapped(self, gpu: int, corrected: Any, uncorrected: Any, *flags: Any) -> None:
        if self._simulation.hardware.compute < (8, 0) or self._simulation.hardware.fan:
            raise _Refused(pynvml.NVML_ERROR_NOT_SUPPORTED)
        broken = self._simulation.fault(gpu, "ecc", self._clock()) is not None
        _set(uncorrected, int(broken))
        for out in (corrected, *flags):
            _set(out, 0)

    # Processes

    def _processes(self, gpu: int) -> List[Process]:
        return self._simulation.processes(gpu, self._clock())

    def _running(self, gpu: int, count: Any, found: Optional[Any]) -> None:
        processes = self._processes(gpu)
        _room(count, len(processes), found)
        for number, process in enumerate(processes):
            assert found is not None
            found[number].pid = process.pid
            found[number].usedGpuMemory = process.memory_bytes
            found[number].gpuInstanceId = found[number].computeInstanceId = 0xFFFFFFFF

    def _process_utilization(self, gpu: int, found: Optional[Any], count: Any, after: Any) -> None:
        processes, now = self._processes(gpu), self._clock()
        if not processes:
            raise _Refused(pynvml.NVML_ERROR_NOT_FOUND)
        _room(count, len(processes), found)
        for number, process in enumerate(processes):
            assert found is not None
            found[number].pid = process.pid
            found[number].timeStamp = int(now * 1e6)
            found[number].smUtil = round(self._state(gpu).util * process.share)

    # Bandwidth

    def _pcie(self, gpu: int, counter: Any, rate: Any) -> None:
        time.sleep(_PCIE_S)
        _set(rate, int(self._simulation.bandwidth(gpu, "pcie", self._clock()) / 1000))

    def _fields(self, gpu: int, count: Any, values: Any) -> None:
        now, links = self._clock(), self._simulation.hardware.nvlinks
        for value in values._obj[: count.value]:
            value.timestamp = int(now * 1e6)
            value.nvmlReturn = pynvml.NVML_SUCCESS
            value.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
            if value.fieldId == pynvml.NVML_FI_DEV_NVLINK_LINK_COUNT and links:
                value.valueType = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
                value.value.uiVal = links
            elif value.fieldId in _NVLINK_COUNTERS and value.scopeId < links:
                value.value.ullVal = int(5e9 * (now - self._simulation.began) / _KIB)
            else:
                value.nvmlReturn = pynvml.NVML_ERROR_NOT_SUPPORTED

    def _new_sample(self, sample: Any) -> None:
        _point(sample, len(self._samples) + 1)
        self._samples[len(self._samples) + 1] = (0, 0.0)

    def _take_sample(self, gpu: int, sample: Any) -> None:
        self._samples[_address(sample)] = (gpu, self._clock())

    def _gpm_metrics(self, asked: Any) -> None:
        gpu, now = self._samples[_address(asked._obj.sample2)]
        for metric in asked._obj.metrics[: asked._obj.numMetrics]:
            link = "pcie" if metric.metricId in _GPM_PCIE else "nvlink"
            metric.nvmlReturn = pynvml.NVML_SUCCESS
            metric.value = self._simulation.bandwidth(gpu, link, now) / _MIB

    # Events

    def _wait_for_event(self, events: Any, data: Any, timeout: Any) -> None:
        deadline = time.monotonic() + timeout.value / 1000
        while True:
            now = self._clock()
            self._events += self._simulation.xids(self._events_until, now)
            self._events_until = now
            if self._events:
                _, gpu, code = self._events.pop(0)
                _point(data, gpu + 1)  # the device is the first field
                xid = pynvml.nvmlEventTypeXidCriticalError
                return _fill(data, eventType=xid, eventData=code)
            if time.monotonic() >= deadline:
                raise _Refused(pynvml.NVML_ERROR_TIMEOUT)
            time.sleep(min(0.1, max(0.0, deadline - time.monotonic())))


_NVLINK_COUNTERS = (
    pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX,
    pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX,
)
_GPM_PCIE = (pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC, pynvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC)


# What C does with pointers. What pynvml passes by reference has what it points to as `_obj`.


def _set(reference: Any, value: int) -> None:
    reference._obj.value = value


def _fill(reference: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(reference._obj, name, value)


def _text(buffer: Any, value: bytes) -> None:
    buffer.value = value


def _point(reference: Any, address: int) -> None:
    """Make a pointer that was passed by reference point to `address`, where nothing is."""
    ctypes.cast(reference, ctypes.POINTER(ctypes.c_void_p))[0] = address


def _address(pointer: Any) -> int:
    return int(ctypes.cast(pointer, ctypes.c_void_p).value or 0)


def _room(count: Any, needed: int, found: Optional[Any]) -> None:
    """NVML's way with arrays: who passes none, or too small a one, is told how many there are."""
    small = needed and (found is None or count._obj.value < needed)
    _set(count, needed)
    if small:
        raise _Refused(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)


def _pci(gpu: int, info: Any) -> None:
    bus = 0x17 + 0x10 * gpu
    _fill(info, domain=0, bus=bus, device=0, busId=b"00000000:%02X:00.0" % (bus % 256))
