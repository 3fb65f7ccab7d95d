"""What one GPU is and does, by chosen getters of nvitop: the one place that knows nvitop.

What a GPU does not support is None: nvitop says "N/A", which is a str. `as_snapshot` is not used:
it asks for the PCIe throughput, which blocks. docs/metrics.md has each field, with NVML's name.
"""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from nvitop.api import Device, libnvml  # type: ignore[attr-defined,unused-ignore]

from .processes import Facts, Table

Values = Dict[str, Any]

HEALTH_S = 5.0
"""So often are error counts asked: they change seldom, and cost a driver more than the rest."""

# Source: nvmlClocksEventReasons in NVIDIA's nvml.h. That a GPU is idle (0x1) holds nothing down.
THROTTLE_WORDS: Mapping[int, str] = {
    0x2: "application clocks",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x100: "display clocks",
}

# Source: nvmlGpuTopologyLevel_t, in the words of nvidia-smi topo.
PATHS: Mapping[int, str] = {0: "INT", 10: "PIX", 20: "PXB", 30: "PHB", 40: "NODE", 50: "SYS"}

_NO_ERRORS: Values = dict.fromkeys(("ecc_corrected", "ecc_uncorrected", "remapped_rows"))
_P2P_NVLINK = 2  # NVML_P2P_CAPS_INDEX_NVLINK
_MOST_LINKS = 18  # NVML_NVLINK_MAX_LINKS


class NoDriver(Exception):
    """There is no NVIDIA driver, and so there are no GPUs: no error."""


def open_driver(order: Mapping[str, Any]) -> Tuple[List[Any], Callable[[int], Facts]]:
    """Every physical GPU, and what knows the processes on them.

    Args:
        order: with ``simulate`` (and ``began``) they are simulated ones; ``xid`` has the errors
            that were heard of before.

    Raises:
        HelperError: what is to be simulated is wrong.
        NoDriver, libnvml.NVMLError: see `devices`.
    """
    if order.get("simulate"):
        from . import simulated

        heard_at = [error["time"] for known in order.get("xid", {}).values() for error in known]
        facts: Callable[[int], Facts] = simulated.install(
            order["simulate"], order["began"], max(heard_at, default=-math.inf)
        ).facts
    else:
        facts = Table().facts
    return devices(), facts


def devices() -> List[Any]:
    """Every physical GPU.

    Raises:
        NoDriver: there is none.
        libnvml.NVMLError: the driver is there and does not work.
    """
    try:
        libnvml.nvmlQuery("nvmlDeviceGetCount", ignore_errors=False)
    except (libnvml.NVMLError_LibraryNotFound, libnvml.NVMLError_DriverNotLoaded) as error:
        raise NoDriver(str(error)) from None
    return list(Device.all())


def driver() -> Dict[str, Optional[str]]:
    """The versions of the driver and of NVML."""
    return {
        "driver": _text(libnvml.nvmlQuery("nvmlSystemGetDriverVersion")),
        "nvml": _text(libnvml.nvmlQuery("nvmlSystemGetNVMLVersion")),
    }


def describe(device: Any) -> Values:
    """What does not change from one second to the next."""
    compute = device.cuda_compute_capability()
    limit_mw = _number(device.power_limit())
    return {
        "index": device.physical_index,
        "uuid": _text(device.uuid()),
        # of one that was lost before, nvitop has a sentence for a name
        "name": None if device.handle is None else _text(device.name()),
        "memory_total_bytes": _number(device.memory_total()),
        "power_limit_w": None if limit_mw is None else limit_mw / 1000,
        "pci_bus_id": _text(device.bus_id()),
        "numa_node": _numa_node(device.handle),
        "cuda_compute": "{}.{}".format(*compute) if isinstance(compute, tuple) else None,
        "nvlinks": _active_links(device.handle),
        "mig": [_instance(mig) for mig in device.mig_devices()],
    }


def topology(all_devices: Sequence[Any]) -> List[Values]:
    """How each two GPUs reach each other: over PCIe (nvidia-smi's words), and whether by NVLink."""
    return [
        {
            "gpus": [one.physical_index, other.physical_index],
            "pcie": PATHS.get(_query("nvmlDeviceGetTopologyCommonAncestor", one, other.handle)),
            "nvlink": _query("nvmlDeviceGetP2PStatus", one, other.handle, _P2P_NVLINK) == 0,
        }
        for position, one in enumerate(all_devices)
        for other in all_devices[position + 1 :]
        if one.handle is not None and other.handle is not None
    ]


