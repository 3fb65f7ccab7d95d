"""From what a node sends of its metrics to the GPUs and the host of a picture.

Nothing that a node sends is trusted to be what it should be: what is of another type is None.
docs/metrics.md has the fields of a frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Final, final

from gswarm_tui.watch.snapshot import (
    Gpu,
    GpuProcess,
    GpuState,
    Hardware,
    Host,
    Link,
    MigInstance,
)

Wire = Mapping[str, Any]

HUNG: Final = "hung"
"""The state of a frame whose driver does not answer."""

_MOST_GPUS: Final = 256
_MOST_TEXT: Final = 4096
_MOST_WORDS: Final = 32
_MOST_PROCESSES: Final = 256
_MOST_LINKS: Final = 2048
_LARGEST: Final = 1e18
"""No amount of anything here is larger; what plots and arrays of short floats hold is far beyond.
Nor is any clock that far off: see `moment`."""
_LAST_MOMENT: Final = 253_000_000_000.0  # in the year 9987; calendars end soon after
_SKEW_S: Final = 5.0
"""A clock of a node that is off by less is right: a frame takes its time."""
_HOST: Final = tuple(field.name for field in fields(Host))


@final
class Gpus:
    """The GPUs of one node, as its frames tell them.

    What a frame leaves out is as before. A GPU that did not change is the same object.

    Args:
        expected: the indices that the inventory promises.
    """

    def __init__(self, node: str, expected: Iterable[int] = ()) -> None:
        self._node = node
        self._expected = tuple(expected)
        self._static: dict[int, Wire] = {}
        self._hardware: dict[int, Hardware] = {}
        self._raw: dict[int, Wire] = {}
        self._made: dict[int, Gpu] = {}
        self._processes: dict[int, tuple[GpuProcess, ...] | None] = {}
        self._idle: dict[int, tuple[float, float]] = {}
        self._errors: dict[int, dict[tuple[int, float], float]] = {}
        self._skew_s = 0.0
        self._models: Mapping[int, tuple[str, ...]] = {}

    def describe(self, answer: Wire) -> None:
        """Take the answer to ``metrics.describe``."""
        found: dict[int, Wire] = {}
        for each in _maps(answer.get("gpus")):
            index = _index(each.get("index"))
            if index is not None:
                found[index] = each
        self._static = found
        topology = _maps(answer.get("topology"))[:_MOST_LINKS]
        self._hardware = {index: _hardware(index, each, topology) for index, each in found.items()}
        self._raw.clear()

    def hold(self, models: Mapping[int, tuple[str, ...]]) -> None:
        """Take which models are loaded where, by the indices of the GPUs."""
        if models != self._models:
            self._models = dict(models)
            self._raw.clear()

    def lose(self) -> None:
        """Nobody looks for a while: what a GPU does until the next frame is not known."""
        self._raw.clear()

    def take(self, frame: Wire, now: float) -> tuple[Gpu, ...]:
        """The GPUs after a frame that came `now`."""
        told: dict[int, Wire] = {}
        for each in _maps(frame.get("gpus")):
            index = _index(each.get("index"))
            if index is not None:
                told[index] = each
        sent_at = moment(frame.get("time"))
        skew_s = 0.0 if sent_at is None else now - sent_at
        self._skew_s = skew_s if abs(skew_s) > _SKEW_S else 0.0
        state = frame.get("state")
        if state in ("ok", "no_driver"):
            made = {index: self._told(index, each) for index, each in told.items()}
            made |= {i: self._bare(i, GpuState.MISSING) for i in self._expected if i not in told}
        else:  # nobody knows more than what they are
            self._raw.clear()
            made = {index: self._bare(index, GpuState.SILENT) for index in self._static}
        self._made = made
        return tuple([made[index] for index in sorted(made)])

    def _told(self, index: int, each: Wire) -> Gpu:
        known = self._made.get(index)
        if known is not None and self._raw.get(index) == each:
            return known
        self._raw[index] = each
        if each.get("lost") is True:
            return self._bare(index, GpuState.LOST, each)
        return self._measured(index, each)

    def _bare(self, index: int, state: GpuState, each: Wire | None = None) -> Gpu:
        """A GPU of which only what it is is known; that object again where it was so before."""
        static = self._static.get(index, {}) if state is not GpuState.MISSING else {}
        told = (each or {}).get("xid")
        made = Gpu(
            *(self._node, index, state, text(static.get("uuid")), text(static.get("name"))),
            memory_total_bytes=whole(static.get("memory_total_bytes")),
            xid=self._known_xids(index) if told is None else self._xids(index, told),
            hardware=self._hardware.get(index),
        )
        known = self._made.get(index)
        return known if known == made else made

    def _measured(self, index: int, each: Wire) -> Gpu:
        static, get = self._static.get(index, {}), each.get
        util = number(get("util_percent"))
        if "processes" in each:
            self._processes[index] = _processes(get("processes"))
        return Gpu(
            self._node,
            index,
            GpuState.OK,
            text(static.get("uuid")),
            text(static.get("name")),
            util,
            number(get("memory_util_percent")),
            whole(get("memory_used_bytes")),
            whole(static.get("memory_total_bytes")),
            number(get("temperature_c")),
            number(get("power_w")),
            number(static.get("power_limit_w")),
            number(get("sm_clock_mhz")),
            number(get("memory_clock_mhz")),
            number(get("fan_percent")),
            whole(get("pstate")),
            None if get("throttle") is None else _words(get("throttle")),
            whole(get("ecc_corrected")),
            whole(get("ecc_uncorrected")),
            whole(get("remapped_rows")),
            self._xids(index, get("xid")),
            number(get("pcie_rx_bytes_per_s")),
            number(get("pcie_tx_bytes_per_s")),
            number(get("nvlink_rx_bytes_per_s")),
            number(get("nvlink_tx_bytes_per_s")),
            self._processes.get(index),
            self._models.get(index, ()),
            self._idle_since(index, moment(get("idle_since"))),
            get("idle_seen") is False,
            self._hardware.get(index),
        )

    def _xids(self, index: int, value: object) -> tuple[tuple[int, float], ...]:
        """The errors with their times by our clock; each time is found once, and stays."""
        known = self._errors.get(index, {})
        self._errors[index] = {
            error: known.get(error, error[1] + self._skew_s) for error in _xids(value)
        }
        return self._known_xids(index)

    def _known_xids(self, index: int) -> tuple[tuple[int, float], ...]:
        return tuple([(code, time) for (code, _), time in self._errors.get(index, {}).items()])

    def _idle_since(self, index: int, told: float | None) -> float | None:
        """The same by our clock, which is found once, and stays."""
        if told is None:
            return None
        known = self._idle.get(index)
        if known is None or known[0] != told:
            known = self._idle[index] = (told, told + self._skew_s)
        return known[1]


def host_of(frame: Wire, before: Host) -> Host:
    """The host of a frame; where the frame tells nothing, it is as before."""
    told = frame.get("host")
    if not isinstance(told, Mapping) or not told:
        return before
    return Host(**{name: number(told.get(name)) for name in _HOST})


def with_models(gpus: tuple[Gpu, ...], models: Mapping[int, tuple[str, ...]]) -> tuple[Gpu, ...]:
    """The same GPUs with other models on them; those of which it is true already are the same."""
    return tuple(
        [
            gpu
            if gpu.models == models.get(gpu.index, ()) or gpu.state is not GpuState.OK
            else replace(gpu, models=models.get(gpu.index, ()))
            for gpu in gpus
        ]
    )


# What can be read from anything


def number(value: object) -> Any:
    """A number that can be an amount of something, or None."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return value
    return None


