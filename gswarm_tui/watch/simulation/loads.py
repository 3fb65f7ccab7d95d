"""What simulated GPUs do: how they are loaded, by whom, and what is wrong with some.

What the cards are comes from nvidia-smi's names and memory sizes and from NVIDIA's data sheets.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from gswarm_tui.watch.rings import NOTHING
from gswarm_tui.watch.snapshot import Gpu, GpuProcess, GpuState, Hardware, Link

MIB: Final = 1024**2
_NOISE: Final = tuple(random.Random(7).random() for _ in range(1021))  # noqa: S311 - no secret
_SAVING_S: Final = 75
"""A training run writes a checkpoint that often."""
_BURST_S: Final = (100, 240)
"""A batch computes so long, of so long."""


@dataclass(frozen=True, slots=True)
class Card:
    """A model of GPU."""

    name: str
    memory_mib: int
    power_limit_w: float
    idle_w: float
    sm_mhz: float
    memory_mhz: float
    compute: str
    nvlinks: int = 0
    fan: bool = False


H100: Final = Card("NVIDIA H100 80GB HBM3", 81559, 700, 72, 1980, 2619, "9.0", 18)
H200: Final = Card("NVIDIA H200", 143771, 700, 78, 1980, 3201, "9.0", 18)
A100: Final = Card("NVIDIA A100-SXM4-80GB", 81920, 400, 58, 1410, 1593, "8.0", 12)
L40S: Final = Card("NVIDIA L40S", 46068, 350, 35, 2520, 9001, "8.9")
RTX4090: Final = Card("NVIDIA GeForce RTX 4090", 24564, 450, 19, 2520, 10501, "8.9", fan=True)


class Load(StrEnum):
    """What a GPU is used for."""

    TRAIN = "train"
    SERVE = "serve"
    BURST = "burst"
    HELD = "held"
    IDLE = "idle"


class Fault(StrEnum):
    """What is wrong with a GPU."""

    LOST = "lost"
    MISSING = "missing"
    SILENT = "silent"
    XID = "xid"
    ECC = "ecc"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Restarts:
    """When an engine is started anew, again and again.

    Args:
        first: one of these moments, in seconds since the epoch; there are some before it too.
        period_s: from one to the next.
        loads_s: for so long it loads its model each time.
    """

    first: float
    period_s: float = 420.0
    loads_s: float = 90.0

    def begun(self, time: float) -> float:
        """When it was started last."""
        return self.first + (time - self.first) // self.period_s * self.period_s

    def loaded(self, time: float) -> float:
        """How much of its model is loaded, from 0 to 1."""
        return min(1.0, (time - self.begun(time)) / self.loads_s)

    def is_loading(self, time: float) -> bool:
        return self.loaded(time) < 1.0


@dataclass(frozen=True, slots=True)
class Use:
    """Who uses a GPU, for what.

    Args:
        memory_share: of the card's memory, when nothing is computed yet.
        phase: shifts what is computed when: GPUs of one training run have the same.
        since: when it began.
        restarts: when it begins again; None where it goes on.
    """

    load: Load
    phase: int
    memory_share: float = 0.0
    user: str | None = None
    command: str = ""
    unit: str | None = None
    pid: int = 0
    since: float = 0.0
    models: tuple[str, ...] = ()
    restarts: Restarts | None = None

    def begun(self, time: float) -> float:
        """When it began last."""
        return self.since if self.restarts is None else self.restarts.begun(time)

    def is_loading(self, time: float) -> bool:
        """Whether nothing is computed yet, since its model is only being loaded."""
        return self.restarts is not None and self.restarts.is_loading(time)


@final
class SimulatedGpu:
    """One GPU, at any time.

    Args:
        beside: how many GPUs the node has.
        fault: what is wrong with it, from `fault_at` on.
    """

    __slots__ = (
        "_idle",
        "_process",
        "_told",
        "card",
        "fault",
        "fault_at",
        "hardware",
        "index",
        "node",
        "noise",
        "use",
        "uuid",
    )

    def __init__(
        self,
        node: str,
        index: int,
        card: Card,
        use: Use,
        rng: random.Random,
        *,
        beside: int = 1,
        fault: Fault | None = None,
        fault_at: float = 0.0,
    ) -> None:
        digits = f"{rng.getrandbits(128):032x}"
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        self.uuid = "GPU-" + "-".join(parts)
        self.node, self.index, self.card, self.use = node, index, card, use
        self.noise = rng.randrange(len(_NOISE))
        self.fault, self.fault_at = fault, fault_at
        self.hardware = _hardware(card, index, beside)
        self._idle: Gpu | None = None
        self._process: tuple[GpuProcess, ...] | None = None
        self._told = (0.0, 0.0, 0.0)

    def at(self, time: float) -> Gpu:
        """The GPU as its driver would tell it."""
        if self._is_untold(time):
            return self._without_driver()
        if self.use.load is Load.IDLE and self.fault is None:
            if self._idle is None:
                self._idle = self._measured(time)
            return self._idle
        return self._measured(time)

    def told(self, time: float) -> tuple[float, float, float, float]:
        """Its `values`, as its driver would tell them."""
        return (NOTHING,) * 4 if self._is_untold(time) else self.values(time)

    def _is_untold(self, time: float) -> bool:
        untold = self.fault in (Fault.LOST, Fault.MISSING, Fault.SILENT)
        return untold and time >= self.fault_at

    def values(self, time: float) -> tuple[float, float, float, float]:
        """Utilisation, memory used in bytes, temperature and power."""
        util = self._util(time)
        card, use = self.card, self.use
        slow = self._slow(time)
        temperature = float(
            int(31.5 + slow * 0.4 + _NOISE[(int(time) // 4 + self.noise) % 1021] * 3)
        )
        power = float(int(card.idle_w + (card.power_limit_w - card.idle_w) * util * 0.0095))
        memory = card.memory_mib * (0.006 + use.memory_share)
        if use.load is Load.BURST and util == 0.0:
            memory = card.memory_mib * 0.006
        elif use.restarts is not None and use.restarts.is_loading(time):
            memory = card.memory_mib * (0.006 + use.memory_share * use.restarts.loaded(time))
        elif use.load is Load.SERVE:
            memory += card.memory_mib * 0.0005 * slow
        if self.fault is Fault.THROTTLED and time >= self.fault_at:
            temperature, power = float(int(88.0 + temperature * 0.03)), power * 0.62
        return util, float(int(memory) // 256 * 256 * MIB), temperature, power

    def _util(self, time: float) -> float:
        load, phase = self.use.load, self.use.phase
        if self.use.is_loading(time):
            return 0.0
        noise = _NOISE[(int(time) * 7 + self.noise) % 1021]
        if load is Load.TRAIN:
            saving = (int(time) + phase) % _SAVING_S < 5
            return float(int(4 + 9 * noise if saving else 93.5 + 7 * noise))
        if load is Load.SERVE:
            return float(int(min(100.0, self._slow(time) * (0.7 + 0.6 * noise))))
        if load is Load.BURST:
            busy = (int(time) + phase) % _BURST_S[1] < _BURST_S[0]
            return float(int(72.5 + 28 * noise)) if busy else 0.0
        return 0.0

    def _slow(self, time: float) -> float:
        """How busy it is over a minute, in per cent."""
        load, phase = self.use.load, self.use.phase
        if self.use.is_loading(time):
            return 0.0
        if load is Load.TRAIN:
            return 92.0
        if load is Load.SERVE:
            return 46.0 + 34.0 * math.sin(time / 61.0 + phase)
        if load is Load.BURST:
            into = (int(time) + phase) % _BURST_S[1]
            return min(80.0, into * 2.0) if into < _BURST_S[0] else max(0.0, 80.0 - into + 100)
        return 0.0

    def _measured(self, time: float) -> Gpu:
        card, fault = self.card, self.fault if time >= self.fault_at else None
        util, memory, temperature, power = self.values(time)
        throttled = fault is Fault.THROTTLED
        return Gpu(
            self.node,
            self.index,
            GpuState.OK,
            self.uuid,
            card.name,
            util,
            float(int(util * 0.55)),
            int(memory),
            card.memory_mib * MIB,
            temperature,
            power,
            card.power_limit_w,
            card.sm_mhz * (0.45 if throttled else 0.97 if util else 0.12),
            card.memory_mhz,
            (30 + temperature * 0.5) // 1 if card.fan else None,
            0 if util else 8,
            ("hardware thermal slowdown",) if throttled else (),
            None if card.fan else 0,
            None if card.fan else 3 if fault is Fault.ECC else 0,
            None if card.fan else 1 if fault is Fault.ECC else 0,
            ((31, self.fault_at),) if fault is Fault.XID else (),
            util * 4.4e7,
            util * 3.1e7,
            util * card.nvlinks * 2.1e7 if card.nvlinks else None,
            util * card.nvlinks * 2.1e7 if card.nvlinks else None,
            self._processes(time, util, memory),
            self.use.models,
            self._idle_since(time, util),
            False,
            self.hardware,
        )

    def _processes(self, time: float, util: float, memory: float) -> tuple[GpuProcess, ...]:
        use = self.use
        if use.user is None or (use.load is Load.BURST and util == 0.0):
            return ()
        share = util - util % 10  # of its own sample period, which is another one
        since = use.begun(time)
        if self._process is None or (share, memory, since) != self._told:
            held = max(0, int(memory) - int(self.card.memory_mib * 0.006) * MIB)
            self._told = (share, memory, since)
            self._process = (
                GpuProcess(use.pid, use.user, use.command, held, share, use.unit, since),
            )
        return self._process

    def _idle_since(self, time: float, util: float) -> float | None:
        if util:
            return None
        if self.use.load is Load.BURST:
            return time - ((int(time) + self.use.phase) % _BURST_S[1] - _BURST_S[0])
        return self.use.begun(time)

    def _without_driver(self) -> Gpu:
        """What is known of a GPU whose driver does not tell."""
        if self.fault is Fault.MISSING:
            return Gpu(self.node, self.index, GpuState.MISSING)
        state = GpuState.LOST if self.fault is Fault.LOST else GpuState.SILENT
        memory = self.card.memory_mib * MIB
        return Gpu(
            *(self.node, self.index, state, self.uuid, self.card.name),
            memory_total_bytes=memory,
            hardware=self.hardware,
        )


def _hardware(card: Card, index: int, beside: int) -> Hardware:
    """Half of a node's GPUs is at each of two processors."""
    half = max(1, beside // 2)
    links = [
        Link(other, "NODE" if other // half == index // half else "SYS", card.nvlinks > 0)
        for other in range(beside)
        if other != index
    ]
    bus = f"00000000:{0x1B + 0x10 * index:02X}:00.0"
    return Hardware(bus, min(1, index // half), card.compute, card.nvlinks, tuple(links))
