"""What the system says about the machine that the helper runs on."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Dict


def boot_id() -> str:
    """What changes at each boot. Source: proc(5), /proc/sys/kernel/random/boot_id."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def memory() -> Dict[str, int]:
    """/proc/meminfo in bytes; empty where there is none."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


def os_name() -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return platform.platform(terse=True)
    for line in lines:
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return platform.platform(terse=True)


def existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
