"""What simulated GPUs are and do: for the demo, the tests and the benchmarks.

Everything follows from the configuration and the time, so that each process that asks gets the same
answer. `simulated` puts it beneath nvitop as a driver. What a real GPU of each model is comes from
NVIDIA's data sheets and from nvidia-smi's names and memory sizes.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..errors import HelperError, Kind

MIB = 1024**2


@dataclass(frozen=True)
class Hardware:
    """A model of GPU.

    Args:
        memory_mib: as nvidia-smi has it.
        clocks_mhz: of the SMs and of the memory, at most.
        nvlinks: how many; 0 where it has none.
        gpm: whether it tells its bandwidth without blocking (Hopper and later).
        fan: whether it has one of its own.
    """

    name: str
    memory_mib: int
    power_limit_w: int
    clocks_mhz: Tuple[int, int]
    compute: Tuple[int, int]
    nvlinks: int = 0
    gpm: bool = False
    fan: bool = False


MODELS: Mapping[str, Hardware] = {
    "A100": Hardware("NVIDIA A100-SXM4-80GB", 81920, 400, (1410, 1593), (8, 0), nvlinks=12),
    "B200": Hardware("NVIDIA B200", 183359, 1000, (1965, 3996), (10, 0), nvlinks=18, gpm=True),
    "H100": Hardware(
        "NVIDIA H100 80GB HBM3", 81559, 700, (1980, 2619), (9, 0), nvlinks=18, gpm=True
    ),
    "H200": Hardware("NVIDIA H200", 143771, 700, (1980, 3201), (9, 0), nvlinks=18, gpm=True),
    "L40S": Hardware("NVIDIA L40S", 46068, 350, (2520, 9001), (8, 9)),
    "RTX4090": Hardware("NVIDIA GeForce RTX 4090", 24564, 450, (3105, 10501), (8, 9), fan=True),
    "T4": Hardware("Tesla T4", 15360, 70, (1590, 5001), (7, 5)),
}

PATTERNS = ("busy", "idle", "train", "serve", "mixed")
FAULTS = ("lost", "xid", "throttle", "ecc", "hang")

MOST_GPUS = 64
MOST_PROCESSES = 64
"""On each GPU."""

_MIXED = ("train", "serve", "idle", "held", "serve", "busy")
_FIRST_PID = 2**22 + 1  # Linux has no process with such an id: nobody's can be signalled instead
_XID = 79  # "GPU has fallen off the bus", the most usual one of a lost GPU
_IDLE_SHARE = 0.11  # of its power limit, that an idle GPU takes
_RUNNING_S = 3600.0  # so long do simulated processes run when it begins
_STEP_S = 90.0  # of the training run: it saves, and the GPUs wait

_USERS = ("ana", "bo", "chen", "dara", "eve")
_COMMANDS = {
    "train": "python train.py --config configs/llama-8b.yaml --fsdp full --resume",
    "serve": "VLLM::EngineCore",
    "busy": "python -m lm_eval --model hf --tasks mmlu,gsm8k --batch_size 64",
    "held": "/opt/conda/bin/python -m ipykernel_launcher -f kernel-0f3a.json",
}
_UNITS = {"train": "slurm job 48213", "serve": "docker 9b1c44e0a7d2", "held": "jupyter.service"}
_MEMORY = {"train": 0.92, "serve": 0.9, "busy": 0.55, "held": 0.61, "idle": 0.0}


@dataclass(frozen=True)
class Fault:
    """What goes wrong on one GPU, `after_s` after the beginning, for `for_s` or for good."""

    gpu: int
    kind: str
    after_s: float = 0.0
    for_s: float = math.inf
    code: int = _XID

    def active(self, age_s: float) -> bool:
        return self.after_s <= age_s < self.after_s + self.for_s


@dataclass(frozen=True)
class Process:
    """A process that is on a simulated GPU and nowhere else."""

    pid: int
    user: str
    command: str
    unit: Optional[str]
    memory_bytes: int
    share: float


@dataclass(frozen=True)
class State:
    """What one GPU does at one moment."""

    util: float
    memory_util: float
    memory_used: int
    temperature_c: int
    power_w: float
    clocks_mhz: Tuple[int, int]
    throttled: bool


class Simulation:
    """The simulated GPUs of one node.

    Args:
        config: as the inventory's ``simulate`` has it; see docs/inventory.md.
        began: seconds since the epoch from which faults are counted.

    Raises:
        HelperError: the configuration is wrong.
    """

    def __init__(self, config: Mapping[str, Any], began: float) -> None:
        self.began = began
        self.count = _whole(config, "gpus", 8, MOST_GPUS)
        self.seed = _whole(config, "seed", 0)
        self.hardware = MODELS[_one_of(config, "model", MODELS, "H100")]
        self.pattern = _one_of(config, "pattern", PATTERNS, "mixed")
        self.per_gpu = _whole(config, "processes", 1, MOST_PROCESSES)
        self.faults = [_fault(fault) for fault in config.get("faults") or ()]

    def uuid(self, gpu: int) -> str:
        digits = "".join(f"{self._hash(gpu, word):08x}" for word in range(4))
        return f"GPU-{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"

    def load(self, gpu: int) -> str:
        """What a GPU is used for: a pattern, or ``held``: memory is taken and nothing computed."""
        if self.pattern != "mixed":
            return self.pattern
        return _MIXED[(gpu + self._hash("load")) % len(_MIXED)]

    def state(self, gpu: int, now: float) -> State:
        hardware = self.hardware
        load = self.load(gpu)
        util = self._util(gpu, load, now)
        memory = int(sum(process.memory_bytes for process in self.processes(gpu, now)))
        throttled = self.fault(gpu, "throttle", now) is not None
        slower = 0.55 if throttled else 1.0
        speed = (0.97 if util > 1 else 0.15) * slower
        power = (
            hardware.power_limit_w * (_IDLE_SHARE + 0.85 * util / 100) * (0.7 if throttled else 1.0)
        )
        return State(
            util=util,
            memory_util=util * (0.35 if load == "train" else 0.6),
            memory_used=memory + 600 * MIB,
            temperature_c=91
            if throttled
            else round(31 + 0.42 * util + 3 * self._noise(gpu, 2, now)),
            power_w=power,
            clocks_mhz=(round(hardware.clocks_mhz[0] * speed), hardware.clocks_mhz[1]),
            throttled=throttled,
        )

    def energy_j(self, gpu: int, now: float) -> float:
        """What it has taken since it all began; one that is used as if it had been so fully."""
        idle = self.load(gpu) in ("idle", "held")
        share = _IDLE_SHARE if idle else 1.0
        return self.hardware.power_limit_w * share * max(0.0, now - self.began)

    def processes(self, gpu: int, now: float) -> List[Process]:
        load = self.load(gpu)
        if load == "idle" or not self.per_gpu:
            return []
        # A server fills its cache once; a training run breathes a little.
        breath = 0.03 * self._noise(gpu, 3, now) if load == "train" else 0.0
        memory = (_MEMORY[load] - breath) * self.hardware.memory_mib * MIB
        return [
            Process(
                pid=_FIRST_PID + gpu * MOST_PROCESSES + number,
                user=_USERS[self._hash(gpu if load != "train" else 0, "user") % len(_USERS)],
                command=_COMMANDS[load],
                unit=_UNITS.get(load),
                memory_bytes=int(memory / self.per_gpu),
                share=1 / self.per_gpu,
            )
            for number in range(self.per_gpu)
        ]

    def facts(self, pid: int) -> Dict[str, Any]:
        """What `processes.Table` tells of a process that is there."""
        gpu = (pid - _FIRST_PID) // MOST_PROCESSES
        for process in self.processes(gpu, self.began) if 0 <= gpu < self.count else ():
            if process.pid == pid:
                about = {"user": process.user, "command": process.command, "unit": process.unit}
                return {**about, "since": self.began - _RUNNING_S, "verified": True}
        return {"user": None, "command": None, "unit": None, "since": None, "verified": True}

    def fault(self, gpu: int, kind: str, now: float) -> Optional[Fault]:
        """The fault of that kind that a GPU has now."""
        for fault in self.faults:
            if fault.gpu == gpu and fault.kind == kind and fault.active(now - self.began):
                return fault
        return None

    def xids(self, after: float, until: float) -> List[Tuple[float, int, int]]:
        """``(time, GPU, code)`` of the driver's errors in a stretch of time."""
        found = []
        for fault in self.faults:
            time = self.began + fault.after_s
            if fault.kind in ("xid", "lost", "ecc") and after < time <= until:
                found.append((time, fault.gpu, 94 if fault.kind == "ecc" else fault.code))
        return sorted(found)

    def bandwidth(self, gpu: int, link: str, now: float) -> float:
        """Bytes a second, each way, over ``pcie`` or ``nvlink``."""
        util = self.state(gpu, now).util / 100
        busiest = {"pcie": 6e9, "nvlink": 18e9 * self.hardware.nvlinks}[link]
        return busiest * util * (0.7 if self.load(gpu) == "train" else 0.2)

    def _util(self, gpu: int, load: str, now: float) -> float:
        noise = self._noise(gpu, 1, now)
        if load == "busy":
            return 96 + 4 * noise
        if load == "serve":
            tide = 0.5 + 0.5 * math.sin(now / 47 + self._hash(gpu, "tide") % 7)
            return 100 * (0.25 + 0.5 * tide * noise + 0.2 * noise)
        if load == "train":
            saving = (now + self.seed * 13) % _STEP_S < 6
            return 3 * noise if saving else 93 + 7 * noise
        return 0.0

    def _noise(self, gpu: int, channel: int, now: float) -> float:
        """Between 0 and 1, smooth, another one for each GPU and channel."""
        whole, part = divmod(now / 3.0, 1.0)
        here, there = (self._hash(gpu, channel, int(whole) + step) / 2**32 for step in (0, 1))
        return here + (there - here) * part

    def _hash(self, *words: Any) -> int:
        return zlib.crc32(repr((self.seed, *words)).encode())


def _whole(config: Mapping[str, Any], key: str, default: int, most: int = 2**31) -> int:
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _wrong(f"{key} has to be a whole number from 0 to {most}, not {value!r:.40}")
    return value


def _one_of(config: Mapping[str, Any], key: str, known: Any, default: str) -> str:
    value = config.get(key, default)
    if value not in known:
        raise _wrong(f"{key} is {value!r:.40}; known are {', '.join(known)}")
    return str(value)


def _fault(config: Dict[str, Any]) -> Fault:
    kind = _one_of(config, "kind", FAULTS, "")
    given = {
        key: config[key] for key in ("after_s", "for_s", "code") if config.get(key) is not None
    }
    return Fault(gpu=_whole(config, "gpu", 0), kind=kind, **given)


def _wrong(message: str) -> HelperError:
    return HelperError(Kind.INVALID, message, where="simulate", hint="see docs/inventory.md")
