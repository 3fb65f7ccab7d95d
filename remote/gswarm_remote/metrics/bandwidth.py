"""How much goes over a GPU's PCIe and NVLink: asked for by those who want it, because it costs.

Hopper and later have GPM, which compares two samples and does not block. Earlier GPUs block for
20 ms for each direction, so a thread of their own asks them.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple

import pynvml

from .background import Background

Rates = Dict[str, Optional[float]]

_KIB, _MIB = 1024, 1024**2

PCIE = ("pcie_rx_bytes_per_s", "pcie_tx_bytes_per_s")
NVLINK = ("nvlink_rx_bytes_per_s", "nvlink_tx_bytes_per_s")
NOTHING: Rates = dict.fromkeys((*PCIE, *NVLINK))

# Source: nvmlGpmMetricId_t; all in MiB a second.
_GPM = {
    "pcie_tx_bytes_per_s": pynvml.NVML_GPM_METRIC_PCIE_TX_PER_SEC,
    "pcie_rx_bytes_per_s": pynvml.NVML_GPM_METRIC_PCIE_RX_PER_SEC,
    "nvlink_rx_bytes_per_s": pynvml.NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC,
    "nvlink_tx_bytes_per_s": pynvml.NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC,
}


class Bandwidth:
    """The bandwidth of all GPUs of a node, by index.

    Args:
        devices: nvitop's.
        pcie, nvlink: which of the two is wanted.
    """

    def __init__(self, devices: List[Any], *, pcie: bool, nvlink: bool) -> None:
        self._wanted = (*(PCIE if pcie else ()), *(NVLINK if nvlink else ()))
        self._gpm: Dict[int, _Gpm] = {}
        slow: List[Any] = []
        for device in devices if self._wanted else ():
            if device.handle is not None and _has_gpm(device.handle):
                self._gpm[device.physical_index] = _Gpm(device.handle)
            elif device.handle is not None:
                slow.append(device)
        self._slow: Optional[Background[Dict[int, Rates]]] = None
        if slow:
            self._slow = Background(lambda: self._ask(slow, pcie, nvlink), 1.0, {})

    def read(self, index: int) -> Rates:
        """The rates of one GPU since the reading before; only those that are wanted."""
        if not self._wanted:
            return {}
        if index in self._gpm:
            found = self._gpm[index].read()
        else:
            found = (self._slow.newest if self._slow is not None else {}).get(index, NOTHING)
        return {name: found.get(name) for name in self._wanted}

    def end(self) -> None:
        if self._slow is not None:
            self._slow.end()

    def _ask(self, devices: List[Any], pcie: bool, nvlink: bool) -> Dict[int, Rates]:
        found: Dict[int, Rates] = {}
        for device in devices:
            rates = found[device.physical_index] = dict(NOTHING)
            if pcie:  # NVML's kB are not said to be KiB or not; nvitop takes them for KiB
                rates["pcie_rx_bytes_per_s"] = _bytes(device.pcie_rx_throughput())
                rates["pcie_tx_bytes_per_s"] = _bytes(device.pcie_tx_throughput())
            if nvlink and device.nvlink_link_count():
                total = device.nvlink_total_throughput()
                rates["nvlink_rx_bytes_per_s"] = _bytes(total.rx)
                rates["nvlink_tx_bytes_per_s"] = _bytes(total.tx)
        return found


class _Gpm:
    """Two samples of one GPU, used by turns."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._samples: Optional[Tuple[Any, Any]] = None

    def read(self) -> Rates:
        try:
            return self._read()
        except pynvml.NVMLError:
            self._samples = None
            return NOTHING

    def _read(self) -> Rates:
        if self._samples is None:
            new, old = pynvml.nvmlGpmSampleAlloc(), pynvml.nvmlGpmSampleAlloc()
            pynvml.nvmlGpmSampleGet(self._handle, new)
            self._samples = (old, new)
            return NOTHING
        new, old = self._samples
        pynvml.nvmlGpmSampleGet(self._handle, new)
        self._samples = (old, new)
        asked = pynvml.c_nvmlGpmMetricsGet_t()
        asked.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        asked.numMetrics = len(_GPM)
        asked.sample1, asked.sample2 = old, new
        for metric, number in zip(asked.metrics, _GPM.values()):
            metric.metricId = number
        pynvml.nvmlGpmMetricsGet(asked)
        return {name: _gpm_bytes(metric) for name, metric in zip(_GPM, asked.metrics)}


def _has_gpm(handle: Any) -> bool:
    try:
        return bool(pynvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice)
    except pynvml.NVMLError:
        return False


def _gpm_bytes(metric: Any) -> Optional[float]:
    if metric.nvmlReturn != pynvml.NVML_SUCCESS or not math.isfinite(metric.value):
        return None
    return float(metric.value) * _MIB


def _bytes(kib: Any) -> Optional[float]:
    return kib * _KIB if isinstance(kib, (int, float)) else None