def moment(value: object) -> float | None:
    """Seconds since the epoch that a calendar has, or None."""
    found = number(value)
    return None if found is None or not 0 <= found <= _LAST_MOMENT else float(found)


def whole(value: object) -> int | None:
    """A whole number that is not negative, or None."""
    found = number(value)
    return None if found is None or found < 0 else int(found)


def text(value: object) -> str | None:
    """A text, not too long, or None."""
    return value[:_MOST_TEXT] if isinstance(value, str) and value else None


def _index(value: object) -> int | None:
    found = whole(value)
    return None if found is None or found >= _MOST_GPUS else found


def _maps(value: object) -> list[Wire]:
    if not isinstance(value, (list, tuple)):
        return []
    return [each for each in value if isinstance(each, Mapping)]


def _words(value: object) -> tuple[str, ...]:
    if not value or not isinstance(value, (list, tuple)):
        return ()
    words = [word for each in value[:_MOST_WORDS] if (word := text(each)) is not None]
    return tuple(dict.fromkeys(words))


def _xids(value: object) -> tuple[tuple[int, float], ...]:
    return tuple(
        [
            (code, time)
            for each in (_maps(value)[-_MOST_WORDS:] if value else ())
            if (code := whole(each.get("code"))) is not None
            and (time := moment(each.get("time"))) is not None
        ]
    )


def _processes(value: object) -> tuple[GpuProcess, ...] | None:
    return (
        None
        if value is None
        else tuple(
            [
                GpuProcess(
                    pid,
                    text(each.get("user")),
                    text(each.get("command")) or "",
                    whole(each.get("memory_bytes")),
                    number(each.get("util_percent")),
                    text(each.get("unit")),
                    moment(each.get("since")),
                    each.get("verified") is not False,
                )
                for each in _maps(value)[:_MOST_PROCESSES]
                if (pid := whole(each.get("pid"))) is not None
            ]
        )
    )


def _hardware(index: int, each: Wire, topology: list[Wire]) -> Hardware:
    links = []
    for pair in topology:
        ends = pair.get("gpus")
        if isinstance(ends, (list, tuple)) and len(ends) == 2 and index in ends:
            other = whole(ends[0] if ends[1] == index else ends[1])
            if other is not None and other != index:
                links.append(Link(other, text(pair.get("pcie")), pair.get("nvlink") is True))
    return Hardware(
        pci_bus_id=text(each.get("pci_bus_id")),
        numa_node=whole(each.get("numa_node")),
        cuda_compute=text(each.get("cuda_compute")),
        nvlinks=whole(each.get("nvlinks")),
        links=tuple(links),
        mig=tuple(
            [
                MigInstance(
                    number_,
                    text(mig.get("uuid")),
                    text(mig.get("name")),
                    whole(mig.get("memory_total_bytes")),
                )
                for mig in _maps(each.get("mig"))
                if (number_ := whole(mig.get("index"))) is not None
            ]
        ),
    )
