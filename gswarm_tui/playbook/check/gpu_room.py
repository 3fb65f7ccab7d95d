"""What is known of GPUs before an engine loads on them: who holds their memory, and what is free.

It makes nothing fail: an engine may take less than the files have, and who holds memory now may be
gone when it runs. It is said, so that whoever confirms a plan has seen it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gswarm_tui.devices import Device
from gswarm_tui.wording import size as shown_size

if TYPE_CHECKING:
    from gswarm_tui.models.looking import NodeLook


def gpu_room(look: NodeLook, devices: Iterable[Device], files: int | None) -> Iterator[str]:
    """Sentences on the memory of those of `devices` that are GPUs of the node.

    Args:
        files: the bytes that are loaded over all of them; None where that is not known.
    """
    free_in_all: int | None = 0
    found = [(device, look.gpu(device)) for device in devices if device.is_gpu]
    for device, gpu in found:
        total, used = (gpu or {}).get("memory_total"), (gpu or {}).get("memory_used")
        if gpu is None or total is None or used is None:
            free_in_all = None
            continue
        if free_in_all is not None:
            free_in_all += total - used
        yield f"{device} has {shown_size(total - used)} of {shown_size(total)} free{_holders(gpu)}"
    if found and files is not None:
        short = free_in_all is not None and files > free_in_all
        yield f"its files have {shown_size(files)}{', more than is free there' if short else ''}"


def _holders(gpu: Mapping[str, Any]) -> str:
    """Who holds memory there, the one with the most first."""
    held: dict[str, int] = {}
    for process in gpu.get("processes", ()):
        user = process.get("user") or "somebody"
        held[user] = held.get(user, 0) + (process.get("memory") or 0)
    if not held:
        return ""
    most_first = sorted(held.items(), key=lambda each: -each[1])
    said = [f"{user} holds {shown_size(size) if size else 'some'}" for user, size in most_first]
    return f", {', '.join(said)}"
