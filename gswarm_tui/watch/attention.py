"""What needs a look, read from the newest picture alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from gswarm_tui.watch import xids
from gswarm_tui.watch.snapshot import Attention, Concern, Gpu, GpuState, Node, NodeState
from gswarm_tui.wording import size

HELD_BYTES: Final = 1024**3
"""Less is no reason to ask its owner: a CUDA context alone takes some hundred MB."""
IDLE_S: Final = 600.0
"""For so long a held GPU may do nothing."""
XID_S: Final = 3600.0
"""For so long an XID error is worth a look."""
HARMLESS: Final = frozenset({"power cap", "application clocks", "display clocks", "sync boost"})
"""Reasons of low clocks that are no fault: nobody has to do anything about them."""

_URGENCY: Final = {concern: place for place, concern in enumerate(Concern)}


def needs_a_look(nodes: Iterable[Node], now: float) -> tuple[Attention, ...]:
    """What needs a look, the most urgent first, then in the order of the nodes."""
    found: list[Attention] = []
    for node in nodes:
        if node.state is NodeState.UP:
            found += _of_gpus(node, now)
        elif node.state is NodeState.UNREACHABLE:
            text = f"does not answer: {node.error}" if node.error else "does not answer"
            found.append(Attention(Concern.UNREACHABLE, node.name, None, text, node.since))
    return tuple(sorted(found, key=lambda each: _URGENCY[each.concern]))


def _of_gpus(node: Node, now: float) -> Iterator[Attention]:
    if node.silent_s > 0:
        since = now - node.silent_s
        _, semicolon, more = (node.error or "").partition(";")  # what it hangs in, and how
        text = f"the GPU driver has not answered for {spell(node.silent_s)}{semicolon}{more}"
        yield Attention(Concern.HUNG, node.name, None, text, since)
    elif node.error:
        yield Attention(Concern.SILENT, node.name, None, node.error, None)
    missing: list[Gpu] = []
    for gpu in node.gpus:
        if gpu.state is GpuState.OK:
            if gpu.xid or gpu.ecc_uncorrected or gpu.throttle or gpu.idle_since is not None:
                yield from _of_gpu(gpu, now)
        elif gpu.state is GpuState.LOST:
            text = "the driver has no contact to it any more"
            yield Attention(Concern.LOST, gpu.node, gpu.index, text, None)
        elif gpu.state is GpuState.MISSING:
            missing.append(gpu)
    if missing:
        yield _missing(node, missing)


def _missing(node: Node, missing: list[Gpu]) -> Attention:
    """Told once for a node: one without a driver lacks all of them."""
    if len(missing) == 1:
        text = "the inventory expects it, and the node has none of that number"
        return Attention(Concern.MISSING, node.name, missing[0].index, text, None)
    indices = ", ".join(str(gpu.index) for gpu in missing)
    text = f"the inventory expects {len(missing)} GPUs that the node has not: {indices}"
    return Attention(Concern.MISSING, node.name, None, text, None)


def _of_gpu(gpu: Gpu, now: float) -> Iterator[Attention]:
    place = (gpu.node, gpu.index)
    recent = [(code, time) for code, time in gpu.xid if now - time < XID_S]
    if recent:
        code, time = max(recent, key=lambda error: error[1])
        more = f", and {len(recent) - 1} more" if len(recent) > 1 else ""
        yield Attention(Concern.XID, *place, f"{xids.say(code)}{more}", time)
    if gpu.ecc_uncorrected:
        text = f"{gpu.ecc_uncorrected} since the driver was loaded"
        yield Attention(Concern.ECC, *place, text, None)
    slowed = [reason for reason in gpu.throttle or () if reason not in HARMLESS]
    if slowed:
        text = f"clocks are held down: {', '.join(slowed)}"
        yield Attention(Concern.THROTTLED, *place, text, None)
    if gpu.idle_since is not None and now - gpu.idle_since >= IDLE_S:
        yield from _held(gpu, gpu.idle_since, now)


def _held(gpu: Gpu, since: float, now: float) -> Iterator[Attention]:
    """A GPU that computes nothing, and whose memory nobody else can have."""
    holders: dict[str, int] = {}
    for process in gpu.processes or ():
        if process.memory_bytes is not None:
            user = process.user or "somebody"
            holders[user] = holders.get(user, 0) + process.memory_bytes
    held = sum(holders.values())
    if held < HELD_BYTES:
        return
    who = " and ".join(sorted(holders, key=lambda user: -holders[user]))
    what = f" for {', '.join(gpu.models)}" if gpu.models else ""
    verbs = ("holds", "has") if len(holders) == 1 else ("hold", "have")
    spent = f"at least {spell(now - since)}" if gpu.idle_at_least else spell(now - since)
    text = f"{who} {verbs[0]} {size(held)}{what} and {verbs[1]} not computed for {spent}"
    yield Attention(Concern.IDLE, gpu.node, gpu.index, text, since)


def spell(seconds: float) -> str:
    """A length of time in its one largest unit: ``3 h``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length or (unit != "d" and seconds >= length):
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