class Gpu:
    """One GPU, read again and again.

    Args:
        facts: what the system knows of a process.
    """

    def __init__(self, device: Any, facts: Callable[[int], Facts]) -> None:
        self.device = device
        self.index: int = device.physical_index
        self._facts = facts
        self._instances = list(device.mig_devices())
        self._health: Values = {}
        self._health_at = 0.0
        self._utilization_after = 0
        self._reasons = "nvmlDeviceGetCurrentClocksEventReasons"

    def read(self) -> Values:
        """Its values now; docs/metrics.md says what each is."""
        device = self.device
        with device.oneshot():
            power_mw = _number(device.power_usage())
            state = str(device.performance_state())
            values: Values = {
                "index": self.index,
                "util_percent": _number(device.gpu_utilization()),
                "memory_util_percent": _number(device.memory_utilization()),
                "memory_used_bytes": _number(device.memory_used()),
                "temperature_c": _number(device.temperature()),
                "power_w": None if power_mw is None else power_mw / 1000,
                "sm_clock_mhz": _number(device.sm_clock()),
                "memory_clock_mhz": _number(device.memory_clock()),
                "fan_percent": _number(device.fan_speed()),
                "pstate": int(state[1:]) if state[1:].isdigit() else None,
            }
        taken_mj = _number(_query("nvmlDeviceGetTotalEnergyConsumption", device))
        values["energy_j"] = None if taken_mj is None else taken_mj / 1000  # for `idle`
        lost = values["memory_used_bytes"] is None and self._is_lost()
        values["throttle"] = self._throttle()
        values.update(self._errors() if not lost else _NO_ERRORS)
        values["lost"] = lost
        values["processes"] = [] if lost else self._processes()
        if self._instances:
            values["mig"] = [
                {"index": mig.mig_index, "memory_used_bytes": _number(mig.memory_used())}
                for mig in self._instances
            ]
        return values

    def _is_lost(self) -> bool:
        """Whether the driver has no contact to it; asked where it does not tell its memory."""
        if self.device.handle is None:
            return True
        try:
            libnvml.nvmlQuery("nvmlDeviceGetMemoryInfo", self.device.handle, ignore_errors=False)
        except libnvml.NVMLError_GpuIsLost:
            return True
        except libnvml.NVMLError:
            return False
        return False

    def _throttle(self) -> Optional[List[str]]:
        bits = _number(_query(self._reasons, self.device))
        if bits is None and self._reasons.endswith("EventReasons"):  # before driver 535
            self._reasons = "nvmlDeviceGetCurrentClocksThrottleReasons"
            bits = _number(_query(self._reasons, self.device))
        if bits is None:
            return None
        return [word for bit, word in THROTTLE_WORDS.items() if int(bits) & bit]

    def _errors(self) -> Values:
        now = time.monotonic()
        if not self._health or now - self._health_at >= HEALTH_S:
            rows = _query("nvmlDeviceGetRemappedRows", self.device)
            self._health_at = now
            self._health = {
                "ecc_corrected": self._ecc(libnvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
                "ecc_uncorrected": self._ecc(libnvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
                "remapped_rows": rows[0] + rows[1] if isinstance(rows, tuple) else None,
            }
        return self._health

    def _ecc(self, kind: int) -> Optional[float]:
        counter = libnvml.NVML_VOLATILE_ECC  # since the driver was loaded
        return _number(_query("nvmlDeviceGetTotalEccErrors", self.device, kind, counter))

    # Processes

    def _processes(self) -> List[Values]:
        holders = self._instances or [self.device]
        found: Dict[int, Values] = {}
        for holder in holders:
            for kind in ("Compute", "Graphics"):
                name = f"nvmlDeviceGet{kind}RunningProcesses"
                for process in _query(name, holder) or ():
                    memory = process.usedGpuMemory
                    found[process.pid] = {
                        "pid": process.pid,
                        "memory_bytes": memory if isinstance(memory, int) else None,
                    }
        shares = self._utilization() if found else None
        for pid, process in found.items():
            process["util_percent"] = None if shares is None else shares.get(pid, 0)
            process.update(self._facts(pid))
        return list(found.values())

    def _utilization(self) -> Optional[Dict[int, Optional[int]]]:
        """Per cent of the SMs by pid, since the last reading; None where it is not told."""
        after, self._utilization_after = self._utilization_after, int(time.time() * 1e6)
        after = after or self._utilization_after - 1_000_000
        name = "nvmlDeviceGetProcessUtilization"
        try:
            samples = libnvml.nvmlQuery(name, self.device.handle, after, ignore_errors=False)
        except libnvml.NVMLError_NotFound:  # no sample since then
            return {}
        except libnvml.NVMLError:
            return None
        newest = sorted(samples, key=lambda sample: int(sample.timeStamp))
        # Drivers have been seen to tell thousands of per cent.
        return {s.pid: s.smUtil if s.smUtil <= 100 else None for s in newest}


def _query(name: str, device: Any, *arguments: Any) -> Any:
    """What NVML says, or None."""
    if device.handle is None:
        return None
    return libnvml.nvmlQuery(
        name, device.handle, *arguments, default=None, ignore_function_not_found=True
    )


def _instance(mig: Any) -> Values:
    return {
        "index": mig.mig_index,
        "uuid": _text(mig.uuid()),
        "name": _text(mig.name()),
        "memory_total_bytes": _number(mig.memory_total()),
        "gpu_instance": _number(mig.gpu_instance_id()),
        "compute_instance": _number(mig.compute_instance_id()),
    }


def _numa_node(handle: Any) -> Optional[int]:
    """The memory that is nearest. Source: nvmlDeviceGetMemoryAffinity, a set of bits."""
    if handle is None:
        return None
    nodes = libnvml.nvmlQuery(
        "nvmlDeviceGetMemoryAffinity",
        handle,
        1,  # 64 nodes
        libnvml.NVML_AFFINITY_SCOPE_NODE,
        default=(0,),
        ignore_function_not_found=True,
    )[0]
    return nodes.bit_length() - 1 if nodes and nodes & (nodes - 1) == 0 else None


def _active_links(handle: Any) -> Optional[int]:
    """How many NVLinks are up; None where the GPU has none."""
    states = []
    for link in range(_MOST_LINKS if handle is not None else 0):
        state = libnvml.nvmlQuery("nvmlDeviceGetNvLinkState", handle, link, default=None)
        if state is None:
            break
        states.append(state)
    return sum(states) if states else None


def _number(value: Any) -> Optional[float]:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _text(value: Any) -> Optional[str]:
    return None if value is None or value == "N/A" else str(value)
