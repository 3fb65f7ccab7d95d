"""The names of devices on a node: ``disk``, ``dram``, ``gpu0``."""

from __future__ import annotations

import re
from typing import Iterable, List, Optional

DISK, DRAM = "disk", "dram"
TIERS = (DISK, DRAM)
"""Those that hold files."""

MAX_GPU_INDEX = 255

_GPU = re.compile(r"gpu(0|[1-9][0-9]{0,2})")


def gpu_index(device: str) -> Optional[int]:
    """The index of a GPU by its name; None where that is the name of none."""
    match = _GPU.fullmatch(device)
    index = None if match is None else int(match[1])
    return None if index is None or index > MAX_GPU_INDEX else index


def gpu_indices(devices: Iterable[str]) -> List[int]:
    """The indices of those that are GPUs."""
    return [index for index in map(gpu_index, devices) if index is not None]
