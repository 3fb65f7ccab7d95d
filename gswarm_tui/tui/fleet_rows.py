"""The lines of the fleet: nodes with those of their GPUs that are wanted, in groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gswarm_tui.watch.fields import GROUPS, NOBODY, group_of, labels_of
from gswarm_tui.watch.filters import Filter
from gswarm_tui.watch.snapshot import Attention, Concern, FleetSnapshot, Gpu, GpuState, Node


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A node in a group, or the heading of a group.

    Args:
        node: None in a heading.
        gpus: those that fit the filter and are of the group; in a heading, those of the group.
        concerns: what needs a look, by the number of the GPU; None stands for the node.
        count: of a heading, how many nodes there are below it.
    """

    group: str | None
    node: Node | None
    gpus: tuple[Gpu, ...]
    concerns: tuple[tuple[int | None, Concern], ...] = ()
    count: int = 0
    folded: bool = False

    @property
    def key(self) -> tuple[str | None, str | None]:
        return (self.group, self.node.name if self.node else None)

    @property
    def usable(self) -> list[Gpu]:
        return [gpu for gpu in self.gpus if gpu.state is GpuState.OK]

    @property
    def util_percent(self) -> float | None:
        """The mean of its GPUs."""
        known = [gpu.util_percent for gpu in self.gpus if gpu.util_percent is not None]
        return sum(known) / len(known) if known else None

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes used and bytes there are."""
        used = sum(gpu.memory_used_bytes or 0 for gpu in self.gpus)
        return used, sum(gpu.memory_total_bytes or 0 for gpu in self.usable)

    @property
    def memory_percent(self) -> float | None:
        used, total = self.memory
        return 100 * used / total if total else None

    @property
    def temperature_c(self) -> float | None:
        """The highest."""
        return max(
            (g.temperature_c for g in self.gpus if g.temperature_c is not None), default=None
        )

    @property
    def power_w(self) -> float | None:
        known = [gpu.power_w for gpu in self.gpus if gpu.power_w is not None]
        return sum(known) if known else None

    @property
    def users(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(user for gpu in self.gpus for user in gpu.users))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(model for gpu in self.gpus for model in gpu.models))


def groupings(snapshot: FleetSnapshot) -> list[str]:
    """What the lines can be grouped by; ``node`` is no group at all."""
    return [*GROUPS, *(f"label:{name}" for name in labels_of(snapshot.nodes))]


def fleet_rows(
    snapshot: FleetSnapshot, wanted: Filter, by: str, folded: Iterable[str] = ()
) -> list[FleetRow]:
    """The lines of a picture: those of a group below its heading.

    Args:
        by: one of `groupings`.
        folded: the groups of which only the heading is shown.
    """
    concerns = _concerns(snapshot.attention)
    everything = [_row(None, node, wanted, concerns) for node in snapshot.nodes]
    kept = [row for row in everything if row is not None]
    if by == "node":
        return kept
    groups: dict[str, list[FleetRow]] = {}
    for row in kept:
        for name, part in _parts(row, by):
            groups.setdefault(name, []).append(part)
    hidden = set(folded)
    found: list[FleetRow] = []
    for name in sorted(groups, key=lambda name: (name == NOBODY, name)):
        found += _section(name, groups[name], name in hidden)
    return found


def _section(name: str, rows: Sequence[FleetRow], folded: bool) -> Iterator[FleetRow]:
    gpus = tuple(gpu for row in rows for gpu in row.gpus)
    yield FleetRow(name, None, gpus, count=len(rows), folded=folded)
    if not folded:
        yield from rows


def _row(
    group: str | None,
    node: Node,
    wanted: Filter,
    concerns: Mapping[str, tuple[tuple[int | None, Concern], ...]],
) -> FleetRow | None:
    if not wanted.tests:
        return FleetRow(group, node, node.gpus, concerns.get(node.name, ()))
    gpus = tuple(gpu for gpu in node.gpus if wanted.matches(node, gpu))
    if not gpus and (node.gpus or not wanted.matches(node, None)):
        return None
    return FleetRow(group, node, gpus, concerns.get(node.name, ()))


def _parts(row: FleetRow, by: str) -> Iterator[tuple[str, FleetRow]]:
    """A node is in every group that one of its GPUs is in, with those GPUs."""
    assert row.node is not None
    parts: dict[str, list[Gpu]] = {}
    for gpu in row.gpus:
        parts.setdefault(group_of((row.node, gpu), by), []).append(gpu)
    if not row.gpus:
        parts[group_of((row.node, None), by)] = []
    for name, gpus in parts.items():
        yield name, FleetRow(name, row.node, tuple(gpus), row.concerns)


def _concerns(
    attention: Iterable[Attention],
) -> dict[str, tuple[tuple[int | None, Concern], ...]]:
    """By node; the most urgent of each GPU."""
    found: dict[str, dict[int | None, Concern]] = {}
    for each in attention:
        found.setdefault(each.node, {}).setdefault(each.gpu, each.concern)
    return {node: tuple(concerns.items()) for node, concerns in found.items()}
